/* Golden packets: files in test/fixtures/packets that say what goes in, the verdict, what comes out and what is counted. Every build of the pipeline runs
 * the same files.
 *
 *   name TEXT              config NAME (topology.h)           worker W of N (SNAT shares depend on it)
 *   in port P              then rows: a label and hex bytes; the label is for the reader
 *   wait SECONDS           the clock moves before the next packet
 *   verdict drop REASON | tx iface I | neigh iface I | host
 *   out                    rows as above; with tx and neigh only
 *   counters NAME N ...    everything that changed: names of defs/counter.def but bytes, drop:REASON
 */
#ifndef LOCKSTEP_TEST_GOLDEN_H
#define LOCKSTEP_TEST_GOLDEN_H

#include <dirent.h>

#include "packet.h"
#include "table_fixture.h"

/* One build: what it did with a frame is in its lane afterwards, as lane_send() leaves it. */
struct golden_build {
	struct lane *(*open)(void); /* the standard router, nothing seen yet */
	bool (*send)(struct lane *w, u32 port, const u8 *bytes, u32 len, u32 *verdict); /* false: this build cannot be offered such a frame */
	void (*wait)(struct lane *w, u64 ns);
	void (*close)(struct lane *w);
};

static const char *const counter_names[LS_COUNTER_COUNT] = {
#define X(name, text) #name,
#include "lockstep/defs/counter.def"
#undef X
};

static inline void verdict_text(const struct lane *w, u32 v, char *text, size_t n)
{
	if (v == LS_V_DROP)
		snprintf(text, n, "drop %s", drop_names[w->pkt.drop]);
	else if (v == LS_V_HOST)
		snprintf(text, n, "host");
	else
		snprintf(text, n, "%s iface %u", v == LS_V_TX ? "tx" : "neigh", w->pkt.out_iface);
}

static inline void counters_text(const struct lane *w, char *text, size_t n)
{
	size_t at = 0;

	text[0] = 0;
	for (u32 i = 0; i < LS_COUNTER_COUNT; i++)
		if (i != LS_CTR_RX_BYTES && i != LS_CTR_TX_BYTES && counted(w, i))
			at += (size_t)snprintf(text + at, n - at, "%s%s %llu", at ? " " : "", counter_names[i], (unsigned long long)counted(w, i));
	for (u32 i = 0; i < LS_DROP_COUNT; i++)
		if (drops_by(w, i))
			at += (size_t)snprintf(text + at, n - at, " drop:%s %llu", drop_names[i], (unsigned long long)drops_by(w, i));
}

static inline u32 hex_rows(const char *line, u8 *to, u32 at, u32 max)
{
	const char *p = line;
	int used;
	u32 value;

	while (*p == ' ')
		p++;
	if (!(strspn(p, "0123456789abcdef") == 2 && (p[2] == ' ' || p[2] == 0))) /* a label */
		p += strcspn(p, " \n");
	while (sscanf(p, " %2x%n", &value, &used) == 1) {
		CHECK(at < max);
		to[at++] = (u8)value;
		p += used;
	}
	return at;
}

static inline u32 golden_file(const char *path, const struct golden_build *build)
{
	FILE *f = fopen(path, "r");
	struct lane *w = build->open();
	char line[512], got[1024], want[512];
	u8 in[PACKET_MAX], out[PACKET_MAX];
	u32 in_len = 0, out_len = 0, port = 0, number = 0, steps = 0, mode = 0, v = 0;

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		u32 a;

		number++;
		CHECK_AT("%s line %u", path, number);
		line[strcspn(line, "\n")] = 0;
		if (line[0] == '#' || line[0] == 0 || strncmp(line, "name ", 5) == 0) {
			continue;
		} else if (strncmp(line, "config ", 7) == 0) {
			CHECK(strcmp(line + 7, "standard") == 0);
		} else if (sscanf(line, "worker 0 of %u", &a) == 1) {
			CHECK_EQ(a, w->t->env.header->workers);
		} else if (sscanf(line, "wait %u", &a) == 1) {
			build->wait(w, a * 1000000000ULL);
		} else if (sscanf(line, "in port %u", &port) == 1) {
			in_len = out_len = 0;
			mode = 1;
		} else if (strncmp(line, "verdict ", 8) == 0) {
			if (!build->send(w, port, in, in_len, &v)) {
				mode = 3;
				continue;
			}
			if (accounted(w, v))
				CHECK_FAIL("%s", accounted(w, v));
			verdict_text(w, v, got, sizeof(got));
			if (strcmp(got, line + 8))
				CHECK_FAIL("verdict %s, expected %s", got, line + 8);
		} else if (strcmp(line, "out") == 0) {
			mode = mode == 3 ? 3 : 2;
		} else if (mode == 3 && (line[0] == ' ' || strncmp(line, "counters ", 9) == 0)) {
			continue; /* not for this build */
		} else if (strncmp(line, "counters ", 9) == 0) {
			snprintf(want, sizeof(want), "%s", line + 9);
			counters_text(w, got, sizeof(got));
			if (strcmp(got, want))
				CHECK_FAIL("counters %s, expected %s", got, want);
			if (v == LS_V_TX || v == LS_V_NEIGH) {
				CHECK_EQ(w->frame.len, out_len);
				for (u32 i = 0; i < out_len; i++)
					if (w->frame.data[i] != out[i])
						CHECK_FAIL("byte %u is %02x, expected %02x", i, w->frame.data[i], out[i]);
			}
			steps++;
			mode = 0;
		} else if (line[0] == ' ' && mode == 1) {
			in_len = hex_rows(line, in, in_len, sizeof(in));
		} else if (line[0] == ' ' && mode == 2) {
			out_len = hex_rows(line, out, out_len, sizeof(out));
		} else {
			CHECK_FAIL("not understood: %s", line);
		}
	}
	fclose(f);
	build->close(w);
	return steps;
}

static inline void golden_folder(const struct golden_build *build)
{
	const char *folder = "test/fixtures/packets";
	DIR *d = opendir(folder);
	struct dirent *entry;
	u32 files = 0, steps = 0;

	if (!d)
		CHECK_FAIL("cannot read %s: run from the root of the repository", folder);
	while ((entry = readdir(d)) != NULL) {
		char path[512];
		size_t n = strlen(entry->d_name);

		if (n < 7 || strcmp(entry->d_name + n - 7, ".golden"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		steps += golden_file(path, build);
		files++;
	}
	closedir(d);
	printf("    %u files, %u packets\n", files, steps);
	CHECK(files >= 14);
}

#endif
