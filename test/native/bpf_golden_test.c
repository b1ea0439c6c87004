/* The golden packets (golden.h) in the kernel: the XDP program over maps, each frame by BPF_PROG_TEST_RUN. Beside it the userspace build gets the same
 * frames over a table of its own; what both tell by notices has to be equal too.
 */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"

#include "golden.h"
#include "kernel.h"

static struct lane *user; /* the same frames in user space */

static struct lane *open_user(void)
{
	struct ls_table *t = table_new(1 << 10);

	standard_table(t);
	for (u32 i = 0; i < LS_RGS_MAX; i++)
		t->env.rgs[i].seen_floor_ns = 0;
	return lane_open(t, 0);
}

static struct lane *open_kernel(void)
{
	struct ls_table *t = kernel_load(&(struct ls_geometry){ .capacity = 1 << 10, .cpus = 1, .threads = 1, .arena = 4096 });

	standard_table(t);
	for (u32 i = 0; i < LS_RGS_MAX; i++)
		t->env.rgs[i].seen_floor_ns = 0;
	user = open_user();
	return lane_open(t, 0);
}

static void close_lane(struct lane *w)
{
	ls_worker_detach(w->t, 0);
	ls_table_close(w->t);
	free(w);
}

/* What both builds tell about their sessions, but for times and the numbers that are random per table. */
static void compare_notices(struct lane *w)
{
	struct ls_wire_record mine[64], theirs[64];
	u64 lost;
	u32 n = ls_table_drain(w->t, mine, 64, &lost);

	CHECK_EQ(lost, 0);
	CHECK_EQ(n, ls_table_drain(user->t, theirs, 64, &lost));
	for (u32 i = 0; i < n; i++) {
		mine[i].id.origin = theirs[i].id.origin = 0;
		mine[i].idle_ns = theirs[i].idle_ns = mine[i].age_ns = theirs[i].age_ns = 0;
		if (memcmp(&mine[i], &theirs[i], sizeof(mine[i])))
			CHECK_FAIL("notice %u (kind %u, slot %u) differs from the userspace build's (kind %u, slot %u)", i, mine[i].kind, mine[i].slot, theirs[i].kind,
				   theirs[i].slot);
	}
}

static void close_kernel(struct lane *w)
{
	compare_notices(w);
	CHECK_CLEAN(w->t);
	close_lane(user);
	close_lane(w);
	kernel_close();
}

static bool send_kernel(struct lane *w, u32 port, const u8 *bytes, u32 len, u32 *verdict)
{
	if (len < 14)
		return false; /* the kernel takes no frame without a link header */
	lane_send(user, port, bytes, len);
	*verdict = kernel_send(w, port, bytes, len);
	if (*verdict == LS_V_NEIGH) { /* the program's own affair, counted after the pipeline's verdict */
		CHECK_EQ(counted(w, LS_CTR_NEIGH_MISSES), 1);
		CHECK_EQ(drops_by(w, LS_DROP_NO_NEIGHBOUR), 1);
		w->before.global[LS_CTR_NEIGH_MISSES]++;
		w->before.global[LS_CTR_DROPS]++;
		w->before.drops[LS_DROP_NO_NEIGHBOUR]++;
	}
	return true;
}

/* The program reads the kernel's clock: instead of waiting, everything it may look at becomes older. */
static void wait_kernel(struct lane *w, u64 ns)
{
	user->shift_ns += ns;
	for (u32 i = 0; i < w->e.slots; i++)
		w->e.sessions[i].last_seen_ns -= ns;
}

TEST("golden packets in the kernel: the verdict, the bytes, the counters and the notices of every file")
{
	static const struct golden_build in_kernel = { open_kernel, send_kernel, wait_kernel, close_kernel };

	golden_folder(&in_kernel);
}

/* Frees a session that the program created: two graces with the CPU attached, and the slot comes back. */
TEST("a session of the program is freed after graces that wait for programs")
{
	struct lane *w = open_kernel();
	struct packet p = udp("10.0.1.10", 4000, "10.0.3.10", 53, 5);
	struct ls_filter all = { 0 };
	struct ls_delete_result result;
	u64 ns = w->t->grace_ns_total;
	u32 v;

	CHECK(ls_rcu_grace());
	CHECK(send_kernel(w, PORT_TRUST, p.b, p.len, &v));
	CHECK_EQ(v, LS_V_TX);
	CHECK_EQ(live_count(w->t), 1);
	ls_table_delete_filter(w->t, &all, LS_CLOSE_ADMIN, NULL, &result);
	CHECK_EQ(result.deleted, 1);
	CHECK_EQ(live_count(w->t), 0);
	CHECK(w->t->grace_ns_total > ns);
	CHECK_CLEAN(w->t);
	ls_table_delete_filter(user->t, &all, LS_CLOSE_ADMIN, NULL, &result);
	close_kernel(w);
}

int main(int argc, char **argv)
{
	const char *why = kernel_missing();

	if (why) {
		printf("SKIPPED: %s\n", why);
		return SKIPPED;
	}
	return check_main(argc, argv);
}
