/* Names of the regions where each is an object of its own: maps and their pins. */
#ifndef LOCKSTEP_REGIONS_H
#define LOCKSTEP_REGIONS_H

#include "table.h"

static const char *const ls_region_name[LS_REGION_COUNT] __attribute__((unused)) = {
	[LS_REGION_HEADER] = "header", [LS_REGION_SESSIONS] = "sessions", [LS_REGION_INDEX] = "index", [LS_REGION_WORKERS] = "workers",
	[LS_REGION_FREE] = "free", [LS_REGION_NOTICES] = "notices", [LS_REGION_LOGS] = "logs", [LS_REGION_COUNTERS] = "counters",
	[LS_REGION_CONFIG] = "config", [LS_REGION_ARENA] = "arena", [LS_REGION_RGS] = "rgs", [LS_REGION_FREER] = "freer",
	[LS_REGION_SCREENS] = "screens", [LS_REGION_SOURCES] = "sources", [LS_REGION_FRAGS] = "frags", [LS_REGION_NEIGHS] = "neighs",
	[LS_REGION_FIB] = "fib", [LS_REGION_NAT] = "nat",
	[LS_REGION_WANTED] = "wanted",
};

#endif
