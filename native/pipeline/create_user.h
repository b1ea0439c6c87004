/* The index and creation protocols for code outside the packet path (the agent's installs, verify): the user-space port without a frame. */
#ifndef LOCKSTEP_PIPELINE_CREATE_USER_H
#define LOCKSTEP_PIPELINE_CREATE_USER_H

#ifndef LS_PORT_IMPL
#define LS_PORT_IMPL "table/env.h"
#endif
#include "create.h"

#endif
