/**
 * The piscina pool for work that grows with a configuration: reading texts and compiling them. Two threads at most: a host's cores belong to its packet
 * workers. A job whose caller gives up is cut, and its thread replaced.
 */
import { Piscina } from 'piscina'
import type { CompiledConfig, HostFacts, Reader, Rings } from '../config/index.js'
import type { Desired } from '../contract/desired.js'
import { LockstepError } from '../contract/errors.js'
import { unpackError, type PackedError } from './errors.js'

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
}

const QUEUE_MAX = 64

export function startPool (): Pool {
  const piscina = new Piscina({
    filename: new URL('./jobs.js', import.meta.url).href, minThreads: 1, maxThreads: 2, idleTimeout: 30_000, maxQueue: QUEUE_MAX,
    // the default would freeze an idle worker's event loop
    atomics: 'disabled'
  })
  const job = <In, Out>(name: string) => async (input: In, signal: AbortSignal): Promise<Out> => {
    signal.throwIfAborted()
    if (piscina.queueSize >= QUEUE_MAX) throw new LockstepError('exhausted', 'LS_C_BUSY', 'too many configurations wait to be read', { object: 'config', found: String(piscina.queueSize), next: 'try again later' })
    let outcome: Outcome<Out>
    try {
      outcome = await piscina.run(input, { name, signal }) as Outcome<Out>
    } catch (error) {
      signal.throwIfAborted() // the caller's own reason, not the pool's word for it
      throw error
    }
    if ('error' in outcome) throw unpackError(outcome.error)
    return outcome.value
  }
  return {
    compile: job('compileBank'),
    reader: { read: job('read'), check: job('check'), compare: job('compare'), locate: job('locate') },
    close: async () => { await piscina.destroy() }
  }
}
