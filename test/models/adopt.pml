/* A successor adopts while two workers create, lose and undo; slot 2 was lost by the predecessor. P1 P2 P4. */
#define FINE
#define ADOPT_AT_START
#define ADOPT_ONLY
#define PACKETS0 2
#define START STOCK
#include "table.pml"
