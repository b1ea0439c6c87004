/** What reads one place. Whoever runs it gives each reading its deadline and makes a failed reading of what is thrown. */
import type { BgpNeighbour, BgpReading, BgpSource } from '../../contract/bgp.js'

export interface Provider {
  readonly source: BgpSource
  /** Of failed readings; a source with several scopes begins them with it. */
  readonly scope: string
  /** All there is now, of every scope that there is: what others told is gone. Gives up when the signal fires. `null`: it only tells. */
  readonly read: ((signal: AbortSignal) => Promise<readonly BgpReading[]>) | null
  /** Tells of readings by itself, and with `null` of something that changed: to be read again. What it returns ends that. */
  readonly follow: ((told: (reading: BgpReading | null) => void) => () => void) | null
}

/** Of a text that a daemon, or who configured it, may choose. */
const TEXT_CHARS = 512
const text = (value: string | null | undefined): string | null => value == null ? null : value.slice(0, TEXT_CHARS)
/** `null`: no whole number from 0 to `most`. */
const whole = (value: number | null | undefined, most: number = Number.MAX_SAFE_INTEGER): number | null => value == null || !Number.isFinite(value) || value < 0 || value > most ? null : Math.floor(value)
const AS_MAX = 0xffff_ffff
/** Of a date (ECMA-262, 21.4.1.1), in ms. */
const TIME_MAX = 8.64e15

/** What no source leaves out, and nothing else. Numbers that cannot be are none, and texts have a length, whatever the source is. */
export const neighbour = ({ source, vrf, peer, established, ...known }: Pick<BgpNeighbour, 'source' | 'vrf' | 'peer' | 'established'> & Partial<BgpNeighbour>): BgpNeighbour => ({
  source, vrf: vrf.slice(0, TEXT_CHARS), peer: peer.slice(0, TEXT_CHARS), established, local: text(known.local), remoteAs: whole(known.remoteAs, AS_MAX), localAs: whole(known.localAs, AS_MAX), fsm: known.fsm ?? null, adminDown: known.adminDown ?? false,
  since: whole(known.since, TIME_MAX), drops: whole(known.drops), reason: text(known.reason), description: text(known.description), prefixesReceived: whole(known.prefixesReceived), rttNs: whole(known.rttNs), cookie: known.cookie ?? null
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
