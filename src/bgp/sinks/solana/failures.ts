/** Errors of a transaction, as a node tells them: which report was bad, and what that means for the others. */
import { printable } from '../../../lib/printable.js'
import { each, type Outcome } from '../sink.js'
import { RpcError } from './rpc.js'

/** Codes with which a node says that it has not taken a transaction: bad request, simulation failed, signature, node behind. */
const refusals = new Set([-32700, -32600, -32601, -32602, -32002, -32003, -32005])

const meanings: ReadonlyMap<string, string> = new Map(Object.entries({
  3: 'the device of the user is zero', 8: 'not allowed: another publisher than the device names, or the user is of another device', 9: 'the account is of another type',
  26: 'client_ip is not global unicast', 27: 'dz_ip is not global unicast', 28: 'tunnel_net is not link-local', 29: 'tunnel_id is 4596 or more', 80: 'tunnel_endpoint is not global unicast',
  InvalidAccountData: 'the account is no user', ProgramFailedToComplete: 'the program gave up: the account is gone or not of this program',
}))

/** Of the `err` of a transaction that did not change anything. The report that is bad is dropped, the others may go again at once. */
export function failureOutcomes (err: unknown, leading: number, batch: readonly unknown[]): Outcome[] {
  const [at, what] = listOf((err as { InstructionError?: unknown } | null)?.InstructionError)
  const bad = typeof at === 'number' ? at - leading : -1
  if (bad < 0 || bad >= batch.length) return each(batch, { kind: 'transient', reason: `the transaction failed: ${textOf(err)}`, afterMs: null })
  const custom = (what as { Custom?: unknown } | null | undefined)?.Custom
  const meaning = meanings.get(typeof what === 'string' ? what : typeof custom === 'number' ? String(custom) : '')
  const reason = `the program refused it: ${textOf(what)}${meaning === undefined ? '' : `, ${meaning}`}`
  return batch.map((_, i): Outcome => i === bad ? { kind: 'permanent', reason } : { kind: 'transient', reason: 'another report of its batch was refused', afterMs: 0 })
}

/** Of what `sendTransaction` threw. */
export function sendOutcomes (error: unknown, leading: number, batch: readonly unknown[]): Outcome[] {
  if (!(error instanceof RpcError)) throw error
  const { answered, mayHaveArrived, message } = error
  if (answered === null) return each(batch, mayHaveArrived ? { kind: 'uncertain', reason: message } : { kind: 'transient', reason: message, afterMs: null })
  if (!refusals.has(answered.code)) return each(batch, { kind: 'uncertain', reason: message })
  const err = (answered.data as { err?: unknown } | null | undefined)?.err ?? null
  if (err === 'AlreadyProcessed') return each(batch, { kind: 'uncertain', reason: message })
  return err === null ? each(batch, { kind: 'transient', reason: message, afterMs: null }) : failureOutcomes(err, leading, batch)
}

const listOf = (value: unknown): unknown[] => Array.isArray(value) ? value as unknown[] : []
/** One short line, whatever a node has put there; too deep for JSON is possible, too. */
function textOf (value: unknown): string {
  try {
    return printable((typeof value === 'string' ? value : JSON.stringify(value) ?? 'nothing').slice(0, 200))
  } catch {
    return 'what cannot be shown'
  }
}
