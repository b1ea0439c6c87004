/* Twins settle by "the lower reference wins": one that was already LIVE is not seen to lose. Breaks P1. */
#define WITH_LOWER_REFERENCE_WINS
#include "../create.pml"
