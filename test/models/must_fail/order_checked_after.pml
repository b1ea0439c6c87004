/* gen is compared after the CAS and the CAS taken back: right, unless the agent dies between the two. Breaks P5. */
#define WITH_GEN_CHECKED_AFTER_CAS
#include "../order_dies.pml"
