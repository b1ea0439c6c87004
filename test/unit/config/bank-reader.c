/* Asks the packet path's own readers about a compiled bank: bank file in argv[1], one query per line on stdin, one number per line out.
 *   iface DEVICE OUTER INNER · local ADDR DOMAIN · vip ADDR PORT PROTO DOMAIN · static ADDR DOMAIN · policy|snat|dnat ZIN ZOUT PROTO SRC DST SPORT DPORT
 * Addresses are 32 hexadecimal digits. 0 or 4294967295 = nothing found. Built and run by bank-native.test.ts. */
#define LS_PORT_IMPL "backend/userspace/port_impl.h"
#include "pipeline/classify.h"
#include "pipeline/lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void address(const char *hex, struct ls_addr *to)
{
	for (u32 i = 0; i < 16; i++) {
		unsigned byte = 0;

		sscanf(hex + 2 * i, "%2x", &byte);
		to->b[i] = (u8)byte;
	}
}

int main(int argc, char **argv)
{
	static struct ls_config bank;
	char kind[16], a[40], b[40];
	u32 n[5];
	FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;

	if (!f || fread(&bank, sizeof(bank), 1, f) != 1)
		return 1;
	fclose(f);
	while (scanf("%15s", kind) == 1) {
		struct ls_addr x, y;

		if (!strcmp(kind, "iface") && scanf("%u %u %u", &n[0], &n[1], &n[2]) == 3) {
			u32 h = ls_config_hash_step(ls_config_hash_step(bank.hash_seed, n[0] | n[1] << 16), n[2]), found = 0;

			for (u32 i = 0; i < LS_HASH_PROBES && !found; i++) {
				const struct ls_iface_slot *s = &bank.iface_hash[(h + i) & (LS_IFACE_HASH - 1)];

				if (s->iface == 0)
					break;
				if (s->device == n[0] && s->outer_vlan == n[1] && s->inner_vlan == n[2])
					found = s->iface;
			}
			printf("%u\n", found);
		} else if (!strcmp(kind, "local") && scanf("%39s %u", a, &n[0]) == 2) {
			const struct ls_local *l;

			address(a, &x);
			l = ls_local_find(&bank, &x, n[0]);
			printf("%u\n", l ? l->kind : 0);
		} else if (!strcmp(kind, "vip") && scanf("%39s %u %u %u", a, &n[0], &n[1], &n[2]) == 4) {
			struct ls_key key = { .dport_be = ls_swap16((u16)n[0]), .proto = (u8)n[1], .domain = (u16)n[2] };

			address(a, &key.dst);
			printf("%u\n", ls_vip_find(&bank, &key));
		} else if (!strcmp(kind, "static") && scanf("%39s %u", a, &n[0]) == 2) {
			const struct ls_static_nat *s;

			address(a, &x);
			s = ls_static_out_find(&bank, &x, n[0]);
			printf("%u\n", s && ls_static_in_find(&bank, &s->inside, n[0]) ? s->id : 0);
		} else if (scanf("%u %u %u %39s %39s %u %u", &n[0], &n[1], &n[2], a, b, &n[3], &n[4]) == 7) {
			struct ls_class_input in = { .src = &x, .dst = &y, .sport = n[3], .dport = n[4], .zone_in = n[0], .zone_out = n[1], .proto = n[2] };

			address(a, &x);
			address(b, &y);
			printf("%u\n", ls_classify(kind[0] == 'p' ? &bank.policy : kind[0] == 's' ? &bank.snat : &bank.dnat, &in));
		} else {
			return 2;
		}
	}
	return 0;
}
