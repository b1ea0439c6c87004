/* A worker dies at any step, reviving included; the agent adopts while the other worker goes on. P1-P4. */
#define WORKER_DIES
#define ADOPT_AT_START
#define ADOPT_ONLY
#define REVIVE
#define TICKS 2
#define PACKETS0 2
#define PACKETS1 2
#define START STOCK; SESSION; now = 1
#include "table.pml"
