/** The sync thread's share of a pair: the engine over the table of this process, the sockets to the peer, its clock. A thin shell. */
import { createHistogram } from 'node:perf_hooks'
import { randomBytes } from 'node:crypto'
import type { Endpoint, LagFigures } from '../contract/cluster.js'
import { lagBoundsMs } from '../contract/cluster-limits.js'
import { SyncEngine, type EngineOptions, type EngineStatus, type Self } from '../ha/sync/engine.js'
import type { SyncEventName } from '../ha/sync/protocol.js'
import { openSockets, type Credentials, type Sockets } from '../ha/sync/socket.js'
import { monotonicMs } from '../lib/monotonic.js'
import { TallyOfTimes } from '../lib/tally-of-times.js'
import type { NativeTable } from '../native/binding.js'
import { loadCore } from '../native/load.js'

export interface PairSpec {
  readonly self: Self
  readonly credentials: Credentials
  /** One for each path; this node listens or dials, and the other list is empty. */
  readonly listen: readonly Endpoint[]
  readonly dial: readonly Endpoint[]
  /** Addresses of the peer, for whoever listens. */
  readonly expected?: readonly string[]
  /** Bytes that the peer may be behind; null: the usual. */
  readonly windowBytes: number | null
  /** Groups that this node owns, a bit each, and the epoch of every group. */
  readonly owned: number
  readonly epochs: readonly bigint[]
}

export interface PairReport extends EngineStatus {
  /** Where it listens, by path; null: not yet. */
  readonly listening: ReadonlyArray<Endpoint | null>
  /** The path in use; null: there is no connection. */
  readonly path: ReturnType<Sockets['path']>
  /** When it is dialled again; null: nothing is waited for. */
  readonly redial: ReturnType<Sockets['waiting']>
  /** From a change to the peer's acknowledgement, of frames since the last report that began anew. */
  readonly lag: LagFigures
  /** CPU time of the sync thread. */
  readonly cpuMs: number
}

export interface Pair {
  /** Drained records; `dry`: the rings had no more. */
  readonly drained: (records: Uint8Array, n: number, overruns: number, dry: boolean) => void
  /** True: again at once. */
  readonly tick: () => boolean
  readonly own: (owned: number, epochs: readonly bigint[]) => void
  /** `anew`: what comes is not mixed with what came. */
  readonly report: (anew: boolean) => PairReport
  /** Sessions of a group in the sketch. */
  readonly items: (rg: number) => number
  readonly close: () => Promise<void>
}

export interface PairShell {
  readonly table: NativeTable
  readonly onEvent: (name: SyncEventName, fields: Readonly<Record<string, string | number | null>>) => void
  readonly onProblem: (text: string) => void
  readonly cpuMs: () => number
}

/** Between two looks whether the replica's memory is there. */
const POPULATED_MS = 5

export type EngineSpec = EngineOptions & { readonly slots: number, readonly onLag: (ms: number) => void }

/** `make`: the engine, where it is part of something larger. */
export function openPair (spec: PairSpec, { table, onEvent, onProblem, cpuMs }: PairShell, make: (o: EngineSpec) => SyncEngine = (o) => new SyncEngine(o)): Pair {
  const replica = new (loadCore().Replica)(table)
  const lag = createHistogram()
  const lags = new TallyOfTimes(lagBoundsMs)
  const onLag = (ms: number): void => {
    lag.record(Math.max(1, Math.round(ms * 1000)))
    lags.add(ms)
  }
  const engine = make({
    world: { replica, nowMs: monotonicMs, random: (n) => randomBytes(n), event: onEvent }, self: spec.self, slots: table.info().slots,
    ...(spec.windowBytes === null ? {} : { windowBytes: spec.windowBytes }), onLag
  })
  engine.own(spec.owned, spec.epochs)
  let sockets: Sockets | null = null
  /** Its memory first: a table that comes whole does not wait for pages then. */
  const opening = setInterval(() => {
    if (!replica.info().populated) return
    clearInterval(opening)
    sockets = openSockets({ engine, credentials: spec.credentials, listen: spec.listen, dial: spec.dial, ...(spec.expected === undefined ? {} : { expected: spec.expected }), onProblem })
  }, POPULATED_MS)
  return {
    drained: (records, n, overruns, dry) => { engine.drained(records, n, overruns, dry) },
    tick: () => {
      engine.tick()
      return engine.busy
    },
    own: (owned, epochs) => { engine.own(owned, epochs) },
    report: (anew) => {
      const report = {
        ...engine.status(), listening: sockets?.listening() ?? [], path: sockets?.path() ?? null, redial: sockets?.waiting() ?? null, cpuMs: cpuMs(),
        lag: { count: lag.count, p50Ms: lag.percentile(50) / 1000, p99Ms: lag.percentile(99) / 1000, maxMs: lag.count === 0 ? 0 : lag.max / 1000, counts: lags.times.counts, sumMs: lags.times.sum }
      }
      if (anew) lag.reset()
      return report
    },
    items: (rg) => replica.info().items[rg] ?? 0,
    close: async () => {
      clearInterval(opening)
      await sockets?.close()
      replica.close()
    }
  }
}
