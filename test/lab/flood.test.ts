/** An attacker on a link of its own: screens stop and count what they are for, and others are served meanwhile. */
import t from 'tap'
import { grown, type LabAgent } from './agent.js'
import { quickstartConfig, shortTimeouts } from './config.js'
import { flood, type FloodKind } from './load.js'
import { agentSaid, full, openLab, skipReason } from './support.js'
import { addresses } from './topology.js'
import { curl, httpUrl, ping } from './traffic.js'

const LIMIT = 500

t.test('floods and malformed packets', { skip: await skipReason('curl', 'ping', 'cc') }, async (t) => {
  const lab = await openLab(t, 'flood', { attacker: true })
  const agent = await lab.startAgent(quickstartConfig(lab.prefix, [
    shortTimeouts,
    [['interfaces', 'rt-attack'], { zone: 'attackers', addresses: [`${addresses.routerAttack.v4}/24`, `${addresses.routerAttack.v6}/64`] }],
    [['zones', 'attackers'], { 'host-inbound': ['ping'], screen: 'attack' }],
    [['screens', 'attack'], { 'syn-flood': LIMIT, 'udp-flood': LIMIT, 'icmp-flood': LIMIT, land: true, teardrop: true, 'ping-of-death': true, 'source-route': true, 'syn-fin': true, 'no-flags': true, 'fin-no-ack': true }],
    [['policies', 0, 'from'], ['clients', 'attackers']], [['policies', 0, 'source'], undefined],
    [['policies', 1, 'from'], ['clients', 'attackers']]
  ]))
  t.equal((await ping({ netns: lab.netns('attacker'), to: addresses.s1.v4, count: 2 })).received, 2, 'the attacker is connected')

  await t.test('rates: at most the limit passes in a window, the rest is stopped and counted', async (t) => {
    for (const [kind, screen] of [['syn', 'syn_flood'], ['udp', 'udp_flood'], ['icmp', 'icmp_flood']] as const) {
      const before = await hits(agent)
      const { sent } = await flood(lab.topology, { from: addresses.attacker.v4, to: addresses.s1.v4, kind, rate: 8000, seconds: 2 })
      const stopped = ((await hits(agent))[screen] ?? 0) - (before[screen] ?? 0)
      t.comment(`${kind}: ${stopped} of ${sent} stopped`)
      // Windows of 1.07 s: 2 s of flood touch at most three.
      t.ok(stopped >= sent - 3 * LIMIT && stopped < sent, `${stopped} of ${sent}`)
    }
  })

  await t.test('shapes: every one is stopped, by its own screen', async (t) => {
    for (const kind of ['land', 'syn-fin', 'no-flags', 'fin-no-ack', 'teardrop', 'ping-of-death', 'source-route'] as const satisfies readonly FloodKind[]) {
      const screen = kind.replaceAll('-', '_')
      const before = await agent.counters('drops', 'global')
      const { sent } = await flood(lab.topology, { from: addresses.attacker.v4, to: addresses.s1.v4, kind, rate: 1000, seconds: 0.3 })
      const after = await agent.counters('drops', 'global')
      t.same(grown(before, after, 'drops'), { [`screen_${screen}`]: sent }, `${kind}: ${sent} frames`)
      t.equal(grown(before, after, 'global')['sessions_created'] ?? 0, 0)
    }
  })

  await t.test('others are served during a flood', async (t) => {
    const rate = full ? 100_000 : 20_000
    const attack = flood(lab.topology, { from: null, to: addresses.vip.v4, kind: 'syn', rate, seconds: 4 })
    const f = await curl({ netns: lab.netns('client'), url: httpUrl(addresses.vip.v4, '1m.bin'), count: 20, parallel: 2, sha256: lab.servers.bigSha256 })
    const { sent, seconds } = await attack
    t.comment(`${Math.round(sent / seconds)} SYN/s beside ${f.ok} downloads, p50 ${f.totalMs.p50} ms, p99 ${f.totalMs.p99} ms`)
    t.same(f.failures, {})
  })

  t.ok((await agent.drained(30_000)) === 0, 'and nothing of it stays')
  t.match(await agent.verify(), { ok: true, faults: [] })
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
})

/** Screen -> packets stopped in the zone of attackers. */
async function hits (agent: LabAgent): Promise<Record<string, number>> {
  const zones = await agent.json<ReadonlyArray<{ readonly zone: string, readonly counters: ReadonlyArray<{ readonly screen: string, readonly hits: number }> }>>(['flood', 'attackers'])
  return Object.fromEntries(zones.flatMap((z) => z.counters.map((c) => [c.screen.toLowerCase(), Number(c.hits)])))
}
