/** Roles of a redundancy group as numbers of shared memory and of heartbeats (LS_ROLE_*). */
import type { RgRole } from '../contract/dataplane.js'
import { limits } from '../generated/layout.js'

export const roleNumbers: Readonly<Record<RgRole, number>> = {
  init: limits.LS_ROLE_INIT, standby: limits.LS_ROLE_STANDBY, hold: limits.LS_ROLE_HOLD, owner: limits.LS_ROLE_OWNER, yield: limits.LS_ROLE_YIELD, take: limits.LS_ROLE_TAKE
}
const byNumber = new Map(Object.entries(roleNumbers).map(([role, number]) => [number, role as RgRole]))

/** `null`: there is no such role. */
export const roleOf = (number: number): RgRole | null => byNumber.get(number) ?? null
