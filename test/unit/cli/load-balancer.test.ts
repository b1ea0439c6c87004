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

t.test('vip put, real put, weight, drain, restore, delete: what is asked is what was typed', async (t) => {
  const { cli, agent: { loadBalancer } } = await withCli(t)
  t.match(await cli('vip put api 192.0.2.9 --port 443 --healthcheck tcp --group 1 --ttl 30s --owner ctl'), { code: 0, out: 'api: put\n' })
  t.match(await cli('real put api 10.0.0.7 10.0.0.8:8443=50 [2001:db8::1]:80 2001:db8::2=0 --owner ctl'), { code: 0, out: 'api: 4 reals of ctl\n' })
  t.match(await cli('real weight web/a 10 --reason test'), { code: 0, out: 'web/a: weight 10\n' })
  t.match(await cli('real drain web/10.0.0.2:8080'), { code: 0, out: 'web/10.0.0.2:8080: drained\n' })
  t.match(await cli('real restore web/a --json'), { code: 0, out: /"web\/a: as configured"/ })
  t.match(await cli('real delete api --owner ctl'), { code: 0 })
  t.match(await cli('vip delete api --owner ctl'), { code: 0, out: 'api: deleted\n' })
  t.match(loadBalancer.changes, [
    { kind: 'put-vip', vip: 'api', settings: { address: '192.0.2.9', port: 443, healthcheck: 'tcp', 'redundancy-group': 1, protocol: 'tcp', mode: 'nat' }, owner: 'ctl', ttlMs: 30_000 },
    { kind: 'put-reals', reals: [{ address: '10.0.0.7' }, { address: '10.0.0.8', port: 8443, weight: 50 }, { address: '2001:db8::1', port: 80 }, { address: '2001:db8::2', weight: 0 }], ttlMs: null },
    { kind: 'adjust', vip: 'web', real: 'a', weight: 10, drained: false, owner: 'operator', reason: 'test' }, { kind: 'adjust', real: '10.0.0.2:8080', weight: null, drained: true },
    { kind: 'restore', vip: 'web', real: 'a' }, { kind: 'delete-reals', owner: 'ctl' }, { kind: 'delete-vip', vip: 'api', owner: 'ctl' }
  ])
  loadBalancer.changes = []
  for (const wrong of ['real put api nowhere', 'real put api 10.0.0.1:99999999', 'real put api 10.0.0.1=x', 'real weight web 10', 'real weight web/a ten', 'real drain /a', 'vip put api 192.0.2.9 --ttl soon']) t.match(await cli(wrong), { code: 2 }, wrong)
  t.same(loadBalancer.changes, [])
})

t.test('overlay list: what was put, by whom, until when', async (t) => {
  const { cli, agent: { loadBalancer } } = await withCli(t)
  t.equal((await cli('overlay list')).out, 'nothing was put\n')
  const held = { owner: 'ctl', reason: 'kernel', since: Date.now() - 60_000, until: null }
  loadBalancer.laid = {
    vips: [{ vip: 'api', settings: { address: '192.0.2.9', port: 443 }, ...held, until: Date.now() + 30_500 }],
    reals: [{ vip: 'api', pool: '', reals: [{ address: '10.0.0.7' }, { address: '10.0.0.8', port: 8443, weight: 50 }], ...held }], adjusted: [{ vip: 'web', real: 'a', weight: null, drained: true, ...held }]
  }
  const { out } = await cli('overlay list')
  t.match(out, /vip api +192\.0\.2\.9 tcp\/443 +ctl .*in 30/)
  t.match(out, /reals of api +10\.0\.0\.7, 10\.0\.0\.8 port 8443 weight 50 +ctl .*never/)
  t.match(out, /real web\/a +drained +ctl +\S+ +never +kernel/)
  t.match(JSON.parse((await cli('overlay list --json')).out), { adjusted: [{ drained: true }] })
})

t.test('vip readback and vip sync: what the dataplane holds, and what was put right', async (t) => {
  const { cli, agent: { loadBalancer } } = await withCli(t)
  t.equal((await cli('vip readback')).out, `\
VIP  HASH              SIZE  DRIFTED  REAL  ENTRIES
web  00000000000000ff   127        1  a         100
                                      b          27
`)
  t.match(await cli('vip readback nothing'), { code: 4 })
  t.equal((await cli('vip sync')).out, '2 rings in 1.3 ms: put right: web: 1 entries, configuration: 4 bytes\n')
  loadBalancer.reconcile = async () => await Promise.resolve({ vips: 2, rings: [], configBytes: 0, tookMs: 1 })
  t.equal((await cli('vip sync')).out, '2 rings in 1.0 ms: as they should be\n')
  loadBalancer.rings = []
  t.equal((await cli('vip readback')).out, 'no VIP serves\n')
})

t.test('vip watch: events as lines, of a level, as JSON', async (t) => {
  const { cli, agent: { loadBalancer: { events } } } = await withCli(t)
  events.tell({ at: 1_700_000_000_000, name: 'real-transition', level: 'warn', fields: { target: 'http/10.0.0.2:8080', to: 'down', detail: null } })
  events.tell({ at: 1_700_000_000_000, name: 'lb-sync-done', level: 'debug', fields: { vips: 2 } })
  t.match((await cli('vip watch --count 1')).out, /^2023-11-14 22:13:20 warn {2}real-transition target=http\/10\.0\.0\.2:8080 to=down detail=-\n$/)
  t.match(JSON.parse((await cli('vip watch --level debug --event lb-sync-done --count 1 --json')).out), { event: 'lb-sync-done', level: 'debug', fields: { vips: 2 } })
  t.match(await cli('vip watch --level loud --count 1'), { code: 2, err: /debug, info, warn, error/ })
})
