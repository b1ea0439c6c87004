/**
 * Main thread's end of the rpc worker: starts it, answers what it asks, and when it dies starts another. While there is none the socket refuses connections,
 * and everything else of the agent goes on.
 */
import { natHistoryMemory } from '../telemetry/nat-history.js'
import { MessageChannel, Worker } from 'node:worker_threads'
import type { DebugShape } from '../contract/debug.js'
import { LockstepError } from '../contract/errors.js'
import type { ThreadStatus } from '../contract/services.js'
import { loopUse } from '../lib/loop-use.js'
import { gaugeMemory, readGauges } from '../lib/thread-gauges.js'
import type { WorkBook } from '../lib/work.js'
import type { ThreadRow } from '../telemetry/debug/process-tables.js'
import { answerCalls, CALLS_MAX, type Answering } from './bridge.js'
import { unpackError } from './errors.js'
import type { Book, FromRpc, Listener, MainCalls, RpcWorkerData, ToRpc } from './protocol.js'

const RESTART_MS_MIN = 100
const RESTART_MS_MAX = 10_000
/** Who lived this long before it died is started again at once, as the first time. */
const STABLE_MS = 60_000
/** For work that is under way when the server has closed: a walk of a large table. */
const END_MS = 3000

export interface RpcThreadOptions {
  readonly socketPath: string
  readonly tableId: number
  /** Of the journal, for the life of the agent. */
  readonly epoch: string
  readonly calls: MainCalls
  /** Tables that `calls` reads. */
  readonly debug?: readonly DebugShape[]
  /** What runs now; later ones are pushed. */
  readonly book: Book
  /** A new listener of session changes, for each start. */
  readonly listener: () => Listener
  /** Of natHistoryMemory. Without: none is kept. */
  readonly natHistory?: SharedArrayBuffer
  /** A call met a bug. */
  readonly onBug: (method: string, error: unknown) => void
  /** The worker died, or could not be started again; it is tried again. */
  readonly onDown: (error: unknown) => void
  /** It serves again. */
  readonly onUp: () => void
  /** Told of the wait before another start. */
  readonly work?: WorkBook
  /** The thread's program; default: rpc.ts. */
  readonly entry?: URL
}

export interface RpcThread {
  /** A new generation runs: its names hold before any answer that is sent after this. */
  readonly push: (book: Book) => void
  /** What the health service answers; NOT_SERVING until set. */
  readonly setServing: (on: boolean) => void
  /** Nothing while it is started again. */
  readonly gauges: () => readonly ThreadStatus[]
  /** Refuses new calls, lets running ones end for `graceMs`, then cuts them, removes the socket and ends the thread. */
  readonly close: (graceMs: number) => Promise<void>
  readonly status: () => ThreadRow
}

const PROCESS = 'gRPC worker'

interface Live {
  readonly worker: Worker
  readonly gauges: SharedArrayBuffer
  readonly bridge: Answering
  /** With what ended it. */
  readonly ended: Promise<unknown>
  readonly since: number
  readonly busy: () => number
}

/** @throws what startRpcServer throws */
export async function startRpcThread (o: RpcThreadOptions): Promise<RpcThread> {
  let { book } = o
  let serving = false
  let closing = false
  let [failures, restarts] = [0, 0]
  let timer: NodeJS.Timeout | null = null
  let live: Live | null = null
  let starting: Promise<void> = Promise.resolve()

  const start = async (): Promise<void> => {
    const begun = await startWorker(o, book, serving)
    live = begun
    void begun.ended.then((error) => {
      live = null
      if (closing) return
      if (performance.now() - begun.since > STABLE_MS) failures = 0
      o.onDown(error)
      again(error)
    })
    o.work?.settled(PROCESS, '')
    if (begun.book !== book) begun.bridge.push(book)
    if (begun.serving !== serving) tell(begun, { kind: 'serving', on: serving })
  }
  const again = (cause: unknown): void => {
    const wait = Math.min(RESTART_MS_MIN * 2 ** failures++, RESTART_MS_MAX)
    restarts++
    o.work?.wait(PROCESS, '', wait, cause)
    timer = setTimeout(() => {
      timer = null
      starting = start().then(o.onUp, (error: unknown) => {
        if (closing) return
        o.onDown(error)
        again(error)
      })
    }, wait)
  }
  await start()
  return {
    push: (next) => {
      book = next
      live?.bridge.push(next)
    },
    setServing: (on) => {
      serving = on
      if (live !== null) tell(live, { kind: 'serving', on })
    },
    status: () => ({
      name: 'rpc', state: live === null ? 'starting again' : 'running', since: live === null ? null : Date.now() - (performance.now() - live.since), busy: live?.busy() ?? null, restarts, underWay: live?.bridge.underWay() ?? 0, most: CALLS_MAX, detail: 'calls to the main thread'
    }),
    gauges: () => live === null ? [] : [{ name: 'rpc', ...readGauges(live.gauges), busy: live.busy() }],
    close: async (graceMs) => {
      closing = true
      if (timer !== null) clearTimeout(timer)
      await starting
      if (live !== null) await stop(live, graceMs)
    }
  }
}

const tell = ({ worker }: Live, message: ToRpc): void => { worker.postMessage(message) }

interface Begun extends Live { readonly book: Book, readonly serving: boolean }

/** A worker that serves. */
async function startWorker (o: RpcThreadOptions, book: Book, serving: boolean): Promise<Begun> {
  const { port1, port2 } = new MessageChannel()
  const bridge = answerCalls(port1, o.calls)
  const listener = o.listener()
  const gauges = gaugeMemory()
  const workerData: RpcWorkerData = { tableId: o.tableId, gauges, socketPath: o.socketPath, serving, book, bridge: port2, listener, natHistory: o.natHistory ?? natHistoryMemory(0, 0), epoch: o.epoch, debug: o.debug ?? [] }
  const worker = new Worker(o.entry ?? new URL('./rpc.js', import.meta.url), { workerData, transferList: [port2, listener.port] })
  let failure: unknown = null
  worker.on('error', (error) => { failure = error })
  const ended = new Promise<unknown>((resolve) => {
    worker.once('exit', (code) => {
      bridge.close()
      resolve(failure ?? new LockstepError('bug', 'LS_E_BUG', 'the thread ended', { object: 'gRPC worker', found: `exit code ${code}` }))
    })
  })
  const ready = new Promise<void>((resolve) => {
    worker.on('message', (message: FromRpc) => {
      if (message.kind === 'bug') o.onBug(message.method, unpackError(message.error))
      else if (message.kind === 'failed') failure = unpackError(message.error)
      else resolve()
    })
  })
  await Promise.race([ready, ended.then((error) => { throw error as Error })])
  return { worker, gauges, bridge, ended, since: performance.now(), busy: loopUse(worker.performance), book, serving }
}

async function stop (live: Live, graceMs: number): Promise<void> {
  tell(live, { kind: 'stop', graceMs })
  const timer = setTimeout(() => { void live.worker.terminate() }, graceMs + END_MS)
  await live.ended
  clearTimeout(timer)
}
