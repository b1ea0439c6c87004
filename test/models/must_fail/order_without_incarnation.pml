/* The same for a deletion by id: the id matched, the session was revived, the CAS ends the new one. Breaks P5. */
#define PACKETS0 2
#define PACKETS1 0
#define WITHOUT_INCARNATION
#include "../revive.pml"
