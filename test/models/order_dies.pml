/* The agent dies at any step of a deletion by id, while a worker revives that session; the successor adopts. P1-P5. */
#define REVIVE
#define ORDERS
#define ADOPT_ONLY
#define TICKS 2
#define ROUNDS 1
#define DEATHS 1
#define PACKETS0 2
#define PACKETS1 0
#define START STOCK; SESSION; now = 1
#include "table.pml"
