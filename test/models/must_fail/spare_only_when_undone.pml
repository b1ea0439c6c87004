/* The spare word holds a slot only between an undo and the next creation: adoption misses one in hand and hands it out twice. Breaks P4. */
#define WITH_SPARE_ONLY_WHEN_UNDONE
#include "../adopt.pml"
