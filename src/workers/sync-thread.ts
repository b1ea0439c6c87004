/** Main thread's end of the sync worker: policy logs and ended sessions come here, changes go to listeners on whichever thread. */
import { natHistoryMemory } from '../telemetry/nat-history.js'
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads'
import { LockstepError } from '../contract/errors.js'
import type { ThreadStatus } from '../contract/services.js'
import type { SessionChange } from '../contract/session.js'
import { gaugeMemory, readGauges } from '../lib/thread-gauges.js'
import { changesOf } from '../native/records.js'
import type { Timeouts } from '../native/session-store.js'
import { loopUse } from '../lib/loop-use.js'
import type { ThreadRow } from '../telemetry/debug/process-tables.js'
import type { SyncEventName } from '../ha/sync/protocol.js'
import type { ClusterSpec } from './cluster.js'
import { packError, unpackError, type PackedError } from './errors.js'
import { UNDER_WAY_MAX } from './outlets.js'
import type { PairReport, PairSpec } from './pair.js'
import type { FromSync, Listener, SyncWorkerData, ToSync } from './protocol.js'

export interface SyncThread {
  /** A new listener of changes; its port may be given to another thread. */
  readonly listener: () => Listener
  /** This node is one of a cluster from here on; the port takes ClusterCalls and pushes ClusterPush. @throws LockstepError */
  readonly cluster: (spec: ClusterSpec) => Promise<MessagePort>
  /** This node has a peer from here on. */
  readonly pair: (spec: PairSpec) => void
  readonly own: (owned: number, epochs: readonly bigint[]) => void
  /** Reals by id, and how many flows in a row without an answer are told of each. */
  readonly observe: (bounds: ReadonlyMap<number, number>) => void
  /** null: there is no peer. `anew`: lag is counted from here on. */
  readonly report: (anew?: boolean) => Promise<PairReport | null>
  readonly gauges: () => ThreadStatus
  readonly close: () => Promise<void>
  readonly status: () => ThreadRow
}

export interface SyncThreadOptions {
  readonly tableId: number
  /** Of natHistoryMemory. Without: none is kept. */
  readonly natHistory?: SharedArrayBuffer
  readonly timeouts: Timeouts
  /** Rows of struct ls_log. */
  readonly onLogs: (rows: Uint8Array) => void
  /** Ended sessions whose policy asks for a line; `lost` more came before them and are only counted. */
  readonly onClosed: (changes: readonly SessionChange[], lost: number) => void
  /** Ids of reals that leave flows without an answer. */
  readonly onObserved?: (reals: readonly number[]) => void
  /** Between this node and its peer; '' when it is a problem in words. */
  readonly onPair?: (name: SyncEventName | '', fields: Readonly<Record<string, string | number | null>>) => void
  /** The worker is gone, or a reader threw. */
  readonly onProblem: (error: unknown) => void
}

/** Counters of the latest listeners. */
const EARS_SHOWN = 4

export function startSyncThread ({ tableId, natHistory = natHistoryMemory(0, 0), timeouts, onLogs, onClosed, onObserved, onPair, onProblem }: SyncThreadOptions): SyncThread {
  const underWay = new SharedArrayBuffer(4)
  const gauges = gaugeMemory()
  const waiting = new Int32Array(underWay)
  const worker = new Worker(new URL('./sync.js', import.meta.url), { workerData: { tableId, gauges, underWay, natHistory } satisfies SyncWorkerData })
  const [since, busy] = [Date.now(), loopUse(worker.performance)]
  const ears: Int32Array[] = []
  let [closing, gone] = [false, false]
  const exited = new Promise<void>(resolve => {
    worker.once('exit', (code) => {
      gone = true
      if (!closing) onProblem(new LockstepError('bug', 'LS_E_BUG', 'the sync worker ended', { object: 'sync worker', found: `exit code ${code}`, next: 'restart the agent: session changes and policy logs are no longer read' }))
      resolve()
    })
  })
  let opened: ((error: PackedError | null) => void) | null = null
  const reports: Array<(report: PairReport | null) => void> = []
  worker.on('message', (message: FromSync) => {
    if (message.kind === 'event') {
      onPair?.(message.name, message.fields)
      return
    }
    if (message.kind === 'observed') {
      onObserved?.(message.reals)
      return
    }
    if (message.kind === 'cluster') {
      opened?.(message.error)
      return
    }
    if (message.kind === 'pair') {
      reports.shift()?.(message.report)
      return
    }
    Atomics.sub(waiting, 0, 1)
    try {
      if (message.kind === 'logs') onLogs(message.rows)
      else onClosed(changesOf(message.records, timeouts), message.lost)
    } catch (error) {
      onProblem(error)
    }
  })
  worker.on('error', onProblem)
  return {
    listener: () => {
      const { port1, port2 } = new MessageChannel()
      const counter = new SharedArrayBuffer(4)
      ears.push(new Int32Array(counter))
      if (ears.length > EARS_SHOWN) ears.shift()
      worker.postMessage({ kind: 'listener', port: port1, underWay: counter } satisfies ToSync, [port1])
      return { port: port2, underWay: counter }
    },
    cluster: async (spec) => {
      const { port1, port2 } = new MessageChannel()
      const answer = new Promise<PackedError | null>((resolve) => { opened = resolve })
      worker.postMessage({ kind: 'cluster', spec, calls: port2 } satisfies ToSync, [port2])
      const error = await Promise.race([answer, exited.then(() => packError(new LockstepError('unavailable', 'LS_R_THREAD_GONE', 'the sync worker ended', { object: 'sync worker' })))])
      if (error === null) return port1
      port1.close()
      throw unpackError(error)
    },
    observe: (bounds) => { worker.postMessage({ kind: 'observe', bounds } satisfies ToSync) },
    pair: (spec) => { worker.postMessage({ kind: 'pair', spec } satisfies ToSync) },
    own: (owned, epochs) => { worker.postMessage({ kind: 'own', owned, epochs } satisfies ToSync) },
    report: async (anew = false) => {
      if (closing) return null
      const answer = new Promise<PairReport | null>((resolve) => { reports.push(resolve) })
      worker.postMessage({ kind: 'report', anew } satisfies ToSync)
      return await Promise.race([answer, exited.then(() => null)])
    },
    status: () => ({
      name: 'sync', state: gone ? 'gone' : 'running', since, busy: gone ? null : busy(), restarts: 0, underWay: Atomics.load(waiting, 0), most: UNDER_WAY_MAX, detail: `messages to the main thread; to listeners: ${ears.map(ear => Atomics.load(ear, 0)).join(', ')}`
    }),
    gauges: () => ({ name: 'sync', ...readGauges(gauges), busy: closing ? null : busy() }),
    close: async () => {
      closing = true
      worker.postMessage({ kind: 'stop' } satisfies ToSync) // to a worker that is gone: nothing happens
      await exited
    }
  }
}
