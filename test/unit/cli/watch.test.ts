/** `lockstep watch KIND`: what there is, what changes, how it ends, and what it refuses. */
import t, { type Test } from 'tap'
import { neighbour } from '../../../src/bgp/providers/provider.js'
import { withServer, type Running } from '../rpc/with-server.js'
import { runCli, type CliResult } from './run-cli.js'

async function withCli (t: Test): Promise<Running & { cli: (command: string) => Promise<CliResult> }> {
  const running = await withServer(t)
  return { ...running, cli: async (command) => await runCli(command.split(' '), { env: { LOCKSTEP_SOCKET: running.socketPath } }) }
}

t.test('every kind, for people and for programs', async (t) => {
  const { cli, agent } = await withCli(t)
  const first = async (kind: string, n: number): Promise<readonly [string, unknown]> => [(await cli(`watch ${kind} --count ${n}`)).out, JSON.parse((await cli(`watch ${kind} --count 1 --json`)).out)]
  const vips = await first('vip', 2)
  t.match(vips[0], /^\S+ \S+ \+ dns down 2001:db8::\/64 port 0: a unknown 0\n\S+ \S+ \+ web up 192\.0\.2\.80\/32 port 80: a serving 100, b down 0, sorry standby 0\n$/)
  t.match(vips[1], { change: 'added', key: 'dns', revision: 1, value: { state: 'down' } })
  t.match(await first('target', 1), [/\+ dns\/10\.0\.0\.1:53 unknown 10\.0\.0\.1:53\n/, { value: { state: 'unknown', passed: 0 } }])
  t.match(await first('link', 1), [/\+ eth0 up packet mtu 1500 192\.0\.2\.1\/24\n/, { value: { name: 'eth0' } }])
  t.match(await first('generation', 1), [/\+ 1 running by boot first\n/, { value: { state: 'running', source: 'startup' } }])
  t.match(await first('group', 1), [/\+ 0 (owner|standby), owner \S+, (ready|not ready)/, { value: { rg: 0, role: /^[a-z]+$/ } }])
  agent.bgp.view.observe({ source: 'frr', scope: 'edge', at: Date.now(), ok: true, neighbours: [neighbour({ source: 'frr', vrf: 'default', peer: '192.0.2.1', established: false, fsm: 'active', remoteAs: 65001, reason: 'hold timer expired' })] })
  t.match(await first('bgp', 1), [/\+ default\/192\.0\.2\.1 down, AS 65001, active, 0 flaps, hold timer expired\n/, { value: { state: 'down', peer: '192.0.2.1' } }])
  t.match(await first('peer', 1), [/\+ \S+ alive/, { value: { liveness: 'alive' } }])
  t.match(await first('agent', 1), [/\+ \S+ running, userspace, generation \d/, { value: { state: 'running' } }])
})

t.test('a change and an end are told; a key alone; what it is asked for wrongly', async (t) => {
  const { cli, agent: { loadBalancer: lb } } = await withCli(t)
  const running = cli('watch vip --count 4')
  await new Promise((resolve) => { setTimeout(resolve, 300) })
  lb.vipList = lb.vipList.filter(vip => vip.name === 'web').map(vip => ({ ...vip, state: 'panic' }))
  const { code, out } = await running
  t.equal(code, 0)
  t.match(out, /~ web panic[^\n]*\n\S+ \S+ - dns\n$/)
  t.match(await cli('watch vip web --for 200ms'), { code: 0, out: /^[^\n]* \+ web [^\n]*\n$/ })
  t.match(await cli('watch router'), { code: 2, err: /'router' is invalid[^]*agent, vip, target/ })
  t.match(await runCli(['watch', 'vip'], { env: { LOCKSTEP_SOCKET: '/nowhere/agent.sock' } }), { code: 3 })
})
