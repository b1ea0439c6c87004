#include "backend/vpp/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT_AT 0x130000000ull    /* where every process maps it on x86-64: MAP_FIXED, so what is there would be lost */
#define SEGMENT_SLACK (16ull * 4096) /* begins up to so much later */

bool ls_vpp_same_file(struct ls_vpp_file a, struct ls_vpp_file b) { return a.dev == b.dev && a.ino == b.ino && a.ino != 0; }

bool ls_vpp_segment_stands(const struct ls_vpp_segment *s)
{
	struct stat st;

	return stat(s->path, &st) == 0 && ls_vpp_same_file((struct ls_vpp_file){ st.st_dev, st.st_ino }, s->file);
}

bool ls_vpp_segment_mapped_by(const struct ls_vpp_segment *s, int pid)
{
	char path[64], line[4608];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = pid > 0 && pid != getpid() ? fopen(path, "re") : NULL;
	while (f && !found && fgets(line, sizeof(line), f)) {
		unsigned long ino = 0;

		found = sscanf(line, "%*s %*s %*s %*s %lu", &ino) == 1 && ino == s->file.ino && strstr(line, s->path) != NULL;
	}
	if (f)
		fclose(f);
	return found;
}

/* Whether something of ours lies where the library will map its segment over it. */
static bool taken(uint64_t from, uint64_t bytes)
{
#ifdef __x86_64__
	char line[4608];
	bool found = false;
	FILE *f = fopen("/proc/self/maps", "re");

	while (f && !found && fgets(line, sizeof(line), f)) {
		unsigned long long start, past;

		found = sscanf(line, "%llx-%llx", &start, &past) == 2 && start < from + bytes && past > from && !strstr(line, "/dev/shm/");
	}
	if (f)
		fclose(f);
	return found;
#else
	return false;
#endif
}

enum ls_status ls_vpp_segment_find(const char *prefix, struct ls_vpp_segment *out, char why[LS_VPP_WHY])
{
	static const char *const parts[] = { "global_vm", "vpe-api" };
	struct stat st = { 0 };

	for (int i = 0; i < 2; i++) {
		int fd, failed;

		snprintf(out->path, sizeof(out->path), "/dev/shm/%s%s%s", prefix ? prefix : "", prefix ? "-" : "", parts[i]);
		fd = open(out->path, O_RDWR | O_CLOEXEC);
		failed = errno;
		if (fd < 0 || fstat(fd, &st) != 0) {
			snprintf(why, LS_VPP_WHY, "%s: %s", out->path, strerror(failed));
			if (fd >= 0)
				close(fd);
			return failed == EACCES || failed == EPERM ? LS_E_PERMISSION : LS_E_SYSTEM;
		}
		close(fd);
		if (i == 0 && taken(SEGMENT_AT, SEGMENT_SLACK + (uint64_t)st.st_size)) {
			snprintf(why, LS_VPP_WHY, "memory of this process lies at 0x%llx, where the segment of VPP must be", SEGMENT_AT);
			return LS_E_BUSY;
		}
	}
	out->file = (struct ls_vpp_file){ st.st_dev, st.st_ino };
	return LS_OK;
}
