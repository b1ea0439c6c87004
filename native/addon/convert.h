/* Between JavaScript values and ours. Every field is present in both directions; a wrong type is a TypeError that names the field. */
#ifndef LOCKSTEP_ADDON_CONVERT_H
#define LOCKSTEP_ADDON_CONVERT_H

#include <napi.h>

#include <string>

#include "backend/userspace/api.h"

namespace lockstep {

/* Error with `code` = LS_E_..., `errno` and the text; src/native turns it into a LockstepError. */
Napi::Error status_error(Napi::Env env, ls_status status, const std::string &what, int err_no = 0);
const char *status_name(ls_status status);

u32 get_u32(const Napi::Object &o, const char *field, u32 max = 0xffffffff);
bool get_bool(const Napi::Object &o, const char *field);
std::string get_string(const Napi::Object &o, const char *field, size_t max);

struct Bytes {
	u8 *data;
	size_t size;
};
/* Argument `i` as a Uint8Array of at least `least` bytes. */
Bytes arg_bytes(const Napi::CallbackInfo &info, size_t i, size_t least, const char *name);
u32 arg_u32(const Napi::CallbackInfo &info, size_t i, const char *name, u32 max = 0xffffffff);
u64 arg_u64(const Napi::CallbackInfo &info, size_t i, const char *name); /* a bigint */
bool arg_bool(const Napi::CallbackInfo &info, size_t i, const char *name);
std::string arg_string(const Napi::CallbackInfo &info, size_t i, const char *name, size_t max);

inline Napi::Number number(Napi::Env env, u64 v) { return Napi::Number::New(env, static_cast<double>(v)); }
std::string mac_text(const u8 mac[6]);
std::string addr_text(const ls_addr &a);

} // namespace lockstep

#endif
