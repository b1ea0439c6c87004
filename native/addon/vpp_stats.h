/* Registers class VppStats. */
#ifndef LOCKSTEP_ADDON_VPP_STATS_H
#define LOCKSTEP_ADDON_VPP_STATS_H

#include "addon/convert.h"

namespace lockstep {
void InitVppStats(Napi::Env env, Napi::Object exports);
}

#endif
