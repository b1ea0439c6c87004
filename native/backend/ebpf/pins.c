/* The folder of one instance in bpffs: what is pinned there lives until it is removed or the host restarts. */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "backend/ebpf/instance.h"

#define ROOT "/sys/fs/bpf"

enum ls_status ls_bpf_fail(struct ls_bpf_error *error, enum ls_status status, int err_no, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	error->err_no = err_no;
	return status;
}

enum ls_status ls_bpf_status(int err_no)
{
	switch (err_no) {
	case EPERM: case EACCES: return LS_E_PERMISSION;
	case ENOMEM: case ENOSPC: case E2BIG: return LS_E_NOMEM;
	case EBUSY: return LS_E_BUSY;
	case ENODEV: case ENXIO: return LS_E_NO_DEVICE;
	case ENOENT: return LS_E_NOT_FOUND;
	case EOPNOTSUPP: return LS_E_UNSUPPORTED;
	default: return LS_E_SYSTEM;
	}
}

void ls_bpf_path(const struct ls_bpf *b, char *out, const char *name) { snprintf(out, LS_BPF_PATH, "%s/%s", b->folder, name); }

/* Where it should be and is not, as init systems and other tools do it. */
static void mount_bpffs(const char *folder)
{
	struct statfs fs;

	if (strncmp(folder, ROOT "/", sizeof(ROOT)) == 0 && statfs(ROOT, &fs) == 0 && (u32)fs.f_type != BPF_FS_MAGIC)
		mount("bpf", ROOT, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700");
}

enum ls_status ls_pins_open(struct ls_bpf *b, struct ls_bpf_error *error)
{
	struct statfs fs;

	mount_bpffs(b->folder);
	for (char *at = b->folder + 1;; at++) {
		char end = *at;

		if (end != '/' && end)
			continue;
		*at = 0;
		if (mkdir(b->folder, 0700) != 0 && errno != EEXIST) {
			int failed = errno;

			enum ls_status status = ls_bpf_fail(error, ls_bpf_status(failed), failed, "%s cannot be made: %s", b->folder, strerror(failed));
			*at = end;
			return status;
		}
		*at = end;
		if (!end)
			break;
	}
	b->lock = open(b->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->lock < 0)
		return ls_bpf_fail(error, ls_bpf_status(errno), errno, "%s cannot be opened: %s", b->folder, strerror(errno));
	if (fstatfs(b->lock, &fs) != 0 || (u32)fs.f_type != BPF_FS_MAGIC)
		return ls_bpf_fail(error, LS_E_UNSUPPORTED, 0, "%s is not in a bpf file system: mount -t bpf bpf /sys/fs/bpf", b->folder);
	if (flock(b->lock, LOCK_EX | LOCK_NB) != 0)
		return ls_bpf_fail(error, errno == EWOULDBLOCK ? LS_E_BUSY : LS_E_SYSTEM, errno, "%s is held by another agent", b->folder);
	return LS_OK;
}

int ls_pin_get(const struct ls_bpf *b, const char *name)
{
	char path[LS_BPF_PATH];
	int fd;

	ls_bpf_path(b, path, name);
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

int ls_pin_put(const struct ls_bpf *b, const char *name, int fd)
{
	char path[LS_BPF_PATH];

	ls_bpf_path(b, path, name);
	return bpf_obj_pin(fd, path) == 0 ? 0 : -errno;
}

u32 ls_pins_each(const struct ls_bpf *b, const char *prefix, void (*each)(struct ls_bpf *b, const char *name, void *arg), void *arg)
{
	DIR *d = opendir(b->folder);
	struct dirent *entry;
	u32 n = 0;

	while (d && (entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.' && strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
			if (each)
				each((struct ls_bpf *)b, entry->d_name, arg);
			n++;
		}
	if (d)
		closedir(d);
	return n;
}

static void remove_pin(struct ls_bpf *b, const char *name, void *arg)
{
	char path[LS_BPF_PATH];

	(void)arg;
	ls_bpf_path(b, path, name);
	if (unlink(path) != 0 && errno == EISDIR)
		rmdir(path); /* a lock */
}

void ls_pins_remove(const struct ls_bpf *b, const char *prefix) { ls_pins_each(b, prefix, remove_pin, NULL); }
