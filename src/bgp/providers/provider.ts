/** What reads one place. Whoever runs it gives each reading its deadline and makes a failed reading of what is thrown. */
import type { BgpNeighbour, BgpReading, BgpSource } from '../../contract/bgp.js'

export interface Provider {
  readonly source: BgpSource
  /** Of failed readings; a source with several scopes begins them with it. */
  readonly scope: string
  /** All there is now. Gives up when the signal fires. `null`: it only tells. */
  readonly read: ((signal: AbortSignal) => Promise<readonly BgpReading[]>) | null
  /** Tells of readings by itself, and with `null` of something that changed: to be read again. What it returns ends that. */
  readonly follow: ((told: (reading: BgpReading | null) => void) => () => void) | null
}

/** What no source leaves out, and nothing else. */
export const neighbour = (known: Pick<BgpNeighbour, 'source' | 'vrf' | 'peer' | 'established'> & Partial<BgpNeighbour>): BgpNeighbour => ({
  local: null, remoteAs: null, localAs: null, fsm: null, adminDown: false, since: null, drops: null, reason: null, description: null, prefixesReceived: null, rttNs: null, cookie: null, ...known
})

/** Several rows of one session, of address families or of a collision of connections: it is up when one says so, and what one does not tell another may. */
export function joined (a: BgpNeighbour, b: BgpNeighbour): BgpNeighbour {
  const [first, second] = b.established && !a.established ? [b, a] : [a, b]
  const filled = Object.fromEntries(Object.entries(second).filter(([key]) => first[key as keyof BgpNeighbour] === null))
  const prefixes = a.prefixesReceived === null && b.prefixesReceived === null ? null : (a.prefixesReceived ?? 0) + (b.prefixesReceived ?? 0)
  return { ...first, ...filled, prefixesReceived: prefixes }
}

/** By VRF and peer, each once. */
export function collected (rows: Iterable<BgpNeighbour>): BgpNeighbour[] {
  const found = new Map<string, BgpNeighbour>()
  for (const row of rows) {
    const key = `${row.vrf}\n${row.peer}`
    const other = found.get(key)
    found.set(key, other === undefined ? row : joined(other, row))
  }
  return [...found.values()]
}
