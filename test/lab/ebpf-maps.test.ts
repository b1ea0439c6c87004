/** What is pinned can be read by bpftool: every map by its types. */
import t from 'tap'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { quickstartConfig } from './config.js'
import { ebpfSkip, pinsOf } from './instance.js'
import { must } from './shell.js'
import { agentSaid, openLab } from './support.js'
import { addresses } from './topology.js'
import { curl, httpUrl } from './traffic.js'


t.test('maps have names and types', { skip: await ebpfSkip('curl', 'bpftool') }, async (t) => {
  const lab = await openLab(t, 'maps')
  const agent = await lab.startAgent(quickstartConfig(lab.prefix, [[['agent', 'backend'], 'ebpf'], [['agent', 'table'], { capacity: 1024 }]]))
  const f = await curl({ netns: lab.netns('client'), url: httpUrl(addresses.vip.v4, '1m.bin'), count: 1, parallel: 1, sha256: lab.servers.bigSha256 })
  t.same(f.failures, {})
  const all = JSON.parse(await must({ netns: null, argv: ['bpftool', '-j', 'map', 'dump', 'pinned', join(pinsOf(lab), 'sessions')] })) as Array<{ formatted: { value: { gen: number, key: { proto: number, dport_be: number }, packets: number[] } } }>
  const live = all.map(row => row.formatted.value).filter(s => s.gen % 2 === 1)
  t.match(live, [{ key: { proto: 6, dport_be: 80 << 8 }, packets: [Number, Number] }])
  const pins = readdirSync(pinsOf(lab)).filter(name => !/^(link_|out_|lock_)/.test(name))
  const first = async (name: string): Promise<{ formatted?: { value: unknown } }> => JSON.parse(await must({ netns: null, argv: ['bpftool', '-j', 'map', 'lookup', 'pinned', join(pinsOf(lab), name), 'key', '0', '0', '0', '0'] })) as { formatted?: { value: unknown } }
  for (const name of pins) t.ok((await first(name)).formatted !== undefined, `${name} has a type`)
  t.match((await first('header')).formatted?.value, { h: { capacity: 1024, layout_version: Number } })
  t.match((await first('workers')).formatted?.value, { attached: 1 })
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
})
