/* What health checks need of the system and Node has not: echo sockets, and a thread in another network namespace. */
#include "addon/health.h"
#include "addon/convert.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "health/connect.h"
#include "health/echo.h"

namespace lockstep {

/* enterNetns(path): the calling thread, and every socket and process that it makes from here on. */
static Napi::Value enter_netns(const Napi::CallbackInfo &info)
{
	std::string path = arg_string(info, 0, "path", 4096);
	int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC), err_no = errno;
	bool entered = fd >= 0 && setns(fd, CLONE_NEWNET) == 0;

	if (fd >= 0) {
		if (!entered)
			err_no = errno;
		::close(fd);
	}
	if (!entered)
		throw status_error(info.Env(), err_no == ENOENT ? LS_E_NO_DEVICE : LS_E_SYSTEM, "network namespace " + path, err_no);
	return info.Env().Undefined();
}

static bool address_of(const std::string &text, ls_addr *out)
{
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET6, text.c_str(), out->b) == 1)
		return true;
	out->w[2] = htonl(0xffff);
	return inet_pton(AF_INET, text.c_str(), &out->w[3]) == 1;
}

class Echo : public Napi::ObjectWrap<Echo> {
public:
	explicit Echo(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Echo>(info) {}
	~Echo() override { shut(); }

	/* send(address, source or '', sequence) -> 0 or an errno */
	Napi::Value send(const Napi::CallbackInfo &info)
	{
		std::string to_text = arg_string(info, 0, "address", 64), source_text = arg_string(info, 1, "source", 64);
		u16 sequence = static_cast<u16>(arg_u32(info, 2, "sequence", 0xffff));
		bool four = to_text.find(':') == std::string::npos;
		ls_echo *echo = four ? &four_ : &six_;
		ls_addr to, source;
		int failed = 0;

		if (!address_of(to_text, &to) || (!source_text.empty() && !address_of(source_text, &source)))
			return number(info.Env(), EINVAL);
		if (echo->fd < 0)
			failed = ls_echo_open(echo, four ? AF_INET : AF_INET6);
		if (failed == 0)
			failed = ls_echo_send(echo, &to, source_text.empty() ? nullptr : &source, sequence);
		return number(info.Env(), static_cast<u64>(failed));
	}

	/* receive() -> [address, sequence, ...] of the replies that have come */
	Napi::Value receive(const Napi::CallbackInfo &info)
	{
		Napi::Array replies = Napi::Array::New(info.Env());
		u32 n = 0;

		for (ls_echo *echo : { &four_, &six_ }) {
			ls_addr from;
			u16 sequence;

			while (echo->fd >= 0 && ls_echo_receive(echo, &from, &sequence)) {
				replies[n++] = Napi::String::New(info.Env(), addr_text(from));
				replies[n++] = Napi::Number::New(info.Env(), sequence);
			}
		}
		return replies;
	}

	Napi::Value close(const Napi::CallbackInfo &info)
	{
		shut();
		return info.Env().Undefined();
	}

private:
	void shut()
	{
		ls_echo_close(&four_);
		ls_echo_close(&six_);
	}

	ls_echo four_ = { -1, AF_INET, false, 0, 0 }, six_ = { -1, AF_INET6, false, 0, 0 };
};

class Connects : public Napi::ObjectWrap<Connects> {
public:
	explicit Connects(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Connects>(info) {}
	~Connects() override { ls_connects_close(&connects_); }

	/* begin(address, port, source or '') -> 0, a name, or minus an errno */
	Napi::Value begin(const Napi::CallbackInfo &info)
	{
		std::string to_text = arg_string(info, 0, "address", 64), source_text = arg_string(info, 2, "source", 64);
		u16 port = htons(static_cast<u16>(arg_u32(info, 1, "port", 0xffff)));
		ls_addr to, source;
		int fd = -1, failed;

		if (!address_of(to_text, &to) || (!source_text.empty() && !address_of(source_text, &source)))
			return Napi::Number::New(info.Env(), -EINVAL);
		failed = ls_connect_begin(&connects_, &to, port, source_text.empty() ? nullptr : &source, &fd);
		return Napi::Number::New(info.Env(), failed == EINPROGRESS && fd >= 0 ? fd : -failed);
	}

	/* ended() -> [name, errno, ...] */
	Napi::Value ended(const Napi::CallbackInfo &info)
	{
		int fd[256], error[256];
		u32 n = ls_connect_ended(&connects_, fd, error, 256);
		Napi::Array all = Napi::Array::New(info.Env(), 2 * n);

		for (u32 i = 0; i < n; i++) {
			all[2 * i] = Napi::Number::New(info.Env(), fd[i]);
			all[2 * i + 1] = Napi::Number::New(info.Env(), error[i]);
		}
		return all;
	}

	/* cancel(name): of one that is under way */
	Napi::Value cancel(const Napi::CallbackInfo &info)
	{
		ls_connect_cancel(static_cast<int>(arg_u32(info, 0, "name", 0x7fffffff)));
		return info.Env().Undefined();
	}

	Napi::Value close(const Napi::CallbackInfo &info)
	{
		ls_connects_close(&connects_);
		return info.Env().Undefined();
	}

private:
	ls_connects connects_ = { -1 };
};

void InitHealth(Napi::Env env, Napi::Object exports)
{
	exports.Set("enterNetns", Napi::Function::New(env, enter_netns, "enterNetns"));
	exports.Set("Echo", Napi::ObjectWrap<Echo>::DefineClass(env, "Echo", { Napi::ObjectWrap<Echo>::InstanceMethod<&Echo::send>("send"), Napi::ObjectWrap<Echo>::InstanceMethod<&Echo::receive>("receive"),
		Napi::ObjectWrap<Echo>::InstanceMethod<&Echo::close>("close") }));
	exports.Set("Connects", Napi::ObjectWrap<Connects>::DefineClass(env, "Connects", { Napi::ObjectWrap<Connects>::InstanceMethod<&Connects::begin>("begin"), Napi::ObjectWrap<Connects>::InstanceMethod<&Connects::ended>("ended"),
		Napi::ObjectWrap<Connects>::InstanceMethod<&Connects::cancel>("cancel"), Napi::ObjectWrap<Connects>::InstanceMethod<&Connects::close>("close") }));
}

} // namespace lockstep
