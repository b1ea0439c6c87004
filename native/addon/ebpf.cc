/* The ebpf addon: class Ebpf, one instance of pinned maps and links. A file of its own, because it needs libbpf, which a host may not have. Its whole
 * surface is typed, in the same order, in src/native/binding-ebpf.ts. */
#include <napi.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <vector>

#include "addon/convert.h"
#include "backend/ebpf/api.h"
#include "keeper/keeper.h"

namespace lockstep {

class Ebpf : public Napi::ObjectWrap<Ebpf> {
public:
	static void Init(Napi::Env env, Napi::Object exports);
	explicit Ebpf(const Napi::CallbackInfo &info);
	~Ebpf() override { ls_bpf_close(bpf_); }

private:
	Napi::Value info(const Napi::CallbackInfo &);
	Napi::Value port(const Napi::CallbackInfo &, ls_status (*run)(ls_bpf *, ls_bpf_port *, ls_bpf_error *));
	Napi::Value ways(const Napi::CallbackInfo &);
	Napi::Value attach(const Napi::CallbackInfo &);
	Napi::Value detach(const Napi::CallbackInfo &);
	Napi::Value detach_others(const Napi::CallbackInfo &);
	Napi::Value load(const Napi::CallbackInfo &);
	Napi::Value log(const Napi::CallbackInfo &);
	Napi::Value publish(const Napi::CallbackInfo &);
	Napi::Value unpublish(const Napi::CallbackInfo &);
	Napi::Value freer(const Napi::CallbackInfo &);
	Napi::Value close(const Napi::CallbackInfo &);
	ls_bpf *use() const
	{
		if (!bpf_)
			throw status_error(Env(), LS_E_INVALID, "the instance is closed");
		return bpf_;
	}
	void drop()
	{
		ls_bpf_close(bpf_);
		bpf_ = nullptr;
	}

	ls_bpf *bpf_ = nullptr;
};

static void check(Napi::Env env, ls_status status, const ls_bpf_error &error)
{
	if (status == LS_OK)
		return;
	Napi::Error e = status_error(env, status, error.text); /* the text says what errno means */

	e.Set("errno", Napi::Number::New(env, error.err_no));
	throw e;
}

/* new Ebpf(folder, header): header as tableHeader() of the core addon makes it. */
Ebpf::Ebpf(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Ebpf>(info)
{
	std::string folder = arg_string(info, 0, "folder", 255);
	Bytes header = arg_bytes(info, 1, sizeof(ls_header), "header");
	ls_bpf_error error = {};

	check(info.Env(), ls_bpf_open(folder.c_str(), reinterpret_cast<const ls_header *>(header.data), &bpf_, &error), error);
}

/* info() -> {existed, links: [{name, device}], regions: [descriptor]} */
Napi::Value Ebpf::info(const Napi::CallbackInfo &info)
{
	Napi::Object o = Napi::Object::New(info.Env());
	Napi::Array regions = Napi::Array::New(info.Env(), LS_REGION_COUNT);

	for (u32 i = 0; i < LS_REGION_COUNT; i++)
		regions.Set(i, Napi::Number::New(info.Env(), ls_bpf_region(use(), i)));
	o.Set("existed", Napi::Boolean::New(info.Env(), ls_bpf_existed(use())));
	ls_bpf_link found[LS_BPF_PORTS_MAX];
	Napi::Array links = Napi::Array::New(info.Env());
	u32 n = ls_bpf_links(use(), found, LS_BPF_PORTS_MAX);

	for (u32 i = 0; i < n; i++) {
		Napi::Object l = Napi::Object::New(info.Env());

		l.Set("name", Napi::String::New(info.Env(), found[i].name));
		l.Set("device", number(info.Env(), found[i].device));
		links.Set(i, l);
	}
	o.Set("links", links);
	o.Set("regions", regions);
	return o;
}

template <size_t N> static void text_into(char (&to)[N], const Napi::Object &o, const char *field)
{
	std::string s = get_string(o, field, N - 1);

	memcpy(to, s.c_str(), s.size() + 1);
}

/* ways(port), attach(port): {name, interface, netns, device, generic} -> {ifindex, mode: 0 driver | 1 generic, redirect, mtu, recorded, mac} */
Napi::Value Ebpf::port(const Napi::CallbackInfo &info, ls_status (*run)(ls_bpf *, ls_bpf_port *, ls_bpf_error *))
{
	Napi::Env env = info.Env();
	if (!info[0].IsObject())
		throw Napi::TypeError::New(env, "port: expected an object");
	Napi::Object o = info[0].As<Napi::Object>(), out = Napi::Object::New(env);
	ls_bpf_port port = {};
	ls_bpf_error error = {};

	text_into(port.name, o, "name");
	text_into(port.interface, o, "interface");
	text_into(port.netns, o, "netns");
	port.device = get_u32(o, "device", LS_BPF_PORTS_MAX - 1);
	port.generic = get_bool(o, "generic");
	check(env, run(use(), &port, &error), error);
	out.Set("ifindex", number(env, port.ifindex));
	out.Set("mode", number(env, port.mode));
	out.Set("redirect", Napi::Boolean::New(env, port.redirect != 0));
	out.Set("mtu", number(env, port.mtu));
	out.Set("recorded", Napi::Boolean::New(env, port.recorded != 0));
	out.Set("mac", Napi::String::New(env, mac_text(port.mac)));
	return out;
}

Napi::Value Ebpf::ways(const Napi::CallbackInfo &info) { return port(info, ls_bpf_ways); }
Napi::Value Ebpf::attach(const Napi::CallbackInfo &info) { return port(info, ls_bpf_attach); }

/* detach(name) -> false when there was none */
Napi::Value Ebpf::detach(const Napi::CallbackInfo &info)
{
	ls_bpf_error error = {};
	ls_status status = ls_bpf_detach(use(), arg_string(info, 0, "name", LS_BPF_NAME - 1).c_str(), &error);

	if (status != LS_E_NOT_FOUND)
		check(info.Env(), status, error);
	return Napi::Boolean::New(info.Env(), status == LS_OK);
}

/* detachOthers([name]) -> how many */
Napi::Value Ebpf::detach_others(const Napi::CallbackInfo &info)
{
	if (!info[0].IsArray())
		throw Napi::TypeError::New(info.Env(), "names: expected an array");
	Napi::Array names = info[0].As<Napi::Array>();
	std::vector<std::array<char, LS_BPF_NAME>> keep(names.Length());

	for (u32 i = 0; i < names.Length(); i++) {
		std::string s = names.Get(i).ToString().Utf8Value();

		snprintf(keep[i].data(), LS_BPF_NAME, "%s", s.c_str());
	}
	return number(info.Env(), ls_bpf_detach_others(use(), reinterpret_cast<const char(*)[LS_BPF_NAME]>(keep.data()), static_cast<u32>(keep.size())));
}

Napi::Value Ebpf::close(const Napi::CallbackInfo &info)
{
	drop();
	return info.Env().Undefined();
}

/* load(): the program; about a second of the verifier's time */
Napi::Value Ebpf::load(const Napi::CallbackInfo &info)
{
	ls_bpf_error error = {};

	check(info.Env(), ls_bpf_load(use(), &error), error);
	return info.Env().Undefined();
}

Napi::Value Ebpf::log(const Napi::CallbackInfo &info) { return Napi::String::New(info.Env(), ls_bpf_log(use())); }

Napi::Value Ebpf::publish(const Napi::CallbackInfo &info)
{
	ls_bpf_error error = {};

	check(info.Env(), ls_bpf_publish(use(), &error), error);
	return info.Env().Undefined();
}

/* freer(waitMs): the role, for this process */
Napi::Value Ebpf::freer(const Napi::CallbackInfo &info)
{
	ls_bpf_error error = {};

	check(info.Env(), ls_bpf_freer(use(), arg_u32(info, 0, "waitMs", 60000), &error), error);
	return info.Env().Undefined();
}

Napi::Value Ebpf::unpublish(const Napi::CallbackInfo &info)
{
	ls_bpf_error error = {};

	check(info.Env(), ls_bpf_unpublish(use(), &error), error);
	return info.Env().Undefined();
}

void Ebpf::Init(Napi::Env env, Napi::Object exports)
{
	exports.Set("Ebpf", DefineClass(env, "Ebpf", { InstanceMethod<&Ebpf::info>("info"), InstanceMethod<&Ebpf::ways>("ways"), InstanceMethod<&Ebpf::attach>("attach"),
		InstanceMethod<&Ebpf::detach>("detach"), InstanceMethod<&Ebpf::detach_others>("detachOthers"), InstanceMethod<&Ebpf::load>("load"),
		InstanceMethod<&Ebpf::log>("log"), InstanceMethod<&Ebpf::publish>("publish"), InstanceMethod<&Ebpf::unpublish>("unpublish"), InstanceMethod<&Ebpf::freer>("freer"),
		InstanceMethod<&Ebpf::close>("close") }));
}

/* keeper(folder) -> descriptor of a connection to the keeper, or -1: none runs. */
static Napi::Value keeper(const Napi::CallbackInfo &info)
{
	std::string name = LS_KEEPER_SOCKET + arg_string(info, 0, "folder", 90);
	struct sockaddr_un a = {};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sun_family = AF_UNIX;
	memcpy(a.sun_path + 1, name.data(), name.size());
	if (fd >= 0 && connect(fd, reinterpret_cast<struct sockaddr *>(&a), static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + 1 + name.size())) != 0) {
		close(fd);
		fd = -1;
	}
	return Napi::Number::New(info.Env(), fd);
}

/* remove(folder) -> false when nothing was pinned there */
static Napi::Value remove_pins(const Napi::CallbackInfo &info)
{
	ls_bpf_error error = {};
	ls_status status = ls_bpf_remove(arg_string(info, 0, "folder", 255).c_str(), &error);

	if (status != LS_E_NOT_FOUND)
		check(info.Env(), status, error);
	return Napi::Boolean::New(info.Env(), status == LS_OK);
}

/* probe() -> [{name, ok, needed, reason}] */
static Napi::Value probe(const Napi::CallbackInfo &info)
{
	ls_bpf_feature found[16];
	u32 n = ls_bpf_probe(found, 16);
	Napi::Array out = Napi::Array::New(info.Env(), n);

	for (u32 i = 0; i < n; i++) {
		Napi::Object o = Napi::Object::New(info.Env());

		o.Set("name", Napi::String::New(info.Env(), found[i].name));
		o.Set("ok", Napi::Boolean::New(info.Env(), found[i].ok));
		o.Set("needed", Napi::Boolean::New(info.Env(), found[i].needed));
		o.Set("reason", Napi::String::New(info.Env(), found[i].reason));
		out.Set(i, o);
	}
	return out;
}

static Napi::Object init_ebpf(Napi::Env env, Napi::Object exports)
{
	exports.Set("layoutVersion", Napi::Number::New(env, LS_LAYOUT_VERSION));
	Ebpf::Init(env, exports);
	exports.Set("keeper", Napi::Function::New(env, keeper, "keeper"));
	exports.Set("remove", Napi::Function::New(env, remove_pins, "remove"));
	exports.Set("probe", Napi::Function::New(env, probe, "probe"));
	return exports;
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, init_ebpf)

} // namespace lockstep
