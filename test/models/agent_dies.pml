/* The agent (freer and installer) dies twice at any step, its private list with it; the successor finishes the batch, then
 * adopts. P1-P4. */
#define INSTALL
#define ROUNDS 1
#define DEATHS 2
#define PACKETS0 2
#define PACKETS1 0
#define START STOCK; SESSION; now = 2
#include "table.pml"
