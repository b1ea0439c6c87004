/**
 * What a sink that cannot be asked (a file, a webhook) has been told: kept by us, over restarts. Its subjects are the neighbours, and those on record as up that are
 * no neighbours any more: they are told as down, then forgotten.
 */
import type { BgpLook, BgpNeighbourStatus, BgpReport, BgpState, BgpSubject } from '../../contract/bgp.js'

interface Row { readonly state: 'up' | 'down', readonly at: number }
export interface OwnRecordJson { readonly [subject: string]: readonly [state: 'up' | 'down', at: number] }

export const subjectOf = ({ vrf, peer }: Pick<BgpNeighbourStatus, 'vrf' | 'peer'>): string => `${vrf}/${peer}`
/** Names of VRFs have no slash. */
export const sessionOf = (subject: string): { readonly vrf: string, readonly peer: string } => {
  const slash = subject.indexOf('/')
  return { vrf: subject.slice(0, slash), peer: subject.slice(slash + 1) }
}

export class OwnRecord {
  private readonly rows = new Map<string, Row>()

  get size (): number { return this.rows.size }

  write ({ subject, state }: BgpReport, at: number): void { this.rows.set(subject, { state, at }) }
  stateOf (subject: string): BgpState { return this.rows.get(subject)?.state ?? 'unknown' }

  /** Forgets who is neither a neighbour nor up, if the look was whole. */
  subjects ({ neighbours, whole }: BgpLook): BgpSubject[] {
    const there = new Set<string>()
    const list: BgpSubject[] = []
    for (const neighbour of neighbours) {
      const id = subjectOf(neighbour)
      if (there.has(id)) continue
      there.add(id)
      list.push(this.subject(id, neighbour))
    }
    for (const [id, { state }] of this.rows) {
      if (there.has(id)) continue
      if (state === 'up' || !whole) list.push(this.subject(id, null))
      else this.rows.delete(id)
    }
    return list
  }

  private subject (id: string, session: { readonly vrf: string, readonly peer: string } | null): BgpSubject {
    const row = this.rows.get(id)
    return { id, peer: session?.peer ?? null, vrf: session?.vrf ?? null, recorded: row?.state ?? 'unknown', recordedAt: row?.at ?? null, incarnation: '' }
  }

  /** For another process, with moments of the host's clock; `wall` is what it says `now`. */
  kept (now: number, wall: number): OwnRecordJson { return Object.fromEntries([...this.rows].map(([id, { state, at }]) => [id, [state, Math.round(at - now + wall)] as const])) }

  /** What is no row is left out. What the host's clock, set since, has in the future is of now: it would never grow old. */
  load (value: unknown, now: number, wall: number): void {
    for (const [id, row] of Object.entries(value ?? {})) {
      const [state, at] = Array.isArray(row) ? row as unknown[] : []
      if (id.includes('/') && (state === 'up' || state === 'down') && typeof at === 'number') this.rows.set(id, { state, at: now + Math.min(0, at - wall) })
    }
  }
}
