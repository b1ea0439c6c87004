/**
 * Which prefixes are announced, and why. Pure. A prefix is announced while one of its VIPs wants it: the redundancy group of that VIP is owned here, and, unless
 * ownership is enough, a real serves. The group's move withdraws at once; the last real's end does so after a time, so that a check that fails once is not seen by the
 * whole network.
 */
import type { VipState } from '../../contract/balancing.js'
import type { BgpAnnounceSettings, BgpRoute } from '../../contract/bgp-announce.js'

export interface AnnouncedVip {
  readonly name: string
  readonly prefix: string
  readonly redundancyGroup: number
  /** Routing domain; there are routes of `default` only. */
  readonly domain: string
  readonly state: VipState
}

export interface Decision extends BgpRoute {
  /** When a real last served; `null`: none did. */
  readonly servedAt: number | null
}

export interface Decided {
  /** By prefix. */
  readonly routes: readonly Decision[]
  /** When one is withdrawn though nothing happens; `null`: none is. */
  readonly nextAt: number | null
}

const serving: ReadonlySet<VipState> = new Set<VipState>(['up', 'degraded', 'panic'])

/** @param before what this function said last, for the times in it */
export function decide (vips: readonly AnnouncedVip[], owns: (rg: number) => boolean, { when, withdrawAfterMs }: Pick<BgpAnnounceSettings, 'when' | 'withdrawAfterMs'>, before: readonly Decision[], now: number): Decided {
  const had = new Map(before.map(route => [route.prefix, route]))
  const byPrefix = new Map<string, AnnouncedVip[]>()
  for (const vip of vips) byPrefix.set(vip.prefix, [...byPrefix.get(vip.prefix) ?? [], vip])
  let nextAt: number | null = null
  const routes = [...byPrefix].map(([prefix, mine]): Decision => {
    const last = had.get(prefix)
    const here = mine.filter(({ domain, redundancyGroup }) => domain === 'default' && owns(redundancyGroup))
    const server = here.find(({ state }) => serving.has(state))
    const servedAt = here.length === 0 ? null : server !== undefined ? now : last?.servedAt ?? null
    const until = servedAt === null ? -Infinity : servedAt + withdrawAfterMs
    const lingers = when === 'serving' && server === undefined && last?.announced === true && until > now
    if (lingers) nextAt = Math.min(nextAt ?? Infinity, until)
    const announced = here.length > 0 && (when === 'owned' || server !== undefined || lingers)
    const reason = server !== undefined ? `${server.name} is ${server.state}` : here.length > 0 ? (when === 'owned' ? 'its group is owned here' : here.every(({ state }) => state === 'unknown') ? 'nothing is known of its reals' : 'no real serves') : awayText(mine)
    return { prefix, vips: mine.map(({ name }) => name).sort(), announced, reason, since: last?.announced === announced ? last.since : now, servedAt }
  })
  return { routes: routes.sort((a, b) => a.prefix < b.prefix ? -1 : 1), nextAt }
}

function awayText (vips: readonly AnnouncedVip[]): string {
  const groups = [...new Set(vips.filter(({ domain }) => domain === 'default').map(({ redundancyGroup }) => redundancyGroup))].sort((a, b) => a - b)
  return groups.length === 0 ? `routes of domain ${vips[0]?.domain ?? ''} are not announced` : `redundancy group ${groups.join(' and ')} is not owned here`
}
