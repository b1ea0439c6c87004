/* Nanoseconds per packet of the pipeline on DPDK: received from net_null, worked on where it lies, sent to net_null, as a worker of lockstep-dpdk does.
 *
 *   dpdk_bench [--sessions 1048576] [--repeats 7] [--lcores 1]
 *
 * A frame of net_null has no content: it is put into the buffer each time, and that copy, measured alone, is taken off. Bursts of 32, frames of 64 bytes. With more
 * lcores each has its own sessions, queues and 32 flows; the figure is the mean of theirs.
 */
#include <rte_launch.h>
#include <rte_lcore.h>

#include "setup.h"

#include "dpdk/dpdk.h"
#include "lib/eal.h"

#define BURST 32
#define PASSES 16
#define PASS 8192

struct lane {
	struct ls_env e;
	u32 worker;
	const u8 *frames;
	u64 n, sent, spent;
};

static struct ls_device *in, *out;

static bool send_by(void *lane, struct ls_buf *frame) { return out->ops->tx(out, ((struct lane *)lane)->worker, frame); }

static u64 received(struct lane *l)
{
	struct ls_env *e = &l->e;
	struct ls_buf buf[BURST];
	u64 began = bench_clock();

	for (u64 at = 0; at + BURST <= l->n; at += BURST) {
		u32 n = in->ops->rx(in, l->worker, buf, BURST, e->now_ns);

		if (n != BURST)
			bench_fail("net_null gave fewer frames than asked for", (int)n);
		for (u32 i = 0; i < BURST; i++)
			memcpy(buf[i].data, l->frames + (at + i) * FRAME, FRAME);
		bench_burst(e, buf, BURST, &l->sent, send_by, l);
		out->ops->flush(out, l->worker);
	}
	return bench_clock() - began;
}

/* The copies alone. */
static u64 copied(const struct lane *l)
{
	static __thread u8 memory[BURST][2048] LS_ALIGN_LINE;
	u64 began = bench_clock();

	for (u64 at = 0; at + BURST <= l->n; at += BURST)
		for (u32 i = 0; i < BURST; i++) {
			memcpy(memory[i] + 128, l->frames + (at + i) * FRAME, FRAME);
			__asm__ volatile("" ::: "memory");
		}
	return bench_clock() - began;
}

static int hot(void *arg)
{
	struct lane *l = arg;

	l->spent = l->sent = 0;
	for (u32 i = 0; i < PASSES; i++) {
		u64 copies = copied(l);

		l->spent += received(l) - copies;
	}
	return 0;
}

static struct ls_device *null_port(const char *name, u32 device)
{
	struct ls_dpdk_port spec = { 0 };
	char error[LS_DPDK_TEXT] = "";
	enum ls_status status;
	struct dpdk_port *p;

	snprintf(spec.name, sizeof(spec.name), "%s", name);
	snprintf(spec.devargs, sizeof(spec.devargs), "net_null_%s", name);
	p = dpdk_port_add(&spec, &status, error);
	if (!p || dpdk_port_bind(p, device, error) != LS_OK)
		bench_fail(error, status);
	return dpdk.us->device[device];
}

static struct ls_table *table_of(u64 sessions, u32 lcores)
{
	struct ls_table *t;
	int err_no;

	if (ls_table_create(&(struct ls_geometry){ .capacity = bench_capacity(sessions), .threads = lcores }, LS_HUGE_NEVER, NULL, &t, &err_no) != LS_OK)
		bench_fail("the session table cannot be created", err_no);
	return t;
}

/* Opens flows in slices that the free ring holds. */
static double opened(struct ls_table *t, struct lane *l, const u8 *frames, u64 n)
{
	u64 spent = 0, most = t->env.header->free_ring / 2 / BURST * BURST;

	l->sent = 0;
	for (u64 at = 0; at < n; at += l->n) {
		l->n = n - at < most ? n - at : most;
		l->frames = frames + at * FRAME;
		for (u32 i = 0; i <= l->n / LS_WRITER_BATCH; i++)
			ls_table_refill(t);
		spent += received(l);
		spent -= copied(l);
		l->e.worker->notice_tail = l->e.worker->notice_head;
	}
	if (l->sent != n)
		bench_fail("new flows that were not sent", (int)(n - l->sent));
	return (double)spent / (double)n;
}

int main(int argc, char **argv)
{
	u64 sessions = bench_number(argc, argv, "sessions", 1 << 20) / BURST * BURST, repeats = bench_number(argc, argv, "repeats", 7), fresh = sessions / 4 / BURST * BURST;
	u32 lcores = (u32)bench_number(argc, argv, "lcores", 1);
	struct lane *lane = calloc(lcores, sizeof(*lane));
	struct ls_wire_record *records = bench_records(0, (u64)BURST * lcores);
	u8 *frames = aligned_alloc(64, (u64)PASS * FRAME * lcores), *open = aligned_alloc(64, fresh * FRAME);
	struct ls_install_result installed;
	char name[32];

	if (!bench_eal(256, lcores))
		return 0;
	dpdk.frame_bytes = 2048;
	dpdk.workers = lcores;
	dpdk.pool = rte_pktmbuf_pool_create("bench", 16384, 256, 0, 2048 + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	dpdk.table = table_of(sessions + fresh, lcores);
	dpdk.us = ls_us_new(dpdk.table, 0, lcores);
	if (!frames || !open || !dpdk.pool || !dpdk.us)
		bench_fail("out of memory", 0);
	in = null_port("in", 1);
	out = null_port("out", 2);
	configure(dpdk.table);
	for (u32 w = 0; w < lcores; w++) {
		lane[w].worker = w;
		for (u32 i = 0; i < PASS; i++)
			frame_of(frames + ((u64)w * PASS + i) * FRAME, &records[w * BURST + i % BURST].key, i % BURST);
		ls_worker_attach(dpdk.table, w);
		ls_env_worker(dpdk.table, w, &lane[w].e);
	}
	for (u64 i = 0; i < fresh; i++) {
		struct ls_wire_record r;

		bench_record(sessions + i, &r);
		frame_of(open + i * FRAME, &r.key, (u32)i);
	}
	for (u64 r = 0; r <= repeats; r++) {
		double sum = 0;

		ls_table_install(dpdk.table, (const u8 *)records, sizeof(*records), BURST * lcores, 0, NULL, NULL, &installed);
		for (u32 w = 0; w < lcores; w++) {
			lane[w].frames = frames + (u64)w * PASS * FRAME;
			lane[w].n = PASS;
			rte_eal_remote_launch(hot, &lane[w], w + 1);
		}
		rte_eal_mp_wait_lcore();
		for (u32 w = 0; w < lcores; w++) {
			if (lane[w].sent != (u64)PASSES * PASS)
				bench_fail("hits that were not sent", (int)((u64)PASSES * PASS - lane[w].sent));
			sum += (double)lane[w].spent / ((double)PASSES * PASS);
		}
		snprintf(name, sizeof(name), "dpdk_hit_%u_ns", lcores);
		if (r)
			bench_sample(name, sum / lcores);
		if (lcores == 1) {
			double ns = opened(dpdk.table, &lane[0], open, fresh);

			if (r)
				bench_sample("dpdk_new_ns", ns);
		}
		bench_clear(dpdk.table);
	}
	for (u32 w = 0; w < lcores; w++)
		ls_worker_detach(dpdk.table, w);
	bench_sample("dpdk_verify_ok", bench_verify(dpdk.table, 0));
	return 0;
}
