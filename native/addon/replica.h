/* Registers class Replica. */
#ifndef LOCKSTEP_ADDON_REPLICA_H
#define LOCKSTEP_ADDON_REPLICA_H

#include "addon/convert.h"

namespace lockstep {
void InitReplica(Napi::Env env, Napi::Object exports);
}

#endif
