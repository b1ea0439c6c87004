/* A worker reads its clock before it leaves the quiescent state. Breaks P3 and P5. */
#define PACKETS0 2
#define PACKETS1 0
#define WITH_CLOCK_BEFORE_BURST
#define FLOWS 1
#include "../free.pml"
