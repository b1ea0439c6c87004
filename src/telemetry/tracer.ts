/**
 * Makes spans of control operations: never of packets, and of nothing unless tracing is configured. A span is plain data and is handed on when it ends; what it is part
 * of follows awaits and calls between threads (lib/trace-context.ts). Thread: any, each its own.
 */
import { randomBytes } from 'node:crypto'
import type { SpanAttributes, SpanRecord, SpanValue } from '../contract/tracing.js'
import { causeOf } from '../lib/cause-of.js'
import { traceContext, type TraceContext } from '../lib/trace-context.js'

const EVENTS_MAX = 64
const ERROR_CHARS = 1000

export interface Span {
  readonly set: (attributes: SpanAttributes) => void
  /** What happened on the way; at most EVENTS_MAX are kept. */
  readonly event: (name: string, attributes: SpanAttributes) => void
}
export interface OpenSpan extends Span {
  readonly context: TraceContext
  /** Once; later ones are nothing. `error`: null, or why it did not do what it was for. */
  readonly end: (error: string | null) => void
}

export interface BeginOptions {
  readonly kind?: SpanRecord['kind']
  /** Of a caller beyond this process; null: whatever is under way here. */
  readonly parent?: TraceContext | null
}

const nothing: Span = { set: () => {}, event: () => {} }
const reasonOf = (error: unknown): string => causeOf(error).slice(0, ERROR_CHARS)

export class Tracer {
  /** Share of what begins here, 0 to 1; null: nothing is traced, whoever asks. */
  sample: number | null = null

  constructor (private readonly emit: (span: SpanRecord) => void) {}

  /** Null: tracing is off. */
  begin (name: string, attributes: SpanAttributes, { kind = 'internal', parent = null }: BeginOptions = {}): OpenSpan | null {
    if (this.sample === null) return null
    const above = parent ?? traceContext.getStore() ?? null
    const context: TraceContext = { traceId: above?.traceId ?? randomBytes(16).toString('hex'), spanId: randomBytes(8).toString('hex'), sampled: above?.sampled ?? Math.random() < this.sample }
    if (!context.sampled) return { ...nothing, context, end: () => {} }
    const startMs = Date.now()
    const began = performance.now()
    const nowMs = (): number => startMs + performance.now() - began
    const events: Array<SpanRecord['events'][number]> = []
    let all = attributes
    let over = false
    return {
      context,
      set: (more) => { all = { ...all, ...more } },
      event: (event, of) => { if (events.length < EVENTS_MAX) events.push({ atMs: nowMs(), name: event, attributes: of }) },
      end: (error) => {
        if (over) return
        over = true
        this.emit({ traceId: context.traceId, spanId: context.spanId, parentId: above?.spanId ?? null, name, kind, startMs, endMs: nowMs(), attributes: all, events, error })
      }
    }
  }

  /** Work as a span, and what it does as its children. */
  async run<T> (name: string, attributes: SpanAttributes, work: (span: Span) => Promise<T>): Promise<T> {
    const span = this.begin(name, attributes)
    if (span === null) return await work(nothing)
    try {
      const result = await traceContext.run(span.context, async () => await work(span))
      span.end(null)
      return result
    } catch (error) {
      span.end(reasonOf(error))
      throw error
    }
  }

  /** What has been, and ended `agoMs` ago. */
  past (name: string, tookMs: number, attributes: SpanAttributes = {}, agoMs = 0): void {
    const span = this.sample === null ? null : traceContext.getStore()
    if (span === null || span?.sampled === false || (span === undefined && Math.random() >= (this.sample ?? 0))) return
    const endMs = Date.now() - agoMs
    this.emit({ traceId: span?.traceId ?? randomBytes(16).toString('hex'), spanId: randomBytes(8).toString('hex'), parentId: span?.spanId ?? null, name, kind: 'internal', startMs: endMs - tookMs, endMs, attributes, events: [], error: null })
  }
}

/** Fields of an event as attributes: what is not known is none. */
export const attributesOf = (fields: Readonly<Record<string, SpanValue | null>>): SpanAttributes => Object.fromEntries(Object.entries(fields).flatMap(([key, value]) => value === null ? [] : [[key, value]]))
