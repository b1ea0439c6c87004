#include "backend/vpp/shared_library.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

#define NAME "libvppapiclient.so"

static const char *const folders[] = { "/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib/*-linux-gnu", "/usr/local/lib64", "/usr/local/lib" };

static struct ls_vpp_library library;
static void *loaded; /* kept until the process ends */

/* The newest NAME.* by its version; later folders count only when earlier ones have none. */
static void *load_newest(char path[LS_VPP_WHY])
{
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		char pattern[128], best[LS_VPP_WHY] = "";
		glob_t found;

		snprintf(pattern, sizeof(pattern), "%s/" NAME ".*", folders[i]);
		if (glob(pattern, 0, NULL, &found) != 0)
			continue;
		for (size_t j = 0; j < found.gl_pathc; j++)
			if (strlen(found.gl_pathv[j]) < sizeof(best) && (best[0] == '\0' || strverscmp(strrchr(found.gl_pathv[j], '/'), strrchr(best, '/')) > 0))
				strcpy(best, found.gl_pathv[j]);
		globfree(&found);
		if (best[0] != '\0') {
			strcpy(path, best);
			return dlopen(best, RTLD_NOW | RTLD_LOCAL);
		}
	}
	return NULL;
}

static void *load(const char *path, char why[LS_VPP_WHY])
{
	char newest[LS_VPP_WHY] = "";
	void *handle = dlopen(path ? path : NAME, RTLD_NOW | RTLD_LOCAL);
	const char *error;

	if (handle)
		return handle;
	error = dlerror();
	snprintf(why, LS_VPP_WHY, "%s", error ? error : "it cannot be loaded");
	if (path)
		return NULL;
	handle = load_newest(newest);
	if (!handle && newest[0] != '\0' && (error = dlerror()))
		snprintf(why, LS_VPP_WHY, "%s", error);
	else if (!handle)
		snprintf(why, LS_VPP_WHY, "no " NAME " in the usual folders; it comes with VPP's package libvppinfra");
	return handle;
}

/* The library calls us as long as it lives; Node.js unloads an addon with the last worker that had it. */
static void stay(void)
{
	Dl_info us;

	if (dladdr((void *)folders, &us) != 0 && us.dli_fname)
		(void)dlopen(us.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

enum ls_status ls_vpp_library_load(const char *path, const struct ls_vpp_library **out, char why[LS_VPP_WHY])
{
	struct ls_vpp_library l;
	struct {
		const char *name;
		void *at; /* a pointer to a function: POSIX says both are alike */
	} symbols[] = {
		{ "vac_connect", &l.vac_connect },
		{ "vac_disconnect", &l.vac_disconnect },
		{ "vac_write", &l.vac_write },
		{ "vac_get_msg_index", &l.vac_get_msg_index },
		{ "vac_mem_init", &l.vac_mem_init },
		{ "vac_set_error_handler", &l.vac_set_error_handler },
	};
	void *handle;

	if (loaded && !path) {
		*out = &library;
		return LS_OK;
	}
	handle = load(path, why);
	if (!handle)
		return LS_E_SYSTEM;
	if (loaded) {
		dlclose(handle); /* one of its two references, or another library altogether */
		if (handle != loaded) {
			snprintf(why, LS_VPP_WHY, "this process has another " NAME " loaded already, for as long as it lives: restart it after an upgrade of VPP");
			return LS_E_BUSY;
		}
		*out = &library;
		return LS_OK;
	}
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *symbol = dlsym(handle, symbols[i].name);

		if (!symbol) {
			snprintf(why, LS_VPP_WHY, "%s has no symbol %s", path ? path : NAME, symbols[i].name);
			dlclose(handle);
			return LS_E_UNSUPPORTED;
		}
		memcpy(symbols[i].at, &symbol, sizeof(symbol));
	}
	library = l;
	loaded = handle;
	stay();
	*out = &library;
	return LS_OK;
}
