/* Replays a fuzzer's corpus as a test: include the fuzzer's source, then this; one run per file of the folder. A finding aborts, after the name of the
 * input that made it: `BUILD/pipeline_corpus_test FILE` runs that one again.
 */
#ifndef LOCKSTEP_TEST_CORPUS_H
#define LOCKSTEP_TEST_CORPUS_H

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char corpus_at[512]; /* the input that runs */

static void corpus_died(int signal)
{
	static const char text[] = "input: ";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) > 0 && write(STDERR_FILENO, corpus_at, strlen(corpus_at)) > 0 && write(STDERR_FILENO, "\n", 1) > 0)
		_exit(128 + signal);
	_exit(1);
}

/* What a sanitizer finds comes by the same way. */
__attribute__((visibility("default"), used)) const char *__asan_default_options(void) { return "abort_on_error=1"; }
__attribute__((visibility("default"), used)) const char *__ubsan_default_options(void) { return "abort_on_error=1:print_stacktrace=1"; }

static int corpus_run(const char *path)
{
	static u8 bytes[65536];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		printf("cannot read %s\n", path);
		return 1;
	}
	n = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	snprintf(corpus_at, sizeof(corpus_at), "%s", path);
	LLVMFuzzerTestOneInput(bytes, n);
	return 0;
}

/* All files of a folder, or the one that is named. */
static int corpus_replay(const char *folder, int argc, char **argv)
{
	DIR *d = opendir(folder);
	struct dirent *entry;
	unsigned files = 0;
	int status = 0;

	signal(SIGABRT, corpus_died);
	if (argc > 1) {
		if (d)
			closedir(d);
		return corpus_run(argv[1]);
	}
	if (!d) {
		printf("cannot read %s: run from the root of the repository\n", folder);
		return 1;
	}
	while ((entry = readdir(d)) != NULL) {
		char path[512];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		status |= corpus_run(path);
		files++;
	}
	closedir(d);
	printf("%u inputs of %s replayed%s\n", files, folder, files ? "" : ": there must be some");
	return status || files == 0;
}

#endif
