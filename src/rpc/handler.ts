/**
 * What every method shares: an AbortSignal that fires when the caller cancels or its deadline passes, typed errors turned into
 * gRPC status, and for streams a writer with back-pressure. Handlers themselves stay free of grpc-js.
 *
 * Back-pressure: at most WINDOW messages of one stream wait in this process. grpc-js alone would hold sixteen, which at 1 MiB
 * a message is too much for a slow reader.
 */
import { Metadata, type handleServerStreamingCall, type handleUnaryCall } from '@grpc/grpc-js'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { isRole, type Role } from '../contract/access.js'
import { LockstepError } from '../contract/errors.js'
import { statusOfError, type Violation } from './error-status.js'
import { refuseOversized } from './request-size.js'

const WINDOW = 2

export interface CallContext {
  /** `/lockstep.v1.Sessions/Delete`. */
  readonly method: string
  /** Aborted on cancellation, deadline, or a closed connection. */
  readonly signal: AbortSignal
  /** Identity of the caller as the gateway verified it; `null` on the local socket. */
  readonly caller: string | null
  /** As the gateway found it; `null` on the local socket, whose group is the access. */
  readonly role: Role | null
  /** Metadata that goes out at once, before the answer. Once a call. */
  readonly announce: (name: string, value: string) => void
}

export interface StreamContext<Res> extends Omit<CallContext, 'announce'> {
  /** Resolves when the next message may be made; rejects once the call is over. */
  readonly send: (message: Res) => Promise<void>
}

/** Told about every error that is a bug, so that the agent can log it with its stack. */
export type OnBug = (method: string, error: unknown) => void

/** An error with a violation for each fault of the request. */
export class RefusedError extends LockstepError {
  readonly violations: readonly Violation[]
  constructor (error: LockstepError, violations: readonly Violation[]) {
    super(error.errorClass, error.code, '', error.detail, error)
    this.message = error.message
    this.violations = violations
  }
}

export function unary<Req, Res> (onBug: OnBug, handle: (request: Req, context: CallContext) => Res | Promise<Res>): handleUnaryCall<Req, Res> {
  return (call, callback) => {
    const abort = new AbortController()
    call.on('cancelled', () => abort.abort(cancelled()))
    const announce = (name: string, value: string): void => {
      const metadata = new Metadata()
      metadata.set(name, value)
      call.sendMetadata(metadata)
    }
    const run = async (): Promise<Res> => await handle(refuseOversized(call.request), { method: call.getPath(), signal: abort.signal, caller: callerOf(call.metadata), role: roleOf(call.metadata), announce })
    run().then((response) => callback(null, response), (error: unknown) => callback(wireError(call.getPath(), error, onBug)))
  }
}

export function streaming<Req, Res> (onBug: OnBug, handle: (request: Req, context: StreamContext<Res>) => Promise<void>): handleServerStreamingCall<Req, Res> {
  return (call) => {
    const abort = new AbortController()
    let waiting = 0
    let wake: (() => void) | null = null
    const over = (): void => {
      abort.abort(cancelled())
      wake?.()
    }
    call.on('cancelled', over)
    call.on('close', over)
    const send = async (message: Res): Promise<void> => {
      abort.signal.throwIfAborted()
      waiting++
      call.write(message, () => {
        waiting--
        wake?.()
      })
      while (waiting >= WINDOW && !abort.signal.aborted) {
        await new Promise<void>((resolve) => { wake = resolve })
        wake = null
      }
      abort.signal.throwIfAborted()
    }
    const run = async (): Promise<void> => { await handle(refuseOversized(call.request), { method: call.getPath(), signal: abort.signal, caller: callerOf(call.metadata), role: roleOf(call.metadata), send }) }
    run().then(
      () => { call.end() },
      (error: unknown) => {
        if (!call.cancelled) call.emit('error', wireError(call.getPath(), error, onBug))
      })
  }
}

/** Lets timers and sockets have their turn; ends a loop whose caller has gone. */
export async function yieldTurn (signal: AbortSignal): Promise<void> {
  await nextTurn()
  signal.throwIfAborted()
}

function wireError (method: string, error: unknown, onBug: OnBug): Error & ReturnType<typeof statusOfError> {
  const wire = statusOfError(error, error instanceof RefusedError ? error.violations : [])
  if (!(error instanceof LockstepError) || error.errorClass === 'bug') onBug(method, error)
  return Object.assign(new Error(wire.details), wire)
}

function callerOf (metadata: Metadata): string | null {
  const value = metadata.get('lockstep-caller')[0]
  return typeof value === 'string' && value !== '' ? value.slice(0, 256) : null
}

/** A role that this version does not know is the least. */
function roleOf (metadata: Metadata): Role | null {
  const value = metadata.get('lockstep-role')[0]
  return value === undefined ? null : typeof value === 'string' && isRole(value) ? value : 'viewer'
}

function cancelled (): LockstepError {
  return new LockstepError('unavailable', 'LS_E_CANCELLED', 'the caller cancelled or its deadline passed')
}
