#ifndef LOCKSTEP_ADDON_VPP_H
#define LOCKSTEP_ADDON_VPP_H

#include <napi.h>

namespace lockstep {
void InitVpp(Napi::Env env, Napi::Object exports);
}

#endif
