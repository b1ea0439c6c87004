#include <nettle/memops.h>
#include <string.h>

#include "heart/datagram.h"
#include "lockstep/table.h"

const char *const ls_heart_fault_text[LS_HEART_FAULTS] = {
	[LS_HEART_SOUND] = "sound", [LS_HEART_F_LENGTH] = "wrong length", [LS_HEART_F_MAGIC] = "no heartbeat", [LS_HEART_F_VERSION] = "another version",
	[LS_HEART_F_MAC] = "another key", [LS_HEART_F_OWN] = "our own node index", [LS_HEART_F_ROLE] = "unknown role",
};

static void mac_of(struct hmac_sha256_ctx *key, const u8 *d, size_t bytes, u8 out[LS_HEART_MAC_BYTES])
{
	hmac_sha256_update(key, bytes, d);
	hmac_sha256_digest(key, LS_HEART_MAC_BYTES, out); /* resets the context for the next */
}

size_t ls_heartbeat_seal(struct hmac_sha256_ctx *key, u8 *d)
{
	struct ls_heartbeat head;
	size_t bytes;

	memcpy(&head, d, sizeof(head));
	bytes = sizeof(head) + head.body;
	mac_of(key, d, bytes, d + bytes);
	return bytes + LS_HEART_MAC_BYTES;
}

enum ls_heart_fault ls_heartbeat_open(struct hmac_sha256_ctx *key, u32 own, const u8 *d, size_t bytes, struct ls_heartbeat *head)
{
	u8 mac[LS_HEART_MAC_BYTES];

	if (bytes < sizeof(*head) + LS_HEART_MAC_BYTES || bytes > LS_HEART_DATAGRAM_MAX)
		return LS_HEART_F_LENGTH;
	memcpy(head, d, sizeof(*head));
	if (head->magic != LS_HEART_MAGIC)
		return LS_HEART_F_MAGIC;
	if (head->version != LS_HEART_VERSION)
		return LS_HEART_F_VERSION;
	if (bytes != sizeof(*head) + head->body + LS_HEART_MAC_BYTES)
		return LS_HEART_F_LENGTH;
	mac_of(key, d, bytes - LS_HEART_MAC_BYTES, mac);
	if (!memeql_sec(mac, d + bytes - LS_HEART_MAC_BYTES, LS_HEART_MAC_BYTES))
		return LS_HEART_F_MAC;
	if (head->node == own)
		return LS_HEART_F_OWN; /* reflected, or two nodes with one index */
	for (u32 g = 0; g < LS_RGS_MAX; g++)
		if (head->role[g] > LS_ROLE_TAKE)
			return LS_HEART_F_ROLE;
	return LS_HEART_SOUND;
}
