/** Ids of sessions that a process opens itself: of an origin of its own, so that they meet no other (D5). */
import { randomBytes } from 'node:crypto'

export interface SessionId { readonly origin: bigint, readonly serial: bigint }

export function sessionIds (): () => SessionId {
  const origin = randomBytes(8).readBigUInt64LE()
  let serial = 0n
  return () => ({ origin, serial: ++serial })
}
