/* A freed slot goes to a ring while a packet still holds it: the packet then writes to the next session of the slot. Breaks P3. */
#define WITHOUT_SECOND_GRACE
#define WITHOUT_HELD /* so that the write itself is what fails */
#define FLOWS 1
#define HOME(x) 1
#define START SESSION; now = 1; ring[0] = 0; ring[1] = 1; head[0] = 2
#include "../free.pml"
