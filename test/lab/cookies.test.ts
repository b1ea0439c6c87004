/** A full table under a SYN flood: the agent says so, SYN cookies open what is real, on both backends. */
import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { grown } from './agent.js'
import { quickstartConfig, shortTimeouts } from './config.js'
import { ebpfSkip } from './instance.js'
import { flood } from './load.js'
import { agentSaid, full, openLab, skipReason } from './support.js'
import { addresses } from './topology.js'
import { curl, httpUrl } from './traffic.js'

const CAPACITY = full ? 65_536 : 2048

for (const backend of ['userspace', 'ebpf'] as const) {
  t.test(`a SYN flood fills the table: ${backend}`, { skip: await (backend === 'ebpf' ? ebpfSkip : skipReason)('curl', 'cc') }, async (t) => {
    const lab = await openLab(t, `ck-${backend[0] ?? ""}`, { attacker: true })
    const agent = await lab.startAgent(quickstartConfig(lab.prefix, [
      shortTimeouts,
      [['agent', 'backend'], backend], [['agent', 'table'], { capacity: CAPACITY }],
      [['interfaces', 'rt-attack'], { zone: 'attackers', addresses: [`${addresses.routerAttack.v4}/24`, `${addresses.routerAttack.v6}/64`] }],
      [['zones', 'attackers'], {}],
      [['policies', 0, 'from'], ['clients', 'attackers']], [['policies', 0, 'source'], undefined]
    ]))
    const urls = [httpUrl(addresses.vip.v4, '1m.bin'), httpUrl(addresses.vip.v6, '1m.bin'), httpUrl(addresses.s1.v4, '1m.bin', 8080)]
    const before = await agent.counters('global')
    const attack = flood(lab.topology, { from: null, to: addresses.vip.v4, kind: 'syn', rate: full ? 1_000_000 : 30_000, seconds: full ? 20 : 8 })
    await sleep(2000)
    t.match((await agent.json<{ reasons: string[] }>(['status'])).reasons, [/SYNs are answered with cookies/])
    for (const url of urls) {
      const f = await curl({ netns: lab.netns('client'), url, count: 10, parallel: 2, sha256: lab.servers.bigSha256 })
      t.same(f.failures, {}, url)
      t.comment(`${url}: connected in ${f.connectMs.p50} ms (p50), ${f.connectMs.max} ms at most`)
    }
    const { sent, seconds } = await attack
    const counted = grown(before, await agent.counters('global'), 'global')
    t.comment(`${Math.round(sent / seconds)} SYN/s; ${counted['cookies_sent'] ?? 0} cookies sent, ${counted['cookies_accepted'] ?? 0} accepted`)
    t.ok((counted['cookies_accepted'] ?? 0) > 0, 'connections were opened by cookies')
    // the state ends by itself
    for (let n = 0; n < 60 && (await agent.json<{ state: string }>(['status'])).state !== 'running'; n++) await sleep(500)
    t.match(await agent.json(['status']), { state: 'running' })
    t.equal(await agent.drained(45_000), 0)
    t.match(await agent.verify(), { ok: true, faults: [] })
    t.equal((await agent.stop()).code, 0, agentSaid(lab))
  })
}
