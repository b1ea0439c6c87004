/* Receive aggregation of an interface: off while somebody claims it, then as it was. */
#include "own_netns.h"

#include "backend/userspace/aggregation.h"
#include "check.h"

static bool is(const char *link, const char *feature, const char *state)
{
	char command[160];

	snprintf(command, sizeof(command), "ethtool -k %s | grep -q '^%s: %s'", link, feature, state);
	return sh(command);
}

/* False: it cannot be tested here. */
static bool links(int *before)
{
	*before = netns_enter();
	if (*before < 0)
		return false;
	if (sh("ip link add va type veth peer name vb && ethtool -K va gro on rx-gro-list on && ethtool -K vb gro off"))
		return true;
	printf("SKIPPED: needs iproute2, ethtool and veth\n");
	netns_leave(*before);
	return false;
}

TEST("what was on is off while the interface is claimed and on again after, what was off stays off")
{
	int before;
	u32 a, b;

	if (!links(&before))
		return;
	a = ls_aggregation_off("va");
	b = ls_aggregation_off("vb");
	CHECK(a && b && a != b);
	CHECK(is("va", "generic-receive-offload", "off") && is("va", "rx-gro-list", "off"));
	ls_aggregation_back(a);
	ls_aggregation_back(b);
	CHECK(is("va", "generic-receive-offload", "on") && is("va", "rx-gro-list", "on"));
	CHECK(is("vb", "generic-receive-offload", "off"));
	netns_leave(before);
}

TEST("two claims of one interface, as during a switch: the last one that goes gives back what was before the first, in either order")
{
	int before;

	if (!links(&before))
		return;
	for (u32 order = 0; order < 2; order++) {
		u32 claim[2] = { ls_aggregation_off("va"), ls_aggregation_off("va") };

		CHECK(claim[0] && claim[1]);
		ls_aggregation_back(claim[order]);
		CHECK(is("va", "generic-receive-offload", "off"));
		ls_aggregation_back(claim[!order]);
		CHECK(is("va", "generic-receive-offload", "on"));
	}
	netns_leave(before);
}

TEST("an interface that was renamed, moved away from or deleted meanwhile")
{
	int before, other;
	u32 claim;

	if (!links(&before))
		return;
	claim = ls_aggregation_off("va");
	CHECK(claim && sh("ip link set va name vc"));
	other = netns_enter();
	ls_aggregation_back(claim); /* the thread is elsewhere by now */
	netns_leave(other);
	CHECK(is("vc", "generic-receive-offload", "on"));
	claim = ls_aggregation_off("vc");
	CHECK(claim && sh("ip link del vc"));
	ls_aggregation_back(claim);
	CHECK_EQ(ls_aggregation_off("vc"), 0);
	ls_aggregation_back(0);
	netns_leave(before);
}

CHECK_MAIN
