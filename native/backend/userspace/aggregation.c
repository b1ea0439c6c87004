/* Features are named by the kernel, by bit of a set whose size it tells. Sources: uapi/linux/ethtool.h (ETHTOOL_GFEATURES, ETH_SS_FEATURES),
 * net/ethtool/common.c (netdev_features_strings).
 */
#include "backend/userspace/aggregation.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLAIMED_MAX 64
#define BLOCKS 8 /* of 32 features; Linux 6.12 has 64 */

static const char *const names[] = { "rx-gro", "rx-gro-hw", "rx-lro", "rx-gro-list", "rx-udp-gro-forwarding" };

struct claimed {
	u32 holders; /* 0: free */
	ino_t netns;
	int ifindex;
	int fd; /* a socket of its namespace */
	u32 blocks, had[BLOCKS]; /* features that were on */
};

static struct claimed all[CLAIMED_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool ask(int fd, const char *interface, void *command)
{
	struct ifreq request = { .ifr_data = command };

	memcpy(request.ifr_name, interface, strnlen(interface, IFNAMSIZ - 1));
	return ioctl(fd, SIOCETHTOOL, &request) >= 0; /* 1 and more: what of a wish could not be had */
}

/* Bits of what merges; false: the kernel does not tell. */
static bool find(int fd, const char *interface, u32 *blocks, u32 bits[BLOCKS])
{
	struct { struct ethtool_sset_info head; u32 features; } set = { .head = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES } };
	struct ethtool_gstrings *text;
	bool told;

	if (!ask(fd, interface, &set) || !set.head.sset_mask || set.features > BLOCKS * 32)
		return false;
	text = calloc(1, sizeof(*text) + (size_t)set.features * ETH_GSTRING_LEN);
	if (!text)
		return false;
	*text = (struct ethtool_gstrings){ .cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES, .len = set.features };
	told = ask(fd, interface, text);
	for (u32 i = 0; told && i < set.features; i++)
		for (u32 k = 0; k < sizeof(names) / sizeof(names[0]); k++)
			if (strncmp((const char *)text->data + (size_t)i * ETH_GSTRING_LEN, names[k], ETH_GSTRING_LEN) == 0)
				bits[i / 32] |= 1u << i % 32;
	free(text);
	*blocks = (set.features + 31) / 32;
	return told;
}

static bool set(const struct claimed *c, const char *interface, bool on)
{
	struct { struct ethtool_sfeatures head; struct ethtool_set_features_block block[BLOCKS]; } s = { .head = { .cmd = ETHTOOL_SFEATURES, .size = c->blocks } };

	for (u32 i = 0; i < c->blocks; i++)
		s.block[i] = (struct ethtool_set_features_block){ .valid = c->had[i], .requested = on ? c->had[i] : 0 };
	return ask(c->fd, interface, &s);
}

/* Notes what is wanted now and can be changed, and turns it off. */
static bool off(struct claimed *c, const char *interface)
{
	struct { struct ethtool_gfeatures head; struct ethtool_get_features_block block[BLOCKS]; } now = { .head = { .cmd = ETHTOOL_GFEATURES } };
	u32 bits[BLOCKS] = { 0 };

	if (!find(c->fd, interface, &c->blocks, bits))
		return false;
	now.head.size = c->blocks;
	if (!ask(c->fd, interface, &now))
		return false;
	for (u32 i = 0; i < c->blocks; i++)
		c->had[i] = bits[i] & now.block[i].available & ~now.block[i].never_changed & now.block[i].requested;
	return set(c, interface, false);
}

static bool look(const char *interface, struct claimed *c)
{
	struct stat at;

	c->ifindex = (int)if_nametoindex(interface);
	if (c->ifindex == 0 || stat("/proc/thread-self/ns/net", &at) != 0)
		return false;
	c->netns = at.st_ino;
	c->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return c->fd >= 0;
}

u32 ls_aggregation_off(const char *interface)
{
	struct claimed mine = { .holders = 1, .fd = -1 };
	u32 claim = 0, free_at = 0;

	if (!look(interface, &mine))
		return 0;
	pthread_mutex_lock(&lock);
	for (u32 i = CLAIMED_MAX; i-- > 0 && !claim;) {
		if (!all[i].holders)
			free_at = i + 1;
		else if (all[i].netns == mine.netns && all[i].ifindex == mine.ifindex)
			claim = i + 1;
	}
	if (claim) {
		all[claim - 1].holders++;
	} else if (free_at && off(&mine, interface)) {
		claim = free_at;
		all[claim - 1] = mine;
		mine.fd = -1;
	}
	pthread_mutex_unlock(&lock);
	if (mine.fd >= 0)
		close(mine.fd);
	return claim;
}

void ls_aggregation_back(u32 claim)
{
	struct ifreq request = { 0 };
	struct claimed *c;

	if (!claim || claim > CLAIMED_MAX)
		return;
	c = &all[claim - 1];
	pthread_mutex_lock(&lock);
	if (c->holders && --c->holders == 0) {
		request.ifr_ifindex = c->ifindex; /* it may have another name */
		if (ioctl(c->fd, SIOCGIFNAME, &request) == 0)
			set(c, request.ifr_name, true);
		close(c->fd);
	}
	pthread_mutex_unlock(&lock);
}
