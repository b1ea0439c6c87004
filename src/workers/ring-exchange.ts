/**
 * The proof that both nodes of a pair spread new flows alike: each says what the ring of each VIP hashes to, and a VIP whose rings are not equal is told once that
 * lasts longer than the moments by which the probes of two nodes differ. Level-triggered. Thread: main.
 */
import type { ClusterRings } from '../contract/cluster.js'
import { Rings } from '../generated/proto/lockstep/peer/v1/peer.js'
import { limits } from '../generated/layout.js'

/** Between two looks; what did not change is said again after REPEAT_MS. */
const LOOK_MS = 1000
const REPEAT_MS = 10_000
/** Rings may differ for so long before it is told. */
const DIFFER_MS = 10_000

export interface RingExchangeOptions {
  readonly nowMs: () => number
  /** VIP -> hash, as they are in force here. */
  readonly mine: () => ReadonlyMap<string, bigint>
  /** False: the peer does not hear it. */
  readonly say: (body: Uint8Array) => Promise<boolean>
  /** VIPs whose rings differ for long, by name; none: all are equal again, or nobody knows. */
  readonly onDiffer: (vips: readonly string[]) => void
}

export interface RingExchange {
  readonly look: () => Promise<void>
  readonly received: (body: Uint8Array) => void
  /** `null`: the peer is not connected, or has not said. */
  readonly status: () => ClusterRings | null
  readonly close: () => void
}

const sameRings = (a: ReadonlyMap<string, bigint>, b: ReadonlyMap<string, bigint>): boolean => a.size === b.size && [...a].every(([vip, hash]) => b.get(vip) === hash)

export function exchangeRings (o: RingExchangeOptions): RingExchange {
  let theirs: ReadonlyMap<string, bigint> | null = null
  let said: { readonly rings: ReadonlyMap<string, bigint>, readonly atMs: number } | null = null
  /** By name: since when the rings differ. */
  let since = new Map<string, number>()
  let told = ''

  const status = (): ClusterRings | null => {
    if (theirs === null) return null
    const [mine, peers] = [o.mine(), theirs]
    const names = [...new Set([...mine.keys(), ...peers.keys()])]
    const differing = names.filter(vip => mine.get(vip) !== peers.get(vip)).sort()
    return { equal: names.length - differing.length, differing }
  }
  const compare = (): void => {
    const nowMs = o.nowMs()
    const now = status()
    if (now === null) return
    since = new Map(now.differing.map(vip => [vip, since.get(vip) ?? nowMs]))
    const long = [...since].filter(([, sinceMs]) => nowMs - sinceMs >= DIFFER_MS).map(([vip]) => vip)
    if (long.join('\n') === told) return
    told = long.join('\n')
    o.onDiffer(long)
  }
  /** The peer is gone, and nobody knows: who comes back says it anew. */
  const forget = (): void => {
    theirs = null
    since.clear()
    if (told !== '') o.onDiffer([])
    told = ''
  }
  const look = async (): Promise<void> => {
    const [rings, nowMs] = [new Map(o.mine()), o.nowMs()]
    if (said === null || nowMs - said.atMs >= REPEAT_MS || !sameRings(said.rings, rings)) {
      const body = Rings.encode({ ring: [...rings].map(([vip, hash]) => ({ vip, hash })) }).finish()
      said = await o.say(body) ? { rings, atMs: nowMs } : null
      if (said === null) forget()
    }
    compare()
  }
  const timer = setInterval(() => { look().catch(() => undefined) }, LOOK_MS)
  timer.unref()
  return {
    look,
    received: (body) => {
      try {
        const { ring } = Rings.decode(body)
        if (ring.length > limits.LS_VIPS_MAX) return // of no peer of ours
        theirs = new Map(ring.map(({ vip, hash }) => [vip, hash]))
      } catch {
        return // of a peer that speaks otherwise
      }
      compare()
    },
    status,
    close: () => { clearInterval(timer) }
  }
}
