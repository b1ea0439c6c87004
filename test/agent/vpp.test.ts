/**
 * An agent and a VPP (test/vpp/model-server): what is wanted gets there, whoever comes first and whoever dies; what is done by hand is undone; a VIP that VPP
 * refuses delays no other; a configuration that VPP cannot have is refused by name.
 */
import t, { type Test } from 'tap'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { vipKey } from '../../src/backend/vpp/lb/state.js'
import { packageRoot } from '../../src/native/load.js'
import type { HaEvent } from '../../src/backend/vpp/nat/ha-wire.js'
import { ModelServer } from '../vpp/model-server.js'
import { NatModel } from '../vpp/nat-model.js'
import { place, plain, refusedStart, startAgent, type Place, type Running } from './agent-process.js'
import { until as comeAbout } from '../until.js'

/** Beside the server, which is of this process. */
const cli = async (p: Place, ...args: readonly string[]): Promise<{ readonly code: number, readonly out: string, readonly err: string }> => {
  const [command = '', ...before] = [...plain, process.execPath, join(packageRoot(), 'dist/src/cli/main.js'), ...args, '--socket', p.socket]
  return await new Promise((resolve) => { execFile(command, before, { timeout: 30_000 }, (error, out, err) => { resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, err }) }) })
}

const config = (vpp: ModelServer, vips: string, more = ''): string => `
agent:
  backend: vpp
  table: {capacity: 1024}
  gateway: {grpc: null, metrics: null}
  vpp: {api-socket: ${vpp.path}, stats-socket: null, tunnel-source4: 10.0.0.1${more}}
vips:
${vips}`
const web = '  web: {address: 192.0.2.1, port: 80, mode: gre, pools: [{reals: [{name: a, address: 10.1.0.1}, {name: b, address: 10.1.0.2, weight: 50}]}]}\n'
const key = (n: number): string => `192.0.2.${n}/32 6/80`
const events = (agent: Running, name: string): number => agent.stderr().split(`"event":"${name}"`).length - 1

const until = async (what: string, holds: () => boolean, agent?: Running): Promise<void> => { await comeAbout(() => `${what}\n${agent?.stderr().slice(-3000) ?? ''}`, holds) }

async function running (t: Test, vips: string, more = ''): Promise<{ readonly vpp: ModelServer, readonly p: Place, readonly agent: Running }> {
  const vpp = new ModelServer(t)
  await vpp.start()
  const p = place(t)
  p.write(config(vpp, vips, more))
  return { vpp, p, agent: await startAgent(t, p) }
}

t.test('a hundred VIPs of ten reals, read back, drifted by hand, put right, and given to the next life', async (t) => {
  const many = Array.from({ length: 100 }, (_, i) => `  v${i}: {address: 10.9.${i}.1, port: 443, mode: gre, pools: [{reals: [${Array.from({ length: 10 }, (_, k) => `{name: r${k}, address: 10.2.${i}.${k + 1}}`).join(', ')}]}]}\n`).join('')
  const { vpp, p, agent } = await running(t, many)
  const reals = (): number => [...vpp.model.vips.values()].reduce((n, vip) => n + vip.reals.size, 0)
  t.same([vpp.model.vips.size, reals()], [100, 1000], 'there when the agent says that it is ready')
  t.equal((JSON.parse((await cli(p, 'vip', 'readback', '--json')).out) as unknown[]).length, 100)
  t.match((await cli(p, 'status')).out, /dataplane +26\.10-model, pid 4711, connected \d/)
  await vpp.model.perform({ kind: 'vip-remove', vip: { prefix: '10.9.7.1/32', protocol: 6, port: 443, encap: 'gre4', targetPort: 0, tableLength: 65536, sourceIpSticky: false } })
  await vpp.model.perform({ kind: 'real-remove', vip: { prefix: '10.9.8.1/32', protocol: 6, port: 443 }, real: '10.2.8.3', flush: false })
  t.match(JSON.parse((await cli(p, 'vip', 'readback', '--json')).out), { length: 99 })
  const synced = JSON.parse((await cli(p, 'vip', 'sync', '--json')).out) as { repaired: Array<{ vip: string }> }
  t.same(synced.repaired.map(({ vip }) => vip).sort(), ['v7', 'v8'])
  t.same([vpp.model.vips.size, reals()], [100, 1000])
  await vpp.kill()
  await until('the agent knows', () => events(agent, 'vpp-disconnect') === 1, agent)
  t.match((await cli(p, 'status')).out, /degraded[^]*VPP is not connected[^]*dataplane +not connected for/)
  t.match(await cli(p, 'vip', 'readback'), { code: 1, err: /LS_V_DOWN/ })
  await vpp.start()
  await until('everything is there again', () => reals() === 1000, agent)
  await until('and it is told', () => events(agent, 'vpp-connect') === 2, agent)
  t.equal((await agent.stop()).code, 0)
  t.equal(vpp.model.vips.size, 100, 'VPP forwards on without its agent')
})

t.test('an agent that is there before VPP', async (t) => {
  const vpp = new ModelServer(t)
  const p = place(t)
  p.write(config(vpp, web))
  const agent = await startAgent(t, p)
  t.match((await cli(p, 'status')).out, /degraded[^]*No such file/)
  await vpp.start()
  await until('its VIP is there', () => vpp.model.vips.get(key(1))?.reals.size === 2, agent)
})

t.test('operators and changes: drain, apply, what is refused', async (t) => {
  const { vpp, p, agent } = await running(t, web)
  const weights = (n = 1): Record<string, number> => Object.fromEntries(vpp.model.vips.get(key(n))?.reals ?? [])
  t.same(weights(), { '10.1.0.1': 100, '10.1.0.2': 50 })
  t.equal((await cli(p, 'real', 'drain', 'web/a')).code, 0)
  await until('drained', () => weights()['10.1.0.1'] === 0, agent)
  t.equal((await cli(p, 'real', 'restore', 'web/a')).code, 0)
  await until('restored', () => weights()['10.1.0.1'] === 100, agent)

  vpp.model.refuses = (o) => o.kind === 'vip-add' && o.vip.prefix === '192.0.2.2/32'
  p.write(config(vpp, `${web}${web.replace('web', 'bad').replace('2.1,', '2.2,')}${web.replace('web', 'good').replace('2.1,', '2.3,')}`))
  t.equal((await cli(p, 'apply', p.file)).code, 0)
  t.same([...vpp.model.vips.keys()].sort(), [key(1), key(3)])
  t.match((await cli(p, 'status')).out, /degraded[^]*VPP refuses VIP 192\.0\.2\.2/)
  t.ok(events(agent, 'vpp-lb-error') >= 1)
  vpp.model.refuses = () => false
  await until('it is tried again by itself', () => vpp.model.vips.has(key(2)), agent)

  for (const [vips, expected] of [[web.replace('gre', 'l2'), /vip_l2|MAC/], [web.replace('port: 80', 'port: any'), /protocol: any/], [web.replace('10.1.0.2,', '"2001:db8::1",'), /one address family/], [`${web}zones: {lan: {}}\n`, /zones/]] as const) {
    p.write(config(vpp, vips))
    const { code, err } = await cli(p, 'apply', p.file)
    t.not(code, 0)
    t.match(err, expected)
    t.equal(vpp.model.vips.size, 3, 'and nothing changed')
  }
})

t.test('a VPP that hangs is one that is gone, until it answers', async (t) => {
  const { vpp, agent } = await running(t, web)
  vpp.hangs = true
  await until('it is told', () => events(agent, 'vpp-disconnect') === 1, agent)
  vpp.hangs = false
  await until('it is there again', () => events(agent, 'vpp-connect') === 2, agent)
  t.equal(vpp.model.vips.size, 1)
})

t.test('another backend takes its VIPs away', async (t) => {
  const { vpp, p } = await running(t, web)
  t.equal((await cli(p, 'backend', 'switch', 'userspace')).code, 0)
  t.equal(vpp.model.vips.size, 0)
  t.equal((await cli(p, 'backend', 'switch', 'vpp')).code, 0)
  t.equal(vpp.model.vips.get(vipKey({ prefix: '192.0.2.1/32', protocol: 6, port: 80 }))?.reals.size, 2)
  await vpp.kill()
  t.equal((await cli(p, 'backend', 'switch', 'userspace')).code, 0, 'also when it is gone')
  t.match(await cli(p, 'backend', 'switch', 'vpp'), { code: 1, err: /no VPP serves|not connected/ })
  t.match((await cli(p, 'status')).out, /backend +userspace/)
})

t.test('to a VPP that cannot do all of it: refused with the list, or forced, which stays known and can be applied and started again', async (t) => {
  const { vpp, p, agent } = await running(t, web)
  t.equal((await cli(p, 'backend', 'switch', 'userspace')).code, 0)
  p.write(config(vpp, `${web}zones: {lan: {screen: s}}\nscreens: {s: {land: true}}\n`))
  t.match(await cli(p, 'apply', p.file), { code: 0 }, 'userspace has zones')
  t.match(await cli(p, 'backend', 'switch', 'vpp'), { code: 1, err: /zones \(\/zones\).*screens \(\/zones\/lan\/screen\).*--force/ })
  t.equal(vpp.model.vips.size, 0, 'nothing was touched')
  const forced = await cli(p, 'backend', 'switch', 'vpp', '--force')
  t.match(forced, { code: 0, out: /lost: zones \(\/zones\): VPP has no zones.*\nlost: screens[^]*userspace -> vpp/ })
  t.equal(vpp.model.vips.size, 1)
  t.match((await cli(p, 'status')).out, /degraded[^]*vpp forwards without zones \(\/zones\), screens \(\/zones\/lan\/screen\): backend switch --force/)
  p.write(config(vpp, `${web.replace('weight: 50', 'weight: 60')}zones: {lan: {screen: s}}\nscreens: {s: {land: true}}\n`))
  t.match(await cli(p, 'apply', p.file), { code: 0 })
  await agent.stop()
  const again = await startAgent(t, p)
  t.match((await cli(p, 'status')).out, /vpp forwards without zones[^]*backend +vpp/)
  p.write(config(vpp, `${web}  l2: {address: 192.0.2.9, port: 80, mode: l2, pools: [{reals: [{address: 10.1.0.1}]}]}\n`))
  t.match(await cli(p, 'apply', p.file), { code: 1, err: /vip_l2|MAC/ }, 'what was not given up is refused as ever')
  p.write(config(vpp, web))
  t.match(await cli(p, 'apply', p.file), { code: 0 })
  t.notMatch((await cli(p, 'status')).out, /without zones/, 'not needed any more')
  await again.stop()
})

t.test('answers of translated reals are looked for on the interfaces that are named, and an interface that changes is told', async (t) => {
  const nat = '  dns: {address: 192.0.2.5, port: 257, protocol: udp, mode: nat, pools: [{reals: [{address: 10.1.0.1}, {address: 10.1.0.2}]}]}\n'
  const { vpp, p, agent } = await running(t, web + nat, ', nat-interfaces: [host-lan, host-none]')
  t.same(vpp.natTold, ['nat4 1', 'nat6 1'])
  vpp.flap(1, 1)
  await until('it is told', () => agent.stderr().includes('"event":"vpp-link","interface":"host-lan","state":"down"'), agent)
  await vpp.kill()
  await until('the agent knows', () => events(agent, 'vpp-disconnect') === 1, agent)
  await vpp.start()
  await until('everything is there again', () => vpp.natTold.length === 4, agent)
  t.equal((await cli(p, 'apply', p.file)).code, 0)
  t.equal(vpp.natTold.length, 4, 'each life is told once')
})

t.test('settings of VPP that cannot be', async (t) => {
  const vpp = new ModelServer(t)
  const p = place(t)
  for (const [more, expected] of [[', sticky-buckets: 1000', /power of two/], [', flow-timeout: 500ms', /flow-timeout/], [', tunnel-source6: 10.0.0.1', /IPv6/], [', api-socket: x', /duplicate|absolute|api-socket/], [', nat-sessions: {agent: "127.0.0.1:1"}', /vpp/], [', nat-sessions: {agent: "[::1]:1", vpp: "10.0.0.1:2"}', /IPv4/],
    [', nat-sessions: {agent: "10.0.0.1:1", vpp: "10.0.0.1:2"}', /same address/], [', nat-sessions: {agent: "10.0.0.2:1", vpp: "10.0.0.1:2", redundancy-group: 3}', /redundancy group/], [', nat-sessions: {agent: "10.0.0.2:1", vpp: "10.0.0.1:2", refresh: 100ms}', /1s to 1h/],
    [', nat44-ed-sessions: {interval: 2h}', /1s to 1h/], [', nat44-ed-sessions: {}, nat-sessions: {agent: "10.0.0.2:1", vpp: "10.0.0.1:2"}', /sessions of one NAT/]] as const) {
    p.write(config(vpp, web, more))
    const { code, stderr } = await refusedStart(t, p)
    t.not(code, 0)
    t.match(stderr, expected, more)
  }
})

const translated = (n: number): HaEvent => ({
  kind: 'add', protocol: 6, static: false, insideAddress: `10.87.0.${n % 200}`, insidePort: 2000 + n, outsideAddress: '10.88.0.1', outsidePort: 3000 + n,
  externalAddress: '10.86.0.1', externalPort: 443, externalNatAddress: '10.86.0.1', externalNatPort: 443, fibIndex: 0, packets: 0, bytes: 0n
})

t.test('sessions of its NAT: what was there, what comes and goes, and all of it again for its next life; what is wrong with it is said', async (t) => {
  const vpp = new ModelServer(t)
  const nat = vpp.nat = await NatModel.open(t)
  await vpp.start()
  for (let n = 0; n < 100; n++) nat.sessions.set(String(n), translated(n))
  const p = place(t)
  p.write(config(vpp, web, `, nat-sessions: {agent: "127.0.0.3:17100", vpp: "127.0.0.2:${nat.port}", refresh: 1s}`))
  const agent = await startAgent(t, p)
  const count = async (): Promise<number> => (JSON.parse((await cli(p, 'sessions', 'count', '--json')).out) as { count: number }).count
  const counts = async (n: number): Promise<void> => {
    for (let i = 0; await count() !== n; i++) if (i === 40) throw new Error(`${await count()} sessions instead of ${n}\n${agent.stderr().slice(-2000)}`)
  }
  await counts(100)
  t.match([nat.listener, nat.failover], [{ ip_address: '127.0.0.2', path_mtu: 259 }, { ip_address: '127.0.0.3', port: 17100, session_refresh_interval: 1 }])
  nat.open(translated(100), translated(101))
  nat.end(translated(100))
  await counts(101)
  const [row] = JSON.parse((await cli(p, 'sessions', 'list', '--source-port', '2101', '--json')).out) as Array<Record<string, unknown>>
  t.match(row, { src: '10.87.0.101', sport: 2101, dst: '10.86.0.1', reply_dst: '10.88.0.1', reply_dport: 3101, flags: ['SNAT', 'PROGRAM'], phase: 'TCP_ESTABLISHED' })
  await vpp.kill()
  await until('it is told', () => events(agent, 'vpp-disconnect') === 1, agent)
  nat.silent = true
  await vpp.start()
  await until('it does not answer', () => events(agent, 'vpp-nat-unanswered') > 0, agent)
  nat.silent = false
  await until('its next life has all of them', () => nat.sessions.size === 101, agent)
  await counts(101)
  nat.enabled = false
  await until('it is off', () => /NAT44-EI is not enabled/.test(agent.stderr()), agent)
  t.match((await cli(p, 'status')).out, /sessions of VPP's NAT are not kept: .*nat44 ei plugin enable/)
  Object.assign(nat, { enabled: true, workers: 2 })
  await until('too many workers', () => /so many workers.*found 2/.test(agent.stderr()), agent)
  nat.workers = 1
  for (let i = 0; /not kept/.test((await cli(p, 'status')).out); i++) if (i === 40) throw new Error('still not kept')
  t.equal(nat.sessions.size, 101)
})
