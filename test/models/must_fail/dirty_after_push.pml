/* dirty is set after the push: the drain may clear it in between, and it stays set with nothing in the ring. Breaks P7. */
#define WITH_DIRTY_AFTER_PUSH
#include "../notices.pml"
