/* class VppSocket: frames of VPP's binary API (native/backend/vpp/socket.h). What they mean is TypeScript's (src/backend/vpp). */
#include "addon/vpp.h"
#include "addon/convert.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

extern "C" {
#include "backend/vpp/socket.h"
}

namespace lockstep {

static ls_status status_of(int err_no)
{
	switch (err_no) {
	case EACCES:
	case EPERM:
		return LS_E_PERMISSION;
	case ENAMETOOLONG:
		return LS_E_INVALID;
	case ENOMEM:
		return LS_E_NOMEM;
	default:
		return LS_E_SYSTEM;
	}
}

class VppSocket : public Napi::ObjectWrap<VppSocket> {
public:
	explicit VppSocket(const Napi::CallbackInfo &info);
	~VppSocket() override { shut(); }
	Napi::Value send(const Napi::CallbackInfo &info);
	Napi::Value take(const Napi::CallbackInfo &info);
	Napi::Value over(const Napi::CallbackInfo &info);
	Napi::Value close(const Napi::CallbackInfo &info);

private:
	/* On the reader. */
	static void tell(void *arg) { static_cast<VppSocket *>(arg)->ready_.NonBlockingCall(); }
	static void leave(void *self) { static_cast<VppSocket *>(self)->shut(); }
	ls_vpp_socket *use(Napi::Env env) const
	{
		if (!socket_)
			throw status_error(env, LS_E_INVALID, "the socket is closed");
		return socket_;
	}

	/* The reader ends before what it calls does. */
	void shut()
	{
		if (!socket_)
			return;
		ls_vpp_socket_close(socket_);
		socket_ = nullptr;
		ready_.Release();
		napi_remove_env_cleanup_hook(env_, leave, this);
	}

	napi_env env_;
	ls_vpp_socket *socket_ = nullptr;
	Napi::ThreadSafeFunction ready_;
};

/* new VppSocket(path, ready): `ready` is called once until take() when frames can be taken or the link is over. */
VppSocket::VppSocket(const Napi::CallbackInfo &info) : Napi::ObjectWrap<VppSocket>(info), env_(info.Env())
{
	std::string path = arg_string(info, 0, "path", 4096);
	int failed;

	if (!info[1].IsFunction())
		throw Napi::TypeError::New(info.Env(), "ready: expected a function");
	ready_ = Napi::ThreadSafeFunction::New(info.Env(), info[1].As<Napi::Function>(), "vpp", 0, 1);
	ready_.Unref(info.Env());
	failed = ls_vpp_socket_open(path.c_str(), tell, this, &socket_);
	if (failed != 0) {
		ready_.Release();
		throw status_error(info.Env(), status_of(failed), path, failed);
	}
	napi_add_env_cleanup_hook(env_, leave, this);
}

/* send(frames) -> 0 or an errno */
Napi::Value VppSocket::send(const Napi::CallbackInfo &info)
{
	Bytes frames = arg_bytes(info, 0, LS_VPP_HEADER, "frames");

	return Napi::Number::New(info.Env(), ls_vpp_socket_send(use(info.Env()), frames.data, frames.size));
}

/* take() -> frames, whole and in order, or null */
Napi::Value VppSocket::take(const Napi::CallbackInfo &info)
{
	size_t n;
	u8 *frames = ls_vpp_inbox_take(ls_vpp_socket_inbox(use(info.Env())), &n);

	if (!frames)
		return info.Env().Null();
	return Napi::Buffer<u8>::NewOrCopy(info.Env(), frames, n, [](Napi::Env, u8 *bytes) { free(bytes); });
}

/* over() -> null, or why no frame will come any more: '' VPP closed it, else the error's text */
Napi::Value VppSocket::over(const Napi::CallbackInfo &info)
{
	int error;

	if (!ls_vpp_inbox_over(ls_vpp_socket_inbox(use(info.Env())), &error))
		return info.Env().Null();
	return Napi::String::New(info.Env(), error == 0 ? "" : strerror(error));
}

Napi::Value VppSocket::close(const Napi::CallbackInfo &info)
{
	shut();
	return info.Env().Undefined();
}

void InitVpp(Napi::Env env, Napi::Object exports)
{
	exports.Set("VppSocket", Napi::ObjectWrap<VppSocket>::DefineClass(env, "VppSocket", {
		Napi::ObjectWrap<VppSocket>::InstanceMethod<&VppSocket::send>("send"), Napi::ObjectWrap<VppSocket>::InstanceMethod<&VppSocket::take>("take"),
		Napi::ObjectWrap<VppSocket>::InstanceMethod<&VppSocket::over>("over"), Napi::ObjectWrap<VppSocket>::InstanceMethod<&VppSocket::close>("close") }));
}

} // namespace lockstep
