/* Registers class Heart and connectHeart. */
#ifndef LOCKSTEP_ADDON_HEART_H
#define LOCKSTEP_ADDON_HEART_H

#include "addon/convert.h"

namespace lockstep {
void InitHeart(Napi::Env env, Napi::Object exports);
}

#endif
