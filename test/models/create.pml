/* Two workers create the same two tuples, from one side and from the other; any empty place is taken. P1 P2 P4 P6. */
#define FINE
#define ANY_PLACE
#define RACES
#define FLOWS 2
#define PACKETS0 2
#define START STOCK; ring[1] = 2; head[0] = 2
#include "table.pml"
