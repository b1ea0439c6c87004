/* Two workers refresh or revive a session in place while the freer ends it and an order by id deletes it. P1-P5. */
#define REVIVE
#define MARKS
#ifndef WITHOUT_ORDERS
#define ORDERS
#endif
#define TICKS 2
#define ROUNDS 1
#define START STOCK; SESSION; now = 1
#include "table.pml"
