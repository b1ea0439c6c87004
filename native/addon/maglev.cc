/* Maglev rings off the main thread: build, or repair of the ring in force with the fewest moves. */
#include "addon/async.h"
#include "addon/maglev.h"

#include <cstring>
#include <memory>
#include <vector>

extern "C" {
#include "table/maglev.h"
}

namespace lockstep {

/* maglev(reals: packed struct ls_maglev_real, size, old: Uint8Array | null) -> Promise<{ring: Uint8Array, hash: bigint, moved, rebuilt}> */
static Napi::Value maglev(const Napi::CallbackInfo &info)
{
	struct Job {
		std::vector<ls_maglev_real> reals;
		std::vector<u16> old, ring;
		ls_status status = LS_OK;
		ls_maglev_change change = {};
		bool rebuilt = true;
	};
	auto job = std::make_shared<Job>();
	Bytes reals = arg_bytes(info, 0, 0, "reals");
	u32 size = arg_u32(info, 1, "size", LS_RING_MAX);

	job->reals.resize(reals.size / sizeof(ls_maglev_real));
	memcpy(job->reals.data(), reals.data, job->reals.size() * sizeof(ls_maglev_real));
	job->ring.resize(size);
	if (!info[2].IsNull()) {
		Bytes old = arg_bytes(info, 2, static_cast<size_t>(size) * 2, "old");

		job->old.resize(size);
		memcpy(job->old.data(), old.data, static_cast<size_t>(size) * 2);
	}
	return Work::start(info.This().As<Napi::Object>(), [job, size] {
		u32 n = static_cast<u32>(job->reals.size());

		if (!job->old.empty()) {
			job->status = ls_maglev_repair(job->old.data(), job->reals.data(), n, size, job->ring.data(), &job->change);
			job->rebuilt = job->change.rebuild;
		}
		if (job->status == LS_OK && job->rebuilt)
			job->status = ls_maglev_build(job->reals.data(), n, size, job->ring.data());
	}, [job, size](Napi::Env env) -> Napi::Value {
		if (job->status != LS_OK)
			throw status_error(env, job->status, "Maglev ring of " + std::to_string(size) + " entries for " + std::to_string(job->reals.size()) + " reals");
		Napi::Object o = Napi::Object::New(env);
		Napi::Uint8Array ring = Napi::Uint8Array::New(env, static_cast<size_t>(size) * 2);

		memcpy(ring.Data(), job->ring.data(), static_cast<size_t>(size) * 2);
		o.Set("ring", ring);
		o.Set("hash", Napi::BigInt::New(env, static_cast<uint64_t>(ls_maglev_hash(job->ring.data(), size))));
		o.Set("moved", number(env, job->change.moved));
		o.Set("rebuilt", Napi::Boolean::New(env, job->rebuilt));
		return o;
	});
}

void InitMaglev(Napi::Env env, Napi::Object exports) { exports.Set("maglev", Napi::Function::New(env, maglev, "maglev")); }

} // namespace lockstep
