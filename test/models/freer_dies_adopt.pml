/* The freer dies at any step; the successor finishes the batch, then
 * adopts. The workers go on. P1-P4. */
#define ROUNDS 1
#define DEATHS 1
#define START STOCK; SESSION; now = 2
#include "table.pml"
