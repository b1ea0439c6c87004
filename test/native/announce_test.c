/* Announcements, byte by byte; and that only the owner of a group makes them. */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"
#include "backend/userspace/neighbour_frames.h"
#include "table_fixture.h"

#include <unistd.h>

#define MAC 0x02, 0x00, 0x5e, 0x10, 0x20, 0x30
#define ALL 0xff, 0xff, 0xff, 0xff, 0xff, 0xff

static struct ls_announcement announcement(const char *address, u16 outer, u16 inner)
{
	return (struct ls_announcement){ .addr = addr(address), .device = 1, .outer_vlan = outer, .inner_vlan = inner, .mac = { MAC } };
}

static void check_frame(const struct ls_announcement *a, u32 n, const u8 *wanted, u32 len)
{
	u8 frame[LS_NEIGHBOUR_FRAME_BYTES];

	memset(frame, 0xa5, sizeof(frame));
	CHECK_EQ(ls_announcement_frame(a, n, frame), len);
	for (u32 i = 0; i < len; i++) {
		CHECK_AT("frame %u, byte %u", n, i);
		CHECK_EQ(frame[i], wanted[i]);
	}
	for (u32 i = len; i < sizeof(frame); i++)
		CHECK_EQ(frame[i], 0xa5);
}

#define ARP(operation, ...) 0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, operation, MAC, 192, 0, 2, 254, __VA_ARGS__, 192, 0, 2, 254
#define NOBODY 0, 0, 0, 0, 0, 0
/* 2001:db8::fe; the sum was computed apart from this code */
#define FE 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfe
#define ADVERTISEMENT                                                                                                        \
	0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255, FE, 0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 136, 0, SUM, \
		0xa0, 0, 0, 0, FE, 2, 1, MAC
#define SUM 0xf8, 0xf0

TEST("an IPv4 address is announced by a request and a reply of its own, to everyone; nothing follows")
{
	struct ls_announcement a = announcement("192.0.2.254", 0, 0);
	u8 frame[LS_NEIGHBOUR_FRAME_BYTES];

	check_frame(&a, 0, (const u8[]){ ALL, MAC, ARP(1, NOBODY) }, 42);
	check_frame(&a, 1, (const u8[]){ ALL, MAC, ARP(2, MAC) }, 42);
	CHECK_EQ(ls_announcement_frame(&a, 2, frame), 0);
}

TEST("an IPv6 address is announced once to all nodes: override, router, not solicited, hop limit 255, its link-layer address")
{
	struct ls_announcement a = announcement("2001:db8::fe", 0, 0);
	u8 frame[LS_NEIGHBOUR_FRAME_BYTES];

	check_frame(&a, 0, (const u8[]){ 0x33, 0x33, 0, 0, 0, 1, MAC, ADVERTISEMENT }, 86);
	CHECK_EQ(ls_announcement_frame(&a, 1, frame), 0);
}

TEST("a question for a neighbour has the tags of its port, and goes to everyone or to the solicited-node group")
{
	struct ls_frame_link l = { (const u8[]){ MAC }, 100, 4094 };
	struct ls_addr us4 = addr("192.0.2.1"), them4 = addr("192.0.2.77"), us6 = addr("2001:db8::fe"), them6 = addr("2001:db8::12:3456");
	const u8 arp[] = { ALL, MAC, 0x88, 0xa8, 0, 100, 0x81, 0, 0x0f, 0xfe, 0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 1, MAC, 192, 0, 2, 1, NOBODY, 192, 0, 2, 77 };
	const u8 nd[] = { 0x33, 0x33, 0xff, 0x12, 0x34, 0x56, MAC, 0x88, 0xa8, 0, 100, 0x81, 0, 0x0f, 0xfe, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255, FE,
		0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0x12, 0x34, 0x56, 135, 0 };
	u8 frame[LS_NEIGHBOUR_FRAME_BYTES];
	u32 sum = 32 + 58;

	CHECK_EQ(ls_arp_frame(frame, &l, 1, &us4, NULL, &them4), sizeof(arp));
	CHECK(memcmp(frame, arp, sizeof(arp)) == 0);
	CHECK_EQ(ls_nd_solicitation(frame, &l, &us6, &them6), 94);
	CHECK(memcmp(frame, nd, sizeof(nd)) == 0);
	CHECK(memcmp(frame + 66 + 4, them6.b, 16) == 0 && frame[86] == 1 && frame[87] == 1 && memcmp(frame + 88, l.mac, 6) == 0);
	for (u32 i = 30; i < 94; i += 2) /* addresses and message: with its sum they are all ones (RFC 1071) */
		sum += (u32)frame[i] << 8 | frame[i + 1];
	CHECK_EQ((sum & 0xffff) + (sum >> 16), 0xffff);
}

TEST("a VLAN has an 802.1Q tag, a VLAN in a VLAN an 802.1ad tag before it")
{
	struct ls_announcement v4 = announcement("192.0.2.254", 100, 0), v6 = announcement("2001:db8::fe", 100, 4094);

	check_frame(&v4, 0, (const u8[]){ ALL, MAC, 0x81, 0x00, 0, 100, ARP(1, NOBODY) }, 46);
	v4.inner_vlan = 7;
	check_frame(&v4, 1, (const u8[]){ ALL, MAC, 0x88, 0xa8, 0, 100, 0x81, 0x00, 0, 7, ARP(2, MAC) }, 50);
	check_frame(&v6, 0, (const u8[]){ 0x33, 0x33, 0, 0, 0, 1, MAC, 0x88, 0xa8, 0, 100, 0x81, 0x00, 0x0f, 0xfe, ADVERTISEMENT }, 94);
	v6.inner_vlan = 0;
	check_frame(&v6, 0, (const u8[]){ 0x33, 0x33, 0, 0, 0, 1, MAC, 0x81, 0x00, 0, 100, ADVERTISEMENT }, 90);
}

TEST("who does not own the group says nothing: another role, a lease that has ended, a group that does not exist; ports that are gone are passed over")
{
	struct ls_table *t = table_new(1024);
	struct ls_us *us = ls_us_new(t, 0, 1);
	struct ls_device_spec spec = { .kind = LS_DEV_PCAP, .name = "announce" };
	struct ls_announcement a[3] = { announcement("192.0.2.254", 0, 0), announcement("2001:db8::fe", 0, 0), announcement("192.0.2.254", 0, 0) };
	struct ls_announced told;
	char error[LS_US_ERROR_BYTES] = "", path[] = "/tmp/ls-announce-XXXXXX";
	u32 id;
	int fd = mkstemp(path);
	u8 image[24 + 3 * 16 + 42 + 42 + 86 + 1];

	CHECK(fd >= 0);
	snprintf(spec.out, sizeof(spec.out), "%s", path);
	CHECK_EQ(ls_us_add(us, &spec, &id, error), LS_OK);
	a[0].device = a[1].device = id;
	a[2].device = id + 1;
	ls_table_set_role(t, 1, LS_ROLE_STANDBY, 1, ~0ULL);
	ls_us_announce(us, 1, a, 3, &told);
	CHECK_EQ(told.sent + told.unsent, 0);
	ls_table_set_role(t, 1, LS_ROLE_OWNER, 1, ls_clock_ns() - 1);
	ls_us_announce(us, 1, a, 3, &told);
	CHECK_EQ(told.sent + told.unsent, 0);
	ls_us_announce(us, LS_RGS_MAX, a, 3, &told);
	CHECK_EQ(told.sent + told.unsent, 0);
	ls_table_set_role(t, 1, LS_ROLE_OWNER, 1, ~0ULL);
	ls_us_announce(us, 1, a, 3, &told);
	CHECK_EQ(told.sent, 3);
	CHECK_EQ(told.unsent, 0);
	ls_us_free(us);
	CHECK_EQ(pread(fd, image, sizeof(image), 0), sizeof(image) - 1);
	close(fd);
	unlink(path);
	ls_table_close(t);
}

CHECK_MAIN
