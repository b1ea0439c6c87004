/**
 * Who asked for what, and what came of it: one event for every call of a method that may change something. One that became an operation is told where the operation ends, which
 * may be long after its caller left; any other where all calls pass, so that none can be forgotten.
 */
import { ServerInterceptingCall, status, type ServerInterceptor } from '@grpc/grpc-js'
import { mayChange } from '../contract/access.js'
import type { AgentEvent } from '../contract/events.js'

/** Name of the initial metadata that tells a caller its operation. */
export const OPERATION_METADATA = 'lockstep-operation'

const VALUE_CHARS = 100
const REQUEST_CHARS = 500

/** For people: long texts (configurations, which may have secrets) only by their length. */
export function requestText (request: unknown): string {
  const text = JSON.stringify(request, (key, value: unknown) => {
    if (typeof value === 'bigint') return Number(value)
    if (typeof value === 'string' && (key === 'text' || value.length > VALUE_CHARS)) return `(${value.length} characters)`
    return value === '' || value === null || (Array.isArray(value) && value.length === 0) ? undefined : value
  }) ?? ''
  return text.length <= REQUEST_CHARS ? text : `${text.slice(0, REQUEST_CHARS)}...`
}

export interface Audited {
  /** `/lockstep.v1.Sessions/Delete`, with or without the slash. */
  readonly method: string
  /** '': somebody on the agent's host. */
  readonly caller: string
  readonly request: string
  readonly code: status
  /** Of a failure. */
  readonly reason: string
  readonly tookMs: number
}

export const auditEvent = ({ method, caller, request, code, reason, tookMs }: Audited): AgentEvent => ({
  at: Date.now(), area: 'audit', name: 'call', level: code === status.OK ? 'info' : 'warn', object: method.slice(method.lastIndexOf('.') + 1),
  fields: { by: caller === '' ? 'local' : caller, request, result: status[code], reason: code === status.OK ? '' : reason, tookMs: Math.round(tookMs) }
})

export const auditing = (tell: (event: AgentEvent) => void): ServerInterceptor => ({ path }, call) => {
  if (!mayChange(path)) return new ServerInterceptingCall(call)
  let caller = ''
  let request = ''
  let told = false
  const began = performance.now()
  /** Once: a call that was cancelled has no status, and one that has is over as if it were cancelled. */
  const end = (code: status, reason: string): void => {
    if (!told) tell(auditEvent({ method: path, caller, request, code, reason, tookMs: performance.now() - began }))
    told = true
  }
  return new ServerInterceptingCall(call, {
    start: (next) => {
      next({
        onReceiveMetadata: (metadata, pass) => {
          const [name] = metadata.get('lockstep-caller')
          caller = typeof name === 'string' ? name.slice(0, 256) : ''
          pass(metadata)
        },
        onReceiveMessage: (message, pass) => {
          request = requestText(message)
          pass(message)
        },
        onCancel: () => { end(status.CANCELLED, 'the caller cancelled or its deadline passed') }
      })
    },
    sendMetadata: (metadata, next) => {
      // The operation tells it.
      if (metadata.get(OPERATION_METADATA).length > 0) told = true
      next(metadata)
    },
    sendStatus: (result, next) => {
      end(result.code ?? status.OK, result.details ?? '')
      next(result)
    }
  })
}
