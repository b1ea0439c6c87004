/** Which span the work of a thread is part of, by W3C trace context (https://www.w3.org/TR/trace-context/): it follows awaits, and calls between threads carry it. */
import { AsyncLocalStorage } from 'node:async_hooks'

/** `sampled`: spans of this trace are recorded. */
export interface TraceContext { readonly traceId: string, readonly spanId: string, readonly sampled: boolean }

export const traceContext = new AsyncLocalStorage<TraceContext>()

/** The name of the header, and of the metadata of a gRPC call. */
export const TRACEPARENT = 'traceparent'

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** Null: it is none. What a later version adds is left aside, as the standard says. */
export function parseTraceparent (text: unknown): TraceContext | null {
  const [, version, traceId = '', spanId = '', flags = '', more] = (typeof text === 'string' ? form.exec(text) : null) ?? []
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined) || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return null
  return { traceId, spanId, sampled: (parseInt(flags, 16) & 1) === 1 }
}

export const formatTraceparent = ({ traceId, spanId, sampled }: TraceContext): string => `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`
