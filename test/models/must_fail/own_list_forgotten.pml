/* The successor finishes a batch into its own list, then adopts what is in no ring. Breaks P4. */
#define WITHOUT_OWN_SLOTS_IN_SNAPSHOT
#include "../agent_dies.pml"
