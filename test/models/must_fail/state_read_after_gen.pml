/* Lookup re-checks gen, then reads the state: an undone slot, already LIVE for another flow, is taken for the one looked up. Breaks P3. */
#define WITH_STATE_AFTER_GEN
#include "../create_translated.pml"
