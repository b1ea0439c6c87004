/** Counts every call where all calls pass: how it ended, how long it took, and which streams are open. */
import { ServerInterceptingCall, status, type ServerInterceptor } from '@grpc/grpc-js'
import type { Served } from '../telemetry/served-metrics.js'

export const measuring = (served: Served): ServerInterceptor => ({ path, responseStream }, call) => {
  const began = performance.now()
  let over = false
  if (responseStream) served.stream(path, 1)
  /** Once: a call that was cancelled may still have a status. */
  const end = (code: status): void => {
    if (over) return
    over = true
    if (responseStream) served.stream(path, -1)
    served.ended(path, status[code], (performance.now() - began) / 1000, responseStream)
  }
  return new ServerInterceptingCall(call, {
    start: (next) => { next({ onCancel: () => { end(status.CANCELLED) } }) },
    sendStatus: (result, next) => {
      end(result.code ?? status.OK)
      next(result)
    }
  })
}
