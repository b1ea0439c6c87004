/* class Table: sessions, configuration and counters of one shared table. Synchronous calls are bounded in time; the rest return promises. */
#include "addon/async.h"
#include "addon/handle.h"

#include <array>
#include <cstring>
#include <fcntl.h>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <unistd.h>
#include <vector>

namespace lockstep {

static Napi::Object install_result(Napi::Env env, const ls_install_result &r)
{
	Napi::Object o = Napi::Object::New(env);

	o.Set("installed", number(env, r.installed));
	o.Set("replaced", number(env, r.replaced));
	o.Set("conflicts", number(env, r.conflicts));
	o.Set("full", number(env, r.full));
	o.Set("invalid", number(env, r.invalid));
	return o;
}

static Napi::Object delete_result(Napi::Env env, const ls_delete_result &r)
{
	Napi::Object o = Napi::Object::New(env);

	o.Set("matched", number(env, r.matched));
	o.Set("deleted", number(env, r.deleted));
	o.Set("graceNs", number(env, r.grace_ns));
	return o;
}

/* Tables of this process by number, so that worker threads (each its own JavaScript world) reach the same one. */
static std::mutex registry_lock;
static std::map<u32, std::weak_ptr<ls_table>> registry;
static u32 next_id = 1;

static TableRef share(ls_table *t, u32 *id)
{
	std::lock_guard<std::mutex> hold(registry_lock);
	TableRef ref(t, ls_table_close);

	for (auto i = registry.begin(); i != registry.end();)
		i = i->second.expired() ? registry.erase(i) : std::next(i);
	*id = next_id++;
	registry[*id] = ref;
	return ref;
}

static TableRef attach(u32 id)
{
	std::lock_guard<std::mutex> hold(registry_lock);
	auto found = registry.find(id);

	return found == registry.end() ? nullptr : found->second.lock();
}

static const napi_type_tag table_tag = { 0x6c6f636b73746570, 0x7461626c65000001 };

Table *Table::of(const Napi::CallbackInfo &info, size_t i)
{
	if (!info[i].IsObject() || !info[i].As<Napi::Object>().CheckTypeTag(&table_tag))
		throw Napi::TypeError::New(info.Env(), "table: expected a Table");
	return Unwrap(info[i].As<Napi::Object>());
}

static ls_geometry geometry_of(const Napi::Object &o)
{
	return { .capacity = get_u32(o, "capacity"), .cpus = get_u32(o, "cpus", LS_WORKERS_MAX), .threads = get_u32(o, "threads", LS_WORKERS_MAX),
		.arena = get_u32(o, "arena", 1u << 24) };
}

/* tableHeader({capacity, cpus, threads, arena}) -> the header of a new table, for who makes its regions. */
static Napi::Value table_header(const Napi::CallbackInfo &info)
{
	if (!info[0].IsObject())
		throw Napi::TypeError::New(info.Env(), "tableHeader: expected an object");
	ls_geometry g = geometry_of(info[0].As<Napi::Object>());
	Napi::Uint8Array out = Napi::Uint8Array::New(info.Env(), sizeof(ls_header));
	ls_status status = ls_header_init(reinterpret_cast<ls_header *>(out.Data()), &g);

	if (status != LS_OK)
		throw status_error(info.Env(), status, "");
	return out;
}

/* new Table({attach: id}) shares the table of another thread, info().id. new Table({capacity, cpus, threads, arena, hugepages: 0|1|2, path: string})
 * creates; new Table({open: path}) maps and adopts; new Table({regions: [descriptor], created, programs}) lies over maps; programs: they forward already. */
Table::Table(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Table>(info)
{
	Napi::Env env = info.Env();
	int err_no = 0;
	ls_status status;

	if (!info[0].IsObject())
		throw Napi::TypeError::New(env, "Table: expected an options object");
	Napi::Object o = info[0].As<Napi::Object>();
	ls_table *table = nullptr;

	info.This().As<Napi::Object>().TypeTag(&table_tag);
	if (o.Has("attach")) {
		id_ = get_u32(o, "attach");
		table_ = attach(id_);
		if (!table_)
			throw status_error(env, LS_E_NOT_FOUND, "table " + std::to_string(id_) + " is closed");
		return;
	}
	if (o.Has("open")) {
		std::string path = get_string(o, "open", 4096);
		int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);

		if (fd < 0)
			throw status_error(env, LS_E_SYSTEM, path, errno);
		status = ls_table_open(fd, &table, &err_no);
		::close(fd);
		if (status != LS_OK)
			throw status_error(env, status, "", err_no);
		table_ = share(table, &id_);
		return;
	}
	if (o.Has("regions")) {
		int regions[LS_REGION_COUNT];
		Napi::Value list = o.Get("regions");

		if (!list.IsArray() || list.As<Napi::Array>().Length() != LS_REGION_COUNT)
			throw Napi::TypeError::New(env, "regions: expected " + std::to_string(LS_REGION_COUNT) + " descriptors");
		for (u32 i = 0; i < LS_REGION_COUNT; i++)
			regions[i] = list.As<Napi::Array>().Get(i).ToNumber().Int32Value();
		status = ls_table_over(regions, get_bool(o, "created"), get_bool(o, "programs"), &table, &err_no);
		if (status != LS_OK)
			throw status_error(env, status, "", err_no);
		table_ = share(table, &id_);
		return;
	}
	ls_geometry g = geometry_of(o);
	std::string path = get_string(o, "path", 4096);

	status = ls_table_create(&g, static_cast<ls_huge>(get_u32(o, "hugepages", 2)), path.empty() ? nullptr : path.c_str(), &table, &err_no);
	if (status != LS_OK)
		throw status_error(env, status, "", err_no);
	table_ = share(table, &id_);
}

const TableRef &Table::ref() const
{
	if (!table_)
		throw status_error(Env(), LS_E_INVALID, "the table is closed");
	return table_;
}

Napi::Value Table::info(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	struct ls_table_info t;

	::ls_table_info(use(), &t);
	Napi::Object o = Napi::Object::New(env);

	o.Set("id", number(env, id_));
	o.Set("capacity", number(env, t.capacity));
	o.Set("slots", number(env, t.slots));
	o.Set("buckets", number(env, t.buckets));
	o.Set("workers", number(env, t.workers));
	o.Set("cpus", number(env, t.cpus));
	o.Set("threads", number(env, t.threads));
	o.Set("freeRing", number(env, t.free_ring));
	o.Set("noticeRing", number(env, t.notice_ring));
	o.Set("arenaElements", number(env, t.arena_elements));
	o.Set("origin", Napi::BigInt::New(env, static_cast<uint64_t>(t.origin)));
	o.Set("bytes", number(env, t.bytes));
	o.Set("hugepages", Napi::Boolean::New(env, t.huge != 0));
	o.Set("fd", Napi::Number::New(env, t.fd));
	o.Set("listed", number(env, t.listed));
	o.Set("pressure", number(env, t.pressure));
	o.Set("live", number(env, t.live));
	o.Set("passes", number(env, t.passes));
	o.Set("freed", number(env, t.freed));
	o.Set("installed", number(env, t.installed));
	o.Set("generation", number(env, t.generation));
	o.Set("graces", number(env, t.graces));
	o.Set("silenced", number(env, t.silenced));
	o.Set("graceNs", number(env, t.grace_ns));
	Napi::Array by = Napi::Array::New(env, 16);
	for (u32 i = 0; i < 16; i++)
		by.Set(i, number(env, t.freed_by[i]));
	o.Set("freedBy", by);
	return o;
}

Napi::Value Table::close(const Napi::CallbackInfo &info)
{
	if (*busy > 0)
		throw status_error(info.Env(), LS_E_BUSY, "the table is in use: await the work in flight and close the dataplane first");
	table_.reset();
	return info.Env().Undefined();
}

Napi::Value Table::work(const Napi::CallbackInfo &info, std::function<void(ls_table *)> run, std::function<Napi::Value(Napi::Env)> done)
{
	TableRef t = ref();

	++*busy;
	return Work::start(info.This().As<Napi::Object>(), [t, run = std::move(run)] { run(t.get()); }, std::move(done), [n = busy] { --*n; });
}

/* install(records, stride, status | null, mark) */
Napi::Value Table::install(const Napi::CallbackInfo &info)
{
	ls_table *t = use();
	u32 stride = arg_u32(info, 1, "stride", 4096);
	Bytes records = arg_bytes(info, 0, 0, "records");
	bool mark = arg_bool(info, 3, "mark");
	ls_install_result result;
	u8 *status = nullptr;

	if (stride < sizeof(ls_wire_record) || records.size % stride)
		throw status_error(info.Env(), LS_E_RECORD, "records: " + std::to_string(records.size) + " bytes are not a multiple of " + std::to_string(stride) +
								    ", or the record is shorter than " + std::to_string(sizeof(ls_wire_record)));
	u32 n = static_cast<u32>(records.size / stride);

	if (!info[2].IsNull())
		status = arg_bytes(info, 2, n, "status").data;
	ls_table_install(t, records.data, stride, n, mark ? LS_INSTALL_MARK : 0, status, NULL, &result);
	return install_result(info.Env(), result);
}

/* open(records, status): installed as opened here, and told */
Napi::Value Table::open(const Napi::CallbackInfo &info) { return install_own(info, LS_INSTALL_TELL); }
/* touch(records, status): counters and last seen of those that are here */
Napi::Value Table::touch(const Napi::CallbackInfo &info) { return install_own(info, LS_INSTALL_TOUCH); }

Napi::Value Table::install_own(const Napi::CallbackInfo &info, u32 flags)
{
	ls_table *t = use();
	Bytes records = arg_bytes(info, 0, 0, "records");
	ls_install_result result;
	u32 n = static_cast<u32>(records.size / sizeof(ls_wire_record));

	if (records.size % sizeof(ls_wire_record))
		throw status_error(info.Env(), LS_E_RECORD, "records: " + std::to_string(records.size) + " bytes are not a multiple of " + std::to_string(sizeof(ls_wire_record)));
	ls_table_install(t, records.data, sizeof(ls_wire_record), n, flags, arg_bytes(info, 1, n, "status").data, NULL, &result);
	return install_result(info.Env(), result);
}

/* get(key, out) -> whether a live session owns the tuple (struct ls_key, either direction); then `out` is its record. */
Napi::Value Table::get(const Napi::CallbackInfo &info)
{
	ls_table *t = use();
	ls_key key;
	Bytes out = arg_bytes(info, 1, sizeof(ls_wire_record), "out");

	memcpy(&key, arg_bytes(info, 0, sizeof(key), "key").data, sizeof(key));
	return Napi::Boolean::New(info.Env(), ls_table_get(t, &key, reinterpret_cast<ls_wire_record *>(out.data)) == LS_OK);
}

Napi::Value Table::drain(const Napi::CallbackInfo &info)
{
	ls_table *t = use();
	Bytes out = arg_bytes(info, 0, 0, "out");
	u64 overruns = 0;
	u32 n = ls_table_drain(t, reinterpret_cast<ls_wire_record *>(out.data), static_cast<u32>(out.size / sizeof(ls_wire_record)), &overruns);
	Napi::Object o = Napi::Object::New(info.Env());

	o.Set("records", number(info.Env(), n));
	o.Set("overruns", number(info.Env(), overruns));
	return o;
}

Napi::Value Table::drain_logs(const Napi::CallbackInfo &info)
{
	Bytes out = arg_bytes(info, 0, 0, "out");

	return number(info.Env(), ls_table_drain_logs(use(), reinterpret_cast<ls_log *>(out.data), static_cast<u32>(out.size / sizeof(ls_log))));
}

Napi::Value Table::feed(const Napi::CallbackInfo &info)
{
	ls_table_feed(use(), arg_bool(info, 0, "on"));
	return info.Env().Undefined();
}

Napi::Value Table::delete_ids(const Napi::CallbackInfo &info)
{
	Bytes rows = arg_bytes(info, 0, 0, "rows");
	auto copy = std::make_shared<std::vector<ls_wire_delete>>(rows.size / sizeof(ls_wire_delete));
	auto result = std::make_shared<ls_delete_result>();

	memcpy(copy->data(), rows.data, copy->size() * sizeof(ls_wire_delete));
	return work(info, [copy, result](ls_table *t) { ls_table_delete_ids(t, copy->data(), static_cast<u32>(copy->size()), result.get()); },
		    [result](Napi::Env env) { return delete_result(env, *result); });
}

static ls_filter arg_filter(const Napi::CallbackInfo &info, size_t i)
{
	ls_filter f;

	memcpy(&f, arg_bytes(info, i, sizeof(f), "filter").data, sizeof(f));
	if (f.src_prefix > 128 || f.dst_prefix > 128)
		throw status_error(info.Env(), LS_E_INVALID, "filter: a prefix is longer than 128");
	return f;
}

/* deleteFilter(filter, reason) -> {done: promise, cancel()}: stops between batches; `done` tells what was deleted until then. */
Napi::Value Table::delete_filter(const Napi::CallbackInfo &info)
{
	ls_filter f = arg_filter(info, 0);
	u32 reason = arg_u32(info, 1, "reason", LS_CLOSE_COUNT - 1);
	auto result = std::make_shared<ls_delete_result>();
	auto cancel = std::make_shared<u32>(0);
	Napi::Object o = Napi::Object::New(info.Env());

	o.Set("done", work(info, [f, reason, result, cancel](ls_table *t) { ls_table_delete_filter(t, &f, reason, cancel.get(), result.get()); },
			   [result](Napi::Env env) { return delete_result(env, *result); }));
	o.Set("cancel", Napi::Function::New(info.Env(), [cancel](const Napi::CallbackInfo &) { __atomic_store_n(cancel.get(), 1, __ATOMIC_RELAXED); }));
	return o;
}

/* deleteReals(ids: Uint16Array) -> promise */
Napi::Value Table::delete_reals(const Napi::CallbackInfo &info)
{
	Bytes ids = arg_bytes(info, 0, 0, "reals");
	auto bits = std::make_shared<std::array<u64, LS_REALS_MAX / 64>>();
	auto result = std::make_shared<ls_delete_result>();

	bits->fill(0);
	for (size_t i = 0; i + 2 <= ids.size; i += 2) {
		u16 id;

		memcpy(&id, ids.data + i, sizeof(id));
		if (id < LS_REALS_MAX)
			(*bits)[id / 64] |= 1ULL << id % 64;
	}
	return work(info, [bits, result](ls_table *t) { ls_table_delete_reals(t, bits->data(), result.get()); },
		    [result](Napi::Env env) { return delete_result(env, *result); });
}

static u32 columns_width(u32 columns)
{
	u32 width = 0;

	for (u32 c = 0; c < LS_COLUMN_COUNT; c++)
		width += columns >> c & 1 ? ls_column_bytes(c) : 0;
	return width;
}

/* scanColumns(filter, columns, cursor, out, maxRows, maxNs) -> {rows, cursor | null} */
Napi::Value Table::scan_columns(const Napi::CallbackInfo &info)
{
	ls_table *t = use();
	ls_filter f = arg_filter(info, 0);
	u32 columns = arg_u32(info, 1, "columns"), cursor = arg_u32(info, 2, "cursor"), rows = arg_u32(info, 4, "maxRows", 1u << 20);
	u32 max_ns = arg_u32(info, 5, "maxNs");
	Bytes out = arg_bytes(info, 3, static_cast<size_t>(columns_width(columns)) * rows, "out");

	rows = ls_scan_columns(t, &f, columns, &cursor, out.data, rows, max_ns);
	Napi::Object o = Napi::Object::New(info.Env());
	o.Set("rows", number(info.Env(), rows));
	o.Set("cursor", cursor == 0xffffffff ? info.Env().Null() : Napi::Value(number(info.Env(), cursor)));
	return o;
}

Napi::Value Table::scan_records(const Napi::CallbackInfo &info)
{
	ls_table *t = use();
	ls_filter f = arg_filter(info, 0);
	u32 cursor = arg_u32(info, 1, "cursor"), max_ns = arg_u32(info, 3, "maxNs");
	Bytes out = arg_bytes(info, 2, 0, "out");
	u32 rows = ls_scan_records(t, &f, &cursor, reinterpret_cast<ls_wire_record *>(out.data), static_cast<u32>(out.size / sizeof(ls_wire_record)), max_ns);
	Napi::Object o = Napi::Object::New(info.Env());

	o.Set("rows", number(info.Env(), rows));
	o.Set("cursor", cursor == 0xffffffff ? info.Env().Null() : Napi::Value(number(info.Env(), cursor)));
	return o;
}

/* selectRecords(filter, records, out) -> how many matched; they stand at `out`, in order. */
Napi::Value Table::select_records(const Napi::CallbackInfo &info)
{
	ls_filter f = arg_filter(info, 0);
	Bytes records = arg_bytes(info, 1, 0, "records");
	Bytes out = arg_bytes(info, 2, records.size, "out");

	return number(info.Env(), ls_records_select(&f, reinterpret_cast<const ls_wire_record *>(records.data), static_cast<u32>(records.size / sizeof(ls_wire_record)),
						    reinterpret_cast<ls_wire_record *>(out.data)));
}

/* recordColumns(records, columns, out): one row a record. */
Napi::Value Table::record_columns(const Napi::CallbackInfo &info)
{
	ls_table *t = use();
	Bytes records = arg_bytes(info, 0, 0, "records");
	u32 columns = arg_u32(info, 1, "columns"), n = static_cast<u32>(records.size / sizeof(ls_wire_record));
	Bytes out = arg_bytes(info, 2, static_cast<size_t>(columns_width(columns)) * n, "out");

	ls_records_columns(t, reinterpret_cast<const ls_wire_record *>(records.data), n, columns, out.data);
	return info.Env().Undefined();
}

Napi::Value Table::count(const Napi::CallbackInfo &info)
{
	ls_filter f = arg_filter(info, 0);
	auto result = std::make_shared<u64>(0);

	return work(info, [f, result](ls_table *t) { *result = ls_scan_count(t, &f, nullptr); },
		    [result](Napi::Env env) { return number(env, *result); });
}

Napi::Value Table::verify(const Napi::CallbackInfo &info)
{
	auto r = std::make_shared<ls_verify_report>();

	return work(info, [r](ls_table *t) { ls_table_verify(t, r.get()); },
		    [r](Napi::Env env) -> Napi::Value {
			    static const char *const names[LS_VF_COUNT] = { "live-without-two-entries", "entry-to-free-slot", "entry-under-foreign-tuple",
				    "two-sessions-one-tuple", "slot-free-twice", "free-slot-in-use", "slot-lost", "generation-and-lifecycle-disagree" };
			    Napi::Object o = Napi::Object::New(env);
			    Napi::Array faults = Napi::Array::New(env);
			    u32 n = 0;

			    o.Set("slots", number(env, r->slots));
			    o.Set("live", number(env, r->live));
			    o.Set("creating", number(env, r->creating));
			    o.Set("dying", number(env, r->dying));
			    o.Set("dead", number(env, r->dead));
			    o.Set("free", number(env, r->free));
			    o.Set("entries", number(env, r->entries));
			    o.Set("durationNs", number(env, r->duration_ns));
			    for (u32 i = 0; i < LS_VF_COUNT; i++) {
				    if (!r->fault[i])
					    continue;
				    Napi::Object f = Napi::Object::New(env);

				    f.Set("name", names[i]);
				    f.Set("count", number(env, r->fault[i]));
				    f.Set("first", number(env, r->first[i]));
				    faults.Set(n++, f);
			    }
			    o.Set("faults", faults);
			    return o;
		    });
}

Napi::Value Table::bulk_begin(const Napi::CallbackInfo &info)
{
	ls_bulk_begin(use());
	return info.Env().Undefined();
}

/* reconcile(peerOwned, began, sourceFailed) */
Napi::Value Table::reconcile(const Napi::CallbackInfo &info)
{
	u32 owned = arg_u32(info, 0, "peerOwned");
	bool began = arg_bool(info, 1, "began"), failed = arg_bool(info, 2, "sourceFailed");
	auto r = std::make_shared<ls_reconcile_result>();
	auto status = std::make_shared<ls_status>();

	return work(info, [=](ls_table *t) { *status = ls_reconcile(t, owned, began, failed, r.get()); },
		    [r, status](Napi::Env env) -> Napi::Value {
			    Napi::Object o = Napi::Object::New(env);

			    o.Set("status", status_name(*status));
			    o.Set("scanned", number(env, r->scanned));
			    o.Set("stale", number(env, r->stale));
			    o.Set("deleted", number(env, r->deleted));
			    o.Set("walkNs", number(env, r->walk_ns));
			    o.Set("clearNs", number(env, r->clear_ns));
			    o.Set("graceNs", number(env, r->grace_ns));
			    return o;
		    });
}

Napi::Value Table::reevaluate(const Napi::CallbackInfo &info)
{
	auto result = std::make_shared<ls_delete_result>();

	return work(info, [result](ls_table *t) { ls_table_reevaluate(t, result.get()); },
		    [result](Napi::Env env) { return delete_result(env, *result); });
}

Napi::Value Table::write_config(const Napi::CallbackInfo &info)
{
	Bytes bank = arg_bytes(info, 0, 0, "bank");
	ls_status status = ls_table_write_config(use(), bank.data, bank.size);

	if (status != LS_OK)
		throw status_error(info.Env(), status, "bank: " + std::to_string(bank.size) + " bytes, expected " + std::to_string(sizeof(ls_config)));
	return info.Env().Undefined();
}

/* readConfig(out): the bank in force. */
Napi::Value Table::read_config(const Napi::CallbackInfo &info)
{
	Bytes out = arg_bytes(info, 0, 0, "out");
	ls_status status = ls_table_read_config(use(), out.data, out.size);

	if (status != LS_OK)
		throw status_error(info.Env(), status, "bank: " + std::to_string(out.size) + " bytes, expected " + std::to_string(sizeof(ls_config)));
	return info.Env().Undefined();
}

Napi::Value Table::write_arena(const Napi::CallbackInfo &info)
{
	Bytes bytes = arg_bytes(info, 1, 0, "bytes");
	ls_status status = ls_table_write_arena(use(), arg_u32(info, 0, "element"), bytes.data, bytes.size);

	if (status != LS_OK)
		throw status_error(info.Env(), status, "arena: the ring does not fit");
	return info.Env().Undefined();
}

Napi::Value Table::read_arena(const Napi::CallbackInfo &info)
{
	Bytes out = arg_bytes(info, 1, 0, "out");
	ls_status status = ls_table_read_arena(use(), arg_u32(info, 0, "element"), out.data, out.size);

	if (status != LS_OK)
		throw status_error(info.Env(), status, "arena: outside");
	return info.Env().Undefined();
}

/* setRole(rg, role, epoch: bigint, leaseDeadlineNs: bigint) */
Napi::Value Table::set_role(const Napi::CallbackInfo &info)
{
	ls_table_set_role(use(), arg_u32(info, 0, "rg", LS_RGS_MAX - 1), arg_u32(info, 1, "role", LS_ROLE_TAKE), arg_u64(info, 2, "epoch"),
			  arg_u64(info, 3, "leaseDeadlineNs"));
	return info.Env().Undefined();
}

/* groups(): what the dataplane has of each redundancy group */
Napi::Value Table::groups(const Napi::CallbackInfo &info)
{
	Napi::Array all = Napi::Array::New(info.Env());
	ls_table *t = use();

	for (u32 i = 0; i < LS_RGS_MAX; i++) {
		const ls_rg rg = ls_table_group(t, i);
		Napi::Object o = Napi::Object::New(info.Env());

		o["role"] = Napi::Number::New(info.Env(), rg.role);
		o["epoch"] = Napi::BigInt::New(info.Env(), static_cast<uint64_t>(rg.epoch));
		o["leaseDeadlineNs"] = Napi::BigInt::New(info.Env(), static_cast<uint64_t>(rg.lease_deadline_ns));
		all[i] = o;
	}
	return all;
}

/* grace(): every packet that was on its way is through */
Napi::Value Table::grace(const Napi::CallbackInfo &info)
{
	return work(info, [](ls_table *t) { ls_table_grace(t); }, [](Napi::Env env) -> Napi::Value { return env.Undefined(); });
}

Napi::Value Table::counters(const Napi::CallbackInfo &info)
{
	Bytes out = arg_bytes(info, 0, sizeof(ls_counters), "out");

	ls_table_counters(use(), reinterpret_cast<ls_counters *>(out.data));
	return Napi::BigInt::New(info.Env(), static_cast<uint64_t>(ls_clock_ns()));
}

/* addCounters(byte of struct ls_counters, numbers to add from there on, u64 each) */
Napi::Value Table::add_counters(const Napi::CallbackInfo &info)
{
	u32 at = arg_u32(info, 0, "at");
	Bytes add = arg_bytes(info, 1, 8, "add");

	if (at % 8 || !ls_table_add_counters(use(), at / 8, reinterpret_cast<const u64 *>(add.data), static_cast<u32>(add.size / 8)))
		throw Napi::TypeError::New(info.Env(), "at: expected counters of struct ls_counters");
	return info.Env().Undefined();
}

/* rates(zone) -> events in the current window, one number per screen; 0 when the window is over. */
Napi::Value Table::rates(const Napi::CallbackInfo &info)
{
	u64 rates[LS_SCREEN_COUNT];
	Napi::Array out = Napi::Array::New(info.Env(), LS_SCREEN_COUNT);

	ls_table_rates(use(), arg_u32(info, 0, "zone", LS_ZONES_MAX - 1), rates);
	for (u32 i = 0; i < LS_SCREEN_COUNT; i++)
		out.Set(i, number(info.Env(), rates[i]));
	return out;
}

/* natUsage() -> one row per pool address; counts the sessions in one walk. */
Napi::Value Table::nat_usage(const Napi::CallbackInfo &info)
{
	auto rows = std::make_shared<std::vector<ls_nat_row>>(LS_POOL_ADDRS_MAX);

	return work(info, [rows](ls_table *t) { rows->resize(ls_table_nat_usage(t, rows->data(), LS_POOL_ADDRS_MAX)); },
		    [rows](Napi::Env env) -> Napi::Value {
			    Napi::Array out = Napi::Array::New(env);
			    u32 n = 0;

			    for (const ls_nat_row &r : *rows) {
				    Napi::Object o = Napi::Object::New(env);

				    o.Set("address", addr_text(r.addr));
				    o.Set("pool", number(env, r.pool));
				    o.Set("ports", number(env, r.ports));
				    o.Set("inUse", number(env, r.in_use));
				    o.Set("created", number(env, r.created));
				    o.Set("failed", number(env, r.failed));
				    out.Set(n++, o);
			    }
			    return out;
		    });
}

/* sessionTally() -> {phases, zones, protocols}: live sessions by each, counted in one walk. */
Napi::Value Table::session_tally(const Napi::CallbackInfo &info)
{
	auto tally = std::make_shared<ls_session_tally>();

	return work(info, [tally](ls_table *t) { ls_table_session_tally(t, tally.get()); },
		    [tally](Napi::Env env) -> Napi::Value {
			    Napi::Object out = Napi::Object::New(env);
			    auto column = [&](const char *name, const u64 *from, size_t n) {
				    Napi::Float64Array to = Napi::Float64Array::New(env, n);

				    for (size_t i = 0; i < n; i++)
					    to[i] = (double)from[i];
				    out.Set(name, to);
			    };

			    column("phases", tally->phase, LS_PHASE_COUNT);
			    column("zones", tally->zone, LS_ZONES_MAX);
			    column("protocols", tally->proto, 256);
			    return out;
		    });
}

/* rings() -> [{element, entries}]: what the configuration in force picks from */
Napi::Value Table::rings(const Napi::CallbackInfo &info)
{
	Napi::Array out = Napi::Array::New(info.Env());
	std::vector<ls_ring_place> places(LS_VIPS_MAX);
	u32 n = ls_table_rings(use(), places.data(), LS_VIPS_MAX);

	for (u32 i = 0; i < n; i++) {
		Napi::Object o = Napi::Object::New(info.Env());

		o.Set("element", number(info.Env(), places[i].element));
		o.Set("entries", number(info.Env(), places[i].entries));
		out.Set(i, o);
	}
	return out;
}

/* programmed(lives, keeps): of a dataplane that is programmed. */
Napi::Value Table::programmed(const Napi::CallbackInfo &info)
{
	bool lives = arg_bool(info, 0, "lives"), keeps = arg_bool(info, 1, "keeps");

	ls_table_programmed(use(), lives, keeps);
	return info.Env().Undefined();
}

/* hostFlows(on): programs record what the host opens itself. */
Napi::Value Table::host_flows(const Napi::CallbackInfo &info)
{
	ls_table_host_flows(use(), arg_bool(info, 0, "on"));
	return info.Env().Undefined();
}

/* programs(on): the workers below info().cpus run, or no longer do. */
Napi::Value Table::programs(const Napi::CallbackInfo &info)
{
	bool on = arg_bool(info, 0, "on");
	struct ls_table_info t;

	ls_table_info(use(), &t);
	for (u32 w = 0; w < t.cpus; w++)
		if (on)
			ls_worker_attach(use(), w);
	if (!on) {
		ls_table_grace(use());
		for (u32 w = 0; w < t.cpus; w++)
			ls_worker_detach(use(), w);
	}
	return info.Env().Undefined();
}

/* adoptWorkers(first, n) -> {live, undone, finished, listed, entriesCleared}: their process ended */
Napi::Value Table::adopt_workers(const Napi::CallbackInfo &info)
{
	u32 first = arg_u32(info, 0, "first", LS_WORKERS_MAX), n = arg_u32(info, 1, "n", LS_WORKERS_MAX);
	auto result = std::make_shared<ls_adopt_result>();
	auto status = std::make_shared<ls_status>(LS_OK);

	return work(info, [=](ls_table *t) {
		*status = ls_table_adopt_from(t, first, n, result.get());
	}, [=](Napi::Env env) {
		if (*status != LS_OK)
			throw status_error(env, *status, "adoption");
		Napi::Object o = Napi::Object::New(env);
		o.Set("live", number(env, result->live));
		o.Set("undone", number(env, result->undone));
		o.Set("finished", number(env, result->finished));
		o.Set("listed", number(env, result->listed));
		o.Set("entriesCleared", number(env, result->entries_cleared));
		return o;
	});
}

/* detachWorkers(first, n): their process ended between two bursts */
Napi::Value Table::detach_workers(const Napi::CallbackInfo &info)
{
	u32 first = arg_u32(info, 0, "first", LS_WORKERS_MAX), n = arg_u32(info, 1, "n", LS_WORKERS_MAX);

	struct ls_table_info t;

	ls_table_info(use(), &t);
	for (u32 w = first; w < first + n && w < t.workers - 1; w++)
		ls_worker_detach(use(), w);
	return info.Env().Undefined();
}

Napi::Value Table::start_freer(const Napi::CallbackInfo &info)
{
	ls_status status = ls_freer_start(use());

	if (status != LS_OK)
		throw status_error(info.Env(), status, "freer thread");
	return info.Env().Undefined();
}

Napi::Value Table::stop_freer(const Napi::CallbackInfo &info)
{
	ls_freer_stop(use());
	return info.Env().Undefined();
}

void Table::Init(Napi::Env env, Napi::Object exports)
{
	exports.Set("tableHeader", Napi::Function::New(env, table_header, "tableHeader"));
	exports.Set("Table", DefineClass(env, "Table", {
		InstanceMethod<&Table::info>("info"), InstanceMethod<&Table::close>("close"), InstanceMethod<&Table::install>("install"),
		InstanceMethod<&Table::get>("get"), InstanceMethod<&Table::drain>("drain"), InstanceMethod<&Table::drain_logs>("drainLogs"), InstanceMethod<&Table::feed>("feed"),
		InstanceMethod<&Table::delete_ids>("deleteIds"), InstanceMethod<&Table::delete_filter>("deleteFilter"), InstanceMethod<&Table::delete_reals>("deleteReals"),
		InstanceMethod<&Table::scan_columns>("scanColumns"), InstanceMethod<&Table::scan_records>("scanRecords"),
		InstanceMethod<&Table::select_records>("selectRecords"), InstanceMethod<&Table::record_columns>("recordColumns"),
		InstanceMethod<&Table::count>("count"), InstanceMethod<&Table::verify>("verify"), InstanceMethod<&Table::bulk_begin>("bulkBegin"),
		InstanceMethod<&Table::reconcile>("reconcile"), InstanceMethod<&Table::reevaluate>("reevaluate"),
		InstanceMethod<&Table::write_config>("writeConfig"), InstanceMethod<&Table::read_config>("readConfig"), InstanceMethod<&Table::write_arena>("writeArena"),
		InstanceMethod<&Table::read_arena>("readArena"), InstanceMethod<&Table::set_role>("setRole"), InstanceMethod<&Table::groups>("groups"), InstanceMethod<&Table::grace>("grace"),
		InstanceMethod<&Table::counters>("counters"), InstanceMethod<&Table::add_counters>("addCounters"), InstanceMethod<&Table::rates>("rates"), InstanceMethod<&Table::nat_usage>("natUsage"), InstanceMethod<&Table::session_tally>("sessionTally"),
		InstanceMethod<&Table::rings>("rings"), InstanceMethod<&Table::programs>("programs"), InstanceMethod<&Table::host_flows>("hostFlows"), InstanceMethod<&Table::programmed>("programmed"), InstanceMethod<&Table::open>("open"), InstanceMethod<&Table::touch>("touch"), InstanceMethod<&Table::adopt_workers>("adoptWorkers"), InstanceMethod<&Table::detach_workers>("detachWorkers"), InstanceMethod<&Table::start_freer>("startFreer"), InstanceMethod<&Table::stop_freer>("stopFreer"),
	}));
}

} // namespace lockstep
