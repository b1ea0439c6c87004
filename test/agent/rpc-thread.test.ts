/** The thread that serves gRPC: it answers while the main thread is busy, and when it dies another takes its place, socket, names and all. */
import { existsSync, readdirSync } from 'node:fs'
import type { Worker } from 'node:worker_threads'
import { credentials, status as grpc, type ServiceError } from '@grpc/grpc-js'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { startAgent as startHere } from '../../src/agent.js'
import { AgentState, type AgentGetInfoResponse } from '../../src/generated/proto/lockstep/v1/agent.js'
import { ConfigText, type ConfigCheckResponse, type ConfigGetTextResponse } from '../../src/generated/proto/lockstep/v1/config.js'
import { DebugClient, type DebugGetTableResponse } from '../../src/generated/proto/lockstep/v1/debug.js'
import { EventsClient, type EventMessages } from '../../src/generated/proto/lockstep/v1/events.js'
import type { SessionsCountResponse } from '../../src/generated/proto/lockstep/v1/sessions.js'
import type { TelemetrySnapshotResponse } from '../../src/generated/proto/lockstep/v1/telemetry.js'
import { apply, ask, connect, idle, place, sources, type Calls, type Place } from './agent-process.js'
import { until } from '../until.js'

interface Here { readonly agent: Awaited<ReturnType<typeof startHere>>, readonly rpc: Worker, readonly lines: string[], readonly calls: Calls }

/** An agent in this process, and the worker that serves it: the newest one when its socket appears. */
async function here (t: Test, p: Place, text: string): Promise<Here> {
  const workers: Worker[] = []
  const onWorker = (worker: Worker): void => { workers.push(worker) }
  process.on('worker', onWorker)
  const lines: string[] = []
  const log = pino({ level: 'info', base: null }, { write: (line: string) => { lines.push(line) } })
  p.write(text)
  const starting = startHere({ config: { text, path: p.file }, socketPath: p.socket, stateDirectory: p.state, instance: null, backend: null, log })
  let rpc: Worker | undefined
  await until('the socket', () => {
    rpc = workers.at(-1)
    return existsSync(p.socket)
  })
  const agent = await starting
  process.off('worker', onWorker)
  const calls = connect(p.socket)
  t.teardown(async () => {
    calls.close()
    await agent.stop()
  })
  if (rpc === undefined) throw new Error('no worker')
  return { agent, rpc, lines, calls }
}
/** Ends it by an error that nobody catches. Not by terminate(): that cuts JavaScript in the middle, and node 20 aborts when HTTP/2 data come in just then. */
async function die (worker: Worker): Promise<void> {
  const ended = new Promise<void>(resolve => { worker.once('exit', () => { resolve() }) })
  worker.postMessage(null)
  await ended
}

const info = async (calls: Calls): Promise<AgentGetInfoResponse> => await ask<AgentGetInfoResponse>(done => calls.agent.getInfo({}, done))
const failure = async (promise: Promise<unknown>): Promise<ServiceError> => await promise.then(() => { throw new Error('was not refused') }, (error: ServiceError) => error)

t.test('a worker that dies is told about, and comes back with names and sessions', async t => {
  const p = place(t)
  const { rpc, lines, calls } = await here(t, p, sources())
  await until('sessions', async () => (await ask<SessionsCountResponse>(done => calls.sessions.count({ filter: undefined }, done))).count > 10n)
  const events = new EventsClient(`unix:${p.socket}`, credentials.createInsecure(), { 'grpc.initial_reconnect_backoff_ms': 50, 'grpc.max_reconnect_backoff_ms': 100 })
  t.teardown(() => { events.close() })
  const first = async (): Promise<string> => await new Promise((resolve, reject) => { const stream = events.watch({ minLevel: '', areas: [], names: ['started'], after: '' }); stream.on('data', ({ events: [event] }: EventMessages) => { if (event !== undefined) { resolve(event.id); stream.cancel() } }).on('error', reject) })
  const started = await first()
  const watch = calls.sessions.watch({ filter: undefined, columns: [], snapshot: false })
  const cut = new Promise<ServiceError>(resolve => { watch.on('data', () => {}).on('error', resolve) })
  await die(rpc)
  t.equal((await cut).code, grpc.UNAVAILABLE)
  await until('another one', async () => await info(calls).then(() => true, () => false))
  t.equal(await first(), started, 'the journal goes on, by its numbers')
  t.match(lines.join(''), /the gRPC worker ended; it is started again/)
  t.match(lines.join(''), /the gRPC worker serves again/)
  await until('its recovery to be known', async () => (await info(calls)).state === AgentState.AGENT_STATE_RUNNING)
  const debug = new DebugClient(`unix:${p.socket}`, credentials.createInsecure())
  t.teardown(() => { debug.close() })
  const cells = async (table: string): Promise<unknown> => {
    const { reading } = await ask<DebugGetTableResponse>(done => debug.getTable({ query: { table, filters: [], sort: '', offset: 0, limit: 10, key: '', refers: undefined } }, done))
    return reading?.rows.map(row => row.cells.map(({ value }) => value?.value))
  }
  const seen = new Map<string, unknown>()
  for (const table of ['threads', 'back-offs']) await until(table, async () => await cells(table).then((found) => { seen.set(table, found); return true }, () => false))
  t.match(seen.get('threads'), [['main'], ['rpc', 'running', Number, Number, 1], ['sync', 'running']], 'a restart is counted')
  t.same(seen.get('back-offs'), [], 'and nobody waits any more')
  const { blocks } = await ask<TelemetrySnapshotResponse>(done => calls.telemetry.snapshot({ blocks: ['policy'], zeros: false }, done))
  t.ok(blocks[0]?.rows.some(row => row.name === 'one'), 'it knows the names that run')
  await ask(done => calls.config.apply(apply(sources('two')), done))
  const after = await ask<TelemetrySnapshotResponse>(done => calls.telemetry.snapshot({ blocks: ['policy'], zeros: false }, done))
  t.ok(after.blocks[0]?.rows.some(row => row.name === 'two'), 'a name is there as soon as its apply is answered')
  // this client lost its connection: until it tries again its calls are refused
  await until('sessions again', async () => await ask<SessionsCountResponse>(done => calls.sessions.count({ filter: undefined }, done)).then(answer => answer.count > 10n, () => false))
  const changes = calls.sessions.watch({ filter: undefined, columns: [], snapshot: false })
  await new Promise<void>(resolve => { changes.on('error', () => {}).on('data', (m: { changes: unknown[] }) => { if (m.changes.length > 0) resolve() }) })
  changes.cancel()
})

t.test('while another holds the socket the agent is degraded; when it is free it is served again', async t => {
  const p = place(t)
  const { agent, rpc, lines } = await here(t, p, idle())
  const { startRpcServer } = await import('../../src/rpc/server.js')
  const { createFakeAgent } = await import('../unit/rpc/fake-agent.js')
  await die(rpc)
  const thief = await startRpcServer(createFakeAgent(1).services, { socketPath: p.socket })
  await until('a try in vain', () => lines.some(line => line.includes('LS_R_AGENT_RUNNING')))
  await thief.close(0)
  const calls = connect(p.socket)
  t.teardown(calls.close)
  await until('its own again', async () => await info(calls).then(i => i.node !== 'edge-1', () => false))
  await agent.stop()
  t.same(readdirSync(p.directory).filter(name => name.startsWith('.ls') || name.endsWith('.sock')), [])
})

t.test('the agent stops cleanly while its worker is dead', async t => {
  const p = place(t)
  const { agent, rpc, lines } = await here(t, p, idle())
  await die(rpc)
  await agent.stop()
  t.notMatch(lines.join(''), /serves again/)
})

t.test('a configuration of megabytes is read beside both event loops', async t => {
  const p = place(t)
  const { calls } = await here(t, p, idle())
  const zones = Array.from({ length: 12_000 }, (_, i) => `    - {name: p${i}, from: z, to: z, source-addresses: [10.${i >> 8 & 255}.${i & 255}.0/24, 192.0.2.0/24], action: permit, applications: [tcp/${1000 + i % 60000}]}`)
  const text = `${idle().replace(/policies:.*/, '')}policies:\n${zones.join('\n')}\n`
  const beats: number[] = []
  let last = performance.now()
  const beat = setInterval(() => { beats.push(performance.now() - last); last = performance.now() }, 2)
  let answers = 0
  const checking = ask<ConfigCheckResponse>(done => calls.config.check({ text }, done)).finally(() => { clearInterval(beat) })
  let over = false
  void checking.then(() => { over = true }, () => { over = true })
  while (!over) {
    await ask<ConfigGetTextResponse>(done => calls.config.getText({ which: ConfigText.CONFIG_TEXT_RUNNING }, done))
    answers++
  }
  const result = await checking
  t.ok(result.issues.length > 0 || result.ok)
  t.ok(answers > 20, `${answers} other calls were answered meanwhile`)
  t.comment(`${(text.length / 2 ** 20).toFixed(1)} MiB: ${answers} calls answered meanwhile, the main loop stood still for ${Math.max(...beats).toFixed(1)} ms at most`)
})

t.test('a check that is cancelled ends, and the next one is served', async t => {
  const p = place(t)
  const { calls } = await here(t, p, idle())
  const text = `${idle()}# ${'x'.repeat(1 << 20)}\n`
  const error = await failure(ask(done => calls.config.check({ text: `${text}${'zones: {a: {}}\n'.repeat(20_000)}` }, { deadline: Date.now() + 20 } as never, done as never)))
  t.equal(error.code, grpc.DEADLINE_EXCEEDED)
  t.equal((await ask<ConfigCheckResponse>(done => calls.config.check({ text: idle() }, done))).ok, true)
})
