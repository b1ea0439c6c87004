/* A worker dies at any step of a creation; the agent adopts while the other worker goes on. P1 P2 P4. */
#define FINE
#define WORKER_DIES
#define ADOPT_AT_START
#define ADOPT_ONLY
#define PACKETS0 2
#define PACKETS1 2
#define START STOCK; ring[1] = 2; head[0] = 2
#include "table.pml"
