/* Reading many sessions: filters, columns for listings, packed records, counts. Plain loads; no lock, no system call, no copy but the result's. */
#include "table/image.h"
#include "table/table.h"

#include <string.h>

#define AHEAD 8 /* slots fetched before they are looked at */

static bool in_prefix(const struct ls_addr *a, const struct ls_addr *prefix, u32 bits)
{
	for (u32 i = 0; i < 2; i++) {
		u32 n = bits > i * 64 ? bits - i * 64 : 0;
		u64 mask = n >= 64 ? ~0ULL : n == 0 ? 0 : __builtin_bswap64(~(~0ULL >> n));

		if ((a->d[i] ^ prefix->d[i]) & mask)
			return false;
	}
	return true;
}

bool ls_filter_match(const struct ls_filter *f, const struct ls_session *s, u64 now_ns)
{
	u32 m = f->match;

	if (m == 0)
		return true;
#define IS(bit) (m & LS_FM_##bit)
	if ((IS(PROTO) && s->key.proto != f->proto) || (IS(FAMILY) && s->key.family != f->family) ||
	    (IS(DOMAIN) && s->key.domain != f->domain) || (IS(ZONE_IN) && s->zone_in != f->zone_in) ||
	    (IS(ZONE_OUT) && s->zone_out != f->zone_out) || (IS(POLICY) && s->policy != f->policy) || (IS(VIP) && s->vip != f->vip) ||
	    (IS(REAL) && s->real != f->real) || (IS(RG) && s->rg != f->rg) || (IS(APP) && s->app != f->app) ||
	    (IS(PHASES) && !(f->phases >> LS_STATE_PHASE(s->state) & 1)) || (IS(FLAGS) && (s->flags & f->flags_mask) != f->flags_value) ||
	    (IS(SPORT) && s->key.sport_be != f->sport_be) || (IS(DPORT) && s->key.dport_be != f->dport_be))
		return false;
	if (IS(PORT) && s->key.sport_be != f->sport_be && s->key.dport_be != f->sport_be && s->reply.sport_be != f->sport_be &&
	    s->reply.dport_be != f->sport_be)
		return false;
	if ((IS(SRC) && !in_prefix(&s->key.src, &f->src, f->src_prefix)) || (IS(DST) && !in_prefix(&s->key.dst, &f->dst, f->dst_prefix)))
		return false;
	if (IS(ADDR) && !in_prefix(&s->key.src, &f->src, f->src_prefix) && !in_prefix(&s->key.dst, &f->src, f->src_prefix) &&
	    !in_prefix(&s->reply.src, &f->src, f->src_prefix) && !in_prefix(&s->reply.dst, &f->src, f->src_prefix))
		return false;
	if (IS(ID) && (s->id.origin != f->id.origin || s->id.serial != f->id.serial))
		return false;
	if (IS(IDLE)) {
		/* a packet after `now` was read makes it idle for no time, not for 584 years */
		u64 idle = now_ns > s->last_seen_ns ? now_ns - s->last_seen_ns : 0;

		if (idle < f->min_idle_ns)
			return false;
	}
	if (IS(AGE)) {
		u64 age = now_ns > s->created_ns ? now_ns - s->created_ns : 0;

		if (IS(YOUNGER) ? age >= f->min_age_ns : age < f->min_age_ns)
			return false;
	}
#undef IS
	return true;
}

static const u8 column_bytes[LS_COLUMN_COUNT] = {
#define X(name, bytes, kind, text) [LS_COL_##name] = bytes,
#include "lockstep/defs/column.def"
#undef X
};

u32 ls_column_bytes(u32 column) { return column < LS_COLUMN_COUNT ? column_bytes[column] : 0; }

static u32 saturate_ms(u64 ns) { return ns / 1000000 > 0xffffffff ? 0xffffffff : (u32)(ns / 1000000); }

static u64 expires_ns(const struct ls_table *t, const struct ls_session *s, u64 now)
{
	const struct ls_config *c = &t->env.banks[LS_LOAD(&t->env.header->active_bank) & 1];
	u64 seen = s->last_seen_ns, floor = s->rg == LS_RG_NONE ? 0 : LS_LOAD(&t->env.rgs[s->rg & (LS_RGS_MAX - 1)].seen_floor_ns), end;

	end = (floor > seen ? floor : seen) + c->timeout_ns[s->app & (LS_APPS_MAX - 1)][LS_STATE_PHASE(s->state) & (LS_PHASES_MAX - 1)];
	return end > now ? end - now : 0;
}

/* One field of one session, little-endian, at `to`. */
static void column_put(const struct ls_table *t, u32 column, const struct ls_session *s, u32 slot, u64 now, u8 *to)
{
	u64 number = 0;
	const void *from = &number;

	switch (column) {
	case LS_COL_ID: from = &s->id; break;
	case LS_COL_SRC: from = &s->key.src; break;
	case LS_COL_DST: from = &s->key.dst; break;
	case LS_COL_SPORT: number = __builtin_bswap16(s->key.sport_be); break;
	case LS_COL_DPORT: number = __builtin_bswap16(s->key.dport_be); break;
	case LS_COL_PROTO: number = s->key.proto; break;
	case LS_COL_FAMILY: number = s->key.family; break;
	case LS_COL_DOMAIN: number = s->key.domain; break;
	case LS_COL_REPLY_SRC: from = &s->reply.src; break;
	case LS_COL_REPLY_DST: from = &s->reply.dst; break;
	case LS_COL_REPLY_SPORT: number = __builtin_bswap16(s->reply.sport_be); break;
	case LS_COL_REPLY_DPORT: number = __builtin_bswap16(s->reply.dport_be); break;
	case LS_COL_ZONE_IN: number = s->zone_in; break;
	case LS_COL_ZONE_OUT: number = s->zone_out; break;
	case LS_COL_POLICY: number = s->policy; break;
	case LS_COL_VIP: number = s->vip; break;
	case LS_COL_REAL: number = s->real; break;
	case LS_COL_RG: number = s->rg; break;
	case LS_COL_APP: number = s->app; break;
	case LS_COL_PHASE: number = LS_STATE_PHASE(s->state); break;
	case LS_COL_FLOW: number = LS_STATE_FLOW(s->state); break;
	case LS_COL_FLAGS: number = s->flags; break;
	case LS_COL_PACKETS_FORWARD: number = s->packets[0]; break;
	case LS_COL_PACKETS_REPLY: number = s->packets[1]; break;
	case LS_COL_BYTES_FORWARD: number = s->bytes[0]; break;
	case LS_COL_BYTES_REPLY: number = s->bytes[1]; break;
	case LS_COL_IDLE_MS: number = saturate_ms(now > s->last_seen_ns ? now - s->last_seen_ns : 0); break;
	case LS_COL_AGE_MS: number = saturate_ms(now > s->created_ns ? now - s->created_ns : 0); break;
	case LS_COL_EXPIRES_MS: number = saturate_ms(expires_ns(t, s, now)); break;
	case LS_COL_SLOT: number = slot; break;
	default: break;
	}
	memcpy(to, from, column_bytes[column]);
}

/* Next matching session from *cursor on, in `s`; its slot, or 0xffffffff at the end or when time is up (then *cursor says where). */
static u32 next_match(const struct ls_table *t, const struct ls_filter *f, u32 *cursor, u64 now, u64 stop_ns, struct ls_session *s)
{
	for (u32 slot = *cursor; slot < t->env.slots; slot++) {
		if (slot + AHEAD < t->env.slots) {
			__builtin_prefetch(&t->env.sessions[slot + AHEAD]);
			__builtin_prefetch((const u8 *)&t->env.sessions[slot + AHEAD] + 64);
			__builtin_prefetch((const u8 *)&t->env.sessions[slot + AHEAD] + 128);
		}
		if ((slot & 4095) == 4095 && slot != *cursor && ls_clock_ns() > stop_ns) { /* every call moves on, however little time it has */
			*cursor = slot;
			return 0xffffffff;
		}
		if (ls_session_read(t, slot, s) && ls_filter_match(f, s, now)) {
			*cursor = slot + 1;
			return slot;
		}
	}
	*cursor = 0xffffffff;
	return 0xffffffff;
}

static u64 stop_at(u64 now, u64 max_ns) { return max_ns > ~0ULL - now ? ~0ULL : now + max_ns; }

/* Where each column of a batch with room for `rows` begins. */
static void column_offsets(u32 columns, u32 rows, u64 *offset)
{
	u64 at = 0;

	for (u32 c = 0; c < LS_COLUMN_COUNT; c++) {
		offset[c] = at;
		if (columns >> c & 1)
			at += (u64)column_bytes[c] * rows;
	}
}

static void row_put(const struct ls_table *t, u32 columns, const u64 *offset, u32 row, const struct ls_session *s, u32 slot, u64 now, u8 *out)
{
	for (u32 c = 0; c < LS_COLUMN_COUNT; c++)
		if (columns >> c & 1)
			column_put(t, c, s, slot, now, out + offset[c] + (u64)row * column_bytes[c]);
}

u32 ls_scan_columns(const struct ls_table *t, const struct ls_filter *f, u32 columns, u32 *cursor, u8 *out, u32 max_rows, u64 max_ns)
{
	u64 now = ls_clock_ns(), offset[LS_COLUMN_COUNT];
	struct ls_session s;
	u32 rows = 0;

	column_offsets(columns, max_rows, offset);
	while (rows < max_rows && *cursor != 0xffffffff) {
		u32 slot = next_match(t, f, cursor, now, stop_at(now, max_ns), &s);

		if (slot == 0xffffffff)
			break;
		row_put(t, columns, offset, rows++, &s, slot, now, out);
	}
	return rows;
}

u32 ls_scan_records(const struct ls_table *t, const struct ls_filter *f, u32 *cursor, struct ls_wire_record *out, u32 max_rows, u64 max_ns)
{
	u64 now = ls_clock_ns();
	struct ls_session s;
	u32 rows = 0;

	while (rows < max_rows && *cursor != 0xffffffff) {
		u32 slot = next_match(t, f, cursor, now, stop_at(now, max_ns), &s);

		if (slot == 0xffffffff)
			break;
		ls_wire_pack(&s, slot, LS_NOTICE_NONE, now, &out[rows++]);
	}
	return rows;
}

static void as_live(const struct ls_wire_record *r, u64 now, struct ls_session *s)
{
	ls_wire_unpack(r, now, r->flags, LS_STATE_MAKE(LS_LIVE, r->phase, 0, r->close_reason, r->flow), s);
}

u32 ls_records_select(const struct ls_filter *f, const struct ls_wire_record *records, u32 n, struct ls_wire_record *out)
{
	u64 now = ls_clock_ns();
	struct ls_session s;
	u32 rows = 0;

	for (u32 i = 0; i < n; i++) {
		as_live(&records[i], now, &s);
		if (ls_filter_match(f, &s, now))
			out[rows++] = records[i];
	}
	return rows;
}

void ls_records_columns(const struct ls_table *t, const struct ls_wire_record *records, u32 n, u32 columns, u8 *out)
{
	u64 now = ls_clock_ns(), offset[LS_COLUMN_COUNT];
	struct ls_session s;

	column_offsets(columns, n, offset);
	for (u32 i = 0; i < n; i++) {
		as_live(&records[i], now, &s);
		row_put(t, columns, offset, i, &s, records[i].slot, now, out);
	}
}

u64 ls_scan_count(const struct ls_table *t, const struct ls_filter *f, const u32 *cancel)
{
	u64 now = ls_clock_ns(), n = 0;
	struct ls_session s;
	u32 cursor = 0;

	if (f->match == 0) { /* everything live: the state word says it all */
		for (u32 slot = 0; slot < t->env.slots; slot++) {
			u32 life = LS_STATE_LIFECYCLE(LS_LOAD(&t->env.sessions[slot].state));

			n += life == LS_LIVE || life == LS_DYING;
		}
		return n;
	}
	while (cursor != 0xffffffff && next_match(t, f, &cursor, now, ~0ULL, &s) != 0xffffffff) {
		n++;
		if (cancel && (n & 4095) == 0 && LS_LOAD(cancel))
			break;
	}
	return n;
}

u64 ls_scan_walk(const struct ls_table *t, u64 *live)
{
	u64 sum = 0, n = 0;

	for (u32 slot = 0; slot < t->env.slots; slot++) {
		const struct ls_session *s = &t->env.sessions[slot];

		if (LS_STATE_LIFECYCLE(LS_LOAD(&s->state)) != LS_LIVE)
			continue;
		n++;
		sum += LS_LOAD(&s->packets[0]) + LS_LOAD(&s->key.src.d[1]) + LS_LOAD(&s->reply.dst.d[1]) + LS_LOAD(&s->bytes[1]);
	}
	*live = n;
	return sum;
}
