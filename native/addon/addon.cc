/* The core addon. Its whole surface is typed, in the same order, in src/native/binding.ts. */
#include "addon/handle.h"
#include "addon/maglev.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace lockstep {

/* lockFile(path) -> descriptor. The lock lives with the open file, so it ends with the process however that ends, and no second one gets it. */
static Napi::Value lock_file(const Napi::CallbackInfo &info)
{
	std::string path = arg_string(info, 0, "path", 4096);
	struct flock lock = {};
	int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	lock.l_type = F_WRLCK;
	if (fd < 0)
		throw status_error(info.Env(), errno == EACCES || errno == EPERM ? LS_E_PERMISSION : LS_E_SYSTEM, path, errno);
	if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
		int failed = errno;

		::close(fd);
		throw status_error(info.Env(), failed == EAGAIN || failed == EACCES ? LS_E_BUSY : LS_E_SYSTEM, path, failed);
	}
	return Napi::Number::New(info.Env(), fd);
}

static Napi::Object Init(Napi::Env env, Napi::Object exports)
{
	exports.Set("layoutVersion", Napi::Number::New(env, LS_LAYOUT_VERSION));
	exports.Set("wireVersion", Napi::Number::New(env, LS_WIRE_VERSION));
	exports.Set("configBytes", Napi::Number::New(env, sizeof(ls_config)));
	exports.Set("countersBytes", Napi::Number::New(env, sizeof(ls_counters)));
	exports.Set("lockFile", Napi::Function::New(env, lock_file, "lockFile"));
	Table::Init(env, exports);
	Userspace::Init(env, exports);
	InitMaglev(env, exports);
	return exports;
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)

} // namespace lockstep
