/* A dead worker's revival is undone without the first grace: packets that found the session before still write to it. Breaks P3. */
#define WITH_REVIVAL_UNDONE_AT_ONCE
#include "../worker_dies.pml"
