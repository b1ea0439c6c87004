/**
 * Main thread's end of the trace thread: starts it when tracing is configured, ends it when no longer. Spans on their way are counted, and what does not fit is dropped and
 * counted: whoever hands one over never waits.
 */
import { Worker } from 'node:worker_threads'
import type { SpanRecord, TraceTally, TracingSettings } from '../contract/tracing.js'
import { traceCounts, type FromTrace, type ToTrace, type TraceWorkerData } from './protocol.js'

/** Spans that wait or are on their way to the collector. */
export const QUEUE_MAX = 2048
/** Before a thread that does not end is ended. */
const END_MS = 2000

export interface TraceThreadOptions {
  readonly service: TraceWorkerData['service']
  /** The collector does not take spans; null: it does again. Told when it changes. */
  readonly onCollector: (reason: string | null) => void
  /** The thread ended by itself: nothing is exported until tracing is configured anew. */
  readonly onProblem: (error: unknown) => void
}

interface Life { readonly endpoint: string, readonly worker: Worker, readonly counts: Int32Array, readonly ended: Promise<void>, closing: boolean }

export class TraceThread {
  #life: Life | null = null
  #wanted = false
  /** Of lives that are over. */
  #before: TraceTally = { exported: 0, dropped: 0, failed: 0 }
  readonly #ends = new Set<Promise<void>>()

  constructor (private readonly o: TraceThreadOptions) {}

  configure (settings: TracingSettings | null): void {
    this.#wanted = settings !== null
    if (settings?.endpoint === this.#life?.endpoint) return
    this.#end()
    if (settings !== null) this.#start(settings)
  }

  readonly emit = (span: SpanRecord): void => {
    const life = this.#life
    if (life === null || Atomics.load(life.counts, traceCounts.underWay) >= QUEUE_MAX) {
      this.#before = { ...this.#before, dropped: this.#before.dropped + 1 }
      return
    }
    Atomics.add(life.counts, traceCounts.underWay, 1)
    life.worker.postMessage({ kind: 'span', span } satisfies ToTrace)
  }

  /** Null: never configured, so there is nothing to say. */
  tally (): TraceTally | null {
    const { exported, dropped, failed } = this.#before
    if (!this.#wanted && exported + dropped + failed === 0) return null
    const now = this.#life?.counts
    return now === undefined ? this.#before : { exported: exported + Atomics.load(now, traceCounts.exported), dropped, failed: failed + Atomics.load(now, traceCounts.failed) }
  }

  async close (): Promise<void> {
    this.#end()
    await Promise.all(this.#ends)
  }

  #start ({ endpoint }: TracingSettings): void {
    const counts = new Int32Array(new SharedArrayBuffer(4 * Object.keys(traceCounts).length))
    const workerData: TraceWorkerData = { endpoint: `${endpoint.replace(/\/+$/, '')}/v1/traces`, queueMax: QUEUE_MAX, counts: counts.buffer, service: this.o.service }
    const worker = new Worker(new URL('./trace.js', import.meta.url), { workerData })
    let failure: unknown = null
    worker.on('message', ({ reason }: FromTrace) => { this.o.onCollector(reason) })
    worker.on('error', (error) => { failure = error })
    const ended = new Promise<void>((resolve) => {
      worker.once('exit', () => {
        if (this.#life === life) this.#life = null
        const { exported, dropped, failed } = this.#before
        const [lost = 0, sent = 0, refused = 0] = counts
        this.#before = { exported: exported + sent, dropped: dropped + lost, failed: failed + refused }
        if (!life.closing) this.o.onProblem(failure ?? new Error('the trace thread ended'))
        resolve()
      })
    })
    const life: Life = { endpoint, worker, counts, ended, closing: false }
    this.#life = life
  }

  #end (): void {
    const life = this.#life
    if (life === null) return
    this.#life = null
    life.closing = true
    life.worker.postMessage({ kind: 'stop' } satisfies ToTrace)
    const timer = setTimeout(() => { void life.worker.terminate() }, END_MS)
    const end = life.ended.then(() => {
      clearTimeout(timer)
      this.#ends.delete(end)
    })
    this.#ends.add(end)
  }
}
