/** While traffic runs and while a million sessions are listed: the table is whole and the event loop is free. Figures are reported, not asserted. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { emptyIds, timeoutTable } from '../../src/config/index.js'
import type { SessionsCountResponse, SessionsVerifyResponse } from '../../src/generated/proto/lockstep/v1/sessions.js'
import { loadCore } from '../../src/native/load.js'
import { startRpcThread } from '../../src/workers/rpc-thread.js'
import { startSyncThread } from '../../src/workers/sync-thread.js'
import { addressBytes } from '../../src/lib/address.js'
import { layout } from '../../src/generated/layout.js'
import { RECORD, wireRecord } from '../conformance/wire.js'
import { createFakeAgent } from '../unit/rpc/fake-agent.js'
import { mainCallsOf } from '../unit/rpc/main-calls.js'
import { apply, ask, place, plain, sources, startAgent } from './agent-process.js'
import { until } from '../until.js'

t.test('table verify while traffic runs and configurations change', async t => {
  const p = place(t)
  p.write(sources('one', 0))
  const agent = await startAgent(t, p)
  const created = async (): Promise<bigint> => (await ask<SessionsCountResponse>(done => agent.calls.sessions.count({ filter: undefined }, done))).count
  await until('sessions', async () => await created() > 100n)
  for (let round = 0; round < 8; round++) {
    const [report] = await Promise.all([
      ask<SessionsVerifyResponse>(done => agent.calls.sessions.verify({}, done)),
      ask(done => agent.calls.config.apply(apply(sources(`p${round}`, 0)), done)),
      ask(done => agent.calls.sessions.delete({ filter: undefined, all: true }, done))
    ])
    t.same([report.ok, report.faults], [true, []], `round ${round}: ${report.live} live`)
    await until('new sessions', async () => await created() > 0n)
  }
  t.same(await agent.stop(), { code: 0, signal: null })
})

t.test('nobody reads the log of a flood: the agent answers and ends as always', async t => {
  const p = place(t)
  p.write(sources('no', 0).replace('action: permit', 'action: deny, log: deny'))
  const agent = await startAgent(t, p)
  agent.child.stderr?.pause()
  for (let i = 0; i < 30; i++) {
    await new Promise(resolve => setTimeout(resolve, 100)) // what a pipe holds is full after one or two of these
    await ask<SessionsCountResponse>(done => agent.calls.sessions.count({ filter: undefined }, done))
  }
  agent.child.kill('SIGTERM')
  const exited = new Promise<{ code: number | null, signal: string | null }>(resolve => { agent.child.on('exit', (code, signal) => { resolve({ code, signal }) }) })
  t.same(await exited, { code: 0, signal: null })
  agent.child.stderr?.resume()
})

const SESSIONS = 1_000_000

t.test('a million sessions over gRPC: every row once; the figure of the main event loop', async t => {
  const p = place(t)
  const core = loadCore()
  const table = new core.Table({ capacity: 1 << 20, cpus: 0, threads: 1, arena: 64, hugepages: 0, path: '' })
  const template = wireRecord({ key: { src: '10.0.0.0', dst: '192.0.2.80', sport: 1024, dport: 443, proto: 6 } })
  const shape = layout.ls_wire_record
  const client = addressBytes(0xffff0a000000n)
  const batch = 16384
  for (let from = 0; from < SESSIONS; from += batch) {
    const n = Math.min(batch, SESSIONS - from)
    const records = Buffer.alloc(n * RECORD)
    for (let i = 0; i < n; i++) {
      records.set(template, i * RECORD)
      records.writeBigUInt64LE(BigInt(from + i + 1), i * RECORD + shape.id.offset + 8)
      for (const at of [shape.key.offset, shape.reply.offset + 16]) {
        records.set(client, i * RECORD + at)
        records.writeUInt32BE(0x0a000000 + from + i, i * RECORD + at + 12)
      }
    }
    const { installed } = table.install(records, RECORD, null, false)
    if (installed !== n) t.fail(`${installed} of ${n}`)
  }
  const problem = (error: unknown): void => { t.fail(String(error)) }
  const tableId = table.info().id
  const sync = startSyncThread({ tableId, timeouts: () => 0, onLogs: () => {}, onClosed: () => {}, onProblem: problem })
  const server = await startRpcThread({
    socketPath: p.socket, tableId, epoch: 'test', calls: mainCallsOf(createFakeAgent(0).services), book: { ids: emptyIds, timeouts: timeoutTable(null) }, listener: sync.listener,
    onBug: (_method, error) => { problem(error) }, onDown: problem, onUp: () => {}
  })
  const run = async (): Promise<{ readonly rows: number, readonly messages: number, readonly ms: number }> => {
    const [command = '', ...args] = [...plain, process.execPath, fileURLToPath(new URL('./list-client.js', import.meta.url)), p.socket]
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (part: string) => { text += part })
    await new Promise<void>(resolve => { child.on('close', () => { resolve() }) })
    return JSON.parse(text) as { rows: number, messages: number, ms: number }
  }
  await run() // the first compiles
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const found = await run()
  delay.disable()
  t.equal(found.rows, SESSIONS)
  const ms = (ns: number): string => (ns / 1e6).toFixed(1)
  t.comment(`${found.rows} rows in ${found.messages} messages, ${found.ms} ms: ${Math.round(found.rows / found.ms)} rows/ms; event loop delay p50 ${ms(delay.percentile(50))} p99 ${ms(delay.percentile(99))} max ${ms(delay.max)} ms (sampled every ms)`)
  const quiet = monitorEventLoopDelay({ resolution: 1 })
  quiet.enable()
  await new Promise(resolve => setTimeout(resolve, 300))
  quiet.disable()
  t.comment(`idle before and after: p99 ${ms(quiet.percentile(99))} max ${ms(quiet.max)} ms`)
  await server.close(100)
  await sync.close()
  table.close()
  t.same(p.leftovers(), [], join('state', 'of the socket'))
})
