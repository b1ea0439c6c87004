/** Spans as they are made: parents, sampling, errors, what is bounded; W3C trace context; and a queue that is full. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { SpanRecord } from '../../../src/contract/tracing.js'
import { formatTraceparent, parseTraceparent, traceContext } from '../../../src/lib/trace-context.js'
import { Tracer } from '../../../src/telemetry/tracer.js'
import { QUEUE_MAX, TraceThread } from '../../../src/workers/trace-thread.js'

const ids = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'] as const
const [traceId, spanId] = ids

t.test('traceparent: what is one, and what is none', async (t) => {
  const good: ReadonlyArray<readonly [string, boolean]> = [[`00-${traceId}-${spanId}-01`, true], [`00-${traceId}-${spanId}-00`, false], [`00-${traceId}-${spanId}-03`, true], [`cc-${traceId}-${spanId}-01-what-comes-later`, true]]
  for (const [text, sampled] of good) t.same(parseTraceparent(text), { traceId, spanId, sampled }, text)
  for (const text of [
    '', undefined, 7, `00-${traceId}-${spanId}`, `00-${traceId}-${spanId}-01-more`, `ff-${traceId}-${spanId}-01`, `00-${'0'.repeat(32)}-${spanId}-01`, `00-${traceId}-${'0'.repeat(16)}-01`, `00-${traceId.toUpperCase()}-${spanId}-01`,
    ` 00-${traceId}-${spanId}-01`, `00-${traceId}-${spanId}-1`
  ]) t.equal(parseTraceparent(text), null, String(text))
  t.equal(formatTraceparent({ traceId, spanId, sampled: true }), `00-${traceId}-${spanId}-01`)
})

function tracer (sample: number | null): { readonly tracer: Tracer, readonly spans: SpanRecord[] } {
  const spans: SpanRecord[] = []
  const made = new Tracer((span) => { spans.push(span) })
  made.sample = sample
  return { tracer: made, spans }
}

t.test('children, over awaits and beside each other', async (t) => {
  const { tracer: of, spans } = tracer(1)
  await of.run('outer', { a: 1 }, async (span) => {
    await Promise.all(['left', 'right'].map(async name => await of.run(name, {}, async () => {
      await new Promise(resolve => { setTimeout(resolve, 1) })
      of.past(`${name}.step`, 5, { n: 2 })
    })))
    span.set({ b: true })
    span.event('half', { way: 'x' })
  })
  const named = new Map(spans.map(span => [span.name, span]))
  t.equal(new Set(spans.map(span => span.traceId)).size, 1)
  t.match(named.get('outer'), { parentId: null, attributes: { a: 1, b: true }, events: [{ name: 'half', attributes: { way: 'x' } }], error: null })
  for (const name of ['left', 'right']) {
    t.equal(named.get(name)?.parentId, named.get('outer')?.spanId)
    t.equal(named.get(`${name}.step`)?.parentId, named.get(name)?.spanId)
  }
  const step = named.get('left.step')
  t.equal((step?.endMs ?? 0) - (step?.startMs ?? 0), 5)
  t.equal(traceContext.getStore(), undefined, 'nothing is left behind')
})

t.test('an error is told and thrown on', async (t) => {
  const { tracer: of, spans } = tracer(1)
  await t.rejects(of.run('fails', {}, async () => { throw new Error('no room') }), /no room/)
  t.match(spans, [{ name: 'fails', error: 'no room' }])
})

t.test('off: nothing is made, whoever asks; what is not sampled has no children either', async (t) => {
  const off = tracer(null)
  t.equal(await traceContext.run({ traceId, spanId, sampled: true }, async () => await off.tracer.run('x', {}, async () => 7)), 7)
  off.tracer.past('y', 1)
  t.equal(off.tracer.begin('z', {}), null)
  const never = tracer(0)
  await never.tracer.run('x', {}, async () => { await never.tracer.run('y', {}, async () => { never.tracer.past('z', 1) }) })
  never.tracer.past('alone', 1)
  t.same([off.spans, never.spans], [[], []])
  await traceContext.run({ traceId, spanId, sampled: true }, async () => { await never.tracer.run('asked', {}, async () => {}) })
  t.match(never.spans, [{ name: 'asked', traceId, parentId: spanId }])
})

t.test('a span ends once, and keeps 64 events', async (t) => {
  const { tracer: of, spans } = tracer(1)
  const span = of.begin('x', {}, { kind: 'server', parent: { traceId, spanId, sampled: true } })
  for (let i = 0; i < 1000; i++) span?.event('again', { i })
  span?.end('first')
  span?.end(null)
  t.match(spans, [{ kind: 'server', error: 'first', parentId: spanId }])
  t.equal(spans.length, 1)
  t.equal(spans[0]?.events.length, 64)
})

t.test('a queue that is full drops, counts, and waits for nobody', async (t) => {
  const server = createServer(() => {}) // never answers
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const problems: unknown[] = []
  const thread = new TraceThread({ service: { version: '0', node: 'n', instance: 'i' }, onCollector: () => {}, onProblem: (error) => { problems.push(error) } })
  t.equal(thread.tally(), null)
  thread.configure({ endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, sample: 1 })
  const span: SpanRecord = { traceId, spanId, parentId: null, name: 'x', kind: 'internal', startMs: 1, endMs: 2, attributes: {}, events: [], error: null }
  for (let i = 0; i < QUEUE_MAX + 500; i++) thread.emit(span)
  t.same(thread.tally(), { exported: 0, dropped: 500, failed: 0 })
  await thread.close()
  const { exported = 0, dropped = 0, failed = 0 } = thread.tally() ?? {}
  t.equal(exported, 0)
  t.equal(dropped + failed, QUEUE_MAX + 500, 'every span is one of them')
  thread.emit(span)
  t.equal(thread.tally()?.dropped, dropped + 1)
  t.same(problems, [])
})
