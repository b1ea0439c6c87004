/* Fuzzes what comes in by the paths of a heart: the input as it is, and sealed with the right key so that it gets past the MAC. What is let in is whole. */
#include <stdlib.h>
#include <string.h>

#include "heart/datagram.h"
#include "lockstep/table.h"

static bool is_sound(struct hmac_sha256_ctx *key, const u8 *data, size_t bytes)
{
	struct ls_heartbeat head;
	u8 *d = malloc(bytes ? bytes : 1); /* of exactly that size */
	bool sound;

	memcpy(d, data, bytes);
	sound = ls_heartbeat_open(key, 7, d, bytes, &head) == LS_HEART_SOUND;
	free(d);
	if (!sound)
		return false;
	for (u32 g = 0; g < LS_RGS_MAX; g++)
		if (head.role[g] > LS_ROLE_TAKE)
			abort();
	if (head.node == 7 || sizeof(head) + head.body + LS_HEART_MAC_BYTES != bytes)
		abort();
	return true;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const u8 secret[LS_HEART_KEY_BYTES] = "the key";
	struct hmac_sha256_ctx key;
	struct ls_heartbeat head = { .magic = LS_HEART_MAGIC, .version = LS_HEART_VERSION };
	u8 d[LS_HEART_DATAGRAM_MAX];
	size_t room = sizeof(d) - LS_HEART_MAC_BYTES, bytes = size < room ? size : room;

	hmac_sha256_set_key(&key, sizeof(secret), secret);
	if (is_sound(&key, data, size))
		abort(); /* chance does not make a MAC */
	/* the first bytes are right, and the length as well or not */
	memset(d, 0, sizeof(d));
	memcpy(d, data, bytes);
	if (bytes < sizeof(head))
		bytes = sizeof(head);
	memcpy(&head.flags, d + offsetof(struct ls_heartbeat, flags), sizeof(head) - offsetof(struct ls_heartbeat, flags));
	if (!(head.flags & 1))
		head.body = (u16)(bytes - sizeof(head));
	memcpy(d, &head, sizeof(head));
	if (head.body <= LS_HEART_BODY_MAX)
		is_sound(&key, d, ls_heartbeat_seal(&key, d));
	is_sound(&key, d, bytes);
	return 0;
}
