/** `lockstep vip ...` and `lockstep target ...` against a load balancer made up. */
import t, { type Test } from 'tap'
import { withServer, type Running } from '../rpc/with-server.js'
import { runCli, type CliResult } from './run-cli.js'

async function withCli (t: Test): Promise<Running & { cli: (command: string) => Promise<CliResult> }> {
  const running = await withServer(t)
  return { ...running, cli: async (command) => await runCli(command.split(' '), { env: { LOCKSTEP_SOCKET: running.socketPath } }) }
}

t.test('vip list: a VIP, and who serves behind it', async (t) => {
  const { cli } = await withCli(t)
  const { code, out } = await cli('vip list')
  t.equal(code, 0)
  t.equal(out, `\
VIP  ADDRESS                STATE  POOL    REAL     WEIGHT  IS       TARGET
web  192.0.2.80/32 tcp/80   up     main    a           100  serving  http/10.0.0.1:80
                                   main    b      0 of 100  down     http/10.0.0.2:8080
                                   last    sorry   0 of 10  standby  not checked
dns  2001:db8::/64 any/any  down   pool-1  a      0 of 100  unknown  dns/10.0.0.1:53
`)
  t.match(JSON.parse((await cli('vip list web --json')).out), [{ name: 'web', reals: [{ name: 'a', weight: 100 }, {}, {}] }])
  t.match(await cli('vip list nothing'), { code: 4, err: /no such vip/ })
})

t.test('target list: who is probed; with an id, its changes', async (t) => {
  const { cli, agent } = await withCli(t)
  t.match((await cli('target list')).out, /dns\/10\.0\.0\.1:53 +unknown .* not probed\nhttp\/10\.0\.0\.2:8080 +down .* 10 +3 +status: status 503, expected 200-399 +1\.5\n/)
  t.match((await cli('target list http/10.0.0.2:8080')).out, /2023-11-14T22:13:20\.000Z +up +down +status: status 503/)
  t.match(await cli('target pause http/10.0.0.2:8080'), { code: 0, out: 'http/10.0.0.2:8080: pause\n' })
  t.match(await cli('target enable nobody'), { code: 4, err: /no such target/ })
  t.same(agent.loadBalancer.said, ['pause http/10.0.0.2:8080', 'enable nobody'])
  agent.loadBalancer.targetList = []
  agent.loadBalancer.vipList = []
  t.equal((await cli('target list')).out, 'nothing is probed\n')
  t.equal((await cli('vip list')).out, 'no VIP is configured\n')
})
