/* class VppStats: the stats segment of a running VPP (native/backend/vpp). What a call returns was copied in one pass that held; a call waits some milliseconds
 * at most, while VPP changes its layout. */
#include "addon/vpp_stats.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>
#include <vector>

#include "backend/vpp/stats.h"

namespace lockstep {

constexpr u32 NAMES_MAX = 1u << 16; /* of a call, and of the handles that are kept between calls */
constexpr u32 NAME_ROOM = 256;      /* of an interface, node, ... */
constexpr u32 SCHEMA_MAX = 1u << 16;
constexpr u32 RECORDS_MAX = 1u << 20; /* bytes a call */

/* One entry, copied. */
struct Sample {
	ls_stats_kind kind = LS_STATS_UNKNOWN;
	u64 value = 0;
	std::vector<std::vector<double>> threads;
	std::vector<std::optional<std::string>> names;
	ls_stats_ring ring = {};
	std::vector<u64> written;
	u32 schema_version = 0;
	std::vector<u8> schema;
};

static std::vector<double> row_of(ls_stats_pass *p, const ls_stats_entry &e, u32 thread)
{
	ls_stats_row row = ls_stats_row_of(p, &e, thread);
	std::vector<double> words(static_cast<size_t>(row.columns) * row.width);

	for (size_t i = 0; i < words.size(); i++)
		words[i] = static_cast<double>(__atomic_load_n(&row.at[i], __ATOMIC_RELAXED));
	return words;
}

static bool sample_rows(ls_stats_pass *p, const ls_stats_entry &e, Sample *s)
{
	u32 threads = ls_stats_threads(p, &e);
	bool any = e.column == LS_STATS_ALL;

	for (u32 t = 0; t < threads; t++) {
		s->threads.push_back(row_of(p, e, t));
		any |= !s->threads.back().empty();
	}
	return threads > 0 && any; /* a symlink to a column that no thread has is no value */
}

static bool sample_names(ls_stats_pass *p, const ls_stats_entry &e, Sample *s)
{
	char name[NAME_ROOM];

	s->names.resize(ls_stats_names(p, &e));
	for (u32 i = 0; i < s->names.size(); i++)
		if (ls_stats_name(p, &e, i, name, sizeof(name)))
			s->names[i] = name;
	return true;
}

static bool sample_ring(ls_stats_pass *p, const ls_stats_entry &e, Sample *s)
{
	ls_stats_ring_state state;

	if (!ls_stats_ring_of(p, &e, &s->ring))
		return false;
	for (u32 t = 0; ls_stats_ring_look(&s->ring, t, &state); t++) {
		s->written.push_back(state.written);
		if (t > 0 || state.schema_bytes > SCHEMA_MAX)
			continue;
		s->schema_version = state.schema_version;
		s->schema.resize(state.schema_bytes);
		ls_stats_copy(s->schema.data(), state.schema, state.schema_bytes);
	}
	return true;
}

static bool sample(ls_stats_pass *p, const ls_stats_entry &e, Sample *s)
{
	s->kind = static_cast<ls_stats_kind>(e.kind);
	switch (s->kind) {
	case LS_STATS_SCALAR:
	case LS_STATS_GAUGE:
		s->value = e.word;
		return true;
	case LS_STATS_SIMPLE:
	case LS_STATS_COMBINED:
	case LS_STATS_HISTOGRAM:
		return sample_rows(p, e, s);
	case LS_STATS_NAMES:
		return sample_names(p, e, s);
	case LS_STATS_RING:
		return sample_ring(p, e, s);
	default:
		return false;
	}
}

static Napi::Float64Array doubles(Napi::Env env, const double *from, size_t n)
{
	Napi::Float64Array a = Napi::Float64Array::New(env, n);

	std::copy_n(from, n, a.Data());
	return a;
}

static Napi::Uint8Array bytes(Napi::Env env, const u8 *from, size_t n)
{
	Napi::Uint8Array a = Napi::Uint8Array::New(env, n);

	std::copy_n(from, n, a.Data());
	return a;
}

/* A number as long as it is exact. */
static Napi::Value whole(Napi::Env env, u64 v) { return v <= 1ull << 53 ? Napi::Value(number(env, v)) : Napi::BigInt::New(env, v); }

static Napi::Value rows_value(Napi::Env env, const Sample &s)
{
	Napi::Array threads = Napi::Array::New(env, s.threads.size());

	for (u32 t = 0; t < s.threads.size(); t++)
		threads[t] = doubles(env, s.threads[t].data(), s.threads[t].size());
	return threads;
}

static Napi::Value bins_value(Napi::Env env, const Sample &s)
{
	Napi::Array threads = Napi::Array::New(env, s.threads.size());

	for (u32 t = 0; t < s.threads.size(); t++) {
		const std::vector<double> &row = s.threads[t];
		Napi::Object o = Napi::Object::New(env);

		o.Set("minExponent", Napi::Number::New(env, row.empty() ? 0 : row[0]));
		o.Set("bins", doubles(env, row.data() + !row.empty(), row.size() - !row.empty()));
		threads[t] = o;
	}
	return threads;
}

static Napi::Value names_value(Napi::Env env, const Sample &s)
{
	Napi::Array names = Napi::Array::New(env, s.names.size());

	for (u32 i = 0; i < s.names.size(); i++)
		names[i] = s.names[i] ? Napi::Value(Napi::String::New(env, *s.names[i])) : env.Null();
	return names;
}

static void set_ring(Napi::Env env, const Sample &s, Napi::Object o)
{
	Napi::Array threads = Napi::Array::New(env, s.written.size());

	for (u32 t = 0; t < s.written.size(); t++)
		threads[t] = Napi::BigInt::New(env, s.written[t]);
	o.Set("recordBytes", number(env, s.ring.record_bytes));
	o.Set("slots", number(env, s.ring.slots));
	o.Set("schemaVersion", number(env, s.schema_version));
	o.Set("schema", bytes(env, s.schema.data(), s.schema.size()));
	o.Set("written", threads);
}

static Napi::Value value_of(Napi::Env env, const Sample &s)
{
	Napi::Object o = Napi::Object::New(env);

	o.Set("kind", Napi::String::New(env, ls_stats_kind_name(s.kind)));
	switch (s.kind) {
	case LS_STATS_SCALAR:
	case LS_STATS_GAUGE:
		o.Set("value", whole(env, s.value));
		break;
	case LS_STATS_HISTOGRAM:
		o.Set("threads", bins_value(env, s));
		break;
	case LS_STATS_NAMES:
		o.Set("names", names_value(env, s));
		break;
	case LS_STATS_RING:
		set_ring(env, s, o);
		break;
	default:
		o.Set("threads", rows_value(env, s));
	}
	return o;
}

class VppStats : public Napi::ObjectWrap<VppStats> {
public:
	explicit VppStats(const Napi::CallbackInfo &info);
	~VppStats() override { ls_stats_detach(&stats_); }
	Napi::Value directory(const Napi::CallbackInfo &);
	Napi::Value read(const Napi::CallbackInfo &);
	Napi::Value counters(const Napi::CallbackInfo &);
	Napi::Value records(const Napi::CallbackInfo &);
	Napi::Value epoch(const Napi::CallbackInfo &);
	Napi::Value heartbeat(const Napi::CallbackInfo &);
	Napi::Value close(const Napi::CallbackInfo &);

private:
	const ls_stats *use() const
	{
		if (!stats_.map)
			throw status_error(Env(), LS_E_INVALID, "the stats segment is closed");
		return &stats_;
	}
	/* `take` begins anew each time it is called. */
	template <typename Take> void pass(Take take);
	ls_stats_handle *handle(const std::string &name);
	std::vector<ls_stats_handle *> arg_handles(const Napi::CallbackInfo &info, size_t i);

	ls_stats stats_ = {};
	std::string path_;
	std::unordered_map<std::string, ls_stats_handle> handles_;
};

/* new VppStats(path, timeoutMs): blocks until VPP has passed its segment. */
VppStats::VppStats(const Napi::CallbackInfo &info) : Napi::ObjectWrap<VppStats>(info), path_(arg_string(info, 0, "path", 4096))
{
	char why[LS_STATS_WHY] = "";
	int err_no = 0;
	ls_status status = ls_stats_attach(path_.c_str(), arg_u32(info, 1, "timeoutMs", 60000), &stats_, why, &err_no);

	if (status != LS_OK)
		throw status_error(info.Env(), status, path_ + ": " + why, err_no);
}

template <typename Take> void VppStats::pass(Take take)
{
	auto call = [](ls_stats_pass *p, void *arg) { (*static_cast<Take *>(arg))(p); };
	ls_status status = ls_stats_read(use(), call, &take);

	if (status == LS_E_BUSY)
		throw status_error(Env(), status, path_ + ": its layout was being changed each of " + std::to_string(stats_.tries) + " times it was looked at");
	if (status != LS_OK)
		throw status_error(Env(), status, path_ + ": the directory or its vectors cannot be where the segment says");
}

ls_stats_handle *VppStats::handle(const std::string &name)
{
	auto [at, added] = handles_.try_emplace(name);

	if (added && !ls_stats_handle_init(&at->second, name.c_str())) {
		handles_.erase(at);
		throw Napi::TypeError::New(Env(), "names: expected names of at most " + std::to_string(LS_STATS_NAME) + " bytes");
	}
	return &at->second;
}

std::vector<ls_stats_handle *> VppStats::arg_handles(const Napi::CallbackInfo &info, size_t i)
{
	std::vector<ls_stats_handle *> handles;

	use();
	if (!info[i].IsArray() || info[i].As<Napi::Array>().Length() > NAMES_MAX)
		throw Napi::TypeError::New(info.Env(), "names: expected an array of at most " + std::to_string(NAMES_MAX));
	Napi::Array names = info[i].As<Napi::Array>();

	if (handles_.size() > NAMES_MAX)
		handles_.clear();
	for (u32 n = 0; n < names.Length(); n++) {
		Napi::Value name = names[n];

		if (!name.IsString())
			throw Napi::TypeError::New(info.Env(), "names: expected strings");
		handles.push_back(handle(name.As<Napi::String>()));
	}
	return handles;
}

/* directory() -> [{index, kind, name}], without entries of unknown types */
Napi::Value VppStats::directory(const Napi::CallbackInfo &info)
{
	struct Item {
		u32 index;
		ls_stats_kind kind;
		std::string name;
	};
	std::vector<Item> items;
	char name[LS_STATS_NAME + 1];

	pass([&](ls_stats_pass *p) {
		items.clear();
		for (u32 i = 0; i < p->entries; i++) {
			ls_stats_kind kind = ls_stats_describe(p, i, name);

			if (kind != LS_STATS_UNKNOWN)
				items.push_back({ i, kind, name });
		}
	});
	Napi::Array all = Napi::Array::New(info.Env(), items.size());
	for (u32 i = 0; i < items.size(); i++) {
		Napi::Object o = Napi::Object::New(info.Env());

		o.Set("index", number(info.Env(), items[i].index));
		o.Set("kind", Napi::String::New(info.Env(), ls_stats_kind_name(items[i].kind)));
		o.Set("name", Napi::String::New(info.Env(), items[i].name));
		all[i] = o;
	}
	return all;
}

/* read(names) -> a value for each, or null: there is no such entry, or nothing in it */
Napi::Value VppStats::read(const Napi::CallbackInfo &info)
{
	std::vector<ls_stats_handle *> handles = arg_handles(info, 0);
	std::vector<std::optional<Sample>> samples;

	pass([&](ls_stats_pass *p) {
		samples.assign(handles.size(), std::nullopt);
		for (size_t i = 0; i < handles.size(); i++) {
			ls_stats_entry e;
			Sample s;

			if (ls_stats_find(p, handles[i], &e) && sample(p, e, &s))
				samples[i] = std::move(s);
		}
	});
	Napi::Array values = Napi::Array::New(info.Env(), samples.size());
	for (u32 i = 0; i < samples.size(); i++)
		values[i] = samples[i] ? value_of(info.Env(), *samples[i]) : info.Env().Null();
	return values;
}

/* counters(names, index) -> value or packets, and bytes, of each, summed over threads; NaN: there is none */
Napi::Value VppStats::counters(const Napi::CallbackInfo &info)
{
	std::vector<ls_stats_handle *> handles = arg_handles(info, 0);
	u32 index = arg_u32(info, 1, "index");
	std::vector<double> sums;

	pass([&](ls_stats_pass *p) {
		sums.assign(handles.size() * 2, NAN);
		for (size_t i = 0; i < handles.size(); i++) {
			ls_stats_entry e;
			u64 sum[2];

			if (!ls_stats_find(p, handles[i], &e) || !ls_stats_sum(p, &e, index, sum))
				continue;
			sums[2 * i] = static_cast<double>(sum[0]);
			if (e.kind == LS_STATS_COMBINED)
				sums[2 * i + 1] = static_cast<double>(sum[1]);
		}
	});
	return doubles(info.Env(), sums.data(), sums.size());
}

/* records(name, thread, since) -> {first, next, lost, records}, or null: no such ring or thread */
Napi::Value VppStats::records(const Napi::CallbackInfo &info)
{
	use();
	ls_stats_handle *ring = handle(arg_string(info, 0, "name", LS_STATS_NAME + 1));
	u32 thread = arg_u32(info, 1, "thread");
	u64 since = arg_u64(info, 2, "since"), next = 0, first = 0, lost = 0;
	std::vector<u8> out;
	bool found = false;

	pass([&](ls_stats_pass *p) {
		ls_stats_entry e;
		ls_stats_ring r;

		found = ls_stats_find(p, ring, &e) && ls_stats_ring_of(p, &e, &r) && thread < r.threads;
		if (!found)
			return;
		u32 max = std::clamp(RECORDS_MAX / r.record_bytes, 1u, r.slots);

		next = since;
		out.resize(static_cast<size_t>(max) * r.record_bytes);
		out.resize(static_cast<size_t>(ls_stats_ring_read(&r, thread, &next, max, out.data(), &first, &lost)) * r.record_bytes);
	});
	if (!found)
		return info.Env().Null();
	Napi::Object o = Napi::Object::New(info.Env());
	o.Set("first", Napi::BigInt::New(info.Env(), first));
	o.Set("next", Napi::BigInt::New(info.Env(), next));
	o.Set("lost", number(info.Env(), lost));
	o.Set("records", bytes(info.Env(), out.data(), out.size()));
	return o;
}

/* epoch() -> of the layout */
Napi::Value VppStats::epoch(const Napi::CallbackInfo &info)
{
	u64 epoch = 0;

	pass([&](ls_stats_pass *p) { epoch = p->epoch; });
	return number(info.Env(), epoch);
}

/* heartbeat() -> what VPP's collector has counted up to, or null */
Napi::Value VppStats::heartbeat(const Napi::CallbackInfo &info)
{
	u64 sum[2];
	bool found = false;

	use();
	ls_stats_handle *beat = handle("/sys/heartbeat");
	pass([&](ls_stats_pass *p) {
		ls_stats_entry e;

		found = ls_stats_find(p, beat, &e) && ls_stats_sum(p, &e, 0, sum);
	});
	return found ? number(info.Env(), sum[0]) : info.Env().Null();
}

Napi::Value VppStats::close(const Napi::CallbackInfo &info)
{
	ls_stats_detach(&stats_);
	return info.Env().Undefined();
}

void InitVppStats(Napi::Env env, Napi::Object exports)
{
	using Class = Napi::ObjectWrap<VppStats>;

	exports.Set("VppStats", Class::DefineClass(env, "VppStats", { Class::InstanceMethod<&VppStats::directory>("directory"), Class::InstanceMethod<&VppStats::read>("read"),
		Class::InstanceMethod<&VppStats::counters>("counters"), Class::InstanceMethod<&VppStats::records>("records"), Class::InstanceMethod<&VppStats::epoch>("epoch"),
		Class::InstanceMethod<&VppStats::heartbeat>("heartbeat"), Class::InstanceMethod<&VppStats::close>("close") }));
}

} // namespace lockstep
