/* last_seen is read again, but without waiting for the packets in flight. Breaks P3 and P5. */
#define PACKETS0 2
#define PACKETS1 0
#define WITHOUT_FIRST_GRACE
#define FLOWS 1
#include "../free.pml"
