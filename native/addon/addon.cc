/* The core addon. Its whole surface is typed, in the same order, in src/native/binding.ts. */
#include "addon/handle.h"
#include "addon/maglev.h"

namespace lockstep {

static Napi::Object Init(Napi::Env env, Napi::Object exports)
{
	exports.Set("layoutVersion", Napi::Number::New(env, LS_LAYOUT_VERSION));
	exports.Set("wireVersion", Napi::Number::New(env, LS_WIRE_VERSION));
	exports.Set("configBytes", Napi::Number::New(env, sizeof(ls_config)));
	exports.Set("countersBytes", Napi::Number::New(env, sizeof(ls_counters)));
	Table::Init(env, exports);
	Userspace::Init(env, exports);
	InitMaglev(env, exports);
	return exports;
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)

} // namespace lockstep
