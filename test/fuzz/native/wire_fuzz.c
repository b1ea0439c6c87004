/* Fuzzes records from the wire: each input is a short program of installs (a good record with bytes patched, or raw bytes of any stride), deletes, finds,
 * scans with hostile filters, expiry and reconciliation, on one small table. Whatever comes in, the table stays sound and what leaves it is well formed.
 */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"

#include "../../native/bank.h"

#include <stdio.h>

struct input {
	const u8 *at, *end;
};

static u32 take(struct input *in) { return in->at < in->end ? *in->at++ : 0; }
static u32 take16(struct input *in) { u32 high = take(in); return high << 8 | take(in); }
static void take_bytes(struct input *in, void *to, u32 n)
{
	for (u32 i = 0; i < n; i++)
		((u8 *)to)[i] = (u8)take(in);
}

static struct ls_table *table;

#define BROKEN(...)                           \
	do {                                  \
		fprintf(stderr, __VA_ARGS__); \
		fputc('\n', stderr);          \
		abort();                      \
	} while (0)

static struct ls_wire_record record(u32 i)
{
	struct ls_wire_record r = { .version = LS_WIRE_VERSION, .kind = LS_NOTICE_CREATE, .phase = LS_UDP_STREAM, .id = { .origin = 7, .serial = i + 1 } };

	r.key = (struct ls_key){ .src = addr(i & 1 ? "fd00::1" : "10.0.0.1"), .dst = addr(i & 1 ? "fd00::2" : "10.0.0.2"), .sport_be = (be16)i,
		.dport_be = htons(53), .proto = 17, .family = i & 1 ? LS_IP6 : LS_IP4 };
	ls_key_reverse(&r.reply, &r.key);
	return r;
}

static bool v4(const struct ls_addr *a) { return memcmp(a->b, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0; }

/* What the packet path takes for granted of a record (hazards 34-36): said here once more, so that a hole in ls_wire_check() shows. */
static bool sound(const struct ls_wire_record *r)
{
	bool four = r->key.family == LS_IP4;

	if (r->phase >= LS_PHASE_COUNT || (r->rg != LS_RG_NONE && r->rg >= LS_RGS_MAX) || r->app >= LS_APPS_MAX || r->zone_in >= LS_ZONES_MAX)
		return false;
	if (r->zone_out >= LS_ZONES_MAX || r->policy >= LS_POLICIES_MAX || r->vip >= LS_VIPS_MAX || r->real >= LS_REALS_MAX)
		return false;
	if ((!four && r->key.family != LS_IP6) || r->reply.family != r->key.family || r->reply.proto != r->key.proto || r->reply.domain != r->key.domain)
		return false;
	return v4(&r->key.src) == four && v4(&r->key.dst) == four && v4(&r->reply.src) == four && v4(&r->reply.dst) == four;
}

static void check_table(void)
{
	static struct ls_wire_record out[4096];
	struct ls_verify_report r;
	u64 overruns;
	u32 n, cursor = 0;

	ls_table_verify(table, &r);
	for (u32 k = 0; k < LS_VF_COUNT; k++)
		if (r.fault[k])
			BROKEN("verify: fault %u, %llu times, first at %u", k, (unsigned long long)r.fault[k], r.first[k]);
	n = ls_table_drain(table, out, 4096, &overruns);
	for (u32 i = 0; i < n; i++)
		if (ls_wire_check(&out[i]) != LS_OK)
			BROKEN("a drained record is malformed");
	n = ls_scan_records(table, &(struct ls_filter){ 0 }, &cursor, out, 4096, ~0ULL);
	if (n != r.live)
		BROKEN("%u scanned, %llu live", n, (unsigned long long)r.live);
	for (u32 i = 0; i < n; i++) {
		u32 slot, gen;

		if (ls_wire_check(&out[i]) != LS_OK || !sound(&out[i]))
			BROKEN("a record that was let in is malformed on the way out");
		if (ls_table_find(table, &out[i].key, &slot, &gen) != LS_OK || slot != out[i].slot || ls_table_find(table, &out[i].reply, &slot, &gen) != LS_OK ||
		    slot != out[i].slot)
			BROKEN("a session is not found by its own tuples");
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static u8 frame[64 * 256], status[64];
	struct input in = { .at = data, .end = data + size };
	struct ls_geometry g = { .capacity = 1 << 10, .threads = 1, .arena = 64 };
	struct ls_delete_result gone;
	struct ls_install_result result;
	struct ls_filter filter = { 0 };
	int err_no;
	u32 ops = 0;

	if (!table) {
		struct ls_config *c = bank_new();

		if (ls_table_create(&g, LS_HUGE_NEVER, NULL, &table, &err_no) != LS_OK)
			BROKEN("no table");
		for (u32 i = 0; i < 10; i++)
			table->env.header->hash.nh[i] = 0x9e3779b9u * (i + 1);
		table->env.header->hash.mul = 0xbf58476d1ce4e5b9ULL;
		table->env.header->hash.add = 0x94d049bb133111ebULL;
		ls_table_write_config(table, c, sizeof(*c));
		for (u32 i = 0; i < LS_RGS_MAX; i++)
			table->env.rgs[i].seen_floor_ns = 0;
		free(c);
		ls_table_feed(table, true);
	}
	ls_table_delete_filter(table, &filter, LS_CLOSE_ADMIN, NULL, &gone);
	while (in.at < in.end && ops++ < 200) {
		u32 op = take(&in);

		switch (op & 7) {
		case 0: case 1: case 2: { /* a good record, patched */
			struct ls_wire_record r = record(op & 0x80 ? take16(&in) : take(&in));

			for (u32 n = op >> 3 & 3; n; n--) {
				u32 at = take(&in);

				((u8 *)&r)[at % sizeof(r)] ^= (u8)take(&in);
			}
			ls_table_install(table, (u8 *)&r, sizeof(r), 1, op & 0x40 ? LS_INSTALL_MARK : 0, status, NULL, &result);
			if ((status[0] == LS_OK) != (result.installed + result.replaced == 1) || (ls_wire_check(&r) != LS_OK && status[0] == LS_OK))
				BROKEN("status %u of a record that is %u", status[0], ls_wire_check(&r));
			break;
		}
		case 3: { /* many, of any stride, copied to a block of exactly that size */
			u32 stride = sizeof(struct ls_wire_record) + (take(&in) & 63), n = take(&in) & 63, first = take(&in) * 16;
			u8 *block;

			for (u32 i = 0; i < n; i++) {
				struct ls_wire_record r = record(first + i);

				memcpy(frame + i * stride, &r, sizeof(r));
			}
			for (u32 i = take(&in) & 15; i; i--)
				frame[take16(&in) % sizeof(frame)] = (u8)take(&in);
			block = malloc(n * stride + 1);
			memcpy(block, frame, n * stride);
			ls_table_install(table, block, stride, n, 0, status, NULL, &result);
			free(block);
			if (result.installed + result.replaced + result.conflicts + result.full + result.invalid != n)
				BROKEN("%u records, other outcomes", n);
			break;
		}
		case 4: { /* raw bytes */
			struct ls_wire_record r;

			take_bytes(&in, &r, sizeof(r));
			ls_table_install(table, (u8 *)&r, sizeof(r), 1, 0, status, NULL, &result);
			break;
		}
		case 5: {
			struct ls_wire_record r = record(take(&in));
			struct ls_wire_delete d[2] = { { .id = r.id, .key = r.key, .reason = (u8)take(&in) }, { .id = { 7, take(&in) }, .key = r.reply } };

			ls_table_delete_ids(table, d, 2, &gone);
			break;
		}
		case 6: {
			u8 *columns;
			u32 cursor = take(&in) & 1 ? take16(&in) : 0, wanted = take16(&in) | take16(&in) << 16;

			take_bytes(&in, &filter, sizeof(filter));
			columns = malloc(512 * 16);
			ls_scan_columns(table, &filter, wanted & ((1u << LS_COLUMN_COUNT) - 1), &cursor, columns, 16, 1000000);
			free(columns);
			ls_scan_count(table, &filter, NULL);
			if (op & 0x40)
				ls_table_delete_filter(table, &filter, take(&in) % LS_CLOSE_COUNT, NULL, &gone);
			break;
		}
		default: {
			struct ls_reconcile_result rr;

			if (op & 8)
				ls_bulk_begin(table);
			if (op & 16)
				ls_reconcile(table, take16(&in), op & 32, op & 64, &rr);
			if (op & 128)
				ls_table_expire(table, table->env.slots);
		}
		}
		if (ops % 64 == 0)
			check_table();
	}
	check_table();
	return 0;
}
