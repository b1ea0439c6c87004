/**
 * The trace thread: hands spans to a collector, OTLP over HTTP. The only place that loads OpenTelemetry, and there is none unless tracing is configured. A collector that
 * is slow or away takes time of this thread alone, and its answers are parsed here.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { SpanKind, SpanStatusCode, TraceFlags, type HrTime } from '@opentelemetry/api'
import { ExportResultCode, type ExportResult } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, type ReadableSpan } from '@opentelemetry/sdk-trace'
import type { SpanRecord } from '../contract/tracing.js'
import { traceCounts, type FromTrace, type ToTrace, type TraceWorkerData } from './protocol.js'

const SEND_EVERY_MS = 1000
/** With all tries. */
const EXPORT_MS = 5000
/** For what is left when the agent ends. */
const LAST_MS = 1000

const port = parentPort
if (port === null) throw new Error('trace.ts runs as a worker thread')
const { endpoint, queueMax, counts: memory, service } = workerData as TraceWorkerData
const counts = new Int32Array(memory)
const tell = (message: FromTrace): void => { port.postMessage(message) }
const exporter = new OTLPTraceExporter({ url: endpoint, timeoutMillis: EXPORT_MS })
const resource = resourceFromAttributes({ 'service.name': 'lockstep', 'service.version': service.version, 'service.instance.id': service.instance, 'host.name': service.node })

let taken: boolean | null = null
/** Told when it changes. */
function ended (spans: number, { code, error }: ExportResult): void {
  const ok = code === ExportResultCode.SUCCESS
  Atomics.sub(counts, traceCounts.underWay, spans)
  Atomics.add(counts, ok ? traceCounts.exported : traceCounts.failed, spans)
  if (ok !== taken && (!ok || taken !== null)) tell({ kind: 'collector', reason: ok ? null : error?.message ?? 'no reason given' })
  taken = ok
}

const processor = new BatchSpanProcessor({
  exporter: {
    export: (spans, done) => { exporter.export(spans, (result) => { ended(spans.length, result); done(result) }) },
    shutdown: async () => { await exporter.shutdown() }, forceFlush: async () => { await exporter.forceFlush() }
  },
  maxQueueSize: queueMax, scheduledDelayMillis: SEND_EVERY_MS, exportTimeoutMillis: 2 * EXPORT_MS
})

const timeOf = (ms: number): HrTime => {
  const seconds = Math.floor(ms / 1000)
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)]
}

function spanOf (record: SpanRecord): ReadableSpan {
  const { traceId, spanId, parentId, error } = record
  const context = (id: string): ReturnType<ReadableSpan['spanContext']> => ({ traceId, spanId: id, traceFlags: TraceFlags.SAMPLED })
  return {
    name: record.name, kind: record.kind === 'server' ? SpanKind.SERVER : SpanKind.INTERNAL, spanContext: () => context(spanId), ...parentId === null ? {} : { parentSpanContext: context(parentId) },
    startTime: timeOf(record.startMs), endTime: timeOf(record.endMs), duration: timeOf(record.endMs - record.startMs), ended: true, attributes: record.attributes,
    events: record.events.map(({ atMs, name, attributes }) => ({ time: timeOf(atMs), name, attributes })),
    status: error === null ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR, message: error },
    links: [], resource, instrumentationScope: { name: 'lockstep', version: service.version }, droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0
  }
}

async function stop (): Promise<void> {
  await Promise.race([processor.forceFlush().catch(() => undefined), new Promise(resolve => { setTimeout(resolve, LAST_MS) })])
  process.exit(0) // the thread: tries that wait for their turn end with it
}

port.on('message', (message: ToTrace) => {
  if (message.kind === 'span') processor.onEnd(spanOf(message.span) as Parameters<typeof processor.onEnd>[0])
  else void stop()
})
