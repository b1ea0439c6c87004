/* last_seen is a plain store: a slower worker turns it back by at most a burst, and the session ends that much early. Breaks P5 by that amount, which is accepted. */
#define WITH_PLAIN_STORE_OF_SEEN
#define TICKS 3
#define FLOWS 1
#define START STOCK; SESSION; now = 1; seen[2] = 1
#include "../free.pml"
