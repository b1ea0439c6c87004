#ifndef LOCKSTEP_ADDON_HEALTH_H
#define LOCKSTEP_ADDON_HEALTH_H

#include <napi.h>

namespace lockstep {
void InitHealth(Napi::Env env, Napi::Object exports);
}

#endif
