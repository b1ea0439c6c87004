#include "addon/convert.h"

#include <arpa/inet.h>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace lockstep {

const char *status_name(ls_status status)
{
	static const char *const names[] = {
#define X(name, klass, text) "LS_" #name,
#include "lockstep/defs/status.def"
#undef X
	};
	return status < LS_STATUS_COUNT ? names[status] : "LS_E_BUG";
}

static const char *status_text(ls_status status)
{
	static const char *const texts[] = {
#define X(name, klass, text) text,
#include "lockstep/defs/status.def"
#undef X
	};
	return status < LS_STATUS_COUNT ? texts[status] : "unknown status";
}

Napi::Error status_error(Napi::Env env, ls_status status, const std::string &what, int err_no)
{
	std::string text = what.empty() ? status_text(status) : what;

	if (err_no)
		text += std::string(": ") + strerror(err_no);
	Napi::Error e = Napi::Error::New(env, text);
	e.Set("code", Napi::String::New(env, status_name(status)));
	e.Set("errno", Napi::Number::New(env, err_no));
	return e;
}

static Napi::TypeError wrong(Napi::Env env, const char *field, const char *expected)
{
	return Napi::TypeError::New(env, std::string(field) + ": expected " + expected);
}

static u32 checked_u32(Napi::Env env, const Napi::Value &v, const char *field, u32 max)
{
	if (!v.IsNumber())
		throw wrong(env, field, "a number");
	double d = v.As<Napi::Number>().DoubleValue();

	if (!(d >= 0 && d <= max) || d != std::floor(d))
		throw wrong(env, field, ("a whole number from 0 to " + std::to_string(max)).c_str());
	return static_cast<u32>(d);
}

u32 get_u32(const Napi::Object &o, const char *field, u32 max) { return checked_u32(o.Env(), o.Get(field), field, max); }

static bool checked_bool(Napi::Env env, const Napi::Value &v, const char *field)
{
	if (!v.IsBoolean())
		throw wrong(env, field, "true or false");
	return v.As<Napi::Boolean>();
}

static std::string checked_string(Napi::Env env, const Napi::Value &v, const char *field, size_t max)
{
	if (!v.IsString())
		throw wrong(env, field, "a string");
	std::string s = v.As<Napi::String>();

	if (s.size() >= max || s.find('\0') != std::string::npos)
		throw wrong(env, field, ("a string shorter than " + std::to_string(max) + " bytes without NUL").c_str());
	return s;
}

bool get_bool(const Napi::Object &o, const char *field) { return checked_bool(o.Env(), o.Get(field), field); }

std::string get_string(const Napi::Object &o, const char *field, size_t max) { return checked_string(o.Env(), o.Get(field), field, max); }

Bytes arg_bytes(const Napi::CallbackInfo &info, size_t i, size_t least, const char *name)
{
	if (!info[i].IsTypedArray() || info[i].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array)
		throw wrong(info.Env(), name, "a Uint8Array");
	Napi::Uint8Array a = info[i].As<Napi::Uint8Array>();

	if (a.ByteLength() < least)
		throw wrong(info.Env(), name, ("at least " + std::to_string(least) + " bytes").c_str());
	return { a.Data(), a.ByteLength() };
}

u32 arg_u32(const Napi::CallbackInfo &info, size_t i, const char *name, u32 max) { return checked_u32(info.Env(), info[i], name, max); }

u64 arg_u64(const Napi::CallbackInfo &info, size_t i, const char *name)
{
	bool lossless = false;

	if (!info[i].IsBigInt())
		throw wrong(info.Env(), name, "a bigint");
	u64 v = info[i].As<Napi::BigInt>().Uint64Value(&lossless);

	if (!lossless)
		throw wrong(info.Env(), name, "a bigint from 0 to 2^64 - 1");
	return v;
}

bool arg_bool(const Napi::CallbackInfo &info, size_t i, const char *name) { return checked_bool(info.Env(), info[i], name); }

std::string arg_string(const Napi::CallbackInfo &info, size_t i, const char *name, size_t max)
{
	return checked_string(info.Env(), info[i], name, max);
}

std::string mac_text(const u8 m[6])
{
	char text[18];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	return text;
}

std::string addr_text(const ls_addr &a)
{
	char text[64];
	bool v4 = a.d[0] == 0 && a.w[2] == htonl(0xffff);

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? static_cast<const void *>(&a.w[3]) : a.b, text, sizeof(text));
	return text;
}

} // namespace lockstep
