/** `bgp.announce`. */
import type { BgpAnnounceSettings } from '../../contract/bgp-announce.js'
import { bgpAnnounceLimits as max } from '../../contract/bgp-limits.js'
import { pointer } from '../issues.js'
import type { RawBgpAnnounce } from '../raw.js'
import { formatDuration, parseDuration } from '../units.js'
import { gobgpAddress } from './bgp.js'
import type { Build } from './context.js'

const PATH = '/bgp/announce'

export function buildBgpAnnounce (b: Build, raw: RawBgpAnnounce | undefined): BgpAnnounceSettings | null {
  if (raw === undefined) return null
  const { when = 'serving', 'kernel-table': kernelTable = null, gobgp } = raw
  if (kernelTable === null && gobgp === undefined) b.issue(PATH, 'LS_C_CONFLICT', 'nobody is given the routes', 'neither', 'kernel-table, gobgp or both')
  if (kernelTable !== null && max.tablesReserved.some(table => table === kernelTable)) b.issue(pointer(PATH, 'kernel-table'), 'LS_C_VALUE', 'packets are looked up in this table', kernelTable, 'a table of its own, for example 179')
  const withdrawAfterMs = raw['withdraw-after'] === undefined ? 0 : parseDuration(raw['withdraw-after'])
  if (withdrawAfterMs === null || withdrawAfterMs > max.withdrawAfterMsMax) b.issue(pointer(PATH, 'withdraw-after'), 'LS_C_VALUE', 'not a usable duration', raw['withdraw-after'], `0s to ${formatDuration(max.withdrawAfterMsMax)}`)
  if (raw.communities !== undefined && gobgp === undefined) b.issue(pointer(PATH, 'communities'), 'LS_C_CONFLICT', 'routes in the kernel have no communities', raw.communities.join(' '), 'gobgp, or a policy of the daemon')
  const communities = (raw.communities ?? []).map((text, i) => {
    const [, as, value] = /^(\d{1,5}):(\d{1,5})$/.exec(text) ?? []
    if (Number(as) <= 0xffff && Number(value) <= 0xffff) return Number(as) * 0x10000 + Number(value)
    b.issue(pointer(PATH, 'communities', i), 'LS_C_VALUE', 'not a community', text, 'two numbers up to 65535, for example 64512:100')
    return 0
  })
  return { when, withdrawAfterMs: withdrawAfterMs ?? 0, kernelTable, gobgp: gobgp === undefined ? null : { address: gobgpAddress(b, pointer(PATH, 'gobgp'), gobgp), communities } }
}
