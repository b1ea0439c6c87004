/* As agent_dies.pml, but the work in progress is ignored: adoption alone repairs everything. P1-P4. */
#define ADOPT_ONLY
#define INSTALL
#define ROUNDS 1
#define DEATHS 2
#define PACKETS0 2
#define PACKETS1 0
#define START STOCK; SESSION; now = 2
#include "table.pml"
