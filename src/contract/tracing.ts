/** Traces of control operations: spans as plain data, which cross threads, and where they go. */

export type SpanValue = string | number | boolean
export type SpanAttributes = Readonly<Record<string, SpanValue>>

/** One that has ended. Ids are hexadecimal as in W3C trace context, times Unix milliseconds with fractions. */
export interface SpanRecord {
  readonly traceId: string
  readonly spanId: string
  readonly parentId: string | null
  readonly name: string
  readonly kind: 'server' | 'internal'
  readonly startMs: number
  readonly endMs: number
  readonly attributes: SpanAttributes
  readonly events: ReadonlyArray<{ readonly atMs: number, readonly name: string, readonly attributes: SpanAttributes }>
  /** `null`: it did what it was for. */
  readonly error: string | null
}

export interface TracingSettings {
  /** Of a collector, OTLP over HTTP; spans go to `/v1/traces` below it. */
  readonly endpoint: string
  /** Share of the operations that begin here, 0 to 1; those that a caller traces are traced. */
  readonly sample: number
}

/** Spans since the agent started. `dropped`: there was no room; `failed`: the collector did not take them. */
export interface TraceTally { readonly exported: number, readonly dropped: number, readonly failed: number }
