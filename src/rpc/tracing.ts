/** A span for every call that may change something, made where all calls pass. It is part of what the caller traces, if its metadata say so (`traceparent`). */
import { ServerInterceptingCall, status, type ServerInterceptor } from '@grpc/grpc-js'
import { mayChange } from '../contract/access.js'
import { parseTraceparent, TRACEPARENT, traceContext } from '../lib/trace-context.js'
import type { OpenSpan, Tracer } from '../telemetry/tracer.js'

export const tracing = (tracer: Tracer): ServerInterceptor => ({ path }, call) => {
  if (tracer.sample === null || !mayChange(path)) return new ServerInterceptingCall(call)
  const [, service = '', method = ''] = path.split('/')
  let span: OpenSpan | null = null
  /** What is done for the call is done under its span. */
  const under = (pass: () => void): void => { if (span === null) pass(); else traceContext.run(span.context, pass) }
  const end = (code: status, details: string): void => {
    span?.set({ 'rpc.grpc.status_code': code })
    span?.end(code === status.OK ? null : details === '' ? status[code] : details)
  }
  return new ServerInterceptingCall(call, {
    start: (next) => {
      next({
        onReceiveMetadata: (metadata, pass) => {
          const caller = metadata.get('lockstep-caller')[0]
          span = tracer.begin(`${service}/${method}`, { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': method, 'lockstep.caller': typeof caller === 'string' ? caller.slice(0, 256) : 'local' }, { kind: 'server', parent: parseTraceparent(metadata.get(TRACEPARENT)[0]) })
          under(() => { pass(metadata) })
        },
        onReceiveMessage: (message, pass) => { under(() => { pass(message) }) },
        onReceiveHalfClose: (pass) => { under(pass) },
        onCancel: () => { end(status.CANCELLED, '') }
      })
    },
    sendStatus: (result, next) => {
      end(result.code ?? status.OK, result.details ?? '')
      next(result)
    }
  })
}
