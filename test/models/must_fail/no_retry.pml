/* The freer tries DYING -> LIVE once: a packet that changes the word at that moment leaves the session DYING for ever. Breaks P4. */
#define PACKETS0 2
#define PACKETS1 0
#define WITHOUT_RETRY
#include "../free.pml"
