/* SYN cookies (D12, R21): while room is scarce a SYN opens nothing. It is answered with a sequence number that only its real sender can acknowledge; the
 * acknowledgement opens the session and becomes a SYN to the server, whose SYN+ACK is acknowledged here. Both handshakes began with different server
 * sequence numbers; their difference is kept in the record and added on the way.
 *
 *   client                      here                                server
 *     SYN      ------------------>|  cookie, no state
 *     SYN+ACK  <------------------|
 *     ACK      ------------------>|  session; ACK becomes SYN ---------> SYN
 *     data     -------> dropped, sent again by the client             SYN+ACK
 *                                 |  difference; ACK <-----------------|
 *     data     ---------- acknowledgement - difference -------------->
 *              <--------- sequence number + difference ----------------
 *
 * A cookie: age 5 bits (in steps of 2^36 ns, 69 s) | MSS 3 bits | keyed hash of tuple, client's sequence number, age and MSS 24 bits, as RFC 4987 3.6 has it.
 * Options other than MSS are not agreed on such connections: no window scale, SACK or timestamps. Not for direct server return, whose replies pass elsewhere.
 * The bytes are the same in every build. Hash: SipHash-2-4 (Aumasson and Bernstein, 2012).
 */
#ifndef LOCKSTEP_PIPELINE_COOKIE_H
#define LOCKSTEP_PIPELINE_COOKIE_H

#include "answer.h"

#define LS_COOKIE_STEP 36
#define LS_COOKIE_LIFE_NS (2ULL << LS_COOKIE_STEP)

/* MSS values a cookie can name. */
LS_INLINE u32 ls_cookie_mss(u32 i)
{
	switch (i & 7) {
	case 0: return 536;
	case 1: return 1024;
	case 2: return 1220;
	case 3: return 1340;
	case 4: return 1380;
	case 5: return 1440;
	case 6: return 1460;
	default: return 8940;
	}
}

LS_INLINE u32 ls_cookie_mss_of(u32 mss)
{
	u32 i = 7;

	while (i && ls_cookie_mss(i) > mss)
		i--;
	return i;
}

#define LS_ROTATE(x, n) ((x) << (n) | (x) >> (64 - (n)))
#define LS_SIP_ROUND(v)                                                                 \
	do {                                                                            \
		v[0] += v[1], v[1] = LS_ROTATE(v[1], 13), v[1] ^= v[0], v[0] = LS_ROTATE(v[0], 32); \
		v[2] += v[3], v[3] = LS_ROTATE(v[3], 16), v[3] ^= v[2];                 \
		v[0] += v[3], v[3] = LS_ROTATE(v[3], 21), v[3] ^= v[0];                 \
		v[2] += v[1], v[1] = LS_ROTATE(v[1], 17), v[1] ^= v[2], v[2] = LS_ROTATE(v[2], 32); \
	} while (0)

/* SipHash-2-4 of the tuple's five words and one more. */
LS_STAGE u64 ls_cookie_hash(const struct ls_defence *d, const struct ls_key *key, u64 more)
{
	LS_GIVEN(d && key);
	const ls_u64a *w = (const ls_u64a *)key;
	u64 v[4] = { d->cookie_key[0] ^ 0x736f6d6570736575ULL, d->cookie_key[1] ^ 0x646f72616e646f6dULL, d->cookie_key[0] ^ 0x6c7967656e657261ULL,
		d->cookie_key[1] ^ 0x7465646279746573ULL };

#pragma GCC unroll 7
	for (u32 i = 0; i < 7; i++) {
		u64 m = i < 5 ? w[i] : i == 5 ? more : 48ULL << 56;

		v[3] ^= m;
		LS_SIP_ROUND(v);
		LS_SIP_ROUND(v);
		v[0] ^= m;
	}
	v[2] ^= 0xff;
	LS_SIP_ROUND(v);
	LS_SIP_ROUND(v);
	LS_SIP_ROUND(v);
	LS_SIP_ROUND(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

LS_INLINE u32 ls_cookie_make(const struct ls_defence *d, const struct ls_key *key, u32 client_seq, u32 age, u32 mss)
{
	u32 head = (age & 31) << 27 | (mss & 7) << 24;

	return head | ((u32)ls_cookie_hash(d, key, (u64)client_seq << 32 | head) & 0xffffff);
}

/* The MSS option of a SYN (RFC 9293 3.7.1: 536 without one). */
LS_PART u32 ls_tcp_mss(const struct ls_pkt *p)
{
	LS_GIVEN(p);
	const u8 *h = port_at(p->buf, p->l4, 20);
	u32 at = p->l4 + 20u, end;

	if (!h)
		return 536;
	end = p->l4 + (h[12] >> 4) * 4u;
	for (u32 n = 0; n < 40 && at < end; n++) {
		const u8 *o = port_at(p->buf, at, 1);

		if (!o || o[0] == 0)
			break;
		if (o[0] == 1) {
			at++;
			continue;
		}
		o = port_at(p->buf, at, 4);
		if (!o || o[1] < 2)
			break;
		if (o[0] == 2)
			return o[1] == 4 ? ls_get16(o + 2) : 536;
		at += o[1];
	}
	return 536;
}

LS_INLINE bool ls_is_syn(const struct ls_pkt *p)
{
	return p->key.proto == LS_IPPROTO_TCP && (p->tcp_flags & (LS_TCP_SYN | LS_TCP_ACK | LS_TCP_RST | LS_TCP_FIN)) == LS_TCP_SYN;
}

/* Answers a SYN that may open a session, its route known, with a cookie instead. */
LS_STAGE u32 ls_cookie_offer(const struct ls_env *e, struct ls_pkt *p)
{
	LS_GIVEN(e && p);
	struct ls_defence *d = port_defence(e);
	u64 now = port_now(e);
	u32 headers = p->key.family == LS_IP6 ? 60 : 40, v;

	if (now - LS_LOAD(&d->cookie_ns) > 1000000000ULL)
		LS_STORE(&d->cookie_ns, now);
	v = ls_answered(e, p, LS_DROP_SYN_COOKIE, LS_ANSWER_COOKIE, 0,
			ls_cookie_make(d, &p->key, p->tcp_seq, (u32)(now >> LS_COOKIE_STEP), ls_cookie_mss_of(ls_tcp_mss(p))));
	p->ident = p->route.mtu > headers + 536 ? p->route.mtu - headers : 536;
	return v;
}

/* Does this segment acknowledge a cookie of ours? */
LS_PART u32 ls_cookie_acked(const struct ls_env *e, const struct ls_pkt *p)
{
	LS_GIVEN(e && p);
	const struct ls_defence *d = port_defence(e);
	u64 now = port_now(e), sent = LS_LOAD(&d->cookie_ns);
	u32 cookie = p->tcp_ack - 1, age = (u32)(now >> LS_COOKIE_STEP);

	if (LS_LIKELY(sent == 0 || (now > sent && now - sent > LS_COOKIE_LIFE_NS)) || (p->flags & LS_PF_FRAG) || (p->tcp_flags & (LS_TCP_SYN | LS_TCP_ACK | LS_TCP_RST | LS_TCP_FIN)) != LS_TCP_ACK)
		return 0;
	if (((age - (cookie >> 27)) & 31) > 1)
		return 0;
	return ls_cookie_make(d, &p->key, p->tcp_seq - 1, cookie >> 27, cookie >> 24) == cookie;
}

/* The segment becomes the SYN that its sender sent first: no data, MSS as the cookie in its acknowledgement says. False: the frame cannot hold it. */
LS_STAGE bool ls_cookie_to_syn(struct ls_pkt *p)
{
	LS_GIVEN(p);
	bool v6 = p->key.family == LS_IP6;
	u32 bytes = p->l4 - p->l3 + 24u, sum;
	u8 *h;

	if (!port_trim(p->buf, p->l4 + 24u) && !port_grow(p->buf, p->l4 + 24u))
		return false;
	h = port_at(p->buf, p->l3, 20);
	if (!h)
		return false;
	if (v6) {
		ls_put16(h + 4, (u16)(bytes - 40));
	} else {
		be16 was = ls_raw16(h + 2);

		ls_put16(h + 2, (u16)bytes);
		ls_set_raw16(h + 10, ls_sum_update(ls_raw16(h + 10), was, ls_raw16(h + 2)));
	}
	h = port_at(p->buf, p->l4, 24);
	if (!h)
		return false;
	p->tcp_seq--;
	p->tcp_flags = LS_TCP_SYN;
	p->l3_bytes = (u16)bytes;
	p->l4_bytes = 24;
	ls_put32(h + 4, p->tcp_seq);
	ls_put32(h + 8, 0);
	h[12] = 0x60;
	h[13] = LS_TCP_SYN;
	ls_put32(h + 16, 0);
	ls_put32(h + 20, 0x02040000u | ls_cookie_mss((p->tcp_ack - 1) >> 24));
	sum = ls_sum_words(h, 12) + ls_addr_sum(&p->key.src) + ls_addr_sum(&p->key.dst) + ls_swap16(24) + ls_swap16(LS_IPPROTO_TCP);
	ls_set_raw16(h + 16, (be16)~ls_fold(sum));
	return true;
}

/* Adds to the sequence number (reply) or takes from the acknowledgement (forward) what lies between the two handshakes. */
LS_PART bool ls_cookie_shift(struct ls_pkt *p, u32 dir, u32 difference)
{
	LS_GIVEN(p);
	u32 at = dir == LS_REPLY ? 4 : 8;
	u8 *h = port_at(p->buf, p->l4, 20);
	be16 low, high;
	u32 v;

	if (!h)
		return false;
	if (dir == LS_FORWARD && !(p->tcp_flags & LS_TCP_ACK))
		return true;
	v = ls_get32(h + at);
	high = ls_raw16(h + at);
	low = ls_raw16(h + at + 2);
	v = dir == LS_REPLY ? v + difference : v - difference;
	ls_put32(h + at, v);
	ls_set_raw16(h + 16, ls_sum_update(ls_raw16(h + 16), (u32)high + low, (u32)ls_raw16(h + at) + ls_raw16(h + at + 2)));
	return true;
}

/* A packet of a session whose first handshake was a cookie's, before the state machine sees it. LS_V_NEXT: shifted, as the client counts; or the verdict. */
LS_STAGE u32 ls_cookie_hit(const struct ls_env *e, struct ls_pkt *p, struct ls_session *s, u32 dir, u64 state)
{
	LS_GIVEN(e && p && s);
	u32 flags = p->tcp_flags, offset = LS_LOAD(&s->syn_offset);
	bool waiting = LS_STATE_PHASE(state) == LS_TCP_SYN_SENT;

	if (p->key.proto != LS_IPPROTO_TCP || (p->flags & LS_PF_LATER))
		return LS_V_NEXT;
	if (dir == LS_FORWARD) {
		if (waiting) /* the server has not answered: it is asked again, and the client sends again what this carried */
			return p->tcp_ack - 1 == offset && ls_cookie_acked(e, p) && ls_cookie_to_syn(p)
				       ? LS_V_NEXT
				       : ls_drop(e, p, LS_DROP_SYN_COOKIE);
		return ls_cookie_shift(p, dir, offset) ? LS_V_NEXT : ls_drop(e, p, LS_DROP_TRUNCATED);
	}
	if (waiting) {
		if (flags & LS_TCP_RST) /* refused: the client believes in a connection that ends here */
			offset = offset + 1 - p->tcp_seq;
		else if ((flags & (LS_TCP_SYN | LS_TCP_ACK)) == (LS_TCP_SYN | LS_TCP_ACK) &&
			 ls_cookie_make(port_defence(e), &s->key, p->tcp_ack - 1, offset >> 27, offset >> 24) == offset)
			LS_STORE(&s->syn_offset, offset - p->tcp_seq); /* once: a twin of this segment that another CPU has meanwhile finds no cookie there any more */
		else
			return ls_drop(e, p, LS_DROP_SYN_COOKIE);
	}
	if ((flags & (LS_TCP_SYN | LS_TCP_ACK)) == (LS_TCP_SYN | LS_TCP_ACK))
		return LS_V_NEXT;
	if (!ls_cookie_shift(p, dir, offset))
		return ls_drop(e, p, LS_DROP_TRUNCATED);
	p->tcp_seq += offset;
	return LS_V_NEXT;
}

#endif
