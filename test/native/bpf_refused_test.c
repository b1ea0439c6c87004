/* What is told of a program that the kernel's verifier refuses. The object in this test is refused.bpf.c. */
#include <errno.h>
#include <unistd.h>

#include "backend/ebpf/api.h"
#include "check.h"
#include "table/api.h"

#define SKIPPED 77

TEST("a refused program: status, the verifier's reason in the error, its whole log beside it, and nothing left")
{
	struct ls_header h;
	struct ls_geometry g = { .capacity = 1 << 10, .cpus = 1, .threads = 1, .arena = 4096 };
	struct ls_bpf *b = NULL;
	struct ls_bpf_error error = { 0 };
	char folder[64];

	snprintf(folder, sizeof(folder), "/sys/fs/bpf/lockstep/refused-%d", getpid());
	CHECK_EQ(ls_header_init(&h, &g), LS_OK);
	CHECK_EQ(ls_bpf_open(folder, &h, &b, &error), LS_OK);
	CHECK_EQ(ls_bpf_load(b, &error), LS_E_UNSUPPORTED);
	CHECK(strstr(error.text, "invalid access to packet") != NULL || strstr(error.text, "outside of the") != NULL);
	CHECK(strstr(ls_bpf_log(b), "invalid access to packet") != NULL);
	CHECK(strlen(ls_bpf_log(b)) > strlen(error.text));
	ls_bpf_close(b);
	CHECK(access(folder, F_OK) != 0);
}

int main(int argc, char **argv)
{
	struct ls_bpf_feature feature[16];
	u32 n = ls_bpf_probe(feature, 16);

	for (u32 i = 0; i < n; i++)
		if (feature[i].needed && !feature[i].ok) {
			printf("SKIPPED: %s: %s\n", feature[i].name, feature[i].reason);
			return SKIPPED;
		}
	return check_main(argc, argv);
}
