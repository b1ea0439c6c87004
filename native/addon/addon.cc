/* The core addon. Its whole surface is typed, in the same order, in src/native/binding.ts. */
#include "addon/async.h"
#include "addon/handle.h"
#include "addon/health.h"
#include "addon/heart.h"
#include "addon/maglev.h"
#include "addon/replica.h"
#include "addon/vpp.h"
#include "addon/vpp_stats.h"
#include "backend/userspace/aggregation.h"
#include "mirror/api.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <malloc.h>
#include <memory>
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

/* xdpFeatures(netns, ifindex) -> bits of enum netdev_xdp_act, or null: this kernel does not tell. */
static Napi::Value xdp_features(const Napi::CallbackInfo &info)
{
	std::string netns = arg_string(info, 0, "netns", LS_NETNS_BYTES - 1);
	u32 ifindex = arg_u32(info, 1, "ifindex");
	char error[LS_MIRROR_ERROR_BYTES];
	u64 features = 0;
	ls_status status = ls_xdp_features(netns.c_str(), ifindex, &features, error);

	if (status == LS_E_UNSUPPORTED)
		return info.Env().Null();
	if (status != LS_OK)
		throw status_error(info.Env(), status, error);
	return number(info.Env(), features);
}

/* aggregationOff(netns, interface) -> claim, 0 = nothing was claimed */
static Napi::Value aggregation_off(const Napi::CallbackInfo &info)
{
	struct Call {
		std::string interface;
		u32 claim;
	} call = { arg_string(info, 1, "interface", LS_NETNS_BYTES - 1), 0 };
	std::string netns = arg_string(info, 0, "netns", LS_NETNS_BYTES - 1);
	char error[LS_MIRROR_ERROR_BYTES];

	ls_in_netns(netns.c_str(), [](void *arg) {
		Call *c = static_cast<Call *>(arg);

		c->claim = ls_aggregation_off(c->interface.c_str());
	}, &call, error);
	return Napi::Number::New(info.Env(), call.claim);
}

/* aggregationBack(claim) */
static Napi::Value aggregation_back(const Napi::CallbackInfo &info)
{
	ls_aggregation_back(arg_u32(info, 0, "claim"));
	return info.Env().Undefined();
}

/* tcpEstablished(netns, port) -> Promise of packed struct ls_tcp_row */
static Napi::Value tcp_established(const Napi::CallbackInfo &info)
{
	struct Job {
		std::string netns;
		u16 port;
		ls_tcp_row *rows = nullptr;
		u32 n = 0;
		ls_status status = LS_OK;
		char error[LS_MIRROR_ERROR_BYTES] = "";
		~Job() { ::free(rows); }
	};
	auto job = std::make_shared<Job>();

	job->netns = arg_string(info, 0, "netns", LS_NETNS_BYTES - 1);
	job->port = static_cast<u16>(arg_u32(info, 1, "port", 0xffff));
	return Work::start(Napi::Object::New(info.Env()), [job] {
		job->status = ls_tcp_established(job->netns.c_str(), job->port, &job->rows, &job->n, job->error);
	}, [job](Napi::Env env) -> Napi::Value {
		if (job->status != LS_OK)
			throw status_error(env, job->status, job->error);
		Napi::Uint8Array rows = Napi::Uint8Array::New(env, job->n * sizeof(ls_tcp_row));

		if (job->n > 0)
			memcpy(rows.Data(), job->rows, job->n * sizeof(ls_tcp_row));
		return rows;
	});
}

/* ownRoutes(netns, table, packed struct ls_own_route) -> Promise of {added, removed} */
static Napi::Value own_routes(const Napi::CallbackInfo &info)
{
	struct Job {
		std::string netns;
		u32 table;
		std::vector<ls_own_route> wanted;
		ls_own_routes_changed changed = {};
		ls_status status = LS_OK;
		char error[LS_MIRROR_ERROR_BYTES] = "";
	};
	auto job = std::make_shared<Job>();
	Bytes wanted = arg_bytes(info, 2, 0, "wanted");

	job->netns = arg_string(info, 0, "netns", LS_NETNS_BYTES - 1);
	job->table = arg_u32(info, 1, "table");
	job->wanted.resize(wanted.size / sizeof(ls_own_route));
	if (!job->wanted.empty())
		memcpy(job->wanted.data(), wanted.data, job->wanted.size() * sizeof(ls_own_route));
	return Work::start(Napi::Object::New(info.Env()), [job] {
		job->status = ls_own_routes(job->netns.c_str(), job->table, job->wanted.data(), static_cast<u32>(job->wanted.size()), &job->changed, job->error);
	}, [job](Napi::Env env) -> Napi::Value {
		if (job->status != LS_OK)
			throw status_error(env, job->status, job->error);
		Napi::Object changed = Napi::Object::New(env);

		changed["added"] = Napi::Number::New(env, job->changed.added);
		changed["removed"] = Napi::Number::New(env, job->changed.removed);
		return changed;
	});
}

/* What a burst of frames has freed is not given back and faulted in again with the next: of a million sessions on their way that was a fifth of the time.
 * The smallest block that is a mapping of its own, and what may stay free at the end of an arena. */
static void keep_freed_memory()
{
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 16 << 20);
	mallopt(M_TOP_PAD, 1 << 20);
#endif
}

static Napi::Object Init(Napi::Env env, Napi::Object exports)
{
	keep_freed_memory();
	exports.Set("layoutVersion", Napi::Number::New(env, LS_LAYOUT_VERSION));
	exports.Set("wireVersion", Napi::Number::New(env, LS_WIRE_VERSION));
	exports.Set("configBytes", Napi::Number::New(env, sizeof(ls_config)));
	exports.Set("countersBytes", Napi::Number::New(env, sizeof(ls_counters)));
	exports.Set("lockFile", Napi::Function::New(env, lock_file, "lockFile"));
	exports.Set("xdpFeatures", Napi::Function::New(env, xdp_features, "xdpFeatures"));
	exports.Set("aggregationOff", Napi::Function::New(env, aggregation_off, "aggregationOff"));
	exports.Set("aggregationBack", Napi::Function::New(env, aggregation_back, "aggregationBack"));
	exports.Set("ownRoutes", Napi::Function::New(env, own_routes, "ownRoutes"));
	exports.Set("tcpEstablished", Napi::Function::New(env, tcp_established, "tcpEstablished"));
	Table::Init(env, exports);
	Userspace::Init(env, exports);
	InitMaglev(env, exports);
	InitReplica(env, exports);
	InitHealth(env, exports);
	InitVpp(env, exports);
	InitHeart(env, exports);
	InitVppStats(env, exports);
	return exports;
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)

} // namespace lockstep
