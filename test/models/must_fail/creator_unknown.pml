/* Adoption cannot tell whose CREATING it meets and undoes a living worker's revival. Breaks P3. */
#define WITHOUT_CREATOR_IN_THE_WORD
#define ADOPT_AT_START
#define ADOPT_ONLY
#define REVIVE
#define START STOCK; SESSION; now = 2
#include "../table.pml"
