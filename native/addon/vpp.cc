/* classes VppSocket and VppShared: frames of VPP's binary API (native/backend/vpp/socket.h, shared.h). What they mean is TypeScript's (src/backend/vpp). */
#include "addon/vpp.h"
#include "addon/convert.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

extern "C" {
#include "backend/vpp/shared.h"
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

/* What a transport of frames is to JavaScript. `Self` is the class, `Link` names the functions of the transport:
 *   Handle, inbox(handle), send(handle, bytes, n), why(handle, error), close(handle), and its name for errors */
template <class Self, class Link> class VppFrames : public Napi::ObjectWrap<Self> {
public:
	explicit VppFrames(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Self>(info), env_(info.Env()) {}
	~VppFrames() override { shut(); }

	/* send(frames) -> 0 or an errno */
	Napi::Value send(const Napi::CallbackInfo &info)
	{
		Bytes frames = arg_bytes(info, 0, LS_VPP_HEADER, "frames");

		return Napi::Number::New(info.Env(), Link::send(use(info.Env()), frames.data, frames.size));
	}

	/* take() -> frames, whole and in order, or null */
	Napi::Value take(const Napi::CallbackInfo &info)
	{
		size_t n;
		u8 *frames = ls_vpp_inbox_take(Link::inbox(use(info.Env())), &n);

		if (!frames)
			return info.Env().Null();
		return Napi::Buffer<u8>::NewOrCopy(info.Env(), frames, n, [](Napi::Env, u8 *bytes) { free(bytes); });
	}

	/* over() -> null, or why no frame will come any more: '' VPP closed it, else the error's text */
	Napi::Value over(const Napi::CallbackInfo &info)
	{
		typename Link::Handle *handle = use(info.Env());
		int error;

		if (!ls_vpp_inbox_over(Link::inbox(handle), &error))
			return info.Env().Null();
		return Napi::String::New(info.Env(), Link::why(handle, error));
	}

	Napi::Value close(const Napi::CallbackInfo &info)
	{
		shut();
		return info.Env().Undefined();
	}

protected:
	/* open(tell, arg, &handle_) throws when it cannot. */
	template <class Open> void begin(Napi::Env env, const Napi::Value &ready, Open open)
	{
		if (!ready.IsFunction())
			throw Napi::TypeError::New(env, "ready: expected a function");
		ready_ = Napi::ThreadSafeFunction::New(env, ready.As<Napi::Function>(), "vpp", 0, 1);
		ready_.Unref(env);
		try {
			open(tell, this, &handle_);
		} catch (...) {
			ready_.Release();
			throw;
		}
		napi_add_env_cleanup_hook(env, leave, this);
	}

	typename Link::Handle *use(Napi::Env env) const
	{
		if (!handle_)
			throw status_error(env, LS_E_INVALID, std::string("the ") + Link::name + " is closed");
		return handle_;
	}

private:
	/* On a thread of the transport. */
	static void tell(void *arg) { static_cast<VppFrames *>(arg)->ready_.NonBlockingCall(); }
	static void leave(void *self) { static_cast<VppFrames *>(self)->shut(); }

	/* The transport ends before what it calls does. */
	void shut()
	{
		if (!handle_)
			return;
		Link::close(handle_);
		handle_ = nullptr;
		ready_.Release();
		napi_remove_env_cleanup_hook(env_, leave, this);
	}

	napi_env env_;
	typename Link::Handle *handle_ = nullptr;
	Napi::ThreadSafeFunction ready_;
};

struct SocketLink {
	using Handle = ls_vpp_socket;
	static constexpr const char *name = "socket";
	static ls_vpp_inbox *inbox(Handle *s) { return ls_vpp_socket_inbox(s); }
	static int send(Handle *s, const u8 *frames, size_t n) { return ls_vpp_socket_send(s, frames, n); }
	static std::string why(Handle *, int error) { return error == 0 ? "" : strerror(error); }
	static void close(Handle *s) { ls_vpp_socket_close(s); }
};

class VppSocket : public VppFrames<VppSocket, SocketLink> {
public:
	explicit VppSocket(const Napi::CallbackInfo &info);
};

/* new VppSocket(path, ready): `ready` is called once until take() when frames can be taken or the link is over. */
VppSocket::VppSocket(const Napi::CallbackInfo &info) : VppFrames(info)
{
	std::string path = arg_string(info, 0, "path", 4096);

	begin(info.Env(), info[1], [&](void (*tell)(void *), void *arg, ls_vpp_socket **out) {
		int failed = ls_vpp_socket_open(path.c_str(), tell, arg, out);

		if (failed != 0)
			throw status_error(info.Env(), status_of(failed), path, failed);
	});
}

struct SharedLink {
	using Handle = ls_vpp_shared;
	static constexpr const char *name = "connection";
	static ls_vpp_inbox *inbox(Handle *s) { return ls_vpp_shared_inbox(s); }
	static int send(Handle *s, const u8 *frames, size_t n) { return ls_vpp_shared_send(s, frames, n); }
	static std::string why(Handle *s, int)
	{
		char text[LS_VPP_WHY];

		ls_vpp_shared_why(s, text);
		return text;
	}
	static void close(Handle *s) { ls_vpp_shared_close(s); }
};

class VppShared : public VppFrames<VppShared, SharedLink> {
public:
	explicit VppShared(const Napi::CallbackInfo &info);
	Napi::Value greeted(const Napi::CallbackInfo &info);
	Napi::Value lookup(const Napi::CallbackInfo &info);
};

/* new VppShared(library, prefix, name, ready): `library` and `prefix` may be empty; `ready` is called when VPP has answered, and as a socket's. */
VppShared::VppShared(const Napi::CallbackInfo &info) : VppFrames(info)
{
	std::string library = arg_string(info, 0, "library", 4096), prefix = arg_string(info, 1, "prefix", LS_VPP_SHARED_PREFIX_MAX);
	std::string client = arg_string(info, 2, "name", LS_VPP_SHARED_NAME_MAX);
	ls_vpp_shared_options o = { library.empty() ? nullptr : library.c_str(), prefix.empty() ? nullptr : prefix.c_str(), client.c_str(), 1024 };

	begin(info.Env(), info[3], [&](void (*tell)(void *), void *arg, ls_vpp_shared **out) {
		char why[LS_VPP_WHY];
		ls_status status = ls_vpp_shared_open(&o, tell, arg, out, why);

		if (status != LS_OK)
			throw status_error(info.Env(), status, why);
	});
}

/* greeted() -> null, or what VPP's events carry in the place of a context */
Napi::Value VppShared::greeted(const Napi::CallbackInfo &info)
{
	u32 index;

	if (!ls_vpp_shared_greeted(use(info.Env()), &index))
		return info.Env().Null();
	return Napi::Number::New(info.Env(), index);
}

/* lookup(name_crc) -> id, or -1 */
Napi::Value VppShared::lookup(const Napi::CallbackInfo &info)
{
	std::string key = arg_string(info, 0, "key", 127);

	return Napi::Number::New(info.Env(), ls_vpp_shared_lookup(use(info.Env()), key.c_str()));
}

template <class C> using Call = Napi::Value (C::*)(const Napi::CallbackInfo &);
template <class C> static std::vector<Napi::ClassPropertyDescriptor<C>> methods()
{
	using Wrap = Napi::ObjectWrap<C>;

	return { Wrap::InstanceMethod("send", static_cast<Call<C>>(&C::send)), Wrap::InstanceMethod("take", static_cast<Call<C>>(&C::take)),
		 Wrap::InstanceMethod("over", static_cast<Call<C>>(&C::over)), Wrap::InstanceMethod("close", static_cast<Call<C>>(&C::close)) };
}

void InitVpp(Napi::Env env, Napi::Object exports)
{
	auto shared = methods<VppShared>();

	shared.push_back(Napi::ObjectWrap<VppShared>::InstanceMethod<&VppShared::greeted>("greeted"));
	shared.push_back(Napi::ObjectWrap<VppShared>::InstanceMethod<&VppShared::lookup>("lookup"));
	exports.Set("VppSocket", Napi::ObjectWrap<VppSocket>::DefineClass(env, "VppSocket", methods<VppSocket>()));
	exports.Set("VppShared", Napi::ObjectWrap<VppShared>::DefineClass(env, "VppShared", shared));
}

} // namespace lockstep
