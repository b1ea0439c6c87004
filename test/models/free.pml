/* A session is about to expire: two workers refresh it or open it again while the freer ends it. P1-P6. */
#define RACES
#define MARKS
#ifndef FLOWS
#define FLOWS 2
#endif
#ifndef TICKS
#define TICKS 2
#endif
#define ROUNDS 1
#ifndef START
#define START STOCK; SESSION; now = 1
#endif
#include "table.pml"
