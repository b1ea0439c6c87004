/* "Still expired" is judged at a time read after the grace: a packet of a burst that began later, whose own clock says "fresh", loses its session. Breaks P3 and P5. */
#define PACKETS0 2
#define PACKETS1 0
#define WITH_TIME_READ_AGAIN
#define TICKS 3
#define FLOWS 1
#include "../free.pml"
