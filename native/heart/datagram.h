/* Heartbeats as bytes: what goes out is sealed, what comes in is authenticated before anything else of it counts. */
#ifndef LOCKSTEP_HEART_DATAGRAM_H
#define LOCKSTEP_HEART_DATAGRAM_H

#include <nettle/hmac.h>

#include "lockstep/heart.h"

#define LS_HEART_DATAGRAM_MAX (sizeof(struct ls_heartbeat) + LS_HEART_BODY_MAX + LS_HEART_MAC_BYTES)

/* Why a datagram is refused. */
enum ls_heart_fault {
	LS_HEART_SOUND,
	LS_HEART_F_LENGTH,
	LS_HEART_F_MAGIC,
	LS_HEART_F_VERSION,
	LS_HEART_F_MAC,
	LS_HEART_F_OWN,
	LS_HEART_F_ROLE,
	LS_HEART_FAULTS
};
extern const char *const ls_heart_fault_text[LS_HEART_FAULTS];

/* `d` holds head and body and has room for the MAC; the length of all. The key's context is as before afterwards. */
size_t ls_heartbeat_seal(struct hmac_sha256_ctx *key, u8 *d);
/* `own`: index of the receiver. *head is set when it is sound; then its body follows it in `d`. */
enum ls_heart_fault ls_heartbeat_open(struct hmac_sha256_ctx *key, u32 own, const u8 *d, size_t bytes, struct ls_heartbeat *head);

#endif
