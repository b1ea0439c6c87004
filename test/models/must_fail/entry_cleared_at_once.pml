/* Adoption clears an entry because the gen it read was even; meanwhile the slot was used again and the entry is right. Breaks P2. */
#define WITH_ENTRY_CLEARED_AT_ONCE
#include "../adopt.pml"
