/* Regions of a table: their sizes, the header that describes them, creation and opening of the mapping. */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "table/table.h"

#define HUGE_BYTES (2ULL << 20)
#define ARENA_DEFAULT (1u << 18) /* 16 MiB */

u64 ls_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000ULL + (u64)ts.tv_nsec;
}

static u32 clamp(u32 v, u32 low, u32 high) { return v < low ? low : v > high ? high : v; }

static u32 power_below(u32 v)
{
	return v ? 1u << (31 - __builtin_clz(v)) : 1;
}

enum ls_status ls_geometry_check(const struct ls_geometry *g)
{
	if (g->capacity < LS_CAPACITY_MIN || g->capacity > LS_CAPACITY_MAX || (g->capacity & (g->capacity - 1)))
		return LS_E_CAPACITY;
	if (g->threads < 1 || g->threads >= LS_WORKERS_MAX || g->cpus >= LS_WORKERS_MAX || g->cpus + g->threads + 1 > LS_WORKERS_MAX)
		return LS_E_INVALID;
	return LS_OK;
}

static u64 header_sum(const struct ls_header *h)
{
	const u8 *p = (const u8 *)h;
	u64 sum = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < offsetof(struct ls_header, checksum); i++)
		sum = (sum ^ p[i]) * 0x100000001b3ULL; /* FNV-1a */
	return sum;
}

static void read_boot_id(u8 out[16])
{
	char text[40] = { 0 };
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC), n = 0;

	memset(out, 0, 16);
	if (fd < 0)
		return;
	if (read(fd, text, 36) == 36)
		for (int i = 0; i < 36 && n < 32; i++) {
			int c = text[i], d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

			if (d < 0)
				continue;
			out[n / 2] = (u8)(out[n / 2] << 4 | d);
			n++;
		}
	close(fd);
}

enum ls_status ls_header_init(struct ls_header *h, const struct ls_geometry *g)
{
	enum ls_status status = ls_geometry_check(g);
	u64 at = LS_HEADER_BYTES;

	if (status != LS_OK)
		return status;
	memset(h, 0, sizeof(*h));
	h->magic = LS_TABLE_MAGIC;
	h->layout_version = LS_LAYOUT_VERSION;
	h->header_size = LS_HEADER_BYTES;
	h->capacity = g->capacity;
	h->workers = g->cpus + g->threads + 1; /* the last id is the agent's */
	h->cpus = g->cpus;
	h->free_ring = power_below(clamp(g->capacity / (4 * h->workers), LS_FREE_RING_MIN, LS_FREE_RING_MAX));
	h->notice_ring = clamp(power_below(g->capacity / h->workers), LS_NOTICE_RING_MIN, LS_NOTICE_RING_MAX);
	h->log_ring = LS_LOG_RING;
	/* what workers hold in rings and what waits for a grace must not come out of the promise (R10) */
	h->slots = g->capacity + h->workers * h->free_ring + (g->capacity < LS_FREER_BATCH ? g->capacity : LS_FREER_BATCH);
	h->buckets = g->capacity / 2;
	if (getrandom(&h->hash, sizeof(h->hash), 0) != sizeof(h->hash) || getrandom(&h->origin, 8, 0) != 8 ||
	    getrandom(h->table_id, 16, 0) != 16 || getrandom(h->defence.cookie_key, 16, 0) != 16)
		return LS_E_SYSTEM;
	h->hash.mul |= 1;
	read_boot_id(h->boot_id);

#define REGION(kind, bytes, n)                                                                      \
	do {                                                                                        \
		h->regions[LS_REGION_##kind] = (struct ls_region){ .offset = at, .element = (u32)(bytes), .count = (u32)(n) }; \
		at = (at + (u64)(bytes) * (n) + 4095) & ~4095ULL;                                   \
	} while (0)
	h->regions[LS_REGION_HEADER] = (struct ls_region){ .offset = 0, .element = LS_HEADER_BYTES, .count = 1 };
	REGION(SESSIONS, sizeof(struct ls_session), h->slots);
	REGION(INDEX, sizeof(struct ls_bucket), h->buckets);
	REGION(WORKERS, sizeof(struct ls_worker), h->workers);
	REGION(FREE, sizeof(u64), h->workers * h->free_ring);
	REGION(NOTICES, sizeof(struct ls_notice), h->workers * h->notice_ring);
	REGION(LOGS, sizeof(struct ls_log), h->workers * h->log_ring);
	REGION(COUNTERS, sizeof(struct ls_worker_counters), h->workers);
	REGION(CONFIG, sizeof(struct ls_config), 2);
	REGION(ARENA, sizeof(struct ls_bucket), g->arena ? g->arena : ARENA_DEFAULT);
	REGION(RGS, sizeof(struct ls_rg), LS_RGS_MAX);
	REGION(FREER, sizeof(struct ls_freer_work), 1);
	REGION(SCREENS, sizeof(struct ls_zone_rates), LS_ZONES_MAX);
	REGION(SOURCES, sizeof(struct ls_source), LS_SOURCES);
	REGION(FRAGS, sizeof(struct ls_frag), LS_FRAGS);
	REGION(NEIGHS, sizeof(struct ls_neigh), LS_NEIGHS);
	REGION(FIB, sizeof(struct ls_fib), 2);
	REGION(NAT, sizeof(struct ls_nat_usage), LS_POOL_ADDRS_MAX);
	REGION(WANTED, sizeof(struct ls_wanted), h->workers * LS_WANTED);
#undef REGION
	h->total_bytes = (at + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
	h->checksum = header_sum(h);
	return LS_OK;
}

/* A header from a file or another process is input: every figure is checked before it is used. */
enum ls_status ls_header_check(const struct ls_header *h, u64 bytes)
{
	static const u32 element[LS_REGION_COUNT] = {
		[LS_REGION_HEADER] = LS_HEADER_BYTES, [LS_REGION_SESSIONS] = sizeof(struct ls_session),
		[LS_REGION_INDEX] = sizeof(struct ls_bucket), [LS_REGION_WORKERS] = sizeof(struct ls_worker),
		[LS_REGION_FREE] = sizeof(u64), [LS_REGION_NOTICES] = sizeof(struct ls_notice),
		[LS_REGION_LOGS] = sizeof(struct ls_log), [LS_REGION_COUNTERS] = sizeof(struct ls_worker_counters),
		[LS_REGION_CONFIG] = sizeof(struct ls_config), [LS_REGION_ARENA] = sizeof(struct ls_bucket),
		[LS_REGION_RGS] = sizeof(struct ls_rg), [LS_REGION_FREER] = sizeof(struct ls_freer_work),
		[LS_REGION_SCREENS] = sizeof(struct ls_zone_rates), [LS_REGION_SOURCES] = sizeof(struct ls_source),
		[LS_REGION_FRAGS] = sizeof(struct ls_frag), [LS_REGION_NEIGHS] = sizeof(struct ls_neigh),
		[LS_REGION_FIB] = sizeof(struct ls_fib), [LS_REGION_NAT] = sizeof(struct ls_nat_usage),
		[LS_REGION_WANTED] = sizeof(struct ls_wanted),
	};
	/* what the code indexes without asking the header again */
	static const u32 count[LS_REGION_COUNT] = {
		[LS_REGION_HEADER] = 1, [LS_REGION_CONFIG] = 2, [LS_REGION_RGS] = LS_RGS_MAX, [LS_REGION_FREER] = 1,
		[LS_REGION_SCREENS] = LS_ZONES_MAX, [LS_REGION_SOURCES] = LS_SOURCES, [LS_REGION_FRAGS] = LS_FRAGS,
		[LS_REGION_NEIGHS] = LS_NEIGHS, [LS_REGION_FIB] = 2, [LS_REGION_NAT] = LS_POOL_ADDRS_MAX,
	};
	u64 end = 0;

	if (bytes < LS_HEADER_BYTES)
		return LS_E_TRUNCATED;
	if (h->magic != LS_TABLE_MAGIC)
		return LS_E_MAGIC;
	if (h->layout_version != LS_LAYOUT_VERSION)
		return LS_E_LAYOUT;
	if (h->checksum != header_sum(h))
		return LS_E_GEOMETRY;
	if (h->total_bytes > bytes)
		return LS_E_TRUNCATED;
	if (h->capacity < LS_CAPACITY_MIN || h->capacity > LS_CAPACITY_MAX || (h->capacity & (h->capacity - 1)) ||
	    h->buckets != h->capacity / 2 || h->workers < 2 || h->workers > LS_WORKERS_MAX || h->cpus > h->workers - 2 || !h->free_ring ||
	    h->free_ring > LS_FREE_RING_MAX || (h->free_ring & (h->free_ring - 1)) || !h->notice_ring || h->notice_ring > LS_NOTICE_RING_MAX ||
	    (h->notice_ring & (h->notice_ring - 1)) || h->log_ring != LS_LOG_RING ||
	    h->slots < h->capacity || h->slots > h->capacity + LS_WORKERS_MAX * (u64)LS_FREE_RING_MAX + LS_FREER_BATCH)
		return LS_E_GEOMETRY;
	for (u32 i = 0; i < LS_REGION_COUNT; i++) {
		const struct ls_region *r = &h->regions[i];

		if (r->element != element[i] || r->offset < end || r->offset % 4096 || (count[i] && r->count != count[i]) ||
		    r->offset > h->total_bytes || (u64)r->element * r->count > h->total_bytes - r->offset)
			return LS_E_GEOMETRY;
		end = r->offset + (u64)r->element * r->count;
	}
	if (h->regions[LS_REGION_SESSIONS].count != h->slots || h->regions[LS_REGION_INDEX].count != h->buckets ||
	    h->regions[LS_REGION_WORKERS].count != h->workers || h->regions[LS_REGION_FREE].count != h->workers * h->free_ring ||
	    h->regions[LS_REGION_NOTICES].count != h->workers * h->notice_ring || h->regions[LS_REGION_LOGS].count != h->workers * h->log_ring ||
	    h->regions[LS_REGION_COUNTERS].count != h->workers || h->regions[LS_REGION_WANTED].count != h->workers * LS_WANTED)
		return LS_E_GEOMETRY;
	return LS_OK;
}

static void env_attach(struct ls_env *e, void *const at[LS_REGION_COUNT])
{
	struct ls_header *h = at[LS_REGION_HEADER];

#define AT(kind) at[LS_REGION_##kind]
	*e = (struct ls_env){ .header = h, .sessions = AT(SESSIONS), .index = AT(INDEX), .workers = AT(WORKERS), .free_rings = AT(FREE),
		.notices = AT(NOTICES), .logs = AT(LOGS), .counters = AT(COUNTERS), .banks = AT(CONFIG), .arena = AT(ARENA), .rgs = AT(RGS),
		.freer = AT(FREER), .rates = AT(SCREENS), .sources = AT(SOURCES), .frags = AT(FRAGS), .neighs = AT(NEIGHS), .fibs = AT(FIB),
		.nat = AT(NAT), .wanted = AT(WANTED), .slots = h->slots, .bucket_mask = h->buckets - 1, .arena_elements = h->regions[LS_REGION_ARENA].count };
#undef AT
}

void ls_env_worker(const struct ls_table *t, u32 worker_id, struct ls_env *out)
{
	*out = t->env;
	out->worker_id = worker_id;
	out->worker = &out->workers[worker_id];
	out->worker_counters = &out->counters[worker_id];
	out->config = &out->banks[LS_LOAD(&out->header->active_bank) & 1];
	out->now_ns = ls_clock_ns();
}

u32 ls_thread_workers(const struct ls_table *t) { return t->env.header->workers - t->env.header->cpus - 1; }

/* One holder per table: the lock lives with the open file, so it ends with the process however that ends. */
static enum ls_status lock_table(int fd, int *err_no)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return LS_OK;
	*err_no = errno;
	return errno == EAGAIN || errno == EACCES ? LS_E_BUSY : LS_E_SYSTEM;
}

/* What every table has besides its regions. Takes `t`, and `fd` when it succeeds. */
static enum ls_status table_ready(struct ls_table *t, int fd, void *const at[LS_REGION_COUNT], struct ls_table **out)
{
	t->fd = -1;
	t->silent_ms = LS_PROCESS_SILENT_MS;
	pthread_mutex_init(&t->writer, NULL);
	pthread_mutex_init(&t->freer, NULL);
	pthread_mutex_init(&t->feed.lock, NULL);
	env_attach(&t->env, at);
	t->list = malloc(sizeof(u32) * (size_t)t->env.slots);
	t->marks = calloc((t->env.slots + 63) / 64, 8);
	if (!t->list || !t->marks) {
		ls_table_close(t);
		return LS_E_NOMEM;
	}
	ls_env_worker(t, t->env.header->workers - 1, &t->env);
	t->fd = fd;
	*out = t;
	return LS_OK;
}

/* `init`: the header of a new table, whose other regions are right when they are zero. */
static enum ls_status map_table(int fd, u64 bytes, bool huge, const struct ls_header *init, struct ls_table **out, int *err_no)
{
	struct ls_table *t = calloc(1, sizeof(*t));
	void *at[LS_REGION_COUNT], *base;

	if (!t)
		return LS_E_NOMEM;
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED) {
		*err_no = errno;
		free(t);
		return errno == ENOMEM ? LS_E_NOMEM : LS_E_SYSTEM;
	}
	if (!huge)
		madvise(base, bytes, MADV_HUGEPAGE); /* shmem huge pages where the host allows them; a hint, never an error */
	if (init)
		memcpy(base, init, sizeof(*init));
	t->huge = huge;
	t->bytes = bytes;
	t->mapping[0] = (struct ls_mapping){ base, bytes };
	t->mappings = 1;
	for (u32 i = 0; i < LS_REGION_COUNT; i++)
		at[i] = (u8 *)base + ((struct ls_header *)base)->regions[i].offset;
	return table_ready(t, fd, at, out);
}

static int memory_fd(u64 bytes, enum ls_huge huge, bool *is_huge, int *err_no)
{
	int fd = -1;

	*is_huge = false;
	if (huge != LS_HUGE_NEVER) {
		fd = memfd_create("lockstep-table", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
		/* fallocate reserves the pages now: a shortage is an error here, not a SIGBUS under traffic */
		if (fd >= 0 && fallocate(fd, 0, 0, (off_t)bytes) == 0) {
			*is_huge = true;
			return fd;
		}
		*err_no = errno;
		if (fd >= 0)
			close(fd);
		if (huge == LS_HUGE_MUST)
			return -1;
	}
	fd = memfd_create("lockstep-table", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0) {
		*err_no = errno;
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

enum ls_status ls_table_create(const struct ls_geometry *g, enum ls_huge huge, const char *path, struct ls_table **out, int *err_no)
{
	struct ls_header h;
	enum ls_status status = ls_header_init(&h, g);
	struct ls_table *t = NULL;
	bool is_huge = false;
	int fd;

	*err_no = 0;
	if (status != LS_OK)
		return status;
	if (path) {
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd >= 0 && posix_fallocate(fd, 0, (off_t)h.total_bytes) != 0) {
			*err_no = ENOSPC;
			close(fd);
			unlink(path);
			return LS_E_NOMEM;
		}
		if (fd < 0)
			*err_no = errno;
	} else {
		fd = memory_fd(h.total_bytes, huge, &is_huge, err_no);
	}
	if (fd < 0)
		return *err_no == ENOMEM || *err_no == ENOSPC ? LS_E_NOMEM : LS_E_SYSTEM;
	status = lock_table(fd, err_no);
	if (status == LS_OK)
		status = map_table(fd, h.total_bytes, is_huge, &h, &t, err_no);
	if (status != LS_OK) {
		close(fd);
		return status;
	}
	for (u32 i = 0; i < LS_RGS_MAX; i++)
		ls_table_set_role(t, i, LS_ROLE_OWNER, 0, ~0ULL); /* no peer configured: R23 */
	/* the list is a stack: low slots leave first, so a half-empty table stays dense in memory */
	for (u32 i = 0; i < h.slots; i++)
		t->list[i] = h.slots - 1 - i;
	t->listed = h.slots;
	ls_table_refill(t);
	*out = t;
	return LS_OK;
}

/* The header in a descriptor is one of ours; the bytes that its table takes. */
static enum ls_status check_file(int fd, u64 *bytes, int *err_no)
{
	struct stat st;
	struct ls_header *h;
	enum ls_status status;
	size_t mapped;

	if (fstat(fd, &st) != 0) {
		*err_no = errno;
		return LS_E_SYSTEM;
	}
	if ((u64)st.st_size < LS_HEADER_BYTES)
		return LS_E_TRUNCATED;
	mapped = LS_HEADER_BYTES > (u64)st.st_blksize ? LS_HEADER_BYTES : (size_t)st.st_blksize;
	h = mmap(NULL, mapped, PROT_READ, MAP_SHARED, fd, 0);
	if (h == MAP_FAILED) {
		*err_no = errno;
		return LS_E_SYSTEM;
	}
	status = ls_header_check(h, (u64)st.st_size);
	*bytes = h->total_bytes;
	munmap(h, mapped);
	return status;
}

enum ls_status ls_table_open(int source, struct ls_table **out, int *err_no)
{
	struct ls_table *t = NULL;
	struct ls_adopt_result adopted;
	struct stat st;
	u64 bytes;
	enum ls_status status = check_file(source, &bytes, err_no);
	int fd;

	if (status != LS_OK)
		return status;
	*err_no = 0;
	if (fstat(source, &st) != 0 || (fd = fcntl(source, F_DUPFD_CLOEXEC, 0)) < 0) {
		*err_no = errno;
		return LS_E_SYSTEM;
	}
	status = lock_table(fd, err_no);
	if (status == LS_OK)
		status = map_table(fd, bytes, st.st_blksize >= (long)HUGE_BYTES, NULL, &t, err_no);
	if (status != LS_OK) {
		close(fd);
		return status;
	}
	status = ls_table_adopt(t, NULL, &adopted);
	if (status != LS_OK) {
		ls_table_close(t);
		return status;
	}
	*out = t;
	return LS_OK;
}

/* Lays a table over regions of their own. */
static enum ls_status map_regions(const int regions[LS_REGION_COUNT], struct ls_table **out, int *err_no)
{
	struct ls_table *t = calloc(1, sizeof(*t));
	void *at[LS_REGION_COUNT] = { NULL };
	enum ls_status status = t ? LS_OK : LS_E_NOMEM;
	const struct ls_header *h = NULL;

	*err_no = 0;
	for (u32 i = 0; i < LS_REGION_COUNT && status == LS_OK; i++) { /* the header is the first: it says how long the others are */
		u64 bytes = h ? ((u64)h->regions[i].element * h->regions[i].count + 4095) & ~4095ULL : LS_HEADER_BYTES;

		at[i] = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, regions[i], 0);
		if (at[i] == MAP_FAILED) {
			*err_no = errno;
			status = errno == ENOMEM ? LS_E_NOMEM : LS_E_SYSTEM;
			break;
		}
		t->mapping[t->mappings++] = (struct ls_mapping){ at[i], bytes };
		t->bytes += bytes;
		if (i == LS_REGION_HEADER) {
			h = at[i];
			status = ls_header_check(h, h->total_bytes > LS_HEADER_BYTES ? h->total_bytes : LS_HEADER_BYTES); /* each region has its own length */
		}
	}
	if (status != LS_OK) {
		for (u32 i = 0; t && i < t->mappings; i++)
			munmap(t->mapping[i].at, t->mapping[i].bytes);
		free(t);
		return status;
	}
	return table_ready(t, -1, at, out);
}

enum ls_status ls_table_over(const int regions[LS_REGION_COUNT], bool created, bool programs, struct ls_table **out, int *err_no)
{
	struct ls_table *t = NULL;
	bool living[LS_WORKERS_MAX] = { false };
	struct ls_adopt_result adopted;
	enum ls_status status = map_regions(regions, &t, err_no);

	if (status != LS_OK)
		return status;
	for (u32 i = 0; created && i < LS_RGS_MAX; i++)
		ls_table_set_role(t, i, LS_ROLE_OWNER, 0, ~0ULL); /* no peer configured: R23 */
	for (u32 w = 0; programs && w < t->env.header->cpus; w++)
		living[w] = true;
	status = ls_table_adopt(t, living, &adopted);
	if (status != LS_OK) {
		ls_table_close(t);
		return status;
	}
	*out = t;
	return LS_OK;
}

enum ls_status ls_table_join(const int *fds, u32 n, struct ls_table **out, int *err_no)
{
	enum ls_status status;
	u64 bytes;
	int fd;

	*err_no = 0;
	if (n == LS_REGION_COUNT)
		return map_regions(fds, out, err_no);
	if (n != 1)
		return LS_E_INVALID;
	status = check_file(fds[0], &bytes, err_no);
	if (status != LS_OK)
		return status;
	fd = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		*err_no = errno;
		return LS_E_SYSTEM;
	}
	status = map_table(fd, bytes, true, NULL, out, err_no);
	if (status != LS_OK)
		close(fd);
	return status;
}

void ls_table_close(struct ls_table *t)
{
	if (!t)
		return;
	ls_freer_stop(t);
	for (u32 i = 0; i < t->mappings; i++)
		munmap(t->mapping[i].at, t->mapping[i].bytes);
	if (t->fd >= 0)
		close(t->fd);
	pthread_mutex_destroy(&t->writer);
	pthread_mutex_destroy(&t->freer);
	pthread_mutex_destroy(&t->feed.lock);
	free(t->feed.record);
	free(t->list);
	free(t->marks);
	free(t);
}
