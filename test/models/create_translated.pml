/* Two workers open two flows translated to one address: the reply entry allocates the port, an undone slot is used again
 * at once for another flow. P1 P2 P3 P4 P6. */
#define FINE
#define RACES
#define TRANSLATED
#define FLOWS 2
#define PACKETS0 2
#define PACKETS1 2
#define START STOCK; ring[1] = 2; head[0] = 2
#include "table.pml"
