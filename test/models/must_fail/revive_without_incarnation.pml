/* The state word does not tell one life from the next: a worker revives what another has just revived. Breaks P3. */
#define WITHOUT_INCARNATION
#define WITHOUT_ORDERS
#include "../revive.pml"
