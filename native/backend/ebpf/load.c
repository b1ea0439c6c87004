/* Opening an instance: maps made or found again, the program loaded over them.
 *
 * The header is pinned last, so a pinned header means that everything else is: what an interrupted publication left is removed and made anew.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/ebpf/instance.h"
#include "backend/ebpf/object.h"
#include "lockstep/regions.h"

#define LOG_BYTES (4u << 20)

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

/* A map is ls_map_NAME in the program and NAME in the folder. */
static struct bpf_map *map_of(const struct bpf_object *o, const char *name)
{
	char full[64];

	snprintf(full, sizeof(full), "ls_map_%s", name);
	return bpf_object__find_map_by_name(o, full);
}

/* The header of the table that is pinned. LS_OK, LS_E_NOT_FOUND: none. */
static enum ls_status header_found(struct ls_bpf *b, struct ls_header *found, struct ls_bpf_error *error)
{
	int fd = ls_pin_get(b, "header");
	void *page;

	if (fd == -ENOENT)
		return LS_E_NOT_FOUND;
	if (fd < 0)
		return ls_bpf_fail(error, ls_bpf_status(-fd), -fd, "%s/header cannot be opened: %s", b->folder, strerror(-fd));
	page = mmap(NULL, LS_HEADER_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (page == MAP_FAILED)
		return ls_bpf_fail(error, LS_E_SYSTEM, errno, "%s/header cannot be mapped: %s", b->folder, strerror(errno));
	memcpy(found, page, sizeof(*found));
	munmap(page, LS_HEADER_BYTES);
	if (found->magic != LS_TABLE_MAGIC)
		return ls_bpf_fail(error, LS_E_MAGIC, 0, "%s/header is not a Lockstep table", b->folder);
	if (found->layout_version != LS_LAYOUT_VERSION)
		return ls_bpf_fail(error, LS_E_LAYOUT, 0, "%s holds layout version %u, this program has version %u: export the sessions with the version that wrote them, then tear the instance down",
				   b->folder, found->layout_version, LS_LAYOUT_VERSION);
	return LS_OK;
}

static enum ls_status object_open(struct ls_bpf *b, struct bpf_object **out, struct ls_bpf_error *error)
{
	LIBBPF_OPTS(bpf_object_open_opts, open, .object_name = "lockstep", .kernel_log_buf = b->log, .kernel_log_size = LOG_BYTES);

	libbpf_set_print(quiet);
	*out = bpf_object__open_mem(ls_bpf_object, ls_bpf_object_bytes, &open);
	if (!*out)
		return ls_bpf_fail(error, LS_E_BUG, errno, "the program cannot be read: %s", strerror(errno));
	for (u32 i = 0; i < LS_REGION_COUNT; i++)
		if (!map_of(*out, ls_region_name[i]))
			return ls_bpf_fail(error, LS_E_BUG, 0, "the program has no map %s", ls_region_name[i]);
	return LS_OK;
}

static enum ls_status size_map(struct ls_bpf *b, const struct ls_header *h, u32 i, struct ls_bpf_error *error)
{
	struct bpf_map *map = map_of(b->maps, ls_region_name[i]);
	const struct ls_region *r = &h->regions[i];

	if (bpf_map__value_size(map) != r->element)
		return ls_bpf_fail(error, LS_E_LAYOUT, 0, "map %s has elements of %u bytes, the table of %u: the program was built from other headers", ls_region_name[i],
				   bpf_map__value_size(map), r->element);
	if (b->existed) {
		int fd = ls_pin_get(b, ls_region_name[i]), failed;

		if (fd < 0)
			return ls_bpf_fail(error, ls_bpf_status(-fd), -fd, "%s/%s cannot be opened: %s", b->folder, ls_region_name[i], strerror(-fd));
		failed = bpf_map__reuse_fd(map, fd);
		close(fd);
		return failed ? ls_bpf_fail(error, LS_E_GEOMETRY, -failed, "%s/%s is not the map it should be: %s", b->folder, ls_region_name[i], strerror(-failed)) : LS_OK;
	}
	if (bpf_map__set_max_entries(map, r->count) != 0)
		return ls_bpf_fail(error, LS_E_SYSTEM, errno, "map %s cannot have %u elements", ls_region_name[i], r->count);
	return LS_OK;
}

/* The regions, without the program and what belongs to it alone. */
static enum ls_status maps(struct ls_bpf *b, const struct ls_header *h, struct ls_bpf_error *error)
{
	enum ls_status status = object_open(b, &b->maps, error);
	struct bpf_program *program;
	struct bpf_map *map;
	int failed;

	if (status != LS_OK)
		return status;
	bpf_object__for_each_program(program, b->maps)
		bpf_program__set_autoload(program, false);
	bpf_object__for_each_map(map, b->maps)
		bpf_map__set_autocreate(map, false);
	for (u32 i = 0; i < LS_REGION_COUNT && status == LS_OK; i++) {
		bpf_map__set_autocreate(map_of(b->maps, ls_region_name[i]), true);
		status = size_map(b, h, i, error);
	}
	if (status != LS_OK)
		return status;
	failed = bpf_object__load(b->maps);
	if (failed)
		return ls_bpf_fail(error, ls_bpf_status(-failed), -failed, "the maps of a table of %u sessions cannot be made: %s", h->capacity, strerror(-failed));
	for (u32 i = 0; i < LS_REGION_COUNT; i++)
		b->region[i] = bpf_map__fd(map_of(b->maps, ls_region_name[i]));
	return LS_OK;
}

static enum ls_status write_header(struct ls_bpf *b, const struct ls_header *h, struct ls_bpf_error *error)
{
	void *page = mmap(NULL, LS_HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, b->region[LS_REGION_HEADER], 0);

	if (page == MAP_FAILED)
		return ls_bpf_fail(error, LS_E_SYSTEM, errno, "the header cannot be mapped: %s", strerror(errno));
	memcpy(page, h, sizeof(*h));
	munmap(page, LS_HEADER_BYTES);
	return LS_OK;
}

/* What the verifier objected to is said last, before its statistics. */
static const char *objection(const char *log)
{
	const char *last = "";

	for (const char *line = log; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (strncmp(line, "processed ", 10) != 0 && *line != '\n')
			last = line;
	return last;
}

enum ls_status ls_bpf_load(struct ls_bpf *b, struct ls_bpf_error *error)
{
	enum ls_status status = object_open(b, &b->object, error);
	struct bpf_map *in, *out;
	struct bpf_program *program, *second;
	int failed = 0;

	for (u32 i = 0; i < LS_REGION_COUNT && status == LS_OK && !failed; i++)
		failed = bpf_map__reuse_fd(map_of(b->object, ls_region_name[i]), b->region[i]);
	if (status == LS_OK && !failed)
		failed = bpf_object__load(b->object);
	if (status == LS_OK && failed) {
		const char *why = objection(b->log);

		status = ls_bpf_fail(error, failed == -EACCES || failed == -EINVAL || failed == -E2BIG ? LS_E_UNSUPPORTED : ls_bpf_status(-failed), -failed,
				     "the kernel refuses the program: %s%s%.*s", strerror(-failed), *why ? ": " : "", (int)strcspn(why, "\n"), why);
	}
	if (status == LS_OK) {
		program = bpf_object__find_program_by_name(b->object, "ls_xdp");
		in = map_of(b->object, "ways_in");
		out = map_of(b->object, "ways_out");
		second = bpf_object__find_program_by_name(b->object, "ls_out");
		if (!program || !second || !in || !out)
			status = ls_bpf_fail(error, LS_E_BUG, 0, "the object has no ls_xdp, ls_out, ls_map_ways_in or ls_map_ways_out");
	}
	if (status != LS_OK) {
		bpf_object__close(b->object);
		b->object = NULL;
		return status;
	}
	b->program = bpf_program__fd(program);
	b->out = bpf_program__fd(second);
	b->ways_in = bpf_map__fd(in);
	b->ways_out = bpf_map__fd(out);
	return LS_OK;
}

enum ls_status ls_bpf_publish(struct ls_bpf *b, struct ls_bpf_error *error)
{
	enum ls_status status = b->lock < 0 ? ls_pins_open(b, error) : LS_OK;

	if (status != LS_OK || b->published)
		return status;
	for (u32 n = 1; n <= LS_REGION_COUNT; n++) {
		u32 i = n % LS_REGION_COUNT; /* the header, which is first, comes last */
		int failed = ls_pin_put(b, ls_region_name[i], b->region[i]);

		if (failed)
			return ls_bpf_fail(error, ls_bpf_status(-failed), -failed, "%s/%s cannot be pinned: %s", b->folder, ls_region_name[i], strerror(-failed));
	}
	b->published = true;
	return LS_OK;
}

enum ls_status ls_bpf_freer(struct ls_bpf *b, u32 wait_ms, struct ls_bpf_error *error)
{
	char path[LS_BPF_PATH];

	if (!b->published || b->freer >= 0)
		return LS_OK;
	ls_bpf_path(b, path, LS_FREER_LOCK);
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return ls_bpf_fail(error, ls_bpf_status(errno), errno, "%s: %s", path, strerror(errno));
	b->freer = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (u32 waited = 0; b->freer >= 0 && flock(b->freer, LOCK_EX | LOCK_NB) != 0; waited += 10) {
		if (waited >= wait_ms) {
			close(b->freer);
			b->freer = -1;
			return ls_bpf_fail(error, LS_E_BUSY, EWOULDBLOCK, "%s is held: another process frees the sessions of this table", path);
		}
		usleep(10000);
	}
	return b->freer >= 0 ? LS_OK : ls_bpf_fail(error, ls_bpf_status(errno), errno, "%s: %s", path, strerror(errno));
}

enum ls_status ls_bpf_remove(const char *folder, struct ls_bpf_error *error)
{
	struct ls_bpf b = { .lock = -1, .freer = -1 };
	enum ls_status status;

	memset(error, 0, sizeof(*error));
	if (strlen(folder) >= sizeof(b.folder) || access(folder, F_OK) != 0)
		return ls_bpf_fail(error, LS_E_NOT_FOUND, ENOENT, "nothing is pinned in %s", folder);
	strcpy(b.folder, folder);
	status = ls_pins_open(&b, error);
	if (status == LS_OK)
		status = ls_bpf_unpublish(&b, error);
	if (b.lock >= 0)
		close(b.lock);
	return status;
}

enum ls_status ls_bpf_unpublish(struct ls_bpf *b, struct ls_bpf_error *error)
{
	if (b->lock < 0)
		return LS_OK;
	ls_pins_remove(b, LS_LINK_PREFIX); /* a link without a pin and a descriptor detaches itself */
	ls_pins_remove(b, "");
	b->published = b->existed = false;
	if (b->freer >= 0)
		close(b->freer);
	b->freer = -1;
	if (rmdir(b->folder) != 0)
		return ls_bpf_fail(error, LS_E_SYSTEM, errno, "%s cannot be removed: %s", b->folder, strerror(errno));
	close(b->lock);
	b->lock = -1;
	{
		char parent[sizeof(b->folder)];

		strcpy(parent, b->folder);
		*strrchr(parent, '/') = 0;
		rmdir(parent); /* of the last instance; others keep it */
	}
	return LS_OK;
}

enum ls_status ls_bpf_open(const char *folder, const struct ls_header *header, struct ls_bpf **out, struct ls_bpf_error *error)
{
	struct ls_bpf *b = calloc(1, sizeof(*b));
	struct ls_header found;
	enum ls_status status = LS_OK;

	*out = NULL;
	memset(error, 0, sizeof(*error));
	if (!b || strlen(folder) >= sizeof(b->folder) || folder[0] != '/') {
		free(b);
		return ls_bpf_fail(error, b ? LS_E_INVALID : LS_E_NOMEM, 0, "%s is not a folder in bpffs", folder);
	}
	strcpy(b->folder, folder);
	b->lock = b->freer = -1;
	b->log = calloc(1, LOG_BYTES);
	if (!b->log)
		status = ls_bpf_fail(error, LS_E_NOMEM, ENOMEM, "no memory for the verifier's log");
	else if (access(b->folder, F_OK) == 0)
		status = ls_pins_open(b, error);
	if (status == LS_OK && b->lock >= 0) {
		status = header_found(b, &found, error);
		b->existed = b->published = status == LS_OK;
		if (status == LS_E_NOT_FOUND) {
			ls_pins_remove(b, "");
			status = LS_OK;
		}
	}
	if (status == LS_OK)
		status = maps(b, b->existed ? &found : header, error);
	if (status == LS_OK && !b->existed)
		status = write_header(b, header, error);
	if (status != LS_OK) {
		ls_bpf_close(b);
		return status;
	}
	*out = b;
	return LS_OK;
}

bool ls_bpf_existed(const struct ls_bpf *b) { return b->existed; }
int ls_bpf_region(const struct ls_bpf *b, u32 region) { return region < LS_REGION_COUNT ? b->region[region] : -1; }
const char *ls_bpf_log(const struct ls_bpf *b) { return b->log; }

void ls_bpf_close(struct ls_bpf *b)
{
	if (!b)
		return;
	bpf_object__close(b->object);
	bpf_object__close(b->maps);
	if (b->freer >= 0)
		close(b->freer);
	if (b->lock >= 0)
		close(b->lock);
	free(b->log);
	free(b);
}
