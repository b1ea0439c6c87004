/* Registers the ring builder. */
#ifndef LOCKSTEP_ADDON_MAGLEV_H
#define LOCKSTEP_ADDON_MAGLEV_H

#include "addon/convert.h"

namespace lockstep {
void InitMaglev(Napi::Env env, Napi::Object exports);
}

#endif
