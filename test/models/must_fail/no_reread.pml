/* last_seen is not read again after the grace. Breaks P5. */
#define PACKETS0 2
#define PACKETS1 0
#define WITHOUT_REREAD
#include "../free.pml"
