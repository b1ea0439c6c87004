/* Does the dataplane live? Programs do while their link is on an interface; packet workers while each that is attached goes on giving signs of life, of which a
 * process that died gives none; a dataplane of its own while the agent hears from it. */
#include <dirent.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "heart/api.h"
#include "keeper/keeper.h"
#include "table/table.h"

static bool link_lives(const char *folder, const char *pin)
{
	char path[512];
	struct bpf_link_info info;
	union bpf_attr a;
	int fd;
	bool lives;

	snprintf(path, sizeof(path), "%s/%s", folder, pin);
	memset(&a, 0, sizeof(a));
	a.pathname = (u64)(uintptr_t)path;
	fd = (int)syscall(SYS_bpf, BPF_OBJ_GET, &a, sizeof(a));
	if (fd < 0)
		return false;
	memset(&info, 0, sizeof(info));
	memset(&a, 0, sizeof(a));
	a.info.bpf_fd = (u32)fd;
	a.info.info_len = sizeof(info);
	a.info.info = (u64)(uintptr_t)&info;
	/* the link of an interface that is gone stays, on none */
	lives = syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &a, sizeof(a)) == 0 && info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex;
	close(fd);
	return lives;
}

static bool programs_live(const char *folder)
{
	DIR *d = folder ? opendir(folder) : NULL;
	struct dirent *entry;
	bool lives = false;

	while (d && !lives && (entry = readdir(d)) != NULL)
		lives = strncmp(entry->d_name, LS_LINK_PREFIX, sizeof(LS_LINK_PREFIX) - 1) == 0 && link_lives(folder, entry->d_name);
	if (d)
		closedir(d);
	return lives;
}

static bool workers_live(const struct ls_heart_words *words, u64 now_ns)
{
	bool some = false;

	for (u32 w = words->cpus; w < words->agent; w++) {
		const struct ls_worker *k = &words->workers[w];

		if (!LS_LOAD_ACQ(&k->attached))
			continue;
		if (LS_LOAD(&k->alive_ns) + LS_HEART_WORKER_MS * 1000000ULL < now_ns)
			return false;
		some = true;
	}
	return some;
}

bool ls_heart_lives(const struct ls_heart_words *words, u64 now_ns)
{
	return (words->program_lives && LS_LOAD(words->program_lives)) || workers_live(words, now_ns) || programs_live(words->folder);
}

void ls_heart_words_of(const struct ls_table *t, struct ls_heart_words *out)
{
	*out = (struct ls_heart_words){ .rgs = t->env.rgs, .workers = t->env.workers, .cpus = t->env.header->cpus, .agent = t->env.header->workers - 1, .program_lives = &t->program_lives };
}
