/** VIPs that real FRR, BIRD and GoBGP announce: what their neighbours have follows what the agent's announcer wants. */
import { join } from 'node:path'
import t from 'tap'
import { Announcing } from '../../src/bgp/announce/index.js'
import type { AnnouncedVip } from '../../src/bgp/announce/routes.js'
import type { BgpAnnounceSettings } from '../../src/contract/bgp-announce.js'
import { BgpRig, bgpSkip, type Host } from './bgp-rig.js'
import { until } from '../until.js'

const skip = await bgpSkip()
const TABLE = 179

t.test('VIPs through FRR, BIRD and GoBGP', { skip }, async (t) => {
  const rig = await BgpRig.open(t, [], TABLE)
  await rig.allUp()
  const facts = { owned: [1] as readonly number[], state: 'up' as AnnouncedVip['state'] }
  const problems: unknown[] = []
  const events: string[] = []
  /** An agent's announcer at a host; its VIP is 192.0.2.N. */
  const at = (host: Host, n: number, settings: Partial<BgpAnnounceSettings>): Announcing => {
    const announcing = new Announcing({
      vips: async () => await Promise.resolve([{ name: 'web', prefix: `192.0.2.${n}/32`, redundancyGroup: 1, domain: 'default', state: facts.state }, { name: 'six', prefix: `2001:db8::${n}/128`, redundancyGroup: 1, domain: 'default', state: facts.state }]),
      owns: () => rg => facts.owned.includes(rg), netns: join(rig.directory, 'netns', host), directory: join(rig.directory, `state-${host}`), onEvent: ({ name, object }) => { events.push(`${name} ${object}`) }, onProblem: error => { problems.push(error) }
    })
    t.teardown(async () => { await announcing.close(false) })
    announcing.configure({ when: 'serving', withdrawAfterMs: 0, kernelTable: null, gobgp: null, ...settings })
    return announcing
  }
  const frr = async (): Promise<Readonly<Record<string, unknown>>> => (JSON.parse(await rig.vtysh('show bgp ipv4 unicast json')) as { readonly routes: Readonly<Record<string, unknown>> }).routes
  const bird = async (): Promise<string> => await rig.at('b', 'birdc', '-s', join(rig.directory, 'b.ctl'), 'show', 'route', 'table', 'master4')
  const gobgp = async (family = 'ipv4'): Promise<string> => await rig.at('c', 'gobgp', '--target', `unix://${join(rig.directory, 'c.sock')}`, 'global', 'rib', '-a', family).catch(String)
  const [a, b, c] = [at('a', 1, { kernelTable: TABLE }), at('b', 2, { kernelTable: TABLE }), at('c', 3, { gobgp: { address: `unix://${join(rig.directory, 'c.sock')}`, communities: [64512 * 65536 + 100] } })]
  const all = [a, b, c]
  const everywhere = async (there: boolean): Promise<void> => {
    await until(`FRR ${there ? 'has' : 'has not'} what BIRD and GoBGP announce`, async () => { const routes = await frr(); return ['192.0.2.2/32', '192.0.2.3/32'].every(prefix => prefix in routes === there) })
    await until(`BIRD ${there ? 'has' : 'has not'} what FRR announces`, async () => (await bird()).includes('192.0.2.1/32') === there)
    await until(`GoBGP ${there ? 'has' : 'has not'} what FRR announces`, async () => (await gobgp()).includes('192.0.2.1/32') === there)
  }

  await t.test('a real serves: every neighbour has the VIP, with its communities', async (t) => {
    await everywhere(true)
    t.match(JSON.stringify(await frr()), /192\.0\.2\.3\/32/)
    t.match(await rig.vtysh('show bgp ipv4 unicast 192.0.2.3/32'), /Community: 64512:100/)
    t.match(await gobgp('ipv6'), /2001:db8::3\/128/)
    t.match(await rig.at('a', 'ip', '-6', 'route', 'show', 'table', String(TABLE)), /^blackhole 2001:db8::1 .*proto 117/m)
    t.match(all.map(announcing => announcing.sinks()), [[{ failed: null, added: 2 }], [{ failed: null, added: 2 }], [{ failed: null, added: 2 }]])
  })

  await t.test('the group moves away: nobody has it; it comes back: everybody', async () => {
    facts.owned = []
    for (const one of all) one.changed()
    await everywhere(false)
    facts.owned = [1]
    for (const one of all) one.changed()
    await everywhere(true)
  })

  await t.test('its last real is gone, and comes back', async () => {
    facts.state = 'down'
    for (const one of all) one.changed()
    await everywhere(false)
    facts.state = 'degraded'
    for (const one of all) one.changed()
    await everywhere(true)
  })

  await t.test('who takes a route away gets it back; routes of others are left alone', async (t) => {
    await rig.at('b', 'ip', 'route', 'add', 'blackhole', '198.51.100.0/24', 'table', String(TABLE))
    await rig.at('b', 'ip', 'route', 'del', 'blackhole', '192.0.2.2/32', 'table', String(TABLE))
    await rig.at('c', 'gobgp', '--target', `unix://${join(rig.directory, 'c.sock')}`, 'global', 'rib', 'del', 'all')
    await until('they are back', () => events.includes(`routes-repaired kernel table ${TABLE}`) && events.some(event => event.startsWith('routes-repaired gobgp')))
    await everywhere(true)
    t.match(await rig.at('b', 'ip', 'route', 'show', 'table', String(TABLE)), /198\.51\.100\.0\/24/)
  })

  await t.test('GoBGP is killed and started again: it is given its routes, and meanwhile the failure is told', async () => {
    await rig.kill('c')
    await until('it fails', () => c.sinks()[0]?.failed !== null)
    await rig.start('c')
    await rig.allUp()
    await everywhere(true)
  })

  await t.test('communities change in place; a clean end withdraws, a planned restart does not', async (t) => {
    c.configure({ when: 'serving', withdrawAfterMs: 0, kernelTable: null, gobgp: { address: `unix://${join(rig.directory, 'c.sock')}`, communities: [64512 * 65536 + 200] } })
    await until('it has the new one', async () => (await rig.vtysh('show bgp ipv4 unicast 192.0.2.3/32')).includes('Community: 64512:200'))
    await b.close(false)
    await Promise.all([a.close(true), c.close(true)])
    await until('BIRD has lost the one of FRR', async () => !(await bird()).includes('192.0.2.1/32'))
    await until('FRR has the one that stays, and not the other', async () => { const routes = await frr(); return '192.0.2.2/32' in routes && !('192.0.2.3/32' in routes) })
    t.same(problems, [])
    t.notMatch(await gobgp('ipv6'), /2001:db8::3/)
  })
})
