/**
 * The piscina pool for work that grows with a configuration: reading texts and compiling them. Two threads at most: a host's cores belong to its packet
 * workers. A job whose caller gives up is cut, and its thread replaced; but never while that thread loads its modules, which would take the process
 * with it (Node 20, `require` of an ES module that is terminated).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Piscina } from 'piscina'
import type { CompiledConfig, HostFacts, Reader, Rings } from '../config/index.js'
import type { Desired } from '../contract/desired.js'
import { LockstepError } from '../contract/errors.js'
import { WorkBook } from '../lib/work.js'
import type { ThreadRow } from '../telemetry/debug/process-tables.js'
import { unpackError, type PackedError } from './errors.js'
import type { FromPool } from './protocol.js'

export interface CompileJob {
  readonly desired: Desired
  readonly ports: HostFacts['ports']
  readonly rings: Rings
  readonly nowMs: number
  readonly generation: number
}
export type Outcome<T> = { readonly value: T } | { readonly error: PackedError }

export interface Pool {
  readonly compile: (job: CompileJob, signal: AbortSignal) => Promise<CompiledConfig>
  readonly reader: Reader
  readonly close: () => Promise<void>
  readonly status: () => ThreadRow
}

const QUEUE_MAX = 64
const LOADING_MS = 5

export function startPool (work = new WorkBook()): Pool {
  const since = Date.now()
  const piscina = new Piscina({
    filename: new URL('./jobs.js', import.meta.url).href, minThreads: 1, maxThreads: 2, idleTimeout: 30_000, maxQueue: QUEUE_MAX,
    // the default would freeze an idle worker's event loop
    atomics: 'disabled'
  })
  const loaded = new Set<number>()
  piscina.on('message', ({ loaded: threadId }: FromPool) => { loaded.add(threadId) })
  const allLoaded = async (): Promise<void> => {
    while (piscina.threads.some(({ threadId }) => threadId > 0 && !loaded.has(threadId))) await sleep(LOADING_MS)
  }
  const job = <In, Out>(name: string) => async (input: In, signal: AbortSignal): Promise<Out> => {
    signal.throwIfAborted()
    if (piscina.queueSize >= QUEUE_MAX) throw new LockstepError('exhausted', 'LS_C_BUSY', 'too many configurations wait to be read', { object: 'config', found: String(piscina.queueSize), expected: `fewer than ${QUEUE_MAX}`, next: 'try again later' })
    let outcome: Outcome<Out>
    const cut = new AbortController()
    const onAbort = (): void => { void allLoaded().then(() => { cut.abort() }) }
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      outcome = await work.run('pool', name, async () => await piscina.run(input, { name, signal: cut.signal }) as Outcome<Out>)
    } catch (error) {
      signal.throwIfAborted() // the caller's own reason, not the pool's word for it
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
    if ('error' in outcome) throw unpackError(outcome.error)
    return outcome.value
  }
  return {
    compile: job('compileBank'),
    reader: { read: job('read'), check: job('check'), compare: job('compare'), locate: job('locate') },
    status: () => ({ name: 'pool', state: piscina.threads.length === 0 ? 'idle' : 'running', since, busy: null, restarts: 0, underWay: piscina.queueSize, most: QUEUE_MAX, detail: `${piscina.threads.length} threads, ${piscina.completed} jobs done, ${piscina.queueSize} wait` }),
    close: async () => {
      await allLoaded()
      await piscina.destroy()
    }
  }
}
