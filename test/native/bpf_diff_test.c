/* The two builds of the pipeline beside each other: programs of pipeline_fuzz (packets, mutations, time, table operations) over two equal tables, each frame
 * in user space and in the kernel. Equal have to be: verdict, drop reason, bytes out, every counter, notices, session records.
 *
 *   bpf_diff_test            some rounds
 *   bpf_diff_test SECONDS    as long as wanted; LS_SEED=N repeats a run
 *
 * A round is an input of the fuzzer's corpus, one of them mutated, random bytes, or packets of mix.h.
 */
#include "../fuzz/native/pipeline_fuzz.c"

#include <dirent.h>

#include "kernel.h"
#include "mix.h"

#define ROUNDS 200
#define CORPUS_MAX 8192
#define INPUT_MAX 1024

static struct lane *user, *program;
static struct ls_config *banks[2];
static u64 round_number, frames;
static char what[96];

static struct {
	u8 bytes[INPUT_MAX];
	u32 n;
} corpus[CORPUS_MAX];
static u32 inputs;

#define DIFFERS(...)                                                                                                                \
	do {                                                                                                                        \
		printf("    round %llu, frame %llu, %s: ", (unsigned long long)round_number, (unsigned long long)frames, what); \
		printf(__VA_ARGS__);                                                                                                \
		printf("\n");                                                                                                       \
		exit(1);                                                                                                            \
	} while (0)

static void on_both(void (*run)(void))
{
	table = user->t, bank = banks[0];
	run();
	table = program->t, bank = banks[1];
	run();
}

/* Who the router is of two nodes from here on. */
static u64 part;

static void play_part(void)
{
	ls_table_set_role(table, part & 3, (part >> 2) % 6, part, part >> 8 & 7 ? ~0ULL : 1);
	table->env.banks[table->env.header->active_bank & 1].fabric = part >> 12 & 7 ? IF_FABRIC : 0;
}

static void compare_frame(u32 v, u32 kernel_v)
{
	const struct ls_worker_counters *mine = user->e.worker_counters;
	const struct ls_worker_counters *theirs = program->e.worker_counters;

	if (v != kernel_v)
		DIFFERS("verdict %u (drop %s), in the kernel %u (drop %s)", v, drop_names[user->pkt.drop], kernel_v, drop_names[program->pkt.drop]);
	if (v == LS_V_DROP && user->pkt.drop != program->pkt.drop)
		DIFFERS("drop %s, in the kernel %s", drop_names[user->pkt.drop], drop_names[program->pkt.drop]);
	if (v == LS_V_TX || v == LS_V_NEIGH) {
		if (user->pkt.out_iface != program->pkt.out_iface)
			DIFFERS("out of interface %u, in the kernel %u", user->pkt.out_iface, program->pkt.out_iface);
		if (user->frame.len != program->frame.len)
			DIFFERS("%u bytes, in the kernel %u", user->frame.len, program->frame.len);
		for (u32 i = 0; i < user->frame.len; i++)
			if (user->frame.data[i] != program->frame.data[i])
				DIFFERS("byte %u is %02x, in the kernel %02x", i, user->frame.data[i], program->frame.data[i]);
	}
	if (v == LS_V_NEIGH) { /* in user space the affair of who called the pipeline; here without a place to wait */
		ls_count(&user->e, LS_CTR_NEIGH_MISSES, 1);
		ls_drop(&user->e, &user->pkt, LS_DROP_NO_NEIGHBOUR);
	}
	for (u32 i = 0; i < sizeof(mine->c) / 8; i++)
		if (((const u64 *)&mine->c)[i] != ((const u64 *)&theirs->c)[i])
			DIFFERS("word %u of struct ls_counters is %llu, in the kernel %llu", i, (unsigned long long)((const u64 *)&mine->c)[i], (unsigned long long)((const u64 *)&theirs->c)[i]);
}

/* But for times, and the numbers that are random per table. */
static void compare_sessions(void)
{
	for (u32 slot = 0; slot < user->t->env.slots; slot++) {
		struct ls_session mine = user->t->env.sessions[slot], theirs = program->t->env.sessions[slot];

		if (LS_STATE_LIFECYCLE(mine.state) != LS_LIVE && LS_STATE_LIFECYCLE(theirs.state) != LS_LIVE)
			continue;
		mine.id.origin = theirs.id.origin = 0;
		mine.created_ns = theirs.created_ns = mine.last_seen_ns = theirs.last_seen_ns = 0;
		for (u32 i = 0; i < sizeof(mine); i++)
			if (((u8 *)&mine)[i] != ((u8 *)&theirs)[i])
				DIFFERS("session in slot %u, byte %u: %02x, in the kernel %02x", slot, i, ((u8 *)&mine)[i], ((u8 *)&theirs)[i]);
	}
}

static void compare_notices(void)
{
	static struct ls_wire_record mine[4096], theirs[4096];
	u64 lost, kernel_lost;
	u32 n = ls_table_drain(user->t, mine, 4096, &lost), m = ls_table_drain(program->t, theirs, 4096, &kernel_lost);

	if (n != m || lost != kernel_lost)
		DIFFERS("%u notices, %llu lost, in the kernel %u and %llu", n, (unsigned long long)lost, m, (unsigned long long)kernel_lost);
	for (u32 i = 0; i < n; i++) {
		mine[i].id.origin = theirs[i].id.origin = 0;
		mine[i].idle_ns = theirs[i].idle_ns = mine[i].age_ns = theirs[i].age_ns = 0;
		if (memcmp(&mine[i], &theirs[i], sizeof(mine[i])))
			DIFFERS("notice %u of slot %u: kind %u, in the kernel kind %u of slot %u", i, mine[i].slot, mine[i].kind, theirs[i].kind, theirs[i].slot);
	}
}

static void push_both(u32 port, const struct packet *p)
{
	u32 v, kernel_v;

	if (p->len < 14)
		return; /* the kernel takes no frame without a link header */
	frames++;
	v = lane_send(user, port, p->b, p->len);
	kernel_v = kernel_send(program, port, p->b, p->len);
	compare_frame(v, kernel_v);
	remember(user, v, port, p);
}

static void compare_tables(void)
{
	compare_sessions();
	compare_notices();
	on_both(check_table);
}

static void run_program(const u8 *data, u32 size)
{
	struct input in = { .at = data, .end = data + size };

	for (u32 packets = 0; in.at < in.end && packets < 256;) {
		u32 op = take(&in), port;
		struct packet p;

		if ((op & 0xf0) == 0xf0) {
			struct input again = in;

			table = user->t;
			operate(&again);
			table = program->t;
			operate(&in);
			compare_sessions();
			continue;
		}
		p = next_packet(&in, op, &port);
		push_both(port, &p);
		packets++;
	}
}

static void run_round(u64 *random, u64 round)
{
	static u8 bytes[INPUT_MAX];
	u64 x = next_random(random);
	u32 n;

	on_both(reset);
	forget();
	switch (round < inputs ? 0 : x % 4) {
	case 0: /* as it is, or mutated */
		n = round < inputs ? (u32)round : (u32)(x >> 8) % inputs;
		memcpy(bytes, corpus[n].bytes, corpus[n].n);
		snprintf(what, sizeof(what), "input %u of the corpus", n);
		n = corpus[n].n;
		for (u32 i = round < inputs ? 0 : 1 + (x >> 32 & 15); i && n; i--) {
			u64 y = next_random(random);

			bytes[y % n] = (u8)(y >> 32);
		}
		run_program(bytes, n);
		break;
	case 1: /* the beginning of one, the end of another */ {
		u32 a = (u32)(x >> 8) % inputs, b = (u32)(x >> 32) % inputs, cut = corpus[a].n ? (u32)(x >> 20) % corpus[a].n : 0, more = corpus[b].n;

		snprintf(what, sizeof(what), "inputs %u and %u of the corpus", a, b);
		memcpy(bytes, corpus[a].bytes, cut);
		if (more > INPUT_MAX - cut)
			more = INPUT_MAX - cut;
		memcpy(bytes + cut, corpus[b].bytes, more);
		run_program(bytes, cut + more);
		break;
	}
	case 2:
		snprintf(what, sizeof(what), "random bytes");
		n = 64 + (x >> 8) % (INPUT_MAX - 64);
		for (u32 i = 0; i < n; i++)
			bytes[i] = (u8)next_random(random);
		run_program(bytes, n);
		break;
	default:
		snprintf(what, sizeof(what), "packets of mix.h");
		for (u32 i = 0; i < 128; i++) {
			u64 y = next_random(random);
			u32 port;
			struct packet p = mixed_packet(y, 32, &port);

			if ((x >> 16 & 1) && (y >> 48 & 7) == 0) {
				part = next_random(random);
				on_both(play_part);
			}
			if ((x >> 16 & 1) && (y >> 52 & 3) == 0) {
				p = crossing(p, y >> 54 & 3, y >> 56 & 7);
				port = PORT_FABRIC;
			}
			push_both(port, &p);
		}
	}
	compare_tables();
}

static void read_corpus(const char *folder)
{
	struct dirent **names;
	int n = scandir(folder, &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char path[512];
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		f = names[i]->d_name[0] == '.' || inputs == CORPUS_MAX ? NULL : fopen(path, "rb");
		if (f) {
			corpus[inputs].n = (u32)fread(corpus[inputs].bytes, 1, INPUT_MAX, f);
			inputs++;
			fclose(f);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

static u64 seconds;

TEST("random programs give the same in user space and in the kernel")
{
	const struct ls_geometry g = { .capacity = 1 << 10, .cpus = 1, .threads = 1, .arena = 4096 };
	u64 until = ls_clock_ns() + seconds * 1000000000, seed = check_seed, random = seed, done;

	read_corpus("test/fixtures/corpus/pipeline_fuzz");
	CHECK(inputs > 0);
	furnish(new_table(g));
	banks[0] = bank;
	user = lane_open(table, 0);
	furnish(kernel_load(&g));
	banks[1] = bank;
	program = lane_open(table, 0);
	for (done = 0; seconds ? ls_clock_ns() < until : done < ROUNDS; done++) {
		if (!seconds && done == inputs / 8) /* of the corpus another part each time, then what is new */
			round_number = inputs;
		run_round(&random, seconds ? round_number : round_number < inputs ? (seed % 8 + round_number * 8) % inputs : round_number);
		round_number++;
	}
	printf("%llu frames in %llu rounds, both builds equal\n", (unsigned long long)frames, (unsigned long long)done);
	ls_worker_detach(user->t, 0);
	ls_worker_detach(program->t, 0);
	ls_table_close(user->t);
	ls_table_close(program->t);
	free(user);
	free(program);
	free(banks[0]);
	free(banks[1]);
	kernel_close();
}

int main(int argc, char **argv)
{
	const char *why = kernel_missing();

	if (why) {
		printf("SKIPPED: %s\n", why);
		return SKIPPED;
	}
	seconds = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
	return check_main(1, argv);
}
