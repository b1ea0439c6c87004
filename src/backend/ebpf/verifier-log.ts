/** What the kernel's verifier says of a program that it refuses: the useful part for the error, all of it in a file. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LockstepError } from '../../contract/errors.js'

/** Instructions and register states before the objection. */
const LINES = 8
const FILE = 'verifier.log'

/** The last lines before the statistics: the objection, and the instructions that led to it. Pure. */
export function objection (log: string): string {
  const lines = log.split('\n').map(line => line.trimEnd()).filter(line => line !== '' && !/^(processed \d|verification time|stack depth|max_states_per_insn)/.test(line))
  return lines.slice(-LINES).join('\n')
}

/** The refusal with its log told; any other error as it is. */
export function withLog (error: unknown, log: string, directory: string): unknown {
  if (!(error instanceof LockstepError) || error.code !== 'LS_E_UNSUPPORTED' || log === '') return error
  const path = join(directory, FILE)
  let where = path
  try {
    writeFileSync(path, log, { mode: 0o600 })
  } catch (failed) {
    where = `nowhere, ${(failed as Error).message}`
  }
  return new LockstepError(error.errorClass, error.code, "this kernel's verifier refuses the program", {
    object: 'the XDP program', found: `\n${objection(log)}\n`, next: `the whole log is in ${where}: send it with a report; lockstep doctor tells what this kernel lacks`
  }, error)
}
