/* The freer dies at any step; a successor finishes its batch from the work in progress alone. P1-P5. */
#define REVIVE
#define REDO_ONLY
#define TICKS 2
#define ROUNDS 1
#define DEATHS 1
#define START STOCK; SESSION; now = 1
#include "table.pml"
