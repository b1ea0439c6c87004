/** Bulk jobs of the piscina pool: pure functions of their input, run off the main thread. Each export is one job, named in pool.ts. */
import { parentPort, threadId } from 'node:worker_threads'
import { move } from 'piscina'
import { checkPlan, compareTexts, compile, locateIssues, readText } from '../config/index.js'
import { LockstepError } from '../contract/errors.js'
import { packError } from './errors.js'
import type { CompileJob, Outcome } from './pool.js'
import type { FromPool } from './protocol.js'

/** Errors of ours travel as data; a bug is thrown as it is. */
function job<In, Out> (run: (input: In) => Out): (input: In) => Outcome<Out> {
  return (input) => {
    try {
      return { value: run(input) }
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error
      return { error: packError(error) }
    }
  }
}

export const read = job(readText)
export const check = job(checkPlan)
export const compare = job(compareTexts)
export const locate = job(locateIssues)

/** Desired, host facts and rings -> the bank; 4 MiB travel by transfer. */
const compiled = job((input: CompileJob) => compile(input.desired, { ports: input.ports }, input.desired.ids, input.rings, new Date(input.nowMs), input.generation))
export const compileBank = (input: CompileJob): ReturnType<typeof compiled> => {
  const outcome = compiled(input)
  if ('value' in outcome) move(outcome.value.bank.buffer as ArrayBuffer)
  return outcome
}

parentPort?.postMessage({ loaded: threadId } satisfies FromPool)
