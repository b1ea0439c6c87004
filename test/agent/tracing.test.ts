/** Traces of a real agent at a collector: names, parents, attributes, errors; and what a collector that is away, slow or rude does to the agent: nothing. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startCollector, type Collector, type Span } from './collector.js'
import { apply, ask, idle, place, plain, root, startAgent, textOf, type Place, type Running } from './agent-process.js'
import { until } from '../until.js'

const traced = (endpoint: string, mark = 'one', more = ''): string => idle(mark).replace('agent: {', `agent: {tracing: {endpoint: "${endpoint}"${more}}, `)
const page = async (agent: Running): Promise<string> => (await ask<{ text: string }>(done => agent.calls.telemetry.metrics({ names: '' }, done))).text
const spansOf = async (agent: Running): Promise<Record<string, number>> => Object.fromEntries([...(await page(agent)).matchAll(/^lockstep_trace_spans_total\{result="(\w+)"\} (\d+)$/gm)].map(([, result = '', n = '']) => [result, Number(n)]))
const applyText = async (agent: Running, text: string): Promise<unknown> => await ask(done => agent.calls.config.apply(apply(text), done))

const traceId = '0af7651916cd43dd8448eb211c80319c'
const spanId = 'b7ad6b7169203331'

function cli (p: Place, args: readonly string[], traceparent: string): number | null {
  const [command = '', ...rest] = [...plain, `LOCKSTEP_SOCKET=${p.socket}`, `TRACEPARENT=${traceparent}`, process.execPath, join(root, 'dist/src/cli/main.js'), ...args]
  return spawnSync(command, rest, { encoding: 'utf8' }).status
}

async function one (collector: Collector, name: string, of: (span: Span) => boolean = () => true): Promise<Span> {
  let found: Span | undefined
  await until(`a span ${name}`, () => { found = collector.named(name).find(of); return found !== undefined })
  return found as Span
}

const errorOf = ({ status }: Span): string | null => status.code === 2 ? status.message ?? '' : null

async function start (t: Test, text: string): Promise<{ readonly p: Place, readonly agent: Running }> {
  const p = place(t)
  p.write(text)
  return { p, agent: await startAgent(t, p) }
}

t.test('an apply is one trace, from the caller to the phases', async (t) => {
  const collector = await startCollector(t)
  const { p, agent } = await start(t, traced(collector.endpoint))
  const startup = await one(collector, 'dataplane.apply')
  t.notOk(startup.parentSpanId, 'nobody asked for it')
  t.match(startup.resource, { 'service.name': 'lockstep', 'service.instance.id': 'default' })

  p.write(traced(collector.endpoint, 'two'))
  t.equal(cli(p, ['apply', p.file], `00-${traceId}-${spanId}-01`), 0)
  const call = await one(collector, 'lockstep.v1.Config/Apply', span => span.traceId === traceId)
  t.match(call, { parentSpanId: spanId, kind: 2, status: { code: 0 }, attributes: { 'rpc.system': 'grpc', 'rpc.service': 'lockstep.v1.Config', 'rpc.method': 'Apply', 'rpc.grpc.status_code': 0, 'lockstep.caller': 'local' } })
  const applied = await one(collector, 'config.apply', span => span.traceId === traceId)
  t.match(applied, { parentSpanId: call.spanId, kind: 1, attributes: { source: 'grpc', generation: 2, confirmed: true, changes: 2 } })
  const dataplane = await one(collector, 'dataplane.apply', span => span.traceId === traceId)
  t.match(dataplane, { parentSpanId: applied.spanId, attributes: { generation: 2, warnings: 0 } })
  let at = 0n
  for (const name of ['dataplane.ports', 'dataplane.compile', 'dataplane.flip', 'dataplane.settle']) {
    const phase = await one(collector, name, span => span.traceId === traceId)
    t.equal(phase.parentSpanId, dataplane.spanId, name)
    t.ok(BigInt(phase.startTimeUnixNano) + 1_000_000n >= at, 'one after the other')
    at = BigInt(phase.endTimeUnixNano)
  }
  t.equal((await spansOf(agent))['failed'], 0)
  t.ok(((await spansOf(agent))['exported'] ?? 0) >= 8)

  const reads = collector.named('lockstep.v1.Config/GetText').length + collector.named('lockstep.v1.Telemetry/Metrics').length
  t.equal(reads, 0, 'what changes nothing is no span')
  t.equal(cli(p, ['apply', p.file], `00-${traceId.replace('0af', 'fff')}-${spanId}-00`), 0)
  t.equal(cli(p, ['save'], `00-${traceId}-${spanId}-01`), 0)
  await one(collector, 'lockstep.v1.Config/Save')
  t.notOk(collector.spans.some(span => span.traceId.startsWith('fff')), 'a caller that does not sample is not traced')
})

t.test('what is refused or fails says why', async (t) => {
  const collector = await startCollector(t)
  const { agent } = await start(t, traced(collector.endpoint))
  await t.rejects(applyText(agent, 'zone: {}\n'))
  const refused = await one(collector, 'config.apply', span => errorOf(span) !== null)
  t.match(errorOf(refused), /zone/)
  const call = await one(collector, 'lockstep.v1.Config/Apply')
  t.equal(refused.parentSpanId, call.spanId)
  t.match([errorOf(call), call.attributes['rpc.grpc.status_code']], [/zone/, 3])
  t.notOk(collector.named('dataplane.apply').some(span => span.traceId === call.traceId), 'the dataplane was not asked')
  await t.rejects(ask(done => agent.calls.agent.switchBackend({ backend: 'dpdk', force: false }, done)))
  t.match(await one(collector, 'backend.switch'), { attributes: { from: 'userspace', to: 'dpdk', force: false }, status: { code: 2 } })
})

t.test('with sample 0 nothing begins here, and what a caller traces is traced', async (t) => {
  const collector = await startCollector(t)
  const { p, agent } = await start(t, traced(collector.endpoint, 'one', ', sample: 0'))
  await applyText(agent, traced(collector.endpoint, 'two', ', sample: 0'))
  t.equal(cli(p, ['save'], `00-${traceId}-${spanId}-01`), 0)
  await one(collector, 'lockstep.v1.Config/Save')
  t.same(collector.spans.map(({ name }) => name), ['lockstep.v1.Config/Save'])
})

t.test('it comes and goes with the configuration', async (t) => {
  const collector = await startCollector(t)
  const { agent } = await start(t, idle())
  t.same(await spansOf(agent), {})
  await applyText(agent, traced(collector.endpoint, 'two'))
  await applyText(agent, traced(collector.endpoint, 'three'))
  await one(collector, 'config.apply', span => span.attributes['generation'] === 3)
  await applyText(agent, idle('four'))
  await applyText(agent, idle('five'))
  await agent.stop()
  t.notOk(collector.named('dataplane.apply').some(({ attributes }) => attributes['generation'] === 2 || attributes['generation'] === 5))
})

t.test('a collector that is away delays nothing, is told once, and is used when it is back', async (t) => {
  const gone = await startCollector(t)
  await gone.close()
  const { agent } = await start(t, traced(gone.endpoint))
  for (const mark of ['two', 'three', 'four']) await applyText(agent, traced(gone.endpoint, mark))
  t.match(await textOf(agent), /four/)
  await until('the spans to be given up', async () => ((await spansOf(agent))['failed'] ?? 0) > 0)
  const before = (await spansOf(agent))['failed'] ?? 0
  await applyText(agent, traced(gone.endpoint, 'five'))
  await until('those that follow, too', async () => ((await spansOf(agent))['failed'] ?? 0) > before)
  t.equal(agent.stderr().match(/the collector takes no spans/g)?.length, 1)
  const back = await startCollector(t, { port: Number(new URL(gone.endpoint).port) })
  await applyText(agent, traced(gone.endpoint, 'six'))
  await one(back, 'config.apply', span => span.attributes['generation'] === 6)
  await until('the log to say so', () => agent.stderr().includes('the collector takes spans again'))
})

t.test('a collector that never answers keeps nobody waiting, at the end either', async (t) => {
  const collector = await startCollector(t, { manner: 'hangs' })
  const { agent } = await start(t, traced(collector.endpoint))
  await until('a request', () => collector.requests() > 0)
  for (const mark of ['two', 'three']) await applyText(agent, traced(collector.endpoint, mark))
  t.match(await textOf(agent), /three/)
  t.match(await agent.stop(), { code: 0, signal: null })
})

t.test('a collector that refuses is told, and what is left at the end is sent', async (t) => {
  const collector = await startCollector(t, { manner: 'refuses' })
  const { agent } = await start(t, traced(collector.endpoint))
  await until('the log to say so', () => agent.stderr().includes('the collector takes no spans'))
  collector.manner = 'takes'
  await applyText(agent, traced(collector.endpoint, 'two'))
  t.match(await agent.stop(), { code: 0, signal: null })
  t.equal(collector.named('config.apply').length, 1)
})
