/* Cells as bytes. Counts are sent as their distance from what is expected at that index: one or two bytes, however many items there are. */
#include <string.h>

#include "sketch/sketch.h"

/* round(items / (1 + i/2)), halves up; items up to LS_SKETCH_ITEMS_MAX. */
static u64 expected(u64 items, u64 i)
{
	return (2 * items + (i + 2) / 2) / (i + 2);
}

static u32 varint_put(u64 value, u8 out[10])
{
	u32 n = 0;

	for (; value >= 0x80; value >>= 7)
		out[n++] = (u8)(value | 0x80);
	out[n++] = (u8)value;
	return n;
}

/* Bytes taken; 0: cut off, above 64 bits, or longer than need be. */
static u32 varint_get(const u8 *bytes, u64 len, u64 *value)
{
	*value = 0;
	for (u32 n = 0; n < 10 && n < len; n++) {
		*value |= (u64)(bytes[n] & 0x7f) << (7 * n);
		if (bytes[n] < 0x80)
			return (n == 9 && bytes[n] > 1) || (n > 0 && bytes[n] == 0) ? 0 : n + 1;
	}
	return 0;
}

u64 ls_sketch_pack(const struct ls_sketch_cell *cells, u32 from, u32 n, u64 items_total, u8 *out, u64 max)
{
	u64 at = 0;

	for (u32 c = 0; c < n; c++) {
		u64 off = (u64)cells[c].count - expected(items_total, (u64)from + c);
		u8 count[10];
		u32 bytes = varint_put(off << 1 ^ (off >> 63 ? ~0ULL : 0), count);

		if (max - at < 32 + bytes)
			return 0;
		memcpy(out + at, cells[c].sum, 24);
		memcpy(out + at + 24, &cells[c].hash, 8);
		memcpy(out + at + 32, count, bytes);
		at += 32 + bytes;
	}
	return at;
}

enum ls_status ls_sketch_unpack(const u8 *bytes, u64 len, u32 from, u32 n, u64 items_total, struct ls_sketch_cell *cells)
{
	u64 at = 0;

	if (items_total > LS_SKETCH_ITEMS_MAX)
		return LS_E_RECORD;
	for (u32 c = 0; c < n; c++) {
		u64 zigzag, count;
		u32 taken;

		if (len - at < LS_SKETCH_PACKED_MIN)
			return LS_E_RECORD;
		memcpy(cells[c].sum, bytes + at, 24);
		memcpy(&cells[c].hash, bytes + at + 24, 8);
		taken = varint_get(bytes + at + 32, len - at - 32, &zigzag);
		count = expected(items_total, (u64)from + c) + (zigzag >> 1 ^ (zigzag & 1 ? ~0ULL : 0));
		if (taken == 0 || count > items_total) /* below 0 wraps to far above */
			return LS_E_RECORD;
		cells[c].count = (s64)count;
		at += 32 + taken;
	}
	return at == len ? LS_OK : LS_E_RECORD;
}
