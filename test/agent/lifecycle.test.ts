/** Start, stop, reload, a second agent, a killed one: always a clean end and a clean next start. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { AgentGetInfoResponse } from '../../src/generated/proto/lockstep/v1/agent.js'
import type { ConfigGetStatusResponse } from '../../src/generated/proto/lockstep/v1/config.js'
import { ask, apply, idle, isRoot, place, refusedStart, root, sources, spawnAgent, startAgent, textOf, type Running } from './agent-process.js'
import { until } from '../until.js'

const clean = { code: 0, signal: null }
const running = async (agent: Running): Promise<{ readonly generation: number, readonly text: string }> => {
  const status = await ask<ConfigGetStatusResponse>(done => agent.calls.config.getStatus({}, done))
  return { generation: Number(status.running?.generation ?? 0n), text: await textOf(agent) }
}
const nftTables = (): string => isRoot ? spawnSync('nft', ['list', 'tables'], { encoding: 'utf8' }).stdout ?? '' : ''

t.jobs = 2

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} ends the agent with 0 and leaves nothing behind`, async t => {
    const p = place(t)
    p.write(sources())
    const tables = nftTables()
    const agent = await startAgent(t, p)
    await until('sessions', async () => (await ask<{ count: bigint }>(done => agent.calls.sessions.count({ filter: undefined }, done))).count > 10n)
    t.ok(existsSync(p.socket))
    const began = performance.now()
    t.same(await agent.stop(signal), clean)
    t.comment(`stopped in ${Math.round(performance.now() - began)} ms`)
    t.same(p.leftovers(), [])
    t.equal(nftTables(), tables)
  })
}

t.test('a signal while it starts ends it just as cleanly', async t => {
  for (const delay of [0, 60, 120, 200, 300]) {
    const p = place(t)
    p.write(sources().replace('16k', '1M'))
    const agent = spawnAgent(t, p)
    // before main.ts runs the default action holds: nothing is claimed yet
    await until('the process to listen to signals', () => {
      const caught = BigInt(`0x${/^SigCgt:\s*([0-9a-f]+)/m.exec(readFileSync(`/proc/${agent.child.pid}/status`, 'utf8'))?.[1] ?? '0'}`)
      return (caught >> 14n & 1n) === 1n || agent.child.exitCode !== null
    })
    await new Promise(resolve => setTimeout(resolve, delay))
    const end = await agent.stop()
    // the command line takes the signal until the agent does
    t.ok(end.code === 0 || end.code === 143 || end.signal === 'SIGTERM', `after ${delay} ms: ${JSON.stringify(end)} ${agent.stderr()}`)
    t.same(p.leftovers(), [])
  }
})

t.test('the level of the log is that of the file, and follows it; --log-level wins', async t => {
  const p = place(t)
  const text = (level: string, mark: string): string => idle(mark).replace('agent: {', `agent: {log-level: ${level}, `)
  p.write(text('warn', 'one'))
  const quiet = spawnAgent(t, p)
  await until('the first generation', () => existsSync(join(p.state, 'state.json')) && readFileSync(join(p.state, 'state.json'), 'utf8').includes('"running":1'))
  await until('signals to be listened to by the agent that runs', () => existsSync(p.socket))
  p.write(text('info', 'two'))
  await until('the reload', () => { quiet.child.kill('SIGHUP'); return quiet.stderr().includes('read again') })
  t.notMatch(quiet.stderr(), /"generation":1\b|agent ready/, 'at warn nothing is told')
  t.match(quiet.stderr(), /"level":30,.*"generation":[2-9].*configuration in force/)
  t.same(await quiet.stop(), clean)
  p.write(text('error', 'three'))
  const loud = await startAgent(t, p, { args: ['--log-level', 'info'] })
  t.match(loud.stderr(), /configuration in force/)
  t.same(await loud.stop(), clean)
  t.match(await refusedStart(t, p, { args: ['--log-level', 'loud'] }), { code: 2, stderr: /Allowed choices are trace, debug/ })
})

t.test('--node says which node of the file it is, whatever the file says', async t => {
  const p = place(t)
  p.write(idle().replace('agent: {', 'agent: {node: a, ') + 'nodes: {a: {interfaces: {a: {addresses: 10.0.0.2/24}}}, b: {interfaces: {a: {addresses: 10.0.0.3/24}}}}\n')
  const agent = await startAgent(t, p, { args: ['--node', 'b'] })
  t.equal((await ask<AgentGetInfoResponse>(done => agent.calls.agent.getInfo({}, done))).node, 'b')
  agent.child.kill('SIGHUP')
  await until('the reload', () => agent.stderr().includes('read again'))
  t.equal((await ask<AgentGetInfoResponse>(done => agent.calls.agent.getInfo({}, done))).node, 'b', 'also of what it reads later')
  t.same(await agent.stop(), clean)
  t.match(await refusedStart(t, p, { args: ['--node', 'c'] }), { code: 1, stderr: /\/nodes: no such node: found "c", expected one of a, b/ })
})

t.test('a gateway without flags listens where the configuration that runs says', async t => {
  const p = place(t)
  p.write(idle().replace('agent: {', 'agent: {gateway: {grpc: null, metrics: "[::1]:0"}, '))
  const agent = await startAgent(t, p)
  const gateway = spawn(process.execPath, [join(root, 'dist/src/cli/main.js'), 'gateway', '--socket', p.socket], { stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => gateway.kill('SIGKILL'))
  let [text, complaint] = ['', '']
  gateway.stdout.on('data', (part: Buffer) => { text += part.toString() })
  gateway.stderr.on('data', (part: Buffer) => { complaint += part.toString() })
  await until('the gateway', () => text.includes('agent /') || gateway.exitCode !== null)
  const url = /http:\/\/\[::1\]:\d+\/metrics/.exec(text)?.[0] ?? t.fail(text + complaint)
  t.notMatch(text, /grpc/)
  t.match(await (await fetch(String(url))).text(), /^lockstep_/m)
  gateway.kill('SIGTERM')
  await once(gateway, 'close')
  t.same(await agent.stop(), clean)
})

t.test('SIGHUP reads the file again; a bad one is refused, the last good stays in force', async t => {
  const p = place(t)
  p.write(idle('one'))
  const agent = await startAgent(t, p)
  t.equal((await running(agent)).generation, 1)
  p.write(idle('two'))
  agent.child.kill('SIGHUP')
  await until('generation 2', () => agent.stderr().includes('read again'))
  t.equal((await running(agent)).generation, 2)
  for (const bad of ['interfaces: {a: {zone: nowhere}}', 'x'.repeat(1000), 'a: &a [*a]', '[', '\0']) {
    const before = agent.stderr().length
    writeFileSync(p.file, bad)
    agent.child.kill('SIGHUP')
    await until('the answer', () => /refused|read again/.test(agent.stderr().slice(before)))
    t.match(agent.stderr().slice(before), /refused, the last good one stays in force/)
  }
  t.same(await running(agent), { generation: 2, text: idle('two') })
  t.equal(agent.child.exitCode, null, 'it lives')
  // signals that come together are taken one after the other
  p.write(idle('three'))
  for (let i = 0; i < 5; i++) agent.child.kill('SIGHUP')
  await until('the third', async () => (await running(agent)).text === idle('three'))
  t.same(await agent.stop(), clean)
})

t.test('a second agent is refused, on the same socket and on the same state, and the first goes on', async t => {
  const p = place(t)
  p.write(idle())
  const first = await startAgent(t, p)
  const bySocket = await refusedStart(t, { ...p, state: join(p.directory, 'other') })
  t.same([bySocket.code, bySocket.signal], [1, null])
  t.match(bySocket.stderr, new RegExp(`LS_R_AGENT_RUNNING.*agent\\.sock.*pid ${first.child.pid}`))
  const byState = await refusedStart(t, { ...p, socket: join(p.directory, 'other.sock') })
  t.same([byState.code, byState.signal], [1, null])
  t.match(byState.stderr, new RegExp(`LS_A_STATE_BUSY.*pid ${first.child.pid}`))
  t.equal((await running(first)).generation, 1)
  t.same(await first.stop(), clean)
  t.notOk(existsSync(p.socket))
})

t.test('what is in the way of the socket is not removed', async t => {
  const p = place(t)
  p.write(idle())
  writeFileSync(p.socket, 'precious')
  const r = await refusedStart(t, p)
  t.equal(r.code, 1)
  t.match(r.stderr, /LS_R_SOCKET_PATH.*not a socket/)
  t.equal(readFileSync(p.socket, 'utf8'), 'precious')
})

t.test('after kill -9 the next start resumes the generation and takes the socket over', async t => {
  const p = place(t)
  p.write(sources('one'))
  const first = await startAgent(t, p)
  await ask(done => first.calls.config.apply(apply(sources('two')), done))
  t.same(await first.stop('SIGKILL'), { code: null, signal: 'SIGKILL' })
  t.ok(existsSync(p.socket), 'the killed one could not tidy up')
  const second = await startAgent(t, p)
  t.same(await running(second), { generation: 2, text: sources('two') })
  t.same(await second.stop(), clean)
  t.same(p.leftovers(), [])
})

t.test('SIGTERM with calls in flight: they end, and so does the agent', async t => {
  const p = place(t)
  p.write(sources('one', 0).replace('16k', '1M'))
  const agent = await startAgent(t, p)
  const calls = Array.from({ length: 40 }, async (_, i) => await ask(done => i % 2 === 0 ? agent.calls.sessions.verify({}, done) : agent.calls.config.apply(apply(sources(`p${i}`)), done)).then(() => 'done', (error: { code: number }) => `code ${error.code}`))
  const watch = agent.calls.sessions.watch({ filter: undefined, columns: [], snapshot: false })
  const watched = new Promise<void>(resolve => { watch.on('data', () => {}).on('error', () => { resolve() }).on('end', () => { resolve() }) })
  await new Promise(resolve => setTimeout(resolve, 30))
  t.same(await agent.stop(), clean, agent.stderr())
  t.comment([...new Set(await Promise.all(calls))].join(', '))
  await watched
  t.same(readdirSync(p.directory).filter(name => name.startsWith('.ls')), [])
  t.same(p.leftovers(), [])
})
