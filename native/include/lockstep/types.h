/* Fixed-width names shared by every build (BPF, user space, generators).
 * The contract headers include only <stdint.h>, <stddef.h>, <stdbool.h> and each other.
 */
#ifndef LOCKSTEP_TYPES_H
#define LOCKSTEP_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define _Static_assert static_assert
#endif

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;
typedef u16 be16; /* network byte order */
typedef u32 be32;

#define LS_ASSERT_SIZE(type, bytes) \
	_Static_assert(sizeof(type) == (bytes), #type " must be " #bytes " bytes")
#define LS_ASSERT_OFFSET(type, member, bytes) \
	_Static_assert(offsetof(type, member) == (bytes), #type "." #member " must be at " #bytes)

/* An IP address, IPv4 as v4-mapped ::ffff:a.b.c.d (RFC 4291 2.5.5.2), network byte order. */
struct ls_addr {
	union {
		u8 b[16];
		u32 w[4];
		u64 d[2];
	};
};
LS_ASSERT_SIZE(struct ls_addr, 16);

#endif
