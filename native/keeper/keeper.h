/* What an agent and its keeper agree on. */
#ifndef LOCKSTEP_KEEPER_H
#define LOCKSTEP_KEEPER_H

#define LS_KEEPER_SOCKET "lockstep-keeper" /* abstract name, followed by the instance's folder */
#define LS_FREER_LOCK "lock_freer"         /* folder in the instance's folder, flock()ed by whoever is the freer */
#define LS_LINK_PREFIX "link_"             /* of a pin: the program on a port's way in; while there is one, the dataplane lives */

#endif
