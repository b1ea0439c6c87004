/** Sessions.Install: a session comes back as it was asked for, in a real table; values that are none are told with their place, and then nothing is put anywhere. */
import t from 'tap'
import { call } from '../../../src/cli/client.js'
import { limits } from '../../../src/generated/layout.js'
import { SessionSpec, type SessionsInstallResponse } from '../../../src/generated/proto/lockstep/v1/sessions.js'
import { loadCore } from '../../../src/native/load.js'
import { createSessionStore } from '../../../src/native/session-store.js'
import { installed, newSessions } from '../../../src/rpc/session-install.js'
import { runCli } from '../cli/run-cli.js'
import { createFakeAgent } from './fake-agent.js'
import { withServer } from './with-server.js'

const blank = SessionSpec.decode(new Uint8Array())
const tuple = { source: '10.0.0.1', sourcePort: 5000, destination: '192.0.2.80', destinationPort: 443, protocol: 'tcp', domain: '' }
const spec = (over: Partial<SessionSpec> = {}): SessionSpec => ({ ...blank, tuple, ...over })
const { names } = createFakeAgent(0).services

t.test('as it was asked for, opened here', async (t) => {
  const table = new (loadCore().Table)({ capacity: 1024, cpus: 0, threads: 1, arena: 64, hugepages: 0, path: '' })
  t.teardown(() => { table.close() })
  const store = createSessionStore(table, () => 60_000)
  const install = (...specs: SessionSpec[]): SessionsInstallResponse => installed(store.open(newSessions(specs, names)))
  t.same(install(spec(), spec({ tuple: { ...tuple, sourcePort: 5001, protocol: 'udp' }, replyDestination: '198.51.100.7', replyDestinationPort: 40_000, replySource: '10.9.0.1', replySourcePort: 8443, policy: '#3', zoneIn: '#4', zoneOut: '#5', ageMs: 60_000n, idleMs: 2000n, rg: 2 })), { installed: 2, kept: 0, refused: [] })
  const plain = store.find({ source: '10.0.0.1', sourcePort: 5000, destination: '192.0.2.80', destinationPort: 443, protocol: 6, domain: 0 })
  t.match(plain, { phase: 'tcp_established', flags: [], replySource: '192.0.2.80', replyDestination: '10.0.0.1', rg: 0 })
  const translated = store.find({ source: '10.9.0.1', sourcePort: 8443, destination: '198.51.100.7', destinationPort: 40_000, protocol: 17, domain: 0 })
  t.match(translated, { source: '10.0.0.1', sourcePort: 5001, phase: 'udp_stream', flags: ['snat', 'dnat'], policy: 3, zoneIn: 4, zoneOut: 5, rg: 2 })
  t.ok((translated?.ageMs ?? 0) >= 60_000 && (translated?.idleMs ?? 0) >= 2000)
  const two = await store.get(translated?.id ?? '')
  t.equal(two?.sourcePort, 5001, 'found by its id')
  t.equal(table.drain(new Uint8Array(4096 * 184)).records, 0, 'nobody listens yet')
  t.match(install(spec({ replyDestination: '198.51.100.9' }), spec({ tuple: { ...tuple, sourcePort: 5002 } })), { installed: 1, refused: [{ index: 0, code: 'LS_E_CONFLICT' }] }, 'another has its tuple')
  const full = install(...Array.from({ length: 4000 }, (_, i) => spec({ tuple: { ...tuple, sourcePort: 10_000 + i } })))
  t.ok(full.refused.length > 0 && full.refused.every(({ code }) => code === 'LS_E_FULL'), `${full.installed} of 4000 in a small table`)
  t.ok((await store.verify()).ok)
})

t.test('what is no session is told, and where', async (t) => {
  const refused = (specs: readonly SessionSpec[], code: string, object: RegExp | string): void => { t.throws(() => newSessions(specs, names), { code, detail: { object } }) }
  refused([], 'LS_R_INSTALL', 'sessions')
  refused(Array.from({ length: limits.LS_WRITER_BATCH + 1 }, () => spec()), 'LS_R_INSTALL', 'sessions')
  refused([spec(), spec({ tuple: undefined })], 'LS_R_INSTALL', 'sessions[1].tuple')
  refused([spec({ tuple: { ...tuple, source: 'x' } })], 'LS_R_FILTER', /^sessions\[0\]\./)
  refused([spec({ replySource: 'fe80::1%eth0' })], 'LS_R_INSTALL', 'sessions[0].reply_source')
  refused([spec({ replySourcePort: 70_000 })], 'LS_R_INSTALL', 'sessions[0].reply_source_port')
  refused([spec({ rg: 77 })], 'LS_R_INSTALL', 'sessions[0].rg')
  refused([spec({ ageMs: 1n, idleMs: 2n })], 'LS_R_INSTALL', 'sessions[0].idle_ms')
  refused([spec({ ageMs: 2n ** 63n })], 'LS_R_INSTALL', 'sessions[0].age_ms')
  refused([spec({ policy: 'nobody' })], 'LS_F_NAME', /policy/)
  refused([spec({ phase: 'ALIVE' })], 'LS_R_FILTER', /phase/)
  t.equal(newSessions([spec({ rg: limits.LS_RG_NONE })], names)[0]?.rg, 255)
  t.equal(newSessions([spec({ phase: 'TCP_SYN_SENT' })], names)[0]?.replied, false)
  const mixed = spec({ replySource: '2001:db8::1' })
  const table = new (loadCore().Table)({ capacity: 1024, cpus: 0, threads: 1, arena: 64, hugepages: 0, path: '' })
  t.teardown(() => { table.close() })
  t.throws(() => createSessionStore(table, () => 0).open(newSessions([spec(), mixed], names)), { code: 'LS_F_TUPLE' })
  t.equal(table.info().live, 0)
})

t.test('over gRPC and by hand; a trial puts nothing anywhere', async (t) => {
  const { connection: { sessions }, agent, socketPath } = await withServer(t, 10)
  t.same(await call(sessions, sessions.install, { sessions: [spec(), spec(), spec()], bulk: '', mutation: { dryRun: true, requestId: '' } }), { installed: 3, kept: 0, refused: [] })
  t.equal(agent.sessions.opened.length, 0)
  t.same(await call(sessions, sessions.install, { sessions: [spec(), spec(), spec()], bulk: '' }), { installed: 2, kept: 0, refused: [{ index: 2, code: 'LS_E_CONFLICT' }] })
  const cli = async (stdin: string, ...more: string[]): Promise<{ code: number, out: string, err: string }> => await runCli(['sessions', 'install', '-', ...more], { env: { LOCKSTEP_SOCKET: socketPath }, stdin })
  const line = JSON.stringify({ tuple: { source: '10.0.0.1', sourcePort: 5000, destination: '192.0.2.80', destinationPort: 443, protocol: 'tcp' }, ageMs: 5000 })
  t.match(await cli(`${line}\n\n${line}\n`), { code: 0, out: '2 of 2 sessions\n' })
  t.match(await cli(`${line}\n${line}\n${line}\n`), { code: 1, err: /session 3: LS_E_CONFLICT/ })
  t.match(JSON.parse((await cli(line, '--json')).out), { installed: 1, refused: [] })
  for (const [bad, text] of [['{', /stdin:1: the line is no JSON/], ['[]', /not an object/], ['{"colour": 1}', /no such field: found colour/], ['{"rg": "a"}', /stdin:1 rg: not a value/], ['{"ageMs": -1}', /whole number/], ['', /sessions: not a number/]] as const) t.match(await cli(bad), { code: 1, err: text })
})

t.test('as many as a call takes, with all their values; a file of more goes in parts', async (t) => {
  const { connection: { sessions }, agent, socketPath } = await withServer(t, 10)
  const long = (i: number): SessionSpec => spec({ tuple: { source: '2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff', sourcePort: 1 + i, destination: '2001:db8:aaaa:bbbb:cccc:dddd:eeee:fff0', destinationPort: 443, protocol: 'tcp', domain: '' }, replySource: '2001:db8:aaaa:bbbb:cccc:dddd:eeee:fff1', policy: '#3', zoneIn: '#4', zoneOut: '#5', ageMs: 60_000_000n, idleMs: 50_000n })
  const all = Array.from({ length: 4096 }, (_, i) => long(i))
  t.match(await call(sessions, sessions.install, { bulk: '', sessions: all }), { installed: 2731 })
  t.equal(agent.sessions.opened.length, 4096)
  const huge = await call(sessions, sessions.install, { bulk: '', sessions: [spec({ policy: 'x'.repeat(2 << 20) })] }).then(() => null, (e: unknown) => e)
  t.match(huge, { code: 'LS_R_REQUEST_SIZE', detail: { expected: 'at most 1048576' } })

  const lines = (n: number): string => Array.from({ length: n }, (_, i) => JSON.stringify({ tuple: { source: '10.0.0.1', sourcePort: 1 + i, destination: '192.0.2.80', destinationPort: 443, protocol: 'tcp' } })).join('\n')
  const cli = async (stdin: string, ...more: string[]): Promise<{ code: number, out: string, err: string }> => await runCli(['sessions', 'install', '-', ...more], { env: { LOCKSTEP_SOCKET: socketPath }, stdin })
  agent.sessions.opened.length = 0
  t.match(await cli(lines(5000), '--request-id', 'a'), { code: 1, out: '3334 of 5000 sessions\n', err: /session 3: / })
  t.equal(agent.sessions.opened.length, 5000)
  t.match(await cli(lines(5000), '--request-id', 'a'), { out: '3334 of 5000 sessions\n' }, 'the same again')
  t.equal(agent.sessions.opened.length, 5000, 'and nothing made twice')
  t.match(await cli(lines(5000), '--detach'), { code: 1, err: /--detach.*5000 sessions in 2 parts/ })
  t.equal(agent.sessions.opened.length, 5000, 'nothing was sent')
  t.match(await cli(lines(100), '--detach'), { code: 0 })
  const fat = Array.from({ length: 4 }, () => JSON.stringify({ policy: 'x'.repeat(400_000) })).join('\n')
  t.match(await cli(fat), { code: 1, err: /sessions\[0\]/ }, 'parts are bounded by bytes, too: the agent says what is wrong with the first')
})
