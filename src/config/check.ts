/** `lockstep check FILE` without an agent: the same issues, of every node of the file, and what an apply to an empty host would do. */
import { dirname, resolve } from 'node:path'
import type { CheckResult } from '../contract/services.js'
import { hostDefaults } from './host-defaults.js'
import { parseConfig } from './parse.js'
import { planConfig } from './plan.js'

export interface CheckOptions {
  /** Where the text came from: relative capture files are beside it. */
  readonly file?: string | null
  /** The node whose plan it is; default: this host, or the first node of the file when it is none of them. */
  readonly node?: string | null
}

export function checkText (text: string | Uint8Array, { file = null, node = null }: CheckOptions = {}): CheckResult {
  const { desired, issues, warnings } = parseConfig(text, {
    host: hostDefaults(), ...(node === null ? { anyNode: true } : { node }), ...(file === null ? {} : { directory: dirname(resolve(file)) })
  })
  return { ok: desired !== null, issues, warnings, plan: desired === null ? [] : planConfig(null, desired) }
}
