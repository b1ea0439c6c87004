/* The session table: creation and opening, hostile headers, install and delete, notices, expiry, scans, verify, index under attack.
 * Crashes at every step are crash_test.c; several workers at once are stress_test.c; packets are pipeline_test.c.
 */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "table_fixture.h"

/* --- geometry, header ------------------------------------------------------------------------------------------------------------- */

TEST("a geometry outside its bounds is refused with its own code")
{
	static const struct {
		u32 capacity, cpus, threads;
		enum ls_status want;
	} row[] = {
		{ 1 << 10, 0, 1, LS_OK }, { 1 << 24, 0, 1, LS_OK }, { 0, 0, 1, LS_E_CAPACITY }, { 1, 0, 1, LS_E_CAPACITY },
		{ 1 << 9, 0, 1, LS_E_CAPACITY }, { 1 << 25, 0, 1, LS_E_CAPACITY }, { 1000, 0, 1, LS_E_CAPACITY }, { 0xffffffff, 0, 1, LS_E_CAPACITY },
		{ (1 << 20) + 1, 0, 1, LS_E_CAPACITY }, { 1 << 10, 0, 0, LS_E_INVALID }, { 1 << 10, 4, 0, LS_E_INVALID },
		{ 1 << 10, 0, 255, LS_OK }, { 1 << 10, 0, 256, LS_E_INVALID }, { 1 << 10, 255, 1, LS_E_INVALID }, { 1 << 10, 254, 1, LS_OK },
		{ 1 << 10, 0xffffffff, 1, LS_E_INVALID }, { 1 << 10, 1, 0xffffffff, LS_E_INVALID }, { 1 << 10, 0x80000000, 0x80000000, LS_E_INVALID },
	};

	for (u32 i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct ls_geometry g = { .capacity = row[i].capacity, .cpus = row[i].cpus, .threads = row[i].threads };

		CHECK_AT("row %u", i);
		CHECK_EQ(ls_geometry_check(&g), row[i].want);
	}
}

TEST("rings and quarantine come on top of the promised capacity (R10)")
{
	for (u32 capacity = LS_CAPACITY_MIN; capacity <= LS_CAPACITY_MAX; capacity *= 4)
		for (u32 threads = 1; threads <= 255; threads = threads * 2 + 1) {
			struct ls_geometry g = { .capacity = capacity, .threads = threads };
			struct ls_header h;

			CHECK_AT("capacity %u threads %u", capacity, threads);
			CHECK_EQ(ls_header_init(&h, &g), LS_OK);
			CHECK(h.slots >= h.capacity + h.workers * h.free_ring);
			CHECK_EQ(h.buckets * 4, 2 * h.capacity); /* two entries per session are half of the places */
			CHECK_EQ(ls_header_check(&h, h.total_bytes), LS_OK);
			CHECK_EQ(ls_header_check(&h, h.total_bytes - 1), LS_E_TRUNCATED);
		}
}

TEST("a header with any byte changed is refused")
{
	struct ls_geometry g = { .capacity = 1 << 10, .threads = 2 };
	struct ls_header h;
	u64 bytes;

	CHECK_EQ(ls_header_init(&h, &g), LS_OK);
	bytes = h.total_bytes;
	CHECK_EQ(ls_header_check(&h, LS_HEADER_BYTES - 1), LS_E_TRUNCATED);
	for (u32 i = 0; i < offsetof(struct ls_header, checksum) + 8; i++)
		for (u32 bit = 0; bit < 8; bit++) {
			enum ls_status status, want = i < 8 ? LS_E_MAGIC : i < 12 ? LS_E_LAYOUT : LS_E_GEOMETRY;

			((u8 *)&h)[i] ^= (u8)(1 << bit);
			status = ls_header_check(&h, bytes);
			((u8 *)&h)[i] ^= (u8)(1 << bit);
			CHECK_AT("byte %u bit %u", i, bit);
			CHECK_EQ(status, want);
		}
}

/* What the code that uses a header relies on, said independently of ls_header_check. */
static bool header_safe(const struct ls_header *h, u64 bytes)
{
	static const struct {
		u32 kind;
		u64 element, count; /* count 0: see below */
	} fixed[] = {
		{ LS_REGION_HEADER, LS_HEADER_BYTES, 1 }, { LS_REGION_CONFIG, sizeof(struct ls_config), 2 }, { LS_REGION_RGS, sizeof(struct ls_rg), LS_RGS_MAX },
		{ LS_REGION_FREER, sizeof(struct ls_freer_work), 1 }, { LS_REGION_SCREENS, sizeof(struct ls_zone_rates), LS_ZONES_MAX },
		{ LS_REGION_SOURCES, sizeof(struct ls_source), LS_SOURCES }, { LS_REGION_FRAGS, sizeof(struct ls_frag), LS_FRAGS },
		{ LS_REGION_NEIGHS, sizeof(struct ls_neigh), LS_NEIGHS }, { LS_REGION_FIB, sizeof(struct ls_fib), 2 },
		{ LS_REGION_NAT, sizeof(struct ls_nat_usage), LS_POOL_ADDRS_MAX },
	};
	u64 need[LS_REGION_COUNT] = { 0 };

	for (u32 i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
		need[fixed[i].kind] = fixed[i].element * fixed[i].count;
	need[LS_REGION_SESSIONS] = (u64)h->slots * sizeof(struct ls_session);
	need[LS_REGION_INDEX] = (u64)h->buckets * 64;
	need[LS_REGION_WORKERS] = (u64)h->workers * sizeof(struct ls_worker);
	need[LS_REGION_FREE] = (u64)h->workers * h->free_ring * 8;
	need[LS_REGION_NOTICES] = (u64)h->workers * h->notice_ring * sizeof(struct ls_notice);
	need[LS_REGION_LOGS] = (u64)h->workers * h->log_ring * sizeof(struct ls_log);
	need[LS_REGION_COUNTERS] = (u64)h->workers * sizeof(struct ls_worker_counters);
	need[LS_REGION_ARENA] = (u64)h->regions[LS_REGION_ARENA].count * 64;
	for (u32 i = 0; i < LS_REGION_COUNT; i++) {
		const struct ls_region *a = &h->regions[i];

		if (a->offset > bytes || need[i] > bytes - a->offset || a->offset % 64)
			return false;
		for (u32 j = 0; j < i; j++)
			if (h->regions[j].offset < a->offset + need[i] && a->offset < h->regions[j].offset + need[j])
				return false;
	}
	return h->workers >= 2 && h->workers <= LS_WORKERS_MAX && h->cpus < h->workers - 1 && h->buckets >= 2 &&
	       (h->buckets & (h->buckets - 1)) == 0 && h->free_ring && (h->free_ring & (h->free_ring - 1)) == 0 && h->notice_ring &&
	       (h->notice_ring & (h->notice_ring - 1)) == 0 && h->slots < LS_SLOT_NONE;
}

static u64 fnv(const struct ls_header *h)
{
	u64 sum = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < offsetof(struct ls_header, checksum); i++)
		sum = (sum ^ ((const u8 *)h)[i]) * 0x100000001b3ULL;
	return sum;
}

TEST("a hostile header with a right checksum is refused or harmless")
{
	static const u64 evil[] = { 0, 1, 2, 3, 7, 8, 63, 64, 4095, 4096, 8192, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe, 1ULL << 32, 1ULL << 63,
		~0ULL, ~0ULL << 12, 0xfffff000 };
	struct ls_geometry g = { .capacity = 1 << 10, .threads = 2 };
	struct ls_header good, h;
	u32 accepted = 0;

	CHECK_EQ(ls_header_init(&good, &g), LS_OK);
	CHECK_EQ(fnv(&good), good.checksum);
	CHECK(header_safe(&good, good.total_bytes));
	for (u32 i = 12; i < offsetof(struct ls_header, checksum); i += 4)
		for (u32 width = 4; width <= 8; width += 4)
			for (u32 v = 0; v < sizeof(evil) / sizeof(*evil); v++) {
				h = good;
				memcpy((u8 *)&h + i, &evil[v], width);
				h.checksum = fnv(&h);
				if (ls_header_check(&h, good.total_bytes) != LS_OK)
					continue;
				accepted++;
				CHECK_AT("offset %u width %u value 0x%llx", i, width, (unsigned long long)evil[v]);
				CHECK(header_safe(&h, good.total_bytes));
			}
	CHECK(accepted > 0); /* ids and keys may be anything */
	/* pairs that multiply to a wrapped product */
	for (u32 ring = 1; ring; ring <<= 1)
		for (u32 which = 0; which < 2; which++) {
			h = good;
			*(which ? &h.notice_ring : &h.free_ring) = ring;
			h.regions[which ? LS_REGION_NOTICES : LS_REGION_FREE].count = h.workers * ring;
			h.checksum = fnv(&h);
			CHECK_AT("ring %u of kind %u", ring, which);
			CHECK(ls_header_check(&h, good.total_bytes) != LS_OK || header_safe(&h, good.total_bytes));
		}
	/* random damage to several fields at once */
	for (u32 n = 0; n < 200000; n++) {
		h = good;
		for (u32 k = 1 + check_below(3); k; k--) {
			u32 at = 12 + 4 * check_below((offsetof(struct ls_header, checksum) - 12) / 4);
			u64 v = check_below(2) ? evil[check_below(sizeof(evil) / sizeof(*evil))] : check_random() >> check_below(64);

			memcpy((u8 *)&h + at, &v, 4);
		}
		h.checksum = fnv(&h);
		CHECK_AT("random damage %u", n);
		CHECK(ls_header_check(&h, good.total_bytes) != LS_OK || header_safe(&h, good.total_bytes));
	}
}

/* --- create, open, close ---------------------------------------------------------------------------------------------------------- */

static char *scratch_path(void)
{
	static char path[128];
	const char *dir = getenv("TMPDIR");

	snprintf(path, sizeof(path), "%s/lockstep-table-%d", dir && *dir ? dir : "/tmp", getpid());
	unlink(path);
	return path;
}

TEST("a table in a file: one holder, refused when torn, truncated, foreign or of another layout")
{
	struct ls_geometry g = { .capacity = 1 << 10, .threads = 2, .arena = 64 };
	struct ls_table *t = NULL, *again = NULL;
	char *path = scratch_path();
	struct ls_header h;
	int err_no = 0, fd;
	u64 total;

	CHECK_EQ(ls_table_create(&g, LS_HUGE_NEVER, path, &t, &err_no), LS_OK);
	total = t->env.header->total_bytes;
	CHECK_EQ(ls_table_create(&g, LS_HUGE_NEVER, path, &again, &err_no), LS_E_SYSTEM);
	CHECK_EQ(err_no, EEXIST);
	fd = open(path, O_RDWR);
	CHECK_EQ(ls_table_open(fd, &again, &err_no), LS_E_BUSY);
	CHECK(again == NULL);
	{
		struct ls_wire_record r = record_of(5);

		CHECK_EQ(install(t, &r, 0), LS_OK);
	}
	ls_table_close(t);
	CHECK_EQ(ls_table_open(fd, &t, &err_no), LS_OK);
	CHECK_EQ(live_count(t), 1);
	CHECK_CLEAN(t);
	ls_table_close(t);
	CHECK(pread(fd, &h, sizeof(h), 0) == (ssize_t)sizeof(h));
	{
		struct ls_header other = h;

		other.layout_version++;
		CHECK(pwrite(fd, &other, sizeof(other), 0) == (ssize_t)sizeof(other));
		CHECK_EQ(ls_table_open(fd, &t, &err_no), LS_E_LAYOUT);
		other = h;
		other.magic = 0;
		CHECK(pwrite(fd, &other, sizeof(other), 0) == (ssize_t)sizeof(other));
		CHECK_EQ(ls_table_open(fd, &t, &err_no), LS_E_MAGIC);
		other = h;
		other.slots--;
		CHECK(pwrite(fd, &other, sizeof(other), 0) == (ssize_t)sizeof(other));
		CHECK_EQ(ls_table_open(fd, &t, &err_no), LS_E_GEOMETRY);
		CHECK(pwrite(fd, &h, sizeof(h), 0) == (ssize_t)sizeof(h));
	}
	for (u64 bytes = 0; bytes < total; bytes = bytes ? bytes * 3 : 1) {
		CHECK(ftruncate(fd, (off_t)bytes) == 0);
		CHECK_AT("%llu bytes", (unsigned long long)bytes);
		/* what was cut off comes back as zeros from here on, so put the header back */
		CHECK(bytes < sizeof(h) || pwrite(fd, &h, sizeof(h), 0) == (ssize_t)sizeof(h));
		CHECK_EQ(ls_table_open(fd, &t, &err_no), LS_E_TRUNCATED);
		CHECK(ftruncate(fd, (off_t)total) == 0);
	}
	close(fd);
	CHECK_EQ(ls_table_open(fd, &t, &err_no), LS_E_SYSTEM);
	CHECK_EQ(err_no, EBADF);
	unlink(path);
	CHECK_EQ(ls_table_create(&g, LS_HUGE_NEVER, "/nonexistent/table", &t, &err_no), LS_E_SYSTEM);
	CHECK_EQ(err_no, ENOENT);
	g.capacity = 3;
	CHECK_EQ(ls_table_create(&g, LS_HUGE_NEVER, NULL, &t, &err_no), LS_E_CAPACITY);
}

TEST("huge pages are used or refused, never half")
{
	struct ls_geometry g = { .capacity = 1 << 10, .threads = 1, .arena = 64 };
	struct ls_table *t = NULL;
	int err_no = 0;
	enum ls_status status = ls_table_create(&g, LS_HUGE_MUST, NULL, &t, &err_no);

	CHECK(status == LS_OK || status == LS_E_NOMEM || status == LS_E_SYSTEM);
	if (status == LS_OK) {
		CHECK(t->huge);
		ls_table_close(t);
	}
	CHECK_EQ(ls_table_create(&g, LS_HUGE_TRY, NULL, &t, &err_no), LS_OK);
	CHECK_CLEAN(t);
	ls_table_close(t);
}

TEST("a new table is empty and clean; every group is owned")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_verify_report r;

	CHECK_EQ(faults(t, &r), 0);
	CHECK_EQ(r.live, 0);
	CHECK_EQ(r.entries, 0);
	CHECK_EQ(r.free, t->env.slots);
	CHECK_EQ(t->env.rgs[3].role, LS_ROLE_OWNER);
	ls_table_close(t);
}

/* --- install, find, delete -------------------------------------------------------------------------------------------------------- */

TEST("install, find both ways, delete by id")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_wire_record r = record_of(1);
	struct ls_wire_delete d = { .id = r.id, .key = r.key, .reason = LS_CLOSE_PEER };
	struct ls_delete_result gone;
	u32 slot, other, gen;
	struct ls_session s;

	CHECK_EQ(ls_table_find(t, &r.key, &slot, &gen), LS_E_NOT_FOUND);
	CHECK_EQ(install(t, &r, 0), LS_OK);
	CHECK_EQ(ls_table_find(t, &r.key, &slot, &gen), LS_OK);
	CHECK_EQ(ls_table_find(t, &r.reply, &other, &gen), LS_OK);
	CHECK_EQ(slot, other);
	CHECK(ls_session_read(t, slot, &s));
	CHECK_EQ(s.gen, gen);
	CHECK_EQ(s.flags, LS_SF_PEER);
	CHECK_EQ(s.packets[0], 1);
	CHECK(memcmp(&s.id, &r.id, 16) == 0);
	for (u32 back = 0; back < 2; back++) {
		struct ls_wire_record found = { 0 };

		CHECK_EQ(ls_table_get(t, back ? &r.reply : &r.key, &found), LS_OK);
		CHECK_EQ(found.slot, slot);
		CHECK(memcmp(&found.key, &r.key, sizeof(r.key)) == 0);
		CHECK(memcmp(&found.id, &r.id, 16) == 0);
	}
	CHECK_CLEAN(t);
	ls_table_delete_ids(t, &d, 1, &gone);
	CHECK_EQ(gone.matched, 1);
	{
		struct ls_wire_record found = { 0 };

		CHECK_EQ(ls_table_get(t, &r.key, &found), LS_E_NOT_FOUND);
	}
	CHECK_EQ(gone.deleted, 1);
	CHECK_EQ(ls_table_find(t, &r.key, &slot, &gen), LS_E_NOT_FOUND);
	CHECK_EQ(ls_table_find(t, &r.reply, &slot, &gen), LS_E_NOT_FOUND);
	CHECK(!ls_session_read(t, slot, &s));
	CHECK(!ls_session_read(t, 0xffffffff, &s));
	CHECK_EQ(t->env.header->freed_by[LS_CLOSE_PEER], 1);
	CHECK_EQ(live_count(t), 0);
	CHECK_CLEAN(t);
	ls_table_close(t);
}

TEST("the same session again refreshes; the same tuple with another id conflicts")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_wire_record r = record_of(1), other;
	u32 slot, gen, slot2, gen2;
	struct ls_session s;

	CHECK_EQ(install(t, &r, 0), LS_OK);
	CHECK_EQ(ls_table_find(t, &r.key, &slot, &gen), LS_OK);
	r.phase = LS_UDP_STREAM;
	r.packets[0] = 77;
	r.flow = LS_FLOW_REPLIED;
	CHECK_EQ(install(t, &r, 0), LS_OK);
	CHECK_EQ(ls_table_find(t, &r.key, &slot2, &gen2), LS_OK);
	CHECK_EQ(slot, slot2);
	CHECK_EQ(gen, gen2);
	CHECK(ls_session_read(t, slot, &s));
	CHECK_EQ(s.packets[0], 77);
	CHECK_EQ(LS_STATE_FLOW(s.state), LS_FLOW_REPLIED);
	other = r;
	other.id.serial++;
	CHECK_EQ(install(t, &other, 0), LS_E_CONFLICT);
	/* the other way round: its forward tuple is somebody's reply */
	other = record_of(2);
	other.key = r.reply;
	other.reply = r.key;
	CHECK_EQ(install(t, &other, 0), LS_E_CONFLICT);
	/* a fresh forward tuple, but the reply is taken: SNAT port in use (H45) */
	other = record_of(5);
	other.reply = r.reply;
	CHECK_EQ(install(t, &other, 0), LS_E_CONFLICT);
	CHECK_EQ(ls_table_find(t, &other.key, &slot, &gen), LS_E_NOT_FOUND);
	CHECK_EQ(live_count(t), 1);
	CHECK_CLEAN(t);
	ls_table_close(t);
}

TEST("H26 a delayed delete misses a re-opened tuple")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_wire_record r = record_of(1), again = record_of(1);
	struct ls_wire_delete d = { .id = r.id, .key = r.key, .reason = LS_CLOSE_PEER };
	struct ls_delete_result gone;
	u32 slot, gen;

	CHECK_EQ(install(t, &r, 0), LS_OK);
	ls_table_delete_ids(t, &d, 1, &gone);
	CHECK_EQ(gone.deleted, 1);
	again.id.serial = 4711;
	CHECK_EQ(install(t, &again, 0), LS_OK);
	ls_table_delete_ids(t, &d, 1, &gone);
	CHECK_EQ(gone.matched, 0);
	CHECK_EQ(gone.deleted, 0);
	CHECK_EQ(ls_table_find(t, &r.key, &slot, &gen), LS_OK);
	/* by slot and generation as well: the same slot, an older generation */
	ls_table_free_slots(t, &slot, &(u32){ gen - 2 }, 1, LS_CLOSE_ADMIN, &gone);
	CHECK_EQ(gone.matched, 0);
	CHECK_EQ(live_count(t), 1);
	ls_table_free_slots(t, (u32[]){ slot, slot, 0xffffffff, slot }, (u32[]){ gen, gen, gen, gen }, 4, LS_CLOSE_ADMIN, &gone);
	CHECK_EQ(gone.matched, 1);
	CHECK_EQ(gone.deleted, 1);
	CHECK_CLEAN(t);
	ls_table_close(t);
}

TEST("deletes of one batch keep their own reasons")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_wire_delete d[3];
	struct ls_delete_result gone;

	for (u32 i = 0; i < 3; i++) {
		struct ls_wire_record r = record_of(i);

		CHECK_EQ(install(t, &r, 0), LS_OK);
		d[i] = (struct ls_wire_delete){ .id = r.id, .key = r.key, .reason = (u8[]){ LS_CLOSE_FIN, LS_CLOSE_RST, LS_CLOSE_PEER }[i] };
	}
	ls_table_delete_ids(t, d, 3, &gone);
	CHECK_EQ(gone.deleted, 3);
	CHECK_EQ(t->env.header->freed_by[LS_CLOSE_FIN], 1);
	CHECK_EQ(t->env.header->freed_by[LS_CLOSE_RST], 1);
	CHECK_EQ(t->env.header->freed_by[LS_CLOSE_PEER], 1);
	ls_table_close(t);
}

TEST("records from the wire: each field out of range is refused, nothing is installed (H34-H36)")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_wire_record good = record_of(1), r;
	static const struct {
		u32 offset, bytes;
		u64 value;
		enum ls_status want;
	} row[] = {
#define FIELD(name, v, want) { offsetof(struct ls_wire_record, name), sizeof(((struct ls_wire_record *)0)->name), v, want }
		FIELD(version, 0, LS_E_VERSION), FIELD(version, 2, LS_E_VERSION), FIELD(version, 255, LS_E_VERSION),
		FIELD(kind, LS_NOTICE_COUNT, LS_E_RECORD), FIELD(kind, LS_NOTICE_DELETE, LS_E_RECORD), FIELD(phase, LS_PHASE_COUNT, LS_E_RECORD),
		FIELD(close_reason, LS_CLOSE_COUNT, LS_E_RECORD), FIELD(rg, LS_RGS_MAX, LS_E_RECORD), FIELD(rg, 254, LS_E_RECORD),
		FIELD(rg, LS_RG_NONE, LS_OK), FIELD(app, LS_APPS_MAX, LS_E_RECORD), FIELD(zone_in, LS_ZONES_MAX, LS_E_RECORD),
		FIELD(zone_out, 0xffff, LS_E_RECORD), FIELD(policy, LS_POLICIES_MAX, LS_E_RECORD), FIELD(vip, LS_VIPS_MAX, LS_E_RECORD),
		FIELD(real, LS_REALS_MAX, LS_E_RECORD), FIELD(pad, 1, LS_E_RECORD), FIELD(key.family, 2, LS_E_RECORD), FIELD(key.family, 10, LS_E_RECORD),
		FIELD(key.family, 0, LS_E_RECORD), FIELD(key.family, LS_IP6, LS_E_RECORD), FIELD(reply.family, LS_IP6, LS_E_RECORD),
		FIELD(key.proto, 6, LS_E_RECORD), FIELD(key.domain, 1, LS_E_RECORD), FIELD(key.src.d[0], 1, LS_E_RECORD),
		FIELD(key.src.w[2], 0, LS_E_RECORD), FIELD(reply.dst.w[2], 0, LS_E_RECORD),
#undef FIELD
	};

	for (u32 i = 0; i < sizeof(row) / sizeof(*row); i++) {
		r = good;
		memcpy((u8 *)&r + row[i].offset, &row[i].value, row[i].bytes);
		CHECK_AT("row %u offset %u", i, row[i].offset);
		CHECK_EQ(install(t, &r, 0), row[i].want);
		if (row[i].want == LS_OK) {
			struct ls_filter all = { 0 };
			struct ls_delete_result gone;

			ls_table_delete_filter(t, &all, LS_CLOSE_ADMIN, NULL, &gone);
		}
		CHECK_EQ(live_count(t), 0);
	}
	r = good;
	r.id = (struct ls_session_id){ 0, 0 };
	CHECK_EQ(install(t, &r, 0), LS_E_RECORD);
	r = record_of(2); /* IPv6 with a v4-mapped address is no IPv6 */
	r.key.src = addr("10.0.0.1");
	CHECK_EQ(install(t, &r, 0), LS_E_RECORD);
	CHECK_CLEAN(t);
	ls_table_close(t);
}

TEST("a longer record of a newer peer is read by its stride; counts per outcome add up")
{
	struct ls_table *t = table_new(1 << 10);
	enum { N = 100, STRIDE = sizeof(struct ls_wire_record) + 24 };
	u8 *frame = calloc(N, STRIDE), status[N];
	struct ls_install_result result;

	for (u32 i = 0; i < N; i++) {
		struct ls_wire_record r = record_of(i / 2 * 2);

		r.id.serial = i;
		if (i % 10 == 9)
			r.version = 9;
		memset(frame + i * STRIDE, 0xee, STRIDE);
		memcpy(frame + i * STRIDE, &r, sizeof(r));
	}
	ls_table_install(t, frame, STRIDE, N, 0, status, NULL, &result);
	CHECK_EQ(result.invalid, 10);
	CHECK_EQ(result.installed, 50);
	CHECK_EQ(result.conflicts, 40);
	CHECK_EQ(result.full, 0);
	CHECK_EQ(status[0], LS_OK);
	CHECK_EQ(status[1], LS_E_CONFLICT);
	CHECK_EQ(status[9], LS_E_VERSION);
	CHECK_EQ(live_count(t), 50);
	CHECK_CLEAN(t);
	free(frame);
	ls_table_close(t);
}

/* `n` sessions of consecutive numbers from `first`; the failures. */
static u64 fill(struct ls_table *t, u32 first, u32 n)
{
	static struct ls_wire_record batch[4096];
	struct ls_install_result result;
	u64 failed = 0;

	for (u32 done = 0; done < n;) {
		u32 m = n - done < 4096 ? n - done : 4096;

		for (u32 i = 0; i < m; i++)
			batch[i] = record_of(first + done + i);
		ls_table_install(t, (u8 *)batch, sizeof(*batch), m, 0, NULL, NULL, &result);
		failed += m - result.installed;
		done += m;
	}
	return failed;
}

TEST("no insert is refused below capacity (fill_fail 0)")
{
	u32 big = CHECK_SANITIZED ? 16 : 20;

	for (u32 bits = 10; bits <= big; bits += bits < 16 ? 6 : 4) {
		u32 rounds = bits == 10 ? 200 : bits == 16 ? 4 : 1;

		for (u32 n = 0; n < rounds; n++) {
			struct ls_table *t = table_new(1u << bits);

			CHECK_AT("capacity 2^%u round %u", bits, n);
			CHECK_EQ(fill(t, n << bits, 1u << bits), 0);
			if (n == 0)
				CHECK_CLEAN(t);
			CHECK_EQ(live_count(t), 1u << bits);
			ls_table_close(t);
		}
	}
}

TEST("a full table refuses, counts, stays sound, and takes sessions again after deletes")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_filter even = { .match = LS_FM_PROTO, .proto = LS_IPPROTO_TCP };
	struct ls_delete_result gone;
	u64 refused = fill(t, 0, t->env.slots + 1000), live = live_count(t);

	CHECK(refused >= 1000);
	CHECK_EQ(live + refused, t->env.slots + 1000);
	CHECK(live >= 1 << 10);
	CHECK_CLEAN(t);
	ls_table_delete_filter(t, &even, LS_CLOSE_ADMIN, NULL, &gone);
	CHECK(gone.deleted > live / 3);
	CHECK_EQ(live_count(t), live - gone.deleted); /* more than capacity before, so not all of it may come back at once */
	CHECK_CLEAN(t);
	live = live_count(t);
	CHECK_EQ(fill(t, 100000, live < 1 << 10 ? ((1 << 10) - (u32)live) / 2 : 0), 0);
	CHECK_CLEAN(t);
	ls_table_close(t);
}

/* Tuples whose two candidate buckets are `a` and `b`: what an attacker could send if the key were known. */
static u32 colliding(struct ls_table *t, u32 a, u32 b, struct ls_key *out, u32 max)
{
	u32 n = 0;

	for (u32 i = 0; n < max && i < 1u << 26; i++) {
		struct ls_key k = key_of(0);
		struct ls_hash h;
		u32 other;

		k.src.w[3] = i * 2654435761u;
		k.sport_be = (be16)(i >> 16 ^ i);
		h = ls_hash_key(&t->env.header->hash, &k, t->env.bucket_mask);
		other = ls_other_bucket(h.bucket, h.tag, t->env.bucket_mask);
		if ((h.bucket == a && other == b) || (h.bucket == b && other == a))
			out[n++] = k;
	}
	return n;
}

TEST("H25 install is all or nothing: a forward entry without room takes the reply entry back")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_key keys[24];
	u32 n = colliding(t, 5, 300, keys, 24), installed = 0, full = 0;
	u64 entries;
	struct ls_verify_report report;

	CHECK_EQ(n, 24);
	for (u32 i = 0; i < n; i++) {
		struct ls_wire_record r = record_of(1000 + i * 4);
		enum ls_status status;
		u32 slot, gen;

		r.key = keys[i];
		r.reply.src = keys[i].dst;
		r.reply.dst = addr("192.0.2.1"); /* translated: elsewhere in the index */
		r.reply.sport_be = keys[i].dport_be;
		r.reply.dport_be = htons((u16)(2000 + i));
		r.reply.proto = keys[i].proto;
		status = install(t, &r, 0);
		CHECK_AT("tuple %u", i);
		CHECK(status == LS_OK || status == LS_E_FULL);
		installed += status == LS_OK;
		full += status == LS_E_FULL;
		if (status == LS_E_FULL) {
			CHECK_EQ(ls_table_find(t, &r.reply, &slot, &gen), LS_E_NOT_FOUND);
			CHECK_EQ(ls_table_find(t, &r.key, &slot, &gen), LS_E_NOT_FOUND);
		}
	}
	CHECK(installed <= 16 && full >= 8);
	CHECK_EQ(faults(t, &report), 0);
	entries = report.entries;
	CHECK_EQ(entries, 2 * installed);
	ls_table_close(t);
}

TEST("a hash flood with the key known ends in counted refusals; without it, in an ordinary fill")
{
	struct ls_table *t = table_new(1 << 16);
	struct ls_key *keys = malloc(sizeof(*keys) * 64);
	u32 n = colliding(t, 77, 78, keys, 64), full = 0;
	struct ls_env e;

	worker_open(t, 0, &e);
	burst_begin(&e);
	for (u32 i = 0; i < n; i++) {
		u32 slot, status = worker_create(&e, &keys[i], LS_TCP_SYN_SENT, &slot);

		CHECK(status == LS_OK || status == LS_E_FULL);
		full += status == LS_E_FULL;
	}
	CHECK(full + 16 >= n);
	burst_end(&e);
	ls_worker_detach(t, 0);
	CHECK_CLEAN(t);
	free(keys);
	ls_table_close(t);
	/* patterns an attacker can choose without the key: counters in single words, equal sums, swapped halves */
	for (u32 pattern = 0; pattern < 6; pattern++) {
		struct ls_wire_record r = record_of(0);
		u32 failed = 0;

		t = table_new(1 << 16);
		for (u32 i = 0; i < 1 << 16; i++) {
			struct ls_key k = key_of(0);

			switch (pattern) {
			case 0: k.src.w[3] = i; break;
			case 1: k.src.w[3] = i << 16; break;
			case 2: k.src.w[3] = i; k.dst.w[3] = ~i; break;
			case 3: k.src.w[3] = i * 0x10001u; break;
			case 4: k.sport_be = (be16)i; break;
			default: k.src.w[3] = i << 8; k.dst.w[3] = 0u - (i << 8);
			}
			r.key = k;
			ls_key_reverse(&r.reply, &k);
			r.reply.dst = addr("192.0.2.7"); /* keeps replies from meeting forwards */
			r.reply.dport_be = (be16)i;
			r.id.serial = i + 1;
			failed += install(t, &r, 0) != LS_OK;
		}
		CHECK_AT("pattern %u", pattern);
		CHECK_EQ(failed, 0);
		CHECK_CLEAN(t);
		ls_table_close(t);
	}
}

TEST("the two buckets of a tuple differ and each leads to the other")
{
	for (u32 i = 0; i < 1000000; i++) {
		u32 mask = (1u << (1 + check_below(23))) - 1, bucket = (u32)check_random() & mask, tag = (u32)check_random();
		u32 other = ls_other_bucket(bucket, tag, mask);

		CHECK(other != bucket && other <= mask);
		CHECK_EQ(ls_other_bucket(other, tag, mask), bucket);
	}
}

/* --- workers: notices, rings, grace ------------------------------------------------------------------------------------------------- */

TEST("a worker's creations are drained once, as the records are then")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_wire_record out[64];
	struct ls_env e;
	u64 overruns;
	u32 slot;

	worker_open(t, 0, &e);
	burst_begin(&e);
	for (u32 i = 0; i < 10; i++) {
		struct ls_key k = key_of(i);

		CHECK_EQ(worker_create(&e, &k, LS_UDP_NEW, &slot), LS_OK);
		t->env.sessions[slot].packets[0] = 100 + i;
	}
	burst_end(&e);
	CHECK_EQ(ls_table_drain(t, out, 4, &overruns), 4);
	CHECK_EQ(ls_table_drain(t, out + 4, 60, &overruns), 6);
	CHECK_EQ(ls_table_drain(t, out, 64, &overruns), 0);
	CHECK_EQ(overruns, 0);
	for (u32 i = 0; i < 10; i++) {
		struct ls_key k = key_of(i);

		CHECK_EQ(out[i].kind, LS_NOTICE_CREATE);
		CHECK_EQ(out[i].packets[0], 100 + i);
		CHECK(memcmp(&out[i].key, &k, sizeof(k)) == 0);
		CHECK_EQ(ls_wire_check(&out[i]), LS_OK);
		CHECK_EQ(out[i].id.origin, t->env.header->origin);
	}
	ls_worker_detach(t, 0);
	CHECK_CLEAN(t);
	ls_table_close(t);
}

TEST("an update is told once until it is drained; a full ring leaves no mark behind (R9)")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_wire_record *out = malloc(sizeof(*out) * 4096);
	struct ls_key k = key_of(1);
	struct ls_env e;
	struct ls_session *s;
	u64 overruns, state;
	u32 slot, ring = t->env.header->notice_ring;

	worker_open(t, 0, &e);
	burst_begin(&e);
	CHECK_EQ(worker_create(&e, &k, LS_UDP_NEW, &slot), LS_OK);
	s = &t->env.sessions[slot];
	CHECK_EQ(ls_table_drain(t, out, 64, &overruns), 1);
	state = s->state;
	ls_state_update(&e, s, slot, s->gen, state, LS_STATE_SET_PHASE(state, LS_UDP_STREAM));
	CHECK_EQ(LS_STATE_DIRTY(s->state), 1);
	state = s->state;
	ls_state_update(&e, s, slot, s->gen, state, LS_STATE_SET_PHASE(state, LS_UDP_NEW));
	CHECK_EQ(ls_table_drain(t, out, 64, &overruns), 1); /* two changes, one notice, the last state */
	CHECK_EQ(out[0].kind, LS_NOTICE_UPDATE);
	CHECK_EQ(out[0].phase, LS_UDP_NEW);
	CHECK_EQ(LS_STATE_DIRTY(s->state), 0);
	for (u32 i = 0; i < ring + 5; i++)
		ls_notice_push(&e, slot, s->gen, LS_NOTICE_UPDATE, 0);
	state = s->state;
	ls_state_update(&e, s, slot, s->gen, state, LS_STATE_SET_PHASE(state, LS_UDP_STREAM));
	CHECK_EQ(LS_STATE_DIRTY(s->state), 0);
	CHECK_EQ(LS_STATE_PHASE(s->state), LS_UDP_STREAM);
	CHECK_EQ(ls_table_drain(t, out, 4096, &overruns), ring);
	CHECK_EQ(overruns, 6);
	CHECK_EQ(ls_table_drain(t, out, 4096, &overruns), 0);
	CHECK_EQ(overruns, 0);
	burst_end(&e);
	ls_worker_detach(t, 0);
	free(out);
	ls_table_close(t);
}

TEST("a deletion reaches the feed with its id and reason; a full feed counts")
{
	struct ls_table *t = table_new(1 << 16);
	struct ls_wire_record *out = malloc(sizeof(*out) * 70000);
	struct ls_filter all = { 0 };
	struct ls_delete_result gone;
	u64 overruns;

	ls_table_feed(t, true);
	fill(t, 0, 1 << 16);
	ls_table_delete_filter(t, &all, LS_CLOSE_POLICY, NULL, &gone);
	CHECK_EQ(gone.deleted, 1 << 16);
	fill(t, 0, 100);
	ls_table_delete_filter(t, &all, LS_CLOSE_ADMIN, NULL, &gone);
	CHECK_EQ(ls_table_drain(t, out, 70000, &overruns), LS_FEED);
	CHECK_EQ(overruns, 100);
	CHECK_EQ(out[0].kind, LS_NOTICE_DELETE);
	CHECK_EQ(out[0].close_reason, LS_CLOSE_POLICY);
	CHECK_EQ(out[0].id.origin, 7);
	ls_table_feed(t, false);
	fill(t, 0, 10);
	ls_table_delete_filter(t, &all, LS_CLOSE_ADMIN, NULL, &gone);
	CHECK_EQ(ls_table_drain(t, out, 70000, &overruns), 0);
	CHECK_EQ(overruns, 0);
	free(out);
	ls_table_close(t);
}

TEST("an undone creation leaves nothing but a spare slot, which comes back first")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_key k = key_of(1);
	struct ls_env e;
	u32 slot, again;

	worker_open(t, 0, &e);
	burst_begin(&e);
	CHECK_EQ(worker_create(&e, &k, LS_UDP_NEW, &slot), LS_OK);
	CHECK_EQ(worker_create(&e, &k, LS_UDP_NEW, &again), LS_E_CONFLICT);
	CHECK(e.worker->spare != 0);
	again = (u32)e.worker->spare - 1;
	CHECK_EQ(t->env.sessions[again].gen & 1, 0);
	burst_end(&e);
	CHECK_CLEAN(t);
	burst_begin(&e);
	k = key_of(2);
	CHECK_EQ(worker_create(&e, &k, LS_UDP_NEW, &slot), LS_OK);
	CHECK_EQ(slot, again);
	burst_end(&e);
	ls_worker_detach(t, 0);
	CHECK_CLEAN(t);
	ls_table_close(t);
}

TEST("a worker without free slots is refused until the refill; no slot is lost by attach and detach")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_verify_report r;
	u32 n = 0, slot, ring = t->env.header->free_ring;
	struct ls_env e;

	worker_open(t, 1, &e);
	burst_begin(&e);
	for (;; n++) {
		struct ls_key k = key_of(n);

		if (worker_create(&e, &k, LS_UDP_NEW, &slot) != LS_OK)
			break;
	}
	CHECK_EQ(n, ring);
	burst_end(&e);
	ls_table_refill(t);
	burst_begin(&e);
	{
		struct ls_key k = key_of(n);

		CHECK_EQ(worker_create(&e, &k, LS_UDP_NEW, &slot), LS_OK);
	}
	burst_end(&e);
	for (u32 i = 0; i < 10; i++) {
		ls_worker_detach(t, 1);
		ls_worker_detach(t, 0);
		CHECK_EQ(faults(t, &r), 0);
		CHECK_EQ(t->listed + r.live, t->env.slots);
		ls_worker_attach(t, 1);
		ls_worker_attach(t, 0);
		CHECK_EQ(faults(t, &r), 0);
	}
	ls_table_close(t);
}

struct helper {
	struct ls_table *t;
	u32 slot, gen;
	struct ls_delete_result result;
	_Atomic bool done;
	u32 freed;
};

static void *delete_main(void *arg)
{
	struct helper *h = arg;

	ls_table_free_slots(h->t, &h->slot, &h->gen, 1, LS_CLOSE_ADMIN, &h->result);
	h->done = true;
	return NULL;
}

static void *expire_main(void *arg)
{
	struct helper *h = arg;

	h->freed = ls_table_expire(h->t, h->t->env.slots);
	h->done = true;
	return NULL;
}

static void nap(u32 us) { usleep(us); }

TEST("a worker inside a burst holds the free back, and sees the record whole until it leaves (R3, R4)")
{
	struct ls_table *t = table_new(1 << 10);
	struct helper h = { .t = t };
	struct ls_key k = key_of(1);
	struct ls_env e;
	pthread_t thread;
	u64 state;

	worker_open(t, 0, &e);
	burst_begin(&e);
	CHECK_EQ(worker_create(&e, &k, LS_UDP_NEW, &h.slot), LS_OK);
	burst_end(&e);
	h.gen = t->env.sessions[h.slot].gen;
	burst_begin(&e);
	pthread_create(&thread, NULL, delete_main, &h);
	for (u32 i = 0; i < 2000; i++) {
		state = LS_LOAD_ACQ(&t->env.sessions[h.slot].state);
		if (LS_STATE_LIFECYCLE(state) == LS_DYING)
			break;
		nap(100);
	}
	CHECK_EQ(LS_STATE_LIFECYCLE(state), LS_DYING);
	CHECK(LS_STATE_FLOW(state) & LS_FLOW_ADMIN);
	nap(30000);
	CHECK(!h.done);
	CHECK_EQ(LS_LOAD(&t->env.sessions[h.slot].gen), h.gen);
	burst_end(&e);
	/* the second grace waits for a burst that began before the entries went */
	burst_begin(&e);
	nap(5000);
	burst_end(&e);
	pthread_join(thread, NULL);
	CHECK(h.done);
	CHECK_EQ(h.result.deleted, 1);
	CHECK(h.result.grace_ns >= 20000000);
	CHECK_EQ(t->env.sessions[h.slot].gen, h.gen + 1);
	ls_worker_detach(t, 0);
	CHECK_CLEAN(t);
	ls_table_close(t);
}

TEST("a packet during the grace saves an expiring session, with no trace of the attempt")
{
	struct ls_table *t = table_new(1 << 10);
	struct helper h = { .t = t };
	struct ls_key k = key_of(1);
	struct ls_session *s;
	struct ls_env e;
	pthread_t thread;

	worker_open(t, 0, &e);
	burst_begin(&e);
	CHECK_EQ(worker_create(&e, &k, LS_UDP_NEW, &h.slot), LS_OK);
	s = &t->env.sessions[h.slot];
	t->env.rgs[0].seen_floor_ns = 0;
	LS_STORE(&s->last_seen_ns, ls_clock_ns() - 31000000000ULL);
	pthread_create(&thread, NULL, expire_main, &h);
	for (u32 i = 0; i < 2000 && LS_STATE_LIFECYCLE(LS_LOAD_ACQ(&s->state)) != LS_DYING; i++)
		nap(100);
	CHECK_EQ(LS_STATE_LIFECYCLE(LS_LOAD(&s->state)), LS_DYING);
	LS_STORE(&s->last_seen_ns, ls_clock_ns());
	burst_end(&e);
	pthread_join(thread, NULL);
	CHECK_EQ(h.freed, 0);
	CHECK_EQ(LS_STATE_LIFECYCLE(s->state), LS_LIVE);
	CHECK_EQ(LS_STATE_CLOSE(s->state), LS_CLOSE_NONE);
	ls_worker_detach(t, 0);
	CHECK_CLEAN(t);
	ls_table_close(t);
}

/* --- expiry ------------------------------------------------------------------------------------------------------------------------- */

TEST("D12 watermarks: half-open sessions end early, then cookies, until there has been room for a while")
{
	struct ls_table *t = table_new(1 << 12);
	struct ls_defence *d = &t->env.header->defence;
	u32 i = 0, pressure_at[3] = { 0 }, capacity = t->env.header->capacity;
	u64 half = 0, long_ago = ls_clock_ns() - LS_PRESSED_MS * 1000000ULL - 1;

	/* sessions of a peer take the capacity: every fourth is half open, all were last seen a little too long ago */
	for (; i < capacity; i++) {
		struct ls_wire_record r = record_of(4 * i);

		if (i % 4 == 0)
			r.phase = LS_TCP_SYN_SENT;
		if (install(t, &r, 0) != LS_OK)
			break;
		ls_table_refill(t);
		if (!pressure_at[LS_LOAD(&d->pressure)])
			pressure_at[LS_LOAD(&d->pressure)] = i + 1;
	}
	CHECK(pressure_at[LS_PRESSURE_HALF_OPEN] > capacity / 2);
	CHECK(pressure_at[LS_PRESSURE_COOKIES] > pressure_at[LS_PRESSURE_HALF_OPEN]);
	CHECK(i > pressure_at[LS_PRESSURE_COOKIES]);
	for (u32 slot = 0; slot < t->env.slots; slot++)
		if (LS_STATE_LIFECYCLE(t->env.sessions[slot].state) == LS_LIVE) {
			t->env.sessions[slot].last_seen_ns = long_ago;
			half += LS_STATE_PHASE(t->env.sessions[slot].state) == LS_TCP_SYN_SENT;
		}
	t->env.rgs[0].seen_floor_ns = 0;
	/* without pressure their timeouts are longer */
	d->pressure = LS_PRESSURE_NONE;
	CHECK_EQ(ls_table_expire(t, t->env.slots), 0);
	d->pressure = LS_PRESSURE_COOKIES;
	CHECK_EQ(ls_table_expire(t, t->env.slots), half);
	CHECK_EQ(live_count(t), i - half);
	/* a quarter is free: not below the mark of relief; then it is, but not for long enough; then it is over */
	d->pressed_ns = 1;
	ls_table_refill(t);
	CHECK_EQ(d->pressure, LS_PRESSURE_COOKIES);
	for (u32 slot = 0, n = 0; slot < t->env.slots && n < capacity / 4; slot++)
		if (LS_STATE_LIFECYCLE(t->env.sessions[slot].state) == LS_LIVE) {
			struct ls_delete_result gone;

			ls_table_free_slots(t, &slot, &t->env.sessions[slot].gen, 1, LS_CLOSE_ADMIN, &gone);
			n++;
		}
	d->pressed_ns = ls_clock_ns();
	ls_table_refill(t);
	CHECK_EQ(d->pressure, LS_PRESSURE_COOKIES);
	d->pressed_ns = ls_clock_ns() - LS_PRESSURE_HOLD_MS * 1000000ULL - 1;
	ls_table_refill(t);
	CHECK_EQ(d->pressure, LS_PRESSURE_NONE);
	CHECK_CLEAN(t);
	ls_table_close(t);
}

TEST("before the first configuration nothing expires: there are no timeouts to judge by")
{
	struct ls_geometry g = { .capacity = 1024, .threads = 2, .arena = 4096 };
	struct ls_config *c = bank_new();
	struct ls_wire_record r = record_of(1);
	struct ls_table *t = NULL;
	int err_no = 0;

	CHECK_EQ(ls_table_create(&g, LS_HUGE_NEVER, NULL, &t, &err_no), LS_OK);
	CHECK_EQ(install(t, &r, 0), LS_OK);
	CHECK_EQ(ls_table_expire(t, t->env.slots), 0);
	CHECK_EQ(live_count(t), 1);
	for (u32 p = 0; p < LS_PHASES_MAX; p++)
		c->timeout_ns[0][p] = 0;
	ls_table_write_config(t, c, sizeof(*c));
	CHECK_EQ(ls_table_expire(t, t->env.slots), 1);
	CHECK_CLEAN(t);
	ls_table_close(t);
	free(c);
}

TEST("each phase and application expires by its own timeout, and not before; a takeover expires nobody (R8)")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_config *c = bank_new();
	u64 second = 1000000000, now;
	u32 slot[2][LS_PHASE_COUNT], gen;

	for (u32 app = 0; app < 2; app++)
		for (u32 p = 0; p < LS_PHASE_COUNT; p++)
			c->timeout_ns[app][p] = (100 + 10 * p + 1000 * app) * second;
	CHECK_EQ(ls_table_write_config(t, c, sizeof(*c)), LS_OK);
	CHECK_EQ(ls_table_write_config(t, c, sizeof(*c) - 1), LS_E_INVALID);
	for (u32 app = 0; app < 2; app++)
		for (u32 p = 0; p < LS_PHASE_COUNT; p++) {
			struct ls_wire_record r = record_of(app * 100 + p);

			r.phase = (u8)p;
			r.app = (u8)app;
			CHECK_EQ(install(t, &r, 0), LS_OK);
			CHECK_EQ(ls_table_find(t, &r.key, &slot[app][p], &gen), LS_OK);
		}
	CHECK_EQ(ls_table_expire(t, t->env.slots), 0);
	for (u32 app = 0; app < 2; app++)
		for (u32 p = 0; p < LS_PHASE_COUNT; p++) {
			struct ls_session *s = &t->env.sessions[slot[app][p]];
			u64 timeout = c->timeout_ns[app][p];

			CHECK_AT("app %u phase %u", app, p);
			now = ls_clock_ns();
			/* the clock starts near zero on a fresh host: ages are made of a floor instead when it is too young */
			if (now < 3000 * second)
				continue;
			s->last_seen_ns = now - timeout + 5 * second;
			CHECK_EQ(ls_table_expire(t, t->env.slots), 0);
			s->last_seen_ns = now - timeout - 1;
			t->env.rgs[0].seen_floor_ns = now - timeout + 5 * second;
			CHECK_EQ(ls_table_expire(t, t->env.slots), 0);
			t->env.rgs[0].seen_floor_ns = 0;
			CHECK_EQ(ls_table_expire(t, t->env.slots), 1);
		}
	CHECK_CLEAN(t);
	free(c);
	ls_table_close(t);
}

TEST("expired sessions by the thousand leave with their reason, in slices, and the counts agree")
{
	struct ls_table *t = table_new(1 << 16);
	struct ls_config *c = bank_new();
	u64 total = 0;

	CHECK_EQ(fill(t, 0, 20000), 0);
	for (u32 p = 0; p < LS_PHASE_COUNT; p++)
		c->timeout_ns[0][p] = 1;
	ls_table_write_config(t, c, sizeof(*c));
	t->env.sessions[t->env.slots - 1].state = t->env.sessions[t->env.slots - 1].state;
	for (u32 i = 0; i < 2 * t->env.slots / 1000 + 2; i++)
		total += ls_table_expire(t, 1000);
	CHECK_EQ(total, 20000);
	CHECK_EQ(t->env.header->freed_total, 20000);
	CHECK_EQ(t->env.header->freed_by[LS_CLOSE_TIMEOUT], 20000);
	CHECK(t->env.header->pass_count >= 1);
	CHECK_EQ(live_count(t), 0);
	CHECK_CLEAN(t);
	free(c);
	ls_table_close(t);
}

TEST("while every slot is free the freer looks at none of them, and says that none is live")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_config *c = bank_new();
	u32 at;

	for (u32 p = 0; p < LS_PHASE_COUNT; p++)
		c->timeout_ns[0][p] = 1000000;
	ls_table_write_config(t, c, sizeof(*c));
	t->env.header->live = 7; /* of a pass before they were all deleted */
	CHECK_EQ(ls_table_refill(t), 0);
	CHECK_EQ(ls_freer_start(t), LS_OK);
	for (u32 i = 0; i < 500 && LS_LOAD(&t->env.header->live); i++)
		nap(20000);
	ls_freer_stop(t);
	CHECK_EQ(t->env.header->live, 0);
	CHECK(t->env.header->pass_count >= 1);
	CHECK_EQ(t->scan_slot, 0);
	fill(t, 0, 5);
	CHECK_EQ(ls_table_refill(t), 5);
	at = t->scan_slot;
	CHECK_EQ(ls_freer_start(t), LS_OK);
	for (u32 i = 0; i < 500 && live_count(t); i++)
		nap(20000);
	ls_freer_stop(t);
	CHECK_EQ(live_count(t), 0);
	CHECK(t->scan_slot != at || t->env.header->pass_count >= 2);
	CHECK_CLEAN(t);
	free(c);
	ls_table_close(t);
}

TEST("the freer thread expires on its own and stops")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_config *c = bank_new();

	fill(t, 0, 500);
	for (u32 p = 0; p < LS_PHASE_COUNT; p++)
		c->timeout_ns[0][p] = 1000000;
	ls_table_write_config(t, c, sizeof(*c));
	CHECK_EQ(ls_freer_start(t), LS_OK);
	CHECK_EQ(ls_freer_start(t), LS_OK);
	for (u32 i = 0; i < 500 && live_count(t); i++)
		nap(20000);
	CHECK_EQ(live_count(t), 0);
	ls_freer_stop(t);
	ls_freer_stop(t);
	CHECK_CLEAN(t);
	free(c);
	ls_table_close(t);
}

/* --- reconcile ------------------------------------------------------------------------------------------------------------------------ */

TEST("bulk end removes what the peer owns and did not send: H4 H5 H7 H19 H21 H22")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_reconcile_result result;
	struct ls_wire_record r;
	u32 slot, gen;

	for (u32 i = 0; i < 300; i++) {
		r = record_of(i);
		r.rg = i % 3 == 2 ? LS_RG_NONE : i % 3; /* 100 each of rg 0, rg 1 and the host */
		CHECK_EQ(install(t, &r, 0), LS_OK);
	}
	CHECK_EQ(ls_reconcile(t, 2, false, false, &result), LS_E_INVALID); /* a spurious end wipes nothing */
	CHECK_EQ(ls_reconcile(t, 2, true, true, &result), LS_E_INVALID);   /* a failed source neither */
	CHECK_EQ(live_count(t), 300);
	ls_bulk_begin(t);
	for (u32 i = 0; i < 150; i++) {
		r = record_of(i);
		r.rg = i % 3 == 2 ? LS_RG_NONE : i % 3;
		CHECK_EQ(install(t, &r, LS_INSTALL_MARK), LS_OK);
	}
	r = record_of(1000); /* opened after the peer's snapshot, arrives as a delta inside the window: marked like the rest */
	r.rg = 1;
	CHECK_EQ(install(t, &r, LS_INSTALL_MARK), LS_OK);
	CHECK_EQ(ls_reconcile(t, 1 << 1, true, false, &result), LS_OK);
	CHECK(result.scanned >= 101); /* those received count as well */
	CHECK_EQ(result.stale, 50);
	CHECK_EQ(result.deleted, 50);
	CHECK_EQ(live_count(t), 251);
	for (u32 i = 0; i < 300; i++) {
		bool gone = i % 3 == 1 && i >= 150;

		r = record_of(i);
		CHECK_AT("session %u", i);
		CHECK_EQ(ls_table_find(t, &r.key, &slot, &gen), gone ? LS_E_NOT_FOUND : LS_OK);
		CHECK_EQ(ls_table_find(t, &r.reply, &slot, &gen), gone ? LS_E_NOT_FOUND : LS_OK); /* H22: the way back goes too */
	}
	CHECK_EQ(t->env.header->freed_by[LS_CLOSE_RECONCILE], 50);
	/* an empty bulk that really began is authoritative; groups the peer does not own stay */
	ls_bulk_begin(t);
	CHECK_EQ(ls_reconcile(t, 1 << 1, true, false, &result), LS_OK);
	CHECK_EQ(result.deleted, 51);
	CHECK_EQ(live_count(t), 200);
	ls_bulk_begin(t);
	CHECK_EQ(ls_reconcile(t, 0, true, false, &result), LS_OK);
	CHECK_EQ(result.scanned, 0);
	CHECK_EQ(live_count(t), 200);
	CHECK_CLEAN(t);
	ls_table_close(t);
}

/* --- scans ------------------------------------------------------------------------------------------------------------------------------ */

TEST("columns: every field, resumed by cursor, never twice")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_filter all = { 0 };
	u8 *out = malloc(1 << 16), seen[1000] = { 0 };
	u32 cursor = 0, rows = 0, columns = (1u << LS_COLUMN_COUNT) - 1, calls = 0;

	CHECK_EQ(fill(t, 0, 1000), 0);
	while (cursor != 0xffffffff) {
		u32 n = ls_scan_columns(t, &all, columns, &cursor, out, 37, 1000000000), at = 0;

		calls++;
		CHECK(calls < 1000);
		for (u32 i = 0; i < n; i++) {
			u64 packets;
			u32 offset = 0, number;

			for (u32 c = 0; c < LS_COL_PACKETS_FORWARD; c++)
				offset += ls_column_bytes(c) * 37;
			memcpy(&packets, out + offset + i * 8, 8);
			number = (u32)packets;
			CHECK(number < 1000 && !seen[number]++);
			{
				struct ls_key k = key_of(number);

				CHECK(memcmp(out + 16 * 37 + i * 16, &k.src, 16) == 0);
				offset = (16 * 3) * 37 + i * 2;
				CHECK_EQ(out[offset] | out[offset + 1] << 8, ntohs(k.sport_be));
			}
			at++;
		}
		rows += at;
	}
	CHECK_EQ(rows, 1000);
	CHECK_EQ(ls_column_bytes(LS_COLUMN_COUNT), 0);
	free(out);
	ls_table_close(t);
}

TEST("records as rows are what a scan gives of their sessions; a filter picks the same ones")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_filter all = { .match = 0 }, some = { .match = LS_FM_SPORT };
	u32 columns = ((1u << LS_COL_IDLE_MS) - 1) | 1u << LS_COL_SLOT, n = 100, cursor = 0, width = 0;
	struct ls_wire_record *records = malloc(sizeof(*records) * n);
	u8 *rows, *scanned;

	for (u32 i = 0; i < n; i++) {
		struct ls_wire_record r = record_of(i);

		CHECK_EQ(install(t, &r, 0), LS_OK);
	}
	for (u32 c = 0; c < LS_COLUMN_COUNT; c++)
		width += columns >> c & 1 ? ls_column_bytes(c) : 0;
	rows = calloc(n, width);
	scanned = calloc(n, width);
	CHECK_EQ(ls_scan_records(t, &all, &cursor, records, n, ~0ULL), n);
	cursor = 0;
	CHECK_EQ(ls_scan_columns(t, &all, columns, &cursor, scanned, n, ~0ULL), n);
	ls_records_columns(t, records, n, columns, rows);
	CHECK(memcmp(rows, scanned, (size_t)n * width) == 0);
	some.sport_be = records[7].key.sport_be;
	cursor = 0;
	u32 matching = ls_records_select(&some, records, n, records);
	CHECK(matching > 0 && matching < n);
	for (u32 i = 0; i < matching; i++)
		CHECK_EQ(records[i].key.sport_be, some.sport_be);
	CHECK_EQ(ls_scan_columns(t, &some, 1u << LS_COL_SLOT, &cursor, scanned, n, ~0ULL), matching);
	free(records);
	free(rows);
	free(scanned);
	ls_table_close(t);
}

TEST("a scan without time moves on all the same, and ends")
{
	struct ls_table *t = table_new(1 << 16);
	struct ls_filter none = { .match = LS_FM_POLICY, .policy = 999 }, all = { 0 };
	struct ls_wire_record *out = malloc(sizeof(*out) * 70000);
	static const u64 bound[] = { 0, 1, ~0ULL };

	fill(t, 0, 60000);
	for (u32 b = 0; b < 3; b++) {
		u32 cursor = 0, calls = 0, rows = 0;

		CHECK_AT("bound %llu", (unsigned long long)bound[b]);
		for (; cursor != 0xffffffff; calls++) {
			u32 before = cursor;

			rows += ls_scan_records(t, &all, &cursor, out, 70000, bound[b]);
			CHECK(cursor > before || rows);
			CHECK(calls < 1000);
		}
		CHECK_EQ(rows, 60000);
		CHECK(bound[b] < 2 || calls == 1);
		for (cursor = 0, calls = 0; cursor != 0xffffffff; calls++) {
			CHECK_EQ(ls_scan_records(t, &none, &cursor, out, 10, bound[b]), 0);
			CHECK(calls < 1000);
		}
	}
	free(out);
	ls_table_close(t);
}

TEST("filters: each condition, and the edges of idle time")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_wire_record r = record_of(1);
	struct ls_session s;
	u64 now = ls_clock_ns();
	u32 slot, gen;
	struct ls_addr key_src = r.key.src, key_dst = r.key.dst;

	r.policy = 9;
	r.vip = 8;
	r.real = 7;
	r.rg = 6;
	r.app = 5;
	CHECK_EQ(install(t, &r, 0), LS_OK);
	CHECK_EQ(ls_table_find(t, &r.key, &slot, &gen), LS_OK);
	CHECK(ls_session_read(t, slot, &s));
#define YES(...) CHECK(ls_filter_match(&(struct ls_filter){ __VA_ARGS__ }, &s, now))
#define NO(...) CHECK(!ls_filter_match(&(struct ls_filter){ __VA_ARGS__ }, &s, now))
	YES(.match = 0);
	YES(.match = LS_FM_SRC, .src = key_src, .src_prefix = 128);
	YES(.match = LS_FM_SRC, .src = addr("10.0.0.0"), .src_prefix = 96 + 8);
	NO(.match = LS_FM_SRC, .src = addr("11.0.0.0"), .src_prefix = 96 + 8);
	NO(.match = LS_FM_SRC, .src = addr("10.0.0.0"), .src_prefix = 128);
	YES(.match = LS_FM_SRC, .src = addr("99.0.0.0"), .src_prefix = 0);
	YES(.match = LS_FM_DST, .dst = key_dst, .dst_prefix = 128);
	YES(.match = LS_FM_ADDR, .src = key_dst, .src_prefix = 128);
	NO(.match = LS_FM_ADDR, .src = addr("1.2.3.4"), .src_prefix = 128);
	YES(.match = LS_FM_SPORT, .sport_be = r.key.sport_be);
	NO(.match = LS_FM_SPORT, .sport_be = r.key.dport_be);
	YES(.match = LS_FM_DPORT, .dport_be = r.key.dport_be);
	YES(.match = LS_FM_PORT, .sport_be = r.key.dport_be);
	NO(.match = LS_FM_PORT, .sport_be = 1);
	YES(.match = LS_FM_PROTO, .proto = LS_IPPROTO_UDP);
	NO(.match = LS_FM_PROTO, .proto = LS_IPPROTO_TCP);
	YES(.match = LS_FM_FAMILY, .family = 4);
	NO(.match = LS_FM_FAMILY, .family = 6);
	YES(.match = LS_FM_ZONE_IN, .zone_in = 1);
	NO(.match = LS_FM_ZONE_OUT, .zone_out = 1);
	YES(.match = LS_FM_POLICY | LS_FM_VIP | LS_FM_REAL | LS_FM_RG | LS_FM_APP, .policy = 9, .vip = 8, .real = 7, .rg = 6, .app = 5);
	NO(.match = LS_FM_POLICY | LS_FM_VIP, .policy = 9, .vip = 9);
	YES(.match = LS_FM_PHASES, .phases = 1u << LS_UDP_STREAM);
	NO(.match = LS_FM_PHASES, .phases = ~(1u << LS_UDP_STREAM));
	YES(.match = LS_FM_FLAGS, .flags_mask = LS_SF_PEER, .flags_value = LS_SF_PEER);
	NO(.match = LS_FM_FLAGS, .flags_mask = LS_SF_PEER, .flags_value = 0);
	YES(.match = LS_FM_ID, .id = { 7, 2 });
	NO(.match = LS_FM_ID, .id = { 7, 3 });
	YES(.match = LS_FM_DOMAIN, .domain = 0);
	s.last_seen_ns = now - 5000;
	s.created_ns = now - 9000;
	YES(.match = LS_FM_IDLE, .min_idle_ns = 5000);
	NO(.match = LS_FM_IDLE, .min_idle_ns = 5001);
	YES(.match = LS_FM_AGE, .min_age_ns = 9000);
	NO(.match = LS_FM_AGE, .min_age_ns = 9001);
	YES(.match = LS_FM_AGE | LS_FM_YOUNGER, .min_age_ns = 9001);
	NO(.match = LS_FM_AGE | LS_FM_YOUNGER, .min_age_ns = 9000);
	s.last_seen_ns = s.created_ns = now + 1; /* touched after `now` was read: as fresh as can be */
	NO(.match = LS_FM_IDLE, .min_idle_ns = 1);
	NO(.match = LS_FM_AGE, .min_age_ns = 1);
	YES(.match = LS_FM_AGE | LS_FM_YOUNGER, .min_age_ns = 1);
	ls_table_close(t);
}

TEST("a cancelled delete stops, a filtered one takes only what it names; the walk sums all lines")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_filter udp = { .match = LS_FM_PROTO, .proto = LS_IPPROTO_UDP };
	struct ls_delete_result gone;
	u32 cancel = 1;
	u64 live;

	fill(t, 0, 1000);
	CHECK(ls_scan_walk(t, &live) > 0);
	CHECK_EQ(live, 1000);
	CHECK_EQ(ls_scan_count(t, &udp, NULL), 500);
	ls_table_delete_filter(t, &udp, LS_CLOSE_ADMIN, &cancel, &gone);
	CHECK_EQ(gone.deleted, 0);
	cancel = 0;
	ls_table_delete_filter(t, &udp, LS_CLOSE_ADMIN, &cancel, &gone);
	CHECK_EQ(gone.deleted, 500);
	CHECK_EQ(live_count(t), 500);
	CHECK_EQ(ls_scan_count(t, &udp, NULL), 0);
	CHECK_CLEAN(t);
	ls_table_close(t);
}

TEST("time left in a listing honours a takeover's grace, as expiry does (R8)")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_wire_record r = record_of(1);
	struct ls_filter all = { 0 };
	u32 cursor = 0, slot, gen, left;

	CHECK_EQ(install(t, &r, 0), LS_OK);
	CHECK_EQ(ls_table_find(t, &r.key, &slot, &gen), LS_OK);
	t->env.sessions[slot].last_seen_ns = 0;
	t->env.rgs[0].seen_floor_ns = ls_clock_ns();
	CHECK_EQ(ls_scan_columns(t, &all, 1u << LS_COL_EXPIRES_MS, &cursor, (u8 *)&left, 1, 1000000000), 1);
	CHECK(left > 100000 && left <= 120000);
	ls_table_close(t);
}

/* --- logs, counters, roles ---------------------------------------------------------------------------------------------------------------- */

TEST("log records are drained in order; a full ring loses and counts")
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_log *out = malloc(sizeof(*out) * 2000);
	static struct ls_counters sum;
	struct ls_env e;

	worker_open(t, 0, &e);
	for (u32 i = 0; i < LS_LOG_RING + 10; i++)
		ls_log_push(&e, &(struct ls_log){ .time_ns = i });
	CHECK_EQ(ls_table_drain_logs(t, out, 100), 100);
	CHECK_EQ(ls_table_drain_logs(t, out + 100, 1900), LS_LOG_RING - 100);
	for (u32 i = 0; i < LS_LOG_RING; i++)
		CHECK_EQ(out[i].time_ns, i);
	CHECK_EQ(ls_table_drain_logs(t, out, 100), 0);
	ls_table_counters(t, &sum);
	CHECK_EQ(sum.global[LS_CTR_LOGS_LOST], 10);
	free(out);
	ls_table_close(t);
}

TEST("arena writes and roles outside their bounds are refused")
{
	struct ls_table *t = table_new(1 << 10);
	u8 bytes[128] = { 0 };

	CHECK_EQ(ls_table_write_arena(t, 0, bytes, 128), LS_OK);
	CHECK_EQ(ls_table_write_arena(t, 4095, bytes, 64), LS_OK);
	CHECK_EQ(ls_table_write_arena(t, 4095, bytes, 65), LS_E_INVALID);
	CHECK_EQ(ls_table_write_arena(t, 4096, bytes, 0), LS_OK);
	CHECK_EQ(ls_table_write_arena(t, 4097, bytes, 0), LS_E_INVALID);
	CHECK_EQ(ls_table_write_arena(t, 1, bytes, ~0ULL - 32), LS_E_INVALID);
	ls_table_set_role(t, LS_RGS_MAX, LS_ROLE_STANDBY, 0, 0);
	ls_table_set_role(t, 0xffffffff, LS_ROLE_STANDBY, 0, 0);
	ls_table_set_role(t, 1, LS_ROLE_STANDBY, 5, 6);
	CHECK_EQ(t->env.rgs[1].epoch, 5);
	CHECK_EQ(t->env.rgs[1].seen_floor_ns == 0, 0);
	ls_table_close(t);
}

/* --- verify finds planted damage -------------------------------------------------------------------------------------------------------------- */

static struct ls_table *damaged(u32 *slot)
{
	struct ls_table *t = table_new(1 << 10);
	struct ls_wire_record r = record_of(50);
	u32 gen;

	fill(t, 0, 100);
	CHECK_EQ(ls_table_find(t, &r.key, slot, &gen), LS_OK);
	return t;
}

#define CHECK_FAULT(t, kind)                                                                  \
	do {                                                                                  \
		struct ls_verify_report fr;                                                   \
		faults(t, &fr);                                                               \
		if (!fr.fault[kind])                                                          \
			CHECK_FAIL("verify does not see %s", fault_name(kind));               \
	} while (0)

static u64 *entry_at(struct ls_table *t, u32 ref)
{
	for (u32 b = 0; b <= t->env.bucket_mask; b++)
		for (u32 i = 0; i < LS_BUCKET_ENTRIES; i++)
			if (t->env.index[b].entry[i] && LS_ENTRY_REF(t->env.index[b].entry[i]) == ref)
				return &t->env.index[b].entry[i];
	return NULL;
}

static u64 *empty_in(struct ls_table *t, u32 bucket)
{
	for (u32 i = 0; i < LS_BUCKET_ENTRIES; i++)
		if (!t->env.index[bucket].entry[i])
			return &t->env.index[bucket].entry[i];
	return NULL;
}

TEST("verify sees a live session without its forward or reply entry")
{
	for (u32 d = 0; d < 2; d++) {
		u32 slot;
		struct ls_table *t = damaged(&slot);

		*entry_at(t, LS_REF(slot, d)) = 0;
		CHECK_FAULT(t, LS_VF_LIVE_ENTRIES);
		ls_table_close(t);
	}
}

TEST("verify sees a doubled entry")
{
	u32 slot;
	struct ls_table *t = damaged(&slot);
	struct ls_hash h = ls_hash_key(&t->env.header->hash, &t->env.sessions[slot].key, t->env.bucket_mask);

	*empty_in(t, ls_other_bucket(h.bucket, h.tag, t->env.bucket_mask)) = LS_ENTRY(h.tag, LS_REF(slot, 0));
	CHECK_FAULT(t, LS_VF_LIVE_ENTRIES);
	ls_table_close(t);
}

TEST("verify sees entries of free and impossible slots")
{
	u32 slot;
	struct ls_table *t = damaged(&slot);

	*empty_in(t, 3) = LS_ENTRY(99, LS_REF(t->list[0], 0));
	CHECK_FAULT(t, LS_VF_ENTRY_DEAD);
	ls_table_close(t);
	t = damaged(&slot);
	*empty_in(t, 3) = LS_ENTRY(99, 0xfffffff0);
	CHECK_FAULT(t, LS_VF_ENTRY_DEAD);
	ls_table_close(t);
}

TEST("verify sees an entry under a foreign tag or in a foreign bucket")
{
	u32 slot;
	struct ls_table *t = damaged(&slot);
	u64 *entry = entry_at(t, LS_REF(slot, 1)), moved;

	*entry ^= 1ULL << 40;
	CHECK_FAULT(t, LS_VF_ENTRY_FOREIGN);
	*entry ^= 1ULL << 40;
	moved = *entry;
	{
		struct ls_hash h = ls_hash_key(&t->env.header->hash, &t->env.sessions[slot].reply, t->env.bucket_mask);
		u32 b = 0;

		while (b == h.bucket || b == ls_other_bucket(h.bucket, h.tag, t->env.bucket_mask) || !empty_in(t, b))
			b++;
		*entry = 0;
		*empty_in(t, b) = moved;
	}
	CHECK_FAULT(t, LS_VF_ENTRY_FOREIGN);
	ls_table_close(t);
}

TEST("verify sees two live sessions of one tuple")
{
	u32 slot, other;
	struct ls_table *t = damaged(&slot);
	struct ls_hash h;

	other = t->list[--t->listed];
	t->env.sessions[other] = t->env.sessions[slot];
	h = ls_hash_key(&t->env.header->hash, &t->env.sessions[slot].key, t->env.bucket_mask);
	*empty_in(t, h.bucket) = LS_ENTRY(h.tag, LS_REF(other, 0));
	CHECK_FAULT(t, LS_VF_TWIN);
	ls_table_close(t);
}

TEST("verify sees a slot in two free places, a live or impossible slot in a free place, a lost slot")
{
	u32 slot;
	struct ls_table *t = damaged(&slot);
	struct ls_env e;
	u32 keep = t->list[0];

	t->list[0] = t->list[1];
	CHECK_FAULT(t, LS_VF_FREE_TWICE);
	t->list[0] = slot;
	CHECK_FAULT(t, LS_VF_FREE_LIVE);
	t->list[0] = 0x7ffffff0;
	CHECK_FAULT(t, LS_VF_FREE_TWICE);
	t->list[0] = keep;
	CHECK_CLEAN(t);
	t->listed--;
	CHECK_FAULT(t, LS_VF_LOST);
	t->listed++;
	/* the same in a ring and in a spare, with the worker stopped */
	ls_env_worker(t, 0, &e);
	*port_free_slot(&e, 0) = slot;
	e.worker->free_head = 1;
	CHECK_FAULT(t, LS_VF_FREE_LIVE);
	*port_free_slot(&e, 0) = keep;
	CHECK_FAULT(t, LS_VF_FREE_TWICE);
	*port_free_slot(&e, 0) = 0x7ffffff0;
	CHECK_FAULT(t, LS_VF_FREE_TWICE);
	e.worker->free_head = ~0ULL - 5;
	CHECK_FAULT(t, LS_VF_FREE_TWICE);
	e.worker->free_head = 0;
	e.worker->spare = slot + 1;
	CHECK_FAULT(t, LS_VF_FREE_LIVE);
	e.worker->spare = keep + 1;
	CHECK_FAULT(t, LS_VF_FREE_TWICE);
	e.worker->spare = 0x7fffff00;
	CHECK_FAULT(t, LS_VF_FREE_TWICE);
	e.worker->spare = 0;
	CHECK_CLEAN(t);
	ls_table_close(t);
}

TEST("verify sees a lifecycle that contradicts the generation")
{
	static const struct {
		u32 life, gen_step;
	} row[] = { { LS_FREE, 0 }, { LS_DEAD, 0 }, { LS_CREATING, 0 }, { LS_LIVE, 1 }, { 77, 0 } };

	for (u32 i = 0; i < sizeof(row) / sizeof(*row); i++) {
		u32 slot;
		struct ls_table *t = damaged(&slot);

		t->env.sessions[slot].state = LS_STATE_SET_LIFECYCLE(t->env.sessions[slot].state, row[i].life);
		t->env.sessions[slot].gen += row[i].gen_step;
		CHECK_AT("row %u", i);
		CHECK_FAULT(t, LS_VF_GENERATION);
		ls_table_close(t);
	}
}

/* --- adopt repairs planted damage ------------------------------------------------------------------------------------------------------------------ */

TEST("adopt frees what is half there, keeps what is whole, clears what is foreign, and forgets old marks (R6)")
{
	u32 slot, gen;
	struct ls_table *t = damaged(&slot), *again;
	struct ls_wire_record out[8];
	struct ls_env e;
	struct ls_key k = key_of(5000);
	int fd = fcntl(t->fd, F_DUPFD_CLOEXEC, 0), err_no;
	u64 overruns;
	u32 base = slot;

	/* 50: no reply entry. 51: two forward entries, no reply. 52 DYING. 53 DYING by order. 54 DEAD. 55 CREATING. 56: an extra foreign entry. 57: dirty without a notice */
	for (u32 i = 51; i <= 57; i++) {
		struct ls_wire_record r = record_of(i);
		struct ls_session *s;
		struct ls_hash h;

		CHECK_EQ(ls_table_find(t, &r.key, &slot, &gen), LS_OK);
		s = &t->env.sessions[slot];
		h = ls_hash_key(&t->env.header->hash, &s->key, t->env.bucket_mask);
		switch (i) {
		case 51:
			*entry_at(t, LS_REF(slot, 1)) = 0;
			*empty_in(t, ls_other_bucket(h.bucket, h.tag, t->env.bucket_mask)) = LS_ENTRY(h.tag, LS_REF(slot, 0));
			break;
		case 52: s->state = LS_STATE_SET_CLOSE(LS_STATE_SET_LIFECYCLE(s->state, LS_DYING), LS_CLOSE_TIMEOUT); break;
		case 53: s->state = LS_STATE_SET_LIFECYCLE(s->state, LS_DYING) | LS_STATE_FLOW_BIT(LS_FLOW_ADMIN); break;
		case 54: s->state = LS_STATE_SET_LIFECYCLE(s->state, LS_DEAD); break;
		case 55: s->state = LS_STATE_SET_LIFECYCLE(s->state, LS_CREATING); break;
		case 56: *empty_in(t, (h.bucket + 7) & t->env.bucket_mask) = LS_ENTRY(h.tag ^ 5, LS_REF(slot, 0)); break;
		case 57: s->state |= LS_STATE_DIRTY_BIT; break;
		}
	}
	*entry_at(t, LS_REF(base, 1)) = 0;
	worker_open(t, 0, &e);
	burst_begin(&e); /* died inside a burst */
	CHECK_EQ(worker_create(&e, &k, LS_UDP_NEW, &slot), LS_OK);
	ls_table_close(t);
	CHECK_EQ(ls_table_open(fd, &again, &err_no), LS_OK);
	CHECK_CLEAN(again);
	for (u32 i = 0; i < 100; i++) {
		struct ls_wire_record r = record_of(i);
		bool gone = i == 50 || i == 51 || i == 53 || i == 54 || i == 55;

		CHECK_AT("session %u", i);
		CHECK_EQ(ls_table_find(again, &r.key, &slot, &gen), gone ? LS_E_NOT_FOUND : LS_OK);
		if (!gone) {
			CHECK_EQ(LS_STATE_LIFECYCLE(again->env.sessions[slot].state), LS_LIVE);
			CHECK_EQ(LS_STATE_DIRTY(again->env.sessions[slot].state), 0);
			CHECK_EQ(LS_STATE_CLOSE(again->env.sessions[slot].state), 0);
		}
	}
	CHECK_EQ(ls_table_find(again, &k, &slot, &gen), LS_OK);
	CHECK_EQ(ls_table_drain(again, out, 8, &overruns), 1); /* notices of before are still there */
	CHECK_EQ(live_count(again), 96);
	ls_table_grace(again); /* waits for nobody */
	ls_table_close(again);
	close(fd);
}

TEST("the reserve is for installs: packets leave it alone (D12)")
{
	struct ls_geometry g = { .capacity = 1 << 12, .threads = 1, .arena = 1 };
	struct ls_config *c = bank_new();
	struct ls_table *t = NULL;
	struct ls_env e;
	u32 slot, opened = 0;
	int err_no;

	CHECK_EQ(ls_table_create(&g, LS_HUGE_NEVER, NULL, &t, &err_no), LS_OK);
	c->reserve = t->env.slots - 1500;
	memcpy(&t->env.banks[t->env.header->active_bank & 1], c, sizeof(*c));
	free(c);
	worker_open(t, 0, &e);
	for (u32 i = 0; i < 4096; i++) {
		struct ls_key k = key_of(i);

		burst_begin(&e);
		opened += worker_create(&e, &k, LS_UDP_NEW, &slot) == LS_OK;
		burst_end(&e);
		ls_table_refill(t);
	}
	CHECK_EQ(t->listed, t->env.slots - 1500);
	CHECK_EQ(opened, 1500);
	for (u32 i = 0; i < 300; i++) {
		struct ls_wire_record r = record_of(10000 + i);

		CHECK_EQ(install(t, &r, 0), LS_OK);
	}
	ls_table_close(t);
}

/* --- regions that are objects of their own ------------------------------------------------------------------------------------------------------- */

TEST("a table over one object for each region is the same table; a second holder adopts it; a damaged header is refused")
{
	struct ls_geometry g = { .capacity = 1 << 10, .cpus = 2, .threads = 1, .arena = 16 };
	int region[LS_REGION_COUNT], err_no;
	struct ls_table *t = NULL, *again = NULL;
	struct ls_wire_record r;
	struct ls_header h;
	struct ls_env e;
	struct ls_key k = key_of(7000);
	u32 slot, gen;

	CHECK_EQ(ls_header_init(&h, &g), LS_OK);
	for (u32 i = 0; i < LS_REGION_COUNT; i++) {
		region[i] = memfd_create("region", MFD_CLOEXEC);
		CHECK(region[i] >= 0 && ftruncate(region[i], ((off_t)h.regions[i].element * h.regions[i].count + 4095) & ~4095L) == 0);
	}
	CHECK_EQ(ls_table_over(region, true, false, &t, &err_no), LS_E_MAGIC); /* nobody wrote the header */
	CHECK(pwrite(region[LS_REGION_HEADER], &h, sizeof(h), 0) == (ssize_t)sizeof(h));
	CHECK_EQ(ls_table_over(region, true, false, &t, &err_no), LS_OK);
	CHECK_EQ(t->listed, h.slots);
	CHECK_EQ(t->env.rgs[0].role, LS_ROLE_OWNER);
	for (u32 i = 0; i < 500; i++) {
		r = record_of(i);
		CHECK_EQ(install(t, &r, 0), LS_OK);
	}
	ls_table_set_role(t, 3, LS_ROLE_STANDBY, 9, 0);
	CHECK_CLEAN(t);
	/* the holder goes while a worker lives and has an undone slot in hand */
	worker_open(t, 1, &e);
	burst_begin(&e);
	CHECK_EQ(worker_create(&e, &k, LS_UDP_NEW, &slot), LS_OK);
	CHECK_EQ(worker_create(&e, &k, LS_UDP_NEW, &slot), LS_E_CONFLICT);
	burst_end(&e);
	CHECK_EQ(ls_table_over(region, false, true, &again, &err_no), LS_OK);
	CHECK_EQ(again->env.rgs[3].role, LS_ROLE_STANDBY);
	CHECK_EQ(live_count(again), 501);
	CHECK_EQ(ls_table_find(again, &k, &slot, &gen), LS_OK);
	CHECK_EQ(again->listed, h.slots - 501 - 1 - (u32)(e.worker->free_head - e.worker->free_tail));
	CHECK_CLEAN(again);
	ls_worker_detach(again, 1);
	CHECK_CLEAN(again);
	ls_table_close(t);
	ls_table_close(again);
	h.checksum++;
	CHECK(pwrite(region[LS_REGION_HEADER], &h, sizeof(h), 0) == (ssize_t)sizeof(h));
	CHECK_EQ(ls_table_over(region, false, false, &t, &err_no), LS_E_GEOMETRY);
	for (u32 i = 0; i < LS_REGION_COUNT; i++)
		close(region[i]);
}

TEST("sessions of a dataplane that has its own are told as opened here, end when it says so, and by no policy; without it they end by time")
{
	struct ls_config *c = bank_new();
	struct ls_table *t = table_new(1024);
	struct ls_wire_record r = record_of(1), other = record_of(2), out[4];
	struct ls_delete_result gone;
	u32 slot, gen;
	u64 overruns;

	for (u32 p = 0; p < LS_PHASES_MAX; p++)
		c->timeout_ns[0][p] = 0;
	ls_table_write_config(t, c, sizeof(*c));
	ls_table_feed(t, true);
	r.flags = LS_SF_SNAT | LS_SF_PROGRAM;
	CHECK_EQ(install(t, &r, LS_INSTALL_TELL), LS_OK);
	CHECK_EQ(install(t, &other, 0), LS_OK);
	CHECK_EQ(ls_table_drain(t, out, 4, &overruns), 1); /* what a peer sent is not told */
	CHECK_EQ(out[0].kind, LS_NOTICE_CREATE);
	CHECK(out[0].id.serial == r.id.serial && !(out[0].flags & LS_SF_PEER));
	ls_table_programmed(t, true, true);
	CHECK_EQ(ls_table_expire(t, t->env.slots), 1);
	CHECK_EQ(ls_table_find(t, &r.key, &slot, &gen), LS_OK);
	ls_table_reevaluate(t, &gone); /* no rule permits anything */
	CHECK_EQ(gone.deleted, 0);
	r.packets[0] = 77;
	CHECK_EQ(install(t, &r, LS_INSTALL_TELL), LS_OK); /* the same again */
	CHECK_EQ(ls_table_drain(t, out, 4, &overruns), 2);
	CHECK_EQ(out[0].kind + out[1].kind, LS_NOTICE_CREATE + LS_NOTICE_DELETE);
	r.packets[0] = 78;
	CHECK_EQ(install(t, &r, LS_INSTALL_TOUCH), LS_OK);
	CHECK_EQ(ls_table_drain(t, out, 4, &overruns), 0);
	CHECK_EQ(ls_table_get(t, &r.key, out), LS_OK);
	CHECK_EQ(out[0].packets[0], 78);
	CHECK_EQ(install(t, &other, LS_INSTALL_TOUCH), LS_E_NOT_FOUND);
	ls_table_programmed(t, true, false);
	CHECK_EQ(ls_table_expire(t, t->env.slots), 1);
	CHECK_EQ(ls_table_find(t, &r.key, &slot, &gen), LS_E_NOT_FOUND);
	ls_table_feed(t, false);
	CHECK_CLEAN(t);
	ls_table_close(t);
	free(c);
}

CHECK_MAIN
