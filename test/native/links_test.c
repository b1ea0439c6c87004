/* The mirror of routes at its limits. The kernel's routes of this namespace lead out of interfaces that are not ours, or are the host's own addresses. */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"
#include "backend/userspace/api.h"
#include "table/fib.h"
#include "table_fixture.h"

#define MANY (LS_ROUTES_MAX + 1000)

static struct ls_static_route route(struct ls_addr dst, u8 prefix, u32 gateway)
{
	struct ls_static_route r = { .dst = dst, .prefix = prefix, .kind = LS_NH_GATEWAY, .iface = 1, .gateway = addr("10.0.0.0") };

	r.gateway.w[3] = htonl(0x0a000000 | gateway);
	return r;
}

/* Gateway number of the route to `a`; 0 = none. */
static u32 gateway_to(struct ls_table *t, struct ls_addr a)
{
	const struct ls_nexthop *h = ls_fib_find(&t->env.fibs[LS_LOAD(&t->env.header->active_fib) & 1], &a);

	return h && h->kind == LS_NH_GATEWAY ? ntohl(h->gateway.w[3]) & 0xffffff : 0;
}

static struct ls_addr numbered(const char *base, u32 i)
{
	struct ls_addr a = addr(base);

	a.w[1] = htonl(i);
	return a;
}

TEST("more routes than fit: the narrowest stay, wherever they stood in the list, and the rest is counted")
{
	struct ls_table *t = table_new(1024);
	struct ls_us *us = ls_us_new(t, 0, 1);
	struct ls_static_route *list = calloc(MANY, sizeof(*list));
	char error[256] = "";
	u32 wrong = 0;

	CHECK_EQ(ls_us_mirror_start(us, "", error), LS_OK);
	CHECK_EQ(ls_mirror_left_out(ls_us_mirror(us)), 0);
	/* the widest come first in the list: a cut before the order is known keeps them */
	list[0] = route(addr("::"), 0, 1);
	for (u32 i = 1; i < 2000; i++)
		list[i] = route(numbered("2a00::", i), 64, 2);
	for (u32 i = 2000; i < MANY; i++)
		list[i] = route(numbered("fd00::", i), 72, 3 + i % 100);
	CHECK_EQ(ls_mirror_routes(ls_us_mirror(us), list, MANY), LS_OK);
	/* the host's own addresses are narrower still */
	CHECK(ls_mirror_left_out(ls_us_mirror(us)) >= MANY - LS_ROUTES_MAX && ls_mirror_left_out(ls_us_mirror(us)) < 2000);
	for (u32 i = 2000; i < MANY; i++)
		wrong += gateway_to(t, numbered("fd00::", i)) != 3 + i % 100;
	CHECK_EQ(wrong, 0);
	CHECK_EQ(gateway_to(t, addr("2b00::1")), 0);
	/* fewer: everything is there again */
	CHECK_EQ(ls_mirror_routes(ls_us_mirror(us), list, 3000), LS_OK);
	CHECK_EQ(ls_mirror_left_out(ls_us_mirror(us)), 0);
	CHECK_EQ(gateway_to(t, addr("2b00::1")), 1);
	CHECK_EQ(gateway_to(t, numbered("2a00::", 1999)), 2);
	CHECK_EQ(gateway_to(t, numbered("fd00::", 2999)), 3 + 2999 % 100);
	free(list);
	ls_us_free(us);
	ls_table_close(t);
}

TEST("more next hops than fit are counted, and their prefixes have no route")
{
	struct ls_table *t = table_new(1024);
	struct ls_us *us = ls_us_new(t, 0, 1);
	struct ls_static_route *list = calloc(LS_NEXTHOPS_MAX + 100, sizeof(*list));
	char error[256] = "";
	u32 none = 0;

	CHECK_EQ(ls_us_mirror_start(us, "", error), LS_OK);
	for (u32 i = 0; i < LS_NEXTHOPS_MAX + 100; i++)
		list[i] = route(numbered("fd00::", i + 1), 64, i + 1);
	CHECK_EQ(ls_mirror_routes(ls_us_mirror(us), list, LS_NEXTHOPS_MAX + 100), LS_OK);
	for (u32 i = 0; i < LS_NEXTHOPS_MAX + 100; i++)
		none += gateway_to(t, numbered("fd00::", i + 1)) == 0;
	CHECK(none >= 100);
	CHECK(ls_mirror_left_out(ls_us_mirror(us)) >= none);
	free(list);
	ls_us_free(us);
	ls_table_close(t);
}

TEST("who mirrors after the writer's death builds from the configured routes that were in force, and from none before it knows its ports")
{
	struct ls_table *t = table_new(1024);
	struct ls_us *us = ls_us_new(t, 0, 1);
	struct ls_static_route list[2] = { route(addr("2a00::"), 16, 1), route(addr("fd00::"), 8, 2) };
	char error[256] = "";

	CHECK_EQ(ls_us_mirror_start(us, "", error), LS_OK);
	CHECK_EQ(ls_mirror_routes(ls_us_mirror(us), list, 2), LS_OK);
	ls_us_free(us);
	us = ls_us_new(t, 0, 1);
	CHECK_EQ(ls_us_mirror_start(us, "", error), LS_OK);
	CHECK_EQ(gateway_to(t, addr("2a00::1")), 1);
	ls_mirror_resume(ls_us_mirror(us));
	CHECK_EQ(gateway_to(t, addr("2a00::1")), 1);
	CHECK_EQ(gateway_to(t, addr("fd00::1")), 2);
	ls_us_free(us);
	ls_table_close(t);
}

CHECK_MAIN
