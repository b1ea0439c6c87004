/* The heart for callers outside it: plain C types, readable from C++. */
#ifndef LOCKSTEP_HEART_API_H
#define LOCKSTEP_HEART_API_H

#include "lockstep/codes.h"
#include "lockstep/heart.h"
#include "lockstep/table.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LS_HEART_SOCKET "lockstep-heart" /* abstract name, followed by the instance's folder or what the agent names it */
#define LS_HEART_NAME_MAX 90

struct ls_heart;
struct ls_table;

/* The words that a heart reads and writes; they outlive it. */
struct ls_heart_words {
	struct ls_rg *rgs; /* LS_RGS_MAX of them: the only ones it writes */
	const struct ls_worker *workers;
	u32 cpus, agent;    /* workers from cpus on, below agent, are threads */
	const u32 *program_lives; /* NULL: of no table that is held here */
	const char *folder; /* where links of programs are pinned; NULL: none can be */
};
void ls_heart_words_of(const struct ls_table *t, struct ls_heart_words *out);

/* Threads of its own, until it is stopped. It sends and stamps nothing before an agent has said how and what. LS_E_BUSY: another heart has the name. */
enum ls_status ls_heart_start(const char *name, const struct ls_heart_words *words, struct ls_heart **out, int *err_no);
void ls_heart_stop(struct ls_heart *h);

/* Is there anything that forwards: a program's link on an interface, workers, each with a recent sign of life (R23), or a dataplane of its own that answers? */
bool ls_heart_lives(const struct ls_heart_words *words, u64 now_ns);

#ifdef __cplusplus
}
#endif

#endif
