/** Who asked for what, and what came of it: an event for every call of a method that may change something, made where all calls pass, so that none can be forgotten. */
import { ServerInterceptingCall, status, type ServerInterceptor } from '@grpc/grpc-js'
import { mayChange } from '../contract/access.js'
import type { AgentEvent } from '../contract/events.js'

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

export const auditing = (tell: (event: AgentEvent) => void): ServerInterceptor => ({ path }, call) => {
  if (!mayChange(path)) return new ServerInterceptingCall(call)
  let caller = ''
  let request = ''
  const began = performance.now()
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
        }
      })
    },
    sendStatus: (result, next) => {
      const code = status[result.code ?? status.OK]
      tell({
        at: Date.now(), area: 'audit', name: 'call', level: result.code === status.OK ? 'info' : 'warn', object: path.slice(path.lastIndexOf('.') + 1),
        fields: { by: caller === '' ? 'local' : caller, request, result: code, reason: result.code === status.OK ? '' : result.details ?? '', tookMs: Math.round(performance.now() - began) }
      })
      next(result)
    }
  })
}
