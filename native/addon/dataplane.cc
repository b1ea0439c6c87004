/* class Userspace: ports, workers and the mirror of kernel routes. Called from one JavaScript thread. */
#include "addon/async.h"
#include "addon/handle.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <set>
#include <vector>

namespace lockstep {

static ls_addr addr_parse(Napi::Env env, const std::string &text, const char *field)
{
	ls_addr a = {};
	u8 four[4];

	if (text.empty())
		return a;
	if (inet_pton(AF_INET, text.c_str(), four) == 1) {
		a.w[2] = htonl(0xffff);
		memcpy(&a.w[3], four, 4);
	} else if (inet_pton(AF_INET6, text.c_str(), a.b) != 1) {
		throw Napi::TypeError::New(env, std::string(field) + ": " + text + " is not an IP address");
	}
	return a;
}

/* Tables that a dataplane works on: two would share worker ids, and with them rings that have one owner. */
static std::mutex taken_lock;
static std::set<const ls_table *> taken;

static bool take(const ls_table *t)
{
	std::lock_guard<std::mutex> hold(taken_lock);

	return taken.insert(t).second;
}

static void give_back(const ls_table *t)
{
	std::lock_guard<std::mutex> hold(taken_lock);

	taken.erase(t);
}

/* new Userspace(table, workers) */
Userspace::Userspace(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Userspace>(info)
{
	Table *t = Table::of(info, 0);
	u32 workers = arg_u32(info, 1, "workers", LS_US_WORKERS_MAX);
	TableRef table = t->ref();

	if (!take(table.get()))
		throw status_error(info.Env(), LS_E_BUSY, "another dataplane works on this table");
	us_ = ls_us_new(table.get(), 0, workers);
	if (!us_) {
		give_back(table.get());
		throw status_error(info.Env(), LS_E_INVALID,
				   "workers: " + std::to_string(workers) + " of " + std::to_string(ls_thread_workers(table.get())) + " that the table has room for");
	}
	busy_ = t->busy;
	++*busy_;
	table_ = std::move(table);
}

Userspace::~Userspace() { drop(); }

/* Stops the workers before the table may go. */
void Userspace::drop()
{
	if (!us_)
		return;
	ls_us_free(us_);
	us_ = nullptr;
	give_back(table_.get());
	table_.reset();
	--*busy_;
}

ls_us *Userspace::use() const
{
	if (!us_)
		throw status_error(Env(), LS_E_INVALID, "the dataplane is closed");
	return us_;
}

template <size_t N> static void copy_text(char (&to)[N], const Napi::Object &o, const char *field)
{
	std::string s = get_string(o, field, N);

	memcpy(to, s.c_str(), s.size() + 1);
}

/* addPort({kind, name, netns, in, out, mac, mtu, rate, flows, loops, reflect, src, dst, dport, proto, device, parked}) -> {device, mac, mtu, ifindex} */
Napi::Value Userspace::add_port(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	if (!info[0].IsObject())
		throw Napi::TypeError::New(env, "port: expected an object");
	Napi::Object o = info[0].As<Napi::Object>();
	ls_device_spec spec = {};
	char error[LS_US_ERROR_BYTES] = "";
	u32 id = 0;

	spec.kind = get_u32(o, "kind", LS_DEV_SOURCE);
	copy_text(spec.name, o, "name");
	copy_text(spec.netns, o, "netns");
	copy_text(spec.in, o, "in");
	copy_text(spec.out, o, "out");
	std::string mac = get_string(o, "mac", 18);
	if (!mac.empty()) {
		unsigned m[6];

		if (sscanf(mac.c_str(), "%2x:%2x:%2x:%2x:%2x:%2x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) != 6)
			throw Napi::TypeError::New(env, "mac: " + mac + " is not six hexadecimal bytes");
		for (int i = 0; i < 6; i++)
			spec.mac[i] = static_cast<u8>(m[i]);
	}
	spec.mtu = static_cast<u16>(get_u32(o, "mtu", 9180));
	spec.rate = get_u32(o, "rate");
	spec.flows = get_u32(o, "flows");
	spec.loops = get_u32(o, "loops");
	spec.reflect = get_bool(o, "reflect");
	spec.src = addr_parse(env, get_string(o, "src", 64), "src");
	spec.dst = addr_parse(env, get_string(o, "dst", 64), "dst");
	spec.dport = static_cast<u16>(get_u32(o, "dport", 65535));
	spec.proto = static_cast<u8>(get_u32(o, "proto", 255));
	spec.device = get_u32(o, "device", LS_DEVICES_MAX - 1);
	spec.parked = get_bool(o, "parked");
	ls_status status = ls_us_add(use(), &spec, &id, error);

	if (status != LS_OK)
		throw status_error(env, status, error);
	ls_device_info d = {};
	Napi::Object r = Napi::Object::New(env);

	ls_us_port(us_, id, &d);
	r.Set("device", number(env, id));
	r.Set("mac", mac_text(d.mac));
	r.Set("mtu", number(env, d.mtu));
	r.Set("ifindex", number(env, d.ifindex));
	return r;
}

Napi::Value Userspace::enable_port(const Napi::CallbackInfo &info)
{
	ls_us_enable(use(), arg_u32(info, 0, "device", LS_DEVICES_MAX - 1));
	return info.Env().Undefined();
}

Napi::Value Userspace::disable_port(const Napi::CallbackInfo &info)
{
	ls_us_disable(use(), arg_u32(info, 0, "device", LS_DEVICES_MAX - 1));
	return info.Env().Undefined();
}

Napi::Value Userspace::park_port(const Napi::CallbackInfo &info)
{
	ls_status status = ls_us_park(use(), arg_u32(info, 0, "device", LS_DEVICES_MAX - 1));

	if (status != LS_OK)
		throw status_error(info.Env(), status, "");
	return info.Env().Undefined();
}

Napi::Value Userspace::unpark_port(const Napi::CallbackInfo &info)
{
	char error[LS_US_ERROR_BYTES] = "";
	ls_status status = ls_us_unpark(use(), arg_u32(info, 0, "device", LS_DEVICES_MAX - 1), error);

	if (status != LS_OK)
		throw status_error(info.Env(), status, error);
	return info.Env().Undefined();
}

Napi::Value Userspace::remove_port(const Napi::CallbackInfo &info)
{
	ls_us_remove(use(), arg_u32(info, 0, "device", LS_DEVICES_MAX - 1));
	return info.Env().Undefined();
}

Napi::Value Userspace::start_links(const Napi::CallbackInfo &info)
{
	char error[LS_US_ERROR_BYTES] = "";
	std::string netns = arg_string(info, 0, "netns", 4096);
	ls_status status = ls_us_mirror_start(use(), netns.c_str(), error);

	if (status != LS_OK)
		throw status_error(info.Env(), status, error);
	return info.Env().Undefined();
}

Napi::Value Userspace::start(const Napi::CallbackInfo &info)
{
	ls_status status = ls_us_start(use());

	if (status != LS_OK)
		throw status_error(info.Env(), status, "worker threads");
	return info.Env().Undefined();
}

Napi::Value Userspace::stop(const Napi::CallbackInfo &info)
{
	ls_us_stop(use());
	return number(info.Env(), ls_us_stop_ns(us_));
}

Napi::Value Userspace::close(const Napi::CallbackInfo &info)
{
	drop();
	return info.Env().Undefined();
}

Napi::Value Userspace::ports(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	ls_us *us = use();
	Napi::Array out = Napi::Array::New(env);
	u32 n = 0;

	for (u32 i = 1; i < LS_DEVICES_MAX; i++) {
		ls_device_info d;

		if (!ls_us_port(us, i, &d))
			continue;
		const ls_device_stats &s = d.stats;
		Napi::Object o = Napi::Object::New(env);
		o.Set("device", number(env, i));
		o.Set("kind", number(env, d.kind));
		o.Set("name", d.name);
		o.Set("ifindex", number(env, d.ifindex));
		o.Set("mac", mac_text(d.mac));
		o.Set("mtu", number(env, d.mtu));
		o.Set("up", Napi::Boolean::New(env, d.up != 0));
		o.Set("rxPackets", number(env, s.rx_packets));
		o.Set("rxBytes", number(env, s.rx_bytes));
		o.Set("rxDropped", number(env, s.rx_dropped));
		o.Set("txPackets", number(env, s.tx_packets));
		o.Set("txBytes", number(env, s.tx_bytes));
		o.Set("txDropped", number(env, s.tx_dropped));
		out.Set(n++, o);
	}
	return out;
}

Napi::Value Userspace::links(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	std::vector<ls_link_info> links(1024);
	std::vector<ls_link_addr> addrs(4096);
	u32 n = std::min<u32>(ls_mirror_links(ls_us_mirror(use()), links.data(), 1024), 1024), m = std::min<u32>(ls_mirror_addresses(ls_us_mirror(use()), addrs.data(), 4096), 4096);
	Napi::Array out = Napi::Array::New(env);

	for (u32 i = 0; i < n; i++) {
		Napi::Object o = Napi::Object::New(env);
		Napi::Array list = Napi::Array::New(env);
		u32 k = 0;

		o.Set("ifindex", number(env, links[i].ifindex));
		o.Set("name", links[i].name);
		o.Set("mac", mac_text(links[i].mac));
		o.Set("mtu", number(env, links[i].mtu));
		o.Set("flags", number(env, links[i].flags));
		for (u32 j = 0; j < m; j++) {
			if (addrs[j].ifindex != links[i].ifindex)
				continue;
			bool v4 = addrs[j].addr.d[0] == 0 && addrs[j].addr.w[2] == htonl(0xffff);

			list.Set(k++, addr_text(addrs[j].addr) + "/" + std::to_string(v4 ? addrs[j].prefix - 96 : addrs[j].prefix));
		}
		o.Set("addresses", list);
		out.Set(i, o);
	}
	return out;
}

Napi::Value Userspace::neighbours(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	std::vector<ls_neighbour_info> table(LS_NEIGHS);
	u32 n = ls_mirror_neighbours(ls_us_mirror(use()), table.data(), LS_NEIGHS);
	Napi::Array out = Napi::Array::New(env);

	for (u32 i = 0; i < n; i++) {
		Napi::Object o = Napi::Object::New(env);

		o.Set("address", addr_text(table[i].addr));
		o.Set("device", number(env, table[i].device));
		o.Set("mac", mac_text(table[i].mac));
		o.Set("state", number(env, table[i].state));
		out.Set(i, o);
	}
	return out;
}

Napi::Value Userspace::set_routes(const Napi::CallbackInfo &info)
{
	Bytes rows = arg_bytes(info, 0, 0, "routes");
	ls_status status = ls_mirror_routes(ls_us_mirror(use()), reinterpret_cast<const ls_static_route *>(rows.data), static_cast<u32>(rows.size / sizeof(ls_static_route)));

	if (status != LS_OK)
		throw status_error(info.Env(), status, "routes");
	return info.Env().Undefined();
}

Napi::Value Userspace::routes_left_out(const Napi::CallbackInfo &info)
{
	return number(info.Env(), ls_mirror_left_out(ls_us_mirror(use())));
}

Napi::Value Userspace::set_neighbours(const Napi::CallbackInfo &info)
{
	Bytes rows = arg_bytes(info, 0, 0, "neighbours");

	for (size_t i = 0; i + sizeof(ls_static_neighbour) <= rows.size; i += sizeof(ls_static_neighbour)) {
		ls_static_neighbour n;

		memcpy(&n, rows.data + i, sizeof(n));
		ls_mirror_neighbour(ls_us_mirror(use()), &n.addr, n.device, n.mac, LS_NEIGH_VALID, true);
	}
	return info.Env().Undefined();
}

Napi::Value Userspace::resolved(const Napi::CallbackInfo &info)
{
	ls_addr a = addr_parse(info.Env(), arg_string(info, 0, "address", 64), "address");

	return Napi::Boolean::New(info.Env(), ls_mirror_resolved(ls_us_mirror(use()), &a));
}

Napi::Value Userspace::unresolved(const Napi::CallbackInfo &info)
{
	return number(info.Env(), ls_mirror_unresolved(ls_us_mirror(use()), arg_u32(info, 0, "rg", LS_RGS_MAX - 1)));
}

/* announce(rg, packed struct ls_announcement) -> {sent, unsent} */
Napi::Value Userspace::announce(const Napi::CallbackInfo &info)
{
	u32 rg = arg_u32(info, 0, "rg", LS_RGS_MAX - 1);
	Bytes rows = arg_bytes(info, 1, 0, "announcements");
	std::vector<ls_announcement> list(rows.size / sizeof(ls_announcement));
	ls_announced told;
	Napi::Object r = Napi::Object::New(info.Env());

	memcpy(list.data(), rows.data, list.size() * sizeof(ls_announcement));
	ls_us_announce(use(), rg, list.data(), static_cast<u32>(list.size()), &told);
	r.Set("sent", number(info.Env(), told.sent));
	r.Set("unsent", number(info.Env(), told.unsent));
	return r;
}

void Userspace::Init(Napi::Env env, Napi::Object exports)
{
	exports.Set("Userspace", DefineClass(env, "Userspace", {
		InstanceMethod<&Userspace::add_port>("addPort"), InstanceMethod<&Userspace::enable_port>("enablePort"),
		InstanceMethod<&Userspace::disable_port>("disablePort"), InstanceMethod<&Userspace::park_port>("parkPort"),
		InstanceMethod<&Userspace::unpark_port>("unparkPort"), InstanceMethod<&Userspace::remove_port>("removePort"),
		InstanceMethod<&Userspace::start_links>("startLinks"), InstanceMethod<&Userspace::start>("start"),
		InstanceMethod<&Userspace::stop>("stop"), InstanceMethod<&Userspace::close>("close"), InstanceMethod<&Userspace::ports>("ports"),
		InstanceMethod<&Userspace::links>("links"), InstanceMethod<&Userspace::neighbours>("neighbours"),
		InstanceMethod<&Userspace::set_routes>("setRoutes"), InstanceMethod<&Userspace::routes_left_out>("routesLeftOut"),
		InstanceMethod<&Userspace::set_neighbours>("setNeighbours"), InstanceMethod<&Userspace::resolved>("resolved"),
		InstanceMethod<&Userspace::unresolved>("unresolved"), InstanceMethod<&Userspace::announce>("announce"),
	}));
}

} // namespace lockstep
