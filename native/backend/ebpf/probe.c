/* What this host's kernel can do for the backend, each by trying it; nothing is left behind. A "no" names the kernel version or setting that has it. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "backend/ebpf/api.h"

struct list {
	struct ls_bpf_feature *out;
	u32 max, n;
};

static void add(struct list *l, const char *name, bool ok, const char *reason)
{
	if (l->n == l->max)
		return;
	l->out[l->n] = (struct ls_bpf_feature){ .name = name, .ok = ok, .needed = true };
	if (!ok)
		snprintf(l->out[l->n].reason, sizeof(l->out[l->n].reason), "%s", reason);
	l->n++;
}

static void privileges(struct list *l)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ls_probe", 4, 8, 1, NULL);
	char reason[160];

	snprintf(reason, sizeof(reason), errno == EPERM ? "needs CAP_BPF and CAP_NET_ADMIN, or root" : errno == ENOSYS ? "this kernel has no bpf(2): CONFIG_BPF_SYSCALL" : "bpf(2): %s",
		 strerror(errno));
	add(l, "bpf", fd >= 0, reason);
	if (fd >= 0)
		close(fd);
}

static void mmapable(struct list *l)
{
	LIBBPF_OPTS(bpf_map_create_opts, o, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ls_probe", 4, 8, 1, &o);
	void *page = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	add(l, "mmapable arrays", page != MAP_FAILED, "needs Linux 5.5");
	if (page != MAP_FAILED)
		munmap(page, 4096);
	if (fd >= 0)
		close(fd);
}

static void helper(struct list *l, const char *name, enum bpf_prog_type type, enum bpf_func_id id, const char *version)
{
	char reason[96];

	snprintf(reason, sizeof(reason), "needs Linux %s", version);
	add(l, name, libbpf_probe_bpf_helper(type, id, NULL) == 1, reason);
}

static void bpffs(struct list *l)
{
	char line[64];
	struct statfs fs;
	bool known = statfs("/sys/fs/bpf", &fs) == 0 && (u32)fs.f_type == BPF_FS_MAGIC;
	FILE *f = known ? NULL : fopen("/proc/filesystems", "r");

	while (f && fgets(line, sizeof(line), f))
		known |= strcmp(line, "nodev\tbpf\n") == 0; /* mounted when it is needed */
	if (f)
		fclose(f);
	add(l, "bpffs", known, "this kernel has no bpf file system: CONFIG_BPF_SYSCALL");
}

/* Graces of programs (R4). EINVAL under nohz_full. */
static void grace(struct list *l)
{
	int commands = (int)syscall(__NR_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	add(l, "membarrier", commands >= 0 && (commands & MEMBARRIER_CMD_GLOBAL), "membarrier(2) has no global command: CONFIG_MEMBARRIER, and no nohz_full= on the kernel's command line");
}

static void preemption(struct list *l)
{
	struct utsname u;

	add(l, "not PREEMPT_RT", uname(&u) == 0 && !strstr(u.version, "PREEMPT_RT"), "this is a PREEMPT_RT kernel: a program could be interrupted by another on its CPU");
}

/* A place for the program that records what the host opens. Asked of the loopback interface, number 1 of every namespace, what it has there. */
static void way_out(struct list *l)
{
	u64 attr[16] = { 0 };

	memcpy(attr, (const u32[]){ 1, 47 /* BPF_TCX_EGRESS */ }, 8);
	add(l, "tcx", syscall(__NR_bpf, BPF_PROG_QUERY, attr, sizeof(attr)) == 0, "needs Linux 6.6");
	l->out[l->n - 1].needed = false;
}

u32 ls_bpf_probe(struct ls_bpf_feature *out, u32 max)
{
	struct list l = { .out = out, .max = max };

	libbpf_set_print(NULL);
	privileges(&l);
	bpffs(&l);
	preemption(&l);
	grace(&l);
	if (!out[0].ok)
		return l.n; /* the rest would only say so again */
	add(&l, "XDP programs", libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_XDP, NULL) == 1, "needs CONFIG_XDP_SOCKETS or CONFIG_NET with Linux 4.8");
	add(&l, "device maps", libbpf_probe_bpf_map_type(BPF_MAP_TYPE_DEVMAP, NULL) == 1, "needs Linux 4.14");
	mmapable(&l);
	helper(&l, "bpf_xdp_load_bytes", BPF_PROG_TYPE_XDP, BPF_FUNC_xdp_load_bytes, "5.18");
	way_out(&l);
	return l.n;
}
