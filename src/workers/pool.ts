/** The piscina pool for bulk jobs. Two threads at most: a host's cores belong to its packet workers. */
import { Piscina } from 'piscina'
import { ConfigError, type CompiledConfig, type HostFacts, type Rings } from '../config/index.js'
import type { Desired } from '../contract/desired.js'
import { LockstepError, type ErrorClass, type ErrorDetail } from '../contract/errors.js'
import type { ConfigIssue } from '../contract/services.js'

export interface CompileJob {
  readonly desired: Desired
  readonly ports: HostFacts['ports']
  readonly rings: Rings
  readonly nowMs: number
  readonly generation: number
}
export type CompileResult = CompiledConfig
export interface Failed {
  readonly failed: true
  readonly errorClass: ErrorClass
  readonly code: string
  readonly message: string
  readonly detail: ErrorDetail
  readonly issues: readonly ConfigIssue[] | null
}

export interface Pool {
  readonly compile: (job: CompileJob, signal: AbortSignal) => Promise<CompileResult>
  readonly close: () => Promise<void>
}

export function startPool (): Pool {
  const piscina = new Piscina({
    filename: new URL('./jobs.js', import.meta.url).href, minThreads: 1, maxThreads: 2, idleTimeout: 30_000, maxQueue: 64,
    // the default would freeze an idle worker's event loop
    atomics: 'disabled'
  })
  return {
    compile: async (job, signal) => {
      const result = await piscina.run(job, { name: 'compileBank', signal }) as CompileResult | Failed
      if (!('failed' in result)) return result
      if (result.issues !== null) throw new ConfigError(result.issues, result.errorClass, result.code)
      const error = new LockstepError(result.errorClass, result.code, '', result.detail)
      error.message = result.message
      throw error
    },
    close: async () => { await piscina.destroy() }
  }
}
