/* Enumerations made from the .def files in defs/: value = order in the file, append only. */
#ifndef LOCKSTEP_CODES_H
#define LOCKSTEP_CODES_H

#define X(name, class, text) LS_##name,
enum ls_status {
#include "defs/status.def"
	LS_STATUS_COUNT
};
#undef X

#define X(name, text) LS_DROP_##name,
enum ls_drop {
#include "defs/drop.def"
	LS_DROP_COUNT
};
#undef X

#define X(name, ms, text) LS_##name,
enum ls_phase {
#include "defs/phase.def"
	LS_PHASE_COUNT
};
#undef X

#define X(name, text) LS_##name,
enum ls_lifecycle {
#include "defs/lifecycle.def"
	LS_LIFECYCLE_COUNT
};
#undef X

#define X(name, text) LS_NOTICE_##name,
enum ls_notice_kind {
#include "defs/notice.def"
	LS_NOTICE_COUNT
};
#undef X

#define X(name, text) LS_CLOSE_##name,
enum ls_close_reason {
#include "defs/close_reason.def"
	LS_CLOSE_COUNT
};
#undef X

#define X(name, text) LS_CTR_##name,
enum ls_counter {
#include "defs/counter.def"
	LS_COUNTER_COUNT
};
#undef X

#define X(name, text) LS_SCREEN_##name,
enum ls_screen {
#include "defs/screen.def"
	LS_SCREEN_COUNT
};
#undef X

#define X(name, text) LS_CAP_##name,
enum ls_capability {
#include "defs/capability.def"
	LS_CAPABILITY_COUNT
};
#undef X

#endif
