/**
 * Packets and bytes of VIPs and reals from VPP's stats segment, as what was added since the last look: VPP's own numbers begin at zero again with it, with a
 * VIP that is made anew, and with `clear` of its CLI. A VIP's packets are those of the lb plugin, by its place in the pool; its bytes those of the route to its
 * prefix; a real's those that left by the route to its address, with the outer header, whatever VIP they were for.
 */
import type { NativeVppStats } from '../../../native/binding.js'
import type { VppClient } from '../client.js'

/** Of a VIP: packets, bytes, new flows, packets that no real was there for. Of a real: packets, bytes, 0, 0. */
export type Four = readonly [number, number, number, number]

/** What changed since the last look, however often it is asked. */
export class Increments {
  private last = new Map<string, readonly number[]>()

  /** What shrank began anew. */
  of (key: string, now: readonly number[]): number[] {
    const before = this.last.get(key) ?? now
    this.last.set(key, now)
    return now.map((n, i) => n < (before[i] ?? 0) ? n : n - (before[i] ?? 0))
  }

  /** These and no others are counted: new ones from here on. */
  keep (now: ReadonlyMap<string, readonly number[]>): void { this.last = new Map([...now].map(([key, numbers]) => [key, this.last.get(key) ?? numbers])) }
}

export interface Counted {
  readonly vips: ReadonlyArray<{ readonly id: number, /** Places in VPP's pool. */ readonly indexes: readonly number[], readonly prefix: string, /** The prefix is of this VIP alone. */ readonly alone: boolean }>
  readonly reals: ReadonlyArray<{ readonly id: number, readonly address: string }>
}

const lbCounters = ['packet from existing sessions', 'first session packet', 'untracked packet', 'no server configured'] as const
const lookup = 'ip_route_lookup_710d6471'

export class LbCounters {
  private readonly increments = new Increments()
  /** Prefix -> index of its load-balance object, by which routes are counted; `null`: VPP has no such route. */
  private routes: ReadonlyMap<string, number | null> = new Map()
  private counted: Counted = { vips: [], reals: [] }

  constructor (private readonly client: VppClient, private readonly stats: NativeVppStats) {}

  /** What is counted from now on. A look at a route stops VPP's packets for a moment: only what `changed`, or was not counted before, is looked up. */
  async count (counted: Counted, changed: 'all' | ReadonlySet<string>): Promise<void> {
    const prefixes = [...new Set([...counted.vips.map(({ prefix }) => prefix), ...counted.reals.map(({ address }) => hostPrefix(address))])]
    const same = (prefix: string): boolean => changed !== 'all' && !changed.has(prefix)
    this.routes = new Map(await Promise.all(prefixes.map(async (prefix) => {
      const known = same(prefix) ? this.routes.get(prefix) : undefined
      return [prefix, known === undefined ? await this.client.call(lookup, { table_id: 0, exact: 1, prefix }).then(({ route }) => route.stats_index, () => null) : known] as const
    })))
    this.counted = counted
    const { vips, reals } = this.numbers()
    this.increments.keep(new Map([...vips.map(([id, numbers]) => [`vip ${id}`, numbers] as const), ...reals.map(([id, numbers]) => [`real ${id}`, numbers] as const)]))
  }

  /** @throws LS_E_BUSY: the layout of the segment is being changed */
  read (): { readonly vips: ReadonlyArray<readonly [number, Four]>, readonly reals: ReadonlyArray<readonly [number, Four]> } {
    const { vips, reals } = this.numbers()
    return { vips: vips.map(([id, now]) => [id, four(this.increments.of(`vip ${id}`, now))]), reals: reals.map(([id, now]) => [id, four(this.increments.of(`real ${id}`, now))]) }
  }

  /** As VPP has them. */
  private numbers (): { readonly vips: ReadonlyArray<readonly [number, readonly number[]]>, readonly reals: ReadonlyArray<readonly [number, readonly number[]]> } {
    const { vips, reals } = this.counted
    return {
      vips: vips.map(({ id, indexes, prefix, alone }) => {
        const sums = indexes.map(index => this.stats.counters(lbCounters, index)).reduce((sum, now) => sum.map((n, i) => n + known(now[2 * i])), [0, 0, 0, 0])
        const [existing = 0, first = 0, untracked = 0, none = 0] = sums
        const bytes = alone ? this.route('/net/route/to', prefix)[1] : 0
        return [id, [existing + first + untracked, bytes, first, none]]
      }),
      reals: reals.map(({ id, address }) => [id, this.route('/net/route/via', hostPrefix(address))])
    }
  }

  private route (name: '/net/route/to' | '/net/route/via', prefix: string): [number, number] {
    const index = this.routes.get(prefix)
    const [packets, bytes] = index === undefined || index === null ? [] : this.stats.counters([name], index)
    return [known(packets), known(bytes)]
  }
}

export const hostPrefix = (address: string): string => `${address}/${address.includes(':') ? 128 : 32}`
/** The addon's word for none is NaN. */
const known = (n = 0): number => Number.isNaN(n) ? 0 : n
const four = ([a = 0, b = 0, c = 0, d = 0]: readonly number[]): Four => [a, b, c, d]
