/**
 * Typed calls from one thread to another over a MessagePort. A call that is cancelled tells the other side and still waits for its answer, which is the
 * truth about what happened; a side that is gone ends the calls of the other at once.
 */
import type { MessagePort } from 'node:worker_threads'
import { LockstepError } from '../contract/errors.js'
import { traceContext, type TraceContext } from '../lib/trace-context.js'
import { packError, unpackError } from './errors.js'
import type { BridgeAnswer, BridgeCall } from './protocol.js'

/** Calls under way at a time. */
export const CALLS_MAX = 1024

type AnyFunction = (...args: never[]) => unknown
type Calls<C> = { readonly [N in keyof C]: AnyFunction }
/** Arguments without the signal at their end. */
type Sent<F extends AnyFunction> = Parameters<F> extends [...infer Before, AbortSignal] ? Before : Parameters<F>

export class Caller<C extends Calls<C>> {
  readonly #port: MessagePort
  readonly #waiting = new Map<number, { readonly resolve: (value: unknown) => void, readonly reject: (error: unknown) => void }>()
  #next = 1
  #closed = false

  constructor (port: MessagePort, onPush: (value: unknown) => void) {
    this.#port = port
    port.on('message', (message: BridgeAnswer) => {
      if (message.kind === 'push') {
        onPush(message.value)
        return
      }
      const call = this.#waiting.get(message.id)
      this.#waiting.delete(message.id)
      if (message.kind === 'answer') call?.resolve(message.value)
      else call?.reject(unpackError(message.error))
    })
    port.on('close', () => { this.#end() })
  }

  /** @throws what the other side threw; exhausted LS_R_TOO_MANY; unavailable LS_R_THREAD_GONE */
  async call<N extends keyof C & string> (name: N, args: Sent<C[N]>, signal?: AbortSignal): Promise<Awaited<ReturnType<C[N]>>> {
    signal?.throwIfAborted()
    if (this.#closed) throw gone()
    if (this.#waiting.size >= CALLS_MAX) throw new LockstepError('exhausted', 'LS_R_TOO_MANY', 'too many at once', { object: 'calls to the main thread', found: String(this.#waiting.size), expected: `at most ${CALLS_MAX}`, next: 'try again later' })
    const id = this.#next++
    const trace = traceContext.getStore()
    const send = (message: BridgeCall): void => { this.#port.postMessage(message) }
    const cancel = (): void => { send({ kind: 'cancel', id, reason: packError(signal?.reason) }) }
    const answer = new Promise<unknown>((resolve, reject) => { this.#waiting.set(id, { resolve, reject }) })
    try {
      send({ kind: 'call', id, name, args: args as readonly unknown[], ...trace === undefined ? {} : { trace } })
      signal?.addEventListener('abort', cancel)
      return await answer as Awaited<ReturnType<C[N]>>
    } finally {
      this.#waiting.delete(id)
      signal?.removeEventListener('abort', cancel)
    }
  }

  close (): void { this.#port.close() }

  #end (): void {
    this.#closed = true
    for (const { reject } of this.#waiting.values()) reject(gone())
    this.#waiting.clear()
  }
}

function gone (): LockstepError {
  return new LockstepError('unavailable', 'LS_R_THREAD_GONE', 'the main thread ended', { object: 'agent', next: 'try again' })
}

export interface Answering {
  /** For the caller's `onPush`, in order with the answers. */
  readonly push: (value: unknown) => void
  readonly close: () => void
  /** Calls that are not answered yet. */
  readonly underWay: () => number
}

/** Answers the calls of a port with `calls`; each gets its arguments, then a signal. When the port closes, calls under way are aborted. */
export function answerCalls<C extends Calls<C>> (port: MessagePort, calls: C): Answering {
  const underWay = new Map<number, AbortController>()
  const send = (message: BridgeAnswer): void => { port.postMessage(message) }
  const answer = async (id: number, name: string, args: readonly unknown[], trace?: TraceContext): Promise<void> => {
    const abort = new AbortController()
    underWay.set(id, abort)
    try {
      const run = (Object.hasOwn(calls, name) ? calls[name as keyof C] : undefined) as ((...args: unknown[]) => unknown) | undefined
      if (run === undefined) throw new LockstepError('bug', 'LS_E_BUG', 'no such call', { object: name })
      const value = trace === undefined ? await run(...args, abort.signal) : await traceContext.run(trace, async () => await run(...args, abort.signal))
      send({ kind: 'answer', id, value })
    } catch (error) {
      send({ kind: 'failure', id, error: packError(error) })
    } finally {
      underWay.delete(id)
    }
  }
  port.on('message', (message: BridgeCall) => {
    if (message.kind === 'call') void answer(message.id, message.name, message.args, message.trace)
    else underWay.get(message.id)?.abort(unpackError(message.reason))
  })
  port.on('close', () => {
    for (const abort of underWay.values()) abort.abort(new LockstepError('unavailable', 'LS_E_CANCELLED', 'the thread that asked is gone'))
  })
  return { push: (value) => { send({ kind: 'push', value }) }, close: () => { port.close() }, underWay: () => underWay.size }
}
