/* class Replica: a table's half of replication (native/sync). Every call is bounded by the rows it is given; one thread at a time, the one that made it. */
#include "addon/replica.h"
#include "addon/handle.h"

#include <cstring>
#include <new>

#include "sync/api.h"

namespace lockstep {

class Replica : public Napi::ObjectWrap<Replica> {
public:
	static void Init(Napi::Env env, Napi::Object exports);
	explicit Replica(const Napi::CallbackInfo &info);
	~Replica() override { shut(); }

private:
	ls_replica *use() const
	{
		if (!replica_)
			throw status_error(Env(), LS_E_INVALID, "the replica is closed");
		return replica_;
	}
	void shut()
	{
		if (!replica_)
			return;
		ls_replica_close(replica_);
		replica_ = nullptr;
		table_.reset();
		--*busy_;
	}
	Napi::Value close(const Napi::CallbackInfo &);
	Napi::Value note(const Napi::CallbackInfo &);
	Napi::Value apply(const Napi::CallbackInfo &);
	Napi::Value key(const Napi::CallbackInfo &);
	Napi::Value count(const Napi::CallbackInfo &);
	Napi::Value extend(const Napi::CallbackInfo &);
	Napi::Value cut(const Napi::CallbackInfo &);
	Napi::Value cells(const Napi::CallbackInfo &);
	Napi::Value cut_cells(const Napi::CallbackInfo &);
	Napi::Value plan(const Napi::CallbackInfo &);
	Napi::Value compare(const Napi::CallbackInfo &);
	Napi::Value compare_cells(const Napi::CallbackInfo &);
	Napi::Value compare_end(const Napi::CallbackInfo &);
	Napi::Value need(const Napi::CallbackInfo &);
	Napi::Value gone(const Napi::CallbackInfo &);
	Napi::Value records(const Napi::CallbackInfo &);
	Napi::Value bulk(const Napi::CallbackInfo &);
	Napi::Value activity(const Napi::CallbackInfo &);
	Napi::Value audit(const Napi::CallbackInfo &);
	Napi::Value bulk_begin(const Napi::CallbackInfo &);
	Napi::Value bulk_end(const Napi::CallbackInfo &);
	Napi::Value settle(const Napi::CallbackInfo &);
	Napi::Value report(const Napi::CallbackInfo &);

	ls_replica *replica_ = nullptr;
	TableRef table_;
	std::shared_ptr<int> busy_;
};

static u32 arg_rg(const Napi::CallbackInfo &info, size_t i) { return arg_u32(info, i, "rg", LS_RGS_MAX - 1); }

static Napi::Value cursor_value(Napi::Env env, u32 cursor) { return cursor == 0xffffffff ? env.Null() : Napi::Value(number(env, cursor)); }

static Napi::Object frames(Napi::Env env, u64 bytes, u64 rows)
{
	Napi::Object o = Napi::Object::New(env);

	o.Set("bytes", number(env, bytes));
	o.Set("rows", number(env, rows));
	return o;
}

static void must(Napi::Env env, ls_status status, const char *what)
{
	if (status != LS_OK)
		throw status_error(env, status, what);
}

/* new Replica(table): on the thread that will use it. */
Replica::Replica(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Replica>(info)
{
	Table *table = Table::of(info, 0);

	must(info.Env(), ls_replica_open(table->use(), &replica_), "replica");
	table_ = table->ref();
	busy_ = table->busy;
	++*busy_;
}

Napi::Value Replica::close(const Napi::CallbackInfo &info)
{
	shut();
	return info.Env().Undefined();
}

/* note(records, n, owned, out) -> {bytes, rows} */
Napi::Value Replica::note(const Napi::CallbackInfo &info)
{
	u32 n = arg_u32(info, 1, "n", 1u << 20), owned = arg_u32(info, 2, "owned");
	Bytes records = arg_bytes(info, 0, static_cast<size_t>(n) * sizeof(ls_wire_record), "records"), out = arg_bytes(info, 3, LS_NOTE_BYTES(n), "out");
	u64 rows = 0, bytes = ls_replica_note(use(), reinterpret_cast<const ls_wire_record *>(records.data), n, owned, out.data, &rows);

	return frames(info.Env(), bytes, rows);
}

/* apply(type, rg, rows, row, n, mark) -> counts, or null: not rows of that type */
Napi::Value Replica::apply(const Napi::CallbackInfo &info)
{
	u32 type = arg_u32(info, 0, "type", 255), rg = arg_u32(info, 1, "rg", 255), row = arg_u32(info, 3, "row", 65535), n = arg_u32(info, 4, "n", LS_FRAME_ROWS_MAX);
	Bytes rows = arg_bytes(info, 2, static_cast<size_t>(row) * n, "rows");
	ls_apply_result r;

	if (ls_replica_apply(use(), type, rg, rows.data, row, n, arg_bool(info, 5, "mark"), &r) != LS_OK)
		return info.Env().Null();
	Napi::Object o = Napi::Object::New(info.Env());
	o.Set("installed", number(info.Env(), r.installed));
	o.Set("deleted", number(info.Env(), r.deleted));
	o.Set("unknown", number(info.Env(), r.unknown));
	o.Set("waiting", number(info.Env(), r.waiting));
	o.Set("conflicts", number(info.Env(), r.conflicts));
	o.Set("full", number(info.Env(), r.full));
	o.Set("invalid", number(info.Env(), r.invalid));
	return o;
}

/* key(rg, bytes[16]) */
Napi::Value Replica::key(const Napi::CallbackInfo &info)
{
	u64 key[2];

	memcpy(key, arg_bytes(info, 1, sizeof(key), "key").data, sizeof(key));
	must(info.Env(), ls_replica_key(use(), arg_rg(info, 0), key), "key");
	return info.Env().Undefined();
}

Napi::Value Replica::count(const Napi::CallbackInfo &info) { return Napi::Boolean::New(info.Env(), ls_replica_count(use(), arg_u32(info, 0, "slots"))); }

/* extend(rg, cells) -> whether it shall have them; false: cells are being counted already, or there is no memory */
Napi::Value Replica::extend(const Napi::CallbackInfo &info)
{
	return Napi::Boolean::New(info.Env(), ls_replica_extend(use(), arg_rg(info, 0), arg_u32(info, 1, "cells", LS_SKETCH_MAX)) == LS_OK);
}

/* cut(rg, out) -> whether `out` is struct ls_frame_cut; false: not now */
Napi::Value Replica::cut(const Napi::CallbackInfo &info)
{
	Bytes out = arg_bytes(info, 1, sizeof(ls_frame_cut), "out");
	ls_frame_cut cut;
	ls_status status = ls_replica_cut(use(), arg_rg(info, 0), &cut);

	if (status != LS_OK && status != LS_E_BUSY)
		throw status_error(info.Env(), status, "cut");
	if (status == LS_OK)
		memcpy(out.data, &cut, sizeof(cut));
	return Napi::Boolean::New(info.Env(), status == LS_OK);
}

/* cells(rg, from, n, out) -> bytes; 0: there are no such cells */
Napi::Value Replica::cells(const Napi::CallbackInfo &info)
{
	Bytes out = arg_bytes(info, 3, 0, "out");

	return number(info.Env(), ls_replica_cells(use(), arg_rg(info, 0), arg_u32(info, 1, "from"), arg_u32(info, 2, "n"), out.data, out.size));
}

Napi::Value Replica::cut_cells(const Napi::CallbackInfo &info) { return number(info.Env(), ls_replica_cut_cells(use(), arg_rg(info, 0))); }

/* plan(ours, theirs, fed, most) -> how many cells to ask for next; 0: no more */
Napi::Value Replica::plan(const Napi::CallbackInfo &info)
{
	use();
	return number(info.Env(), ls_sketch_plan(arg_u32(info, 0, "ours"), arg_u32(info, 1, "theirs"), arg_u32(info, 2, "fed"), arg_u32(info, 3, "most")));
}

/* compare(rg, items): begins */
Napi::Value Replica::compare(const Napi::CallbackInfo &info)
{
	must(info.Env(), ls_replica_compare(use(), arg_rg(info, 0), arg_u32(info, 1, "items")), "compare");
	return info.Env().Undefined();
}

/* compareCells(rg, packed, n) -> {state: 0 more, 1 done, 2 failed, found, guess} */
Napi::Value Replica::compare_cells(const Napi::CallbackInfo &info)
{
	Bytes packed = arg_bytes(info, 1, 0, "packed");
	u64 found = 0, guess = 0;
	ls_compare state = ls_replica_compare_cells(use(), arg_rg(info, 0), packed.data, packed.size, arg_u32(info, 2, "n"), &found, &guess);
	Napi::Object o = Napi::Object::New(info.Env());

	o.Set("state", number(info.Env(), state));
	o.Set("found", number(info.Env(), found));
	o.Set("guess", number(info.Env(), guess));
	return o;
}

/* compareEnd(rg) -> {needed, extra} */
Napi::Value Replica::compare_end(const Napi::CallbackInfo &info)
{
	u64 needed = 0, extra = 0;

	must(info.Env(), ls_replica_compare_end(use(), arg_rg(info, 0), &needed, &extra), "compareEnd: nothing has been decoded");
	Napi::Object o = Napi::Object::New(info.Env());
	o.Set("needed", number(info.Env(), needed));
	o.Set("extra", number(info.Env(), extra));
	return o;
}

/* need(rg, from, out) -> ids written */
Napi::Value Replica::need(const Napi::CallbackInfo &info)
{
	Bytes out = arg_bytes(info, 2, 0, "out");

	return number(info.Env(), ls_replica_need(use(), arg_rg(info, 0), arg_u32(info, 1, "from"), reinterpret_cast<ls_session_id *>(out.data),
						  static_cast<u32>(out.size / sizeof(ls_session_id))));
}

/* gone(rg, from, out) -> ids written */
Napi::Value Replica::gone(const Napi::CallbackInfo &info)
{
	Bytes out = arg_bytes(info, 2, 0, "out");

	return number(info.Env(), ls_replica_gone(use(), arg_rg(info, 0), arg_u32(info, 1, "from"), reinterpret_cast<ls_session_id *>(out.data),
						  static_cast<u32>(out.size / sizeof(ls_session_id))));
}

static size_t frame_of(u32 rows, size_t row) { return LS_RGS_MAX * sizeof(ls_frame) + rows * row; }

/* records(rg, ids, n, out) -> {bytes, rows} */
Napi::Value Replica::records(const Napi::CallbackInfo &info)
{
	u32 n = arg_u32(info, 2, "n", LS_FRAME_ROWS_MAX);
	Bytes ids = arg_bytes(info, 1, n * sizeof(ls_session_id), "ids"), out = arg_bytes(info, 3, frame_of(n, sizeof(ls_wire_record)), "out");
	u64 rows = 0, bytes = ls_replica_records(use(), arg_rg(info, 0), reinterpret_cast<const ls_session_id *>(ids.data), n, out.data, &rows);

	return frames(info.Env(), bytes, rows);
}

/* bulk(rg, cursor, max, out) -> {bytes, rows, cursor | null} */
Napi::Value Replica::bulk(const Napi::CallbackInfo &info)
{
	u32 cursor = arg_u32(info, 1, "cursor"), max = arg_u32(info, 2, "max", LS_FRAME_ROWS_MAX);
	Bytes out = arg_bytes(info, 3, frame_of(max, sizeof(ls_wire_record)), "out");
	u64 rows = 0, bytes = ls_replica_bulk(use(), arg_rg(info, 0), &cursor, max, out.data, &rows);
	Napi::Object o = frames(info.Env(), bytes, rows);

	o.Set("cursor", cursor_value(info.Env(), cursor));
	return o;
}

/* activity(owned, cursor, max, sinceNs, out) -> {bytes, rows, cursor | null} */
Napi::Value Replica::activity(const Napi::CallbackInfo &info)
{
	u32 cursor = arg_u32(info, 1, "cursor"), max = arg_u32(info, 2, "max", LS_FRAME_ROWS_MAX);
	Bytes out = arg_bytes(info, 4, max * (sizeof(ls_frame) + sizeof(ls_activity)), "out");
	u64 rows = 0, bytes = ls_replica_activity(use(), arg_u32(info, 0, "owned"), &cursor, max, arg_u64(info, 3, "sinceNs"), out.data, &rows);
	Napi::Object o = frames(info.Env(), bytes, rows);

	o.Set("cursor", cursor_value(info.Env(), cursor));
	return o;
}

/* audit(owned, cursor, slots, out) -> {bytes, rows: what differed, cursor | null} */
Napi::Value Replica::audit(const Napi::CallbackInfo &info)
{
	u32 cursor = arg_u32(info, 1, "cursor"), slots = arg_u32(info, 2, "slots", 1u << 20);
	Bytes out = arg_bytes(info, 3, LS_NOTE_BYTES(slots), "out");
	u64 found = 0, bytes = ls_replica_audit(use(), arg_u32(info, 0, "owned"), &cursor, slots, out.data, &found);
	Napi::Object o = frames(info.Env(), bytes, found);

	o.Set("cursor", cursor_value(info.Env(), cursor));
	return o;
}

Napi::Value Replica::bulk_begin(const Napi::CallbackInfo &info)
{
	ls_replica_bulk_begin(use());
	return info.Env().Undefined();
}

/* bulkEnd(rg) -> how many sessions were stale */
Napi::Value Replica::bulk_end(const Napi::CallbackInfo &info) { return number(info.Env(), ls_replica_bulk_end(use(), arg_rg(info, 0))); }

/* settle(): blocks until deletions are done; for tests and takeovers */
Napi::Value Replica::settle(const Napi::CallbackInfo &info)
{
	ls_replica_settle(use());
	return info.Env().Undefined();
}

Napi::Value Replica::report(const Napi::CallbackInfo &info)
{
	struct ls_replica_info r;
	Napi::Object o = Napi::Object::New(info.Env());
	Napi::Array items = Napi::Array::New(info.Env()), cells = Napi::Array::New(info.Env());

	ls_replica_info(use(), &r);
	for (u32 rg = 0; rg < LS_RGS_MAX; rg++) {
		items[rg] = number(info.Env(), r.items[rg]);
		cells[rg] = number(info.Env(), r.cells[rg]);
	}
	o.Set("items", items);
	o.Set("cells", cells);
	o.Set("waiting", number(info.Env(), r.waiting));
	o.Set("deleting", number(info.Env(), r.deleting));
	o.Set("lateConflicts", number(info.Env(), r.late_conflicts));
	o.Set("lateFull", number(info.Env(), r.late_full));
	o.Set("bytes", number(info.Env(), r.bytes));
	o.Set("populated", Napi::Boolean::New(info.Env(), r.populated));
	return o;
}

void Replica::Init(Napi::Env env, Napi::Object exports)
{
	exports.Set("Replica", DefineClass(env, "Replica", {
		InstanceMethod("close", &Replica::close), InstanceMethod("note", &Replica::note), InstanceMethod("apply", &Replica::apply),
		InstanceMethod("key", &Replica::key), InstanceMethod("count", &Replica::count),
		InstanceMethod("extend", &Replica::extend), InstanceMethod("cut", &Replica::cut), InstanceMethod("cells", &Replica::cells),
		InstanceMethod("cutCells", &Replica::cut_cells), InstanceMethod("plan", &Replica::plan), InstanceMethod("compare", &Replica::compare),
		InstanceMethod("compareCells", &Replica::compare_cells), InstanceMethod("compareEnd", &Replica::compare_end),
		InstanceMethod("need", &Replica::need), InstanceMethod("gone", &Replica::gone), InstanceMethod("records", &Replica::records), InstanceMethod("bulk", &Replica::bulk),
		InstanceMethod("activity", &Replica::activity), InstanceMethod("audit", &Replica::audit), InstanceMethod("bulkBegin", &Replica::bulk_begin), InstanceMethod("bulkEnd", &Replica::bulk_end),
		InstanceMethod("settle", &Replica::settle), InstanceMethod("info", &Replica::report),
	}));
}

void InitReplica(Napi::Env env, Napi::Object exports) { Replica::Init(env, exports); }

} // namespace lockstep
