/** Main thread's end of the health threads: one for each network namespace that probes leave from, for as long as there is something to probe. */
import { Worker } from 'node:worker_threads'
import { LockstepError } from '../contract/errors.js'
import { nothingKnown, type CheckTarget, type HealthInput, type HealthTransition, type KnownHealth, type TargetStatus } from '../contract/health.js'
import type { ThreadStatus } from '../contract/services.js'
import { causeOf } from '../lib/cause-of.js'
import { gaugeMemory, readGauges } from '../lib/thread-gauges.js'
import { loopUse } from '../lib/loop-use.js'
import type { WorkBook } from '../lib/work.js'
import type { ThreadRow } from '../telemetry/debug/process-tables.js'
import { unpackError } from './errors.js'
import type { FromHealth, HealthWorkerData, ToHealth } from './protocol.js'

export interface HealthThreads {
  /** Other targets from now on. `known`: states of an earlier life, by id. */
  readonly replace: (targets: readonly CheckTarget[], known: KnownHealth) => void
  /** False: there is no such target. */
  readonly operate: (id: string, input: HealthInput) => boolean
  /** Sessions say that a target does not serve. */
  readonly observed: (id: string, detail: string) => void
  readonly report: () => Promise<readonly TargetStatus[]>
  /** One for all of them: delay and time of the worst, memory of all; nothing without a thread. */
  readonly gauges: () => readonly ThreadStatus[]
  readonly close: () => Promise<void>
  readonly status: () => readonly ThreadRow[]
}

export interface HealthThreadsOptions {
  /** Path of the namespace that checks without their own leave from; `null`: the process's. */
  readonly netns: string | null
  readonly netnsPath: (name: string) => string
  readonly onTransitions: (transitions: ReadonlyArray<{ readonly id: string, readonly transition: HealthTransition }>) => void
  /** Agents say how much their servers can take. */
  readonly onShares: (shares: ReadonlyArray<{ readonly id: string, readonly sharePct: number }>) => void
  /** A thread is gone; it is started again. */
  readonly onProblem: (error: unknown) => void
  /** Told of the wait before another start. */
  readonly work?: WorkBook
}

/** Before a thread that ended is started again. */
const AGAIN_MS = 1000
const PROCESS = 'health thread'

class Thread {
  private worker: Worker | null = null
  private readonly gauges = gaugeMemory()
  private again: NodeJS.Timeout | null = null
  private exited: Promise<void> = Promise.resolve()
  private closing = false
  private readonly reports: Array<(targets: readonly TargetStatus[]) => void> = []
  private targets: readonly CheckTarget[] = []
  private told = ''
  private restarts = -1
  private since = 0
  private busy: () => number = () => 0

  constructor (private readonly netns: string | null, private readonly o: HealthThreadsOptions, private readonly known: () => KnownHealth) { this.start() }

  private start (): void {
    this.again = null
    const worker = this.worker = new Worker(new URL('./health.js', import.meta.url), { workerData: { netns: this.netns, gauges: this.gauges } satisfies HealthWorkerData })
    this.restarts++
    this.since = Date.now()
    this.busy = loopUse(worker.performance)
    worker.once('online', () => { this.o.work?.settled(PROCESS, this.name) })
    worker.on('message', (message: FromHealth) => {
      switch (message.kind) {
        case 'transitions': this.o.onTransitions(message.transitions); break
        case 'shares': this.o.onShares(message.shares); break
        case 'report': this.reports.shift()?.(message.targets); break
        case 'failed': this.problem(unpackError(message.error))
      }
    })
    worker.on('error', (error) => { this.problem(error) })
    this.exited = new Promise((resolve) => {
      worker.once('exit', (code) => {
        this.worker = null
        for (const answer of this.reports.splice(0)) answer([])
        if (!this.closing) {
          if (code === 0) this.problem(new LockstepError('bug', 'LS_E_BUG', 'a health thread ended', { object: `namespace ${this.netns ?? '(own)'}` }))
          this.o.work?.wait(PROCESS, this.name, AGAIN_MS, this.told === '' ? 'it ended' : this.told)
          this.again = setTimeout(() => { this.start() }, AGAIN_MS)
        }
        resolve()
      })
    })
    if (this.targets.length > 0) this.send({ kind: 'targets', targets: this.targets, known: this.known() })
  }

  /** The same cause is told once. */
  private problem (error: unknown): void {
    const text = causeOf(error)
    if (text !== this.told) this.o.onProblem(error)
    this.told = text
  }

  send (message: ToHealth): void {
    if (message.kind === 'targets') this.targets = message.targets
    this.worker?.postMessage(message)
  }

  async report (): Promise<readonly TargetStatus[]> {
    if (this.worker === null) return []
    const answer = new Promise<readonly TargetStatus[]>((resolve) => { this.reports.push(resolve) })
    this.send({ kind: 'report' })
    return await answer
  }

  private get name (): string { return this.netns ?? 'own namespace' }

  status (): ThreadRow {
    const runs = this.worker !== null
    return { name: `health ${this.name}`, state: runs ? 'running' : 'starting again', since: runs ? this.since : null, busy: runs ? this.busy() : null, restarts: this.restarts, underWay: this.reports.length, most: null, detail: `${this.targets.length} targets` }
  }
  measured (): ThreadStatus[] { return this.worker === null ? [] : [{ name: 'health', ...readGauges(this.gauges), busy: this.busy() }] }

  async close (): Promise<void> {
    this.closing = true
    this.o.work?.settled(PROCESS, this.name)
    if (this.again !== null) clearTimeout(this.again)
    this.send({ kind: 'stop' })
    await this.exited
  }
}

export function startHealthThreads (o: HealthThreadsOptions): HealthThreads {
  const threads = new Map<string, Thread>()
  const placeOf = new Map<string, Thread>()
  let latest = nothingKnown
  const netnsOf = ({ check }: CheckTarget): string | null => check.netns === null ? o.netns : o.netnsPath(check.netns)
  return {
    replace: (targets, known) => {
      latest = known
      placeOf.clear()
      const byNetns = new Map<string, CheckTarget[]>()
      for (const target of targets) {
        const key = netnsOf(target) ?? ''
        const mine = byNetns.get(key)
        if (mine === undefined) byNetns.set(key, [target])
        else mine.push(target)
      }
      for (const [key, thread] of threads) {
        if (byNetns.has(key)) continue
        threads.delete(key)
        void thread.close()
      }
      for (const [key, mine] of byNetns) {
        const thread = threads.get(key) ?? new Thread(key === '' ? null : key, o, () => latest)
        threads.set(key, thread)
        thread.send({ kind: 'targets', targets: mine, known })
        for (const target of mine) placeOf.set(target.id, thread)
      }
    },
    operate: (id, input) => {
      placeOf.get(id)?.send({ kind: 'operate', id, input })
      return placeOf.has(id)
    },
    observed: (id, detail) => { placeOf.get(id)?.send({ kind: 'observed', id, detail }) },
    report: async () => (await Promise.all([...threads.values()].map(async (thread) => await thread.report()))).flat(),
    status: () => [...threads.values()].map(thread => thread.status()),
    gauges: () => {
      const all = [...threads.values()].flatMap((thread) => thread.measured())
      return all.length === 0 ? [] : [all.reduce((a, b) => ({ ...a, loopDelayP99Ms: Math.max(a.loopDelayP99Ms, b.loopDelayP99Ms), heapBytes: a.heapBytes + b.heapBytes, busy: Math.max(a.busy ?? 0, b.busy ?? 0) }))]
    },
    close: async () => { await Promise.all([...threads.values()].map(async (thread) => { await thread.close() })) }
  }
}
