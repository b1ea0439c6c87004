/** The plan from what VPP has to what it should have, and who carries it out. */
import t from 'tap'
import { applied } from '../../../../src/backend/vpp/lb/applied.js'
import { planBetween, type Operation } from '../../../../src/backend/vpp/lb/plan.js'
import { LbReconciler } from '../../../../src/backend/vpp/lb/reconciler.js'
import { ANY_PROTOCOL, vipKey, type Encap, type LbSettings, type Observed, type Wanted, type WantedVip } from '../../../../src/backend/vpp/lb/state.js'
import { parseSettings, parseVips } from '../../../../src/backend/vpp/lb/verbose.js'
import { tableLength, wantedOf } from '../../../../src/backend/vpp/lb/wanted.js'
import type { Desired, Vip } from '../../../../src/contract/desired.js'
import { LbModel } from '../../../vpp/lb-model.js'
import { transcriptOf } from '../../../vpp/transcript.js'
import { Random } from '../../../simulation/random.js'

const settings: LbSettings = { source4: '10.0.0.1', source6: '2001:db8::1', stickyBuckets: 1024, flowTimeoutS: 40 }
const vip = (o: Partial<WantedVip> = {}): WantedVip => ({ name: 'web', prefix: '192.0.2.1/32', protocol: 6, port: 80, encap: 'gre4', targetPort: 0, tableLength: 1024, sourceIpSticky: false, reals: new Map([['10.0.0.2', 100], ['10.0.0.3', 50]]), ...o })
const wanted = (...vips: WantedVip[]): Wanted => ({ settings, vips })

async function reach (model: LbModel, to: Wanted): Promise<Operation[]> {
  const plan = planBetween(to, await model.read())
  const all = [...plan.settings === null ? [] : [plan.settings], ...[...plan.prefixes.values()].flat()]
  for (const operation of all) await model.perform(operation)
  return all
}
const kinds = (operations: readonly Operation[]): string[] => operations.map(o => `${o.kind}${'real' in o ? ` ${o.real}` : ''}`)

t.test('a VIP, then its reals; a second look finds nothing to do', async (t) => {
  const model = new LbModel()
  t.same(kinds(await reach(model, wanted(vip()))), ['settings', 'vip-add', 'real-add 10.0.0.2', 'real-add 10.0.0.3'])
  t.same(await reach(model, wanted(vip())), [])
})

t.test('who comes and grows is before who shrinks and goes', async (t) => {
  const model = new LbModel()
  await reach(model, wanted(vip({ reals: new Map([['10.0.0.2', 100], ['10.0.0.3', 50], ['10.0.0.4', 10]]) })))
  t.same(kinds(await reach(model, wanted(vip({ reals: new Map([['10.0.0.2', 20], ['10.0.0.4', 100], ['10.0.0.5', 1]]) })))), ['real-add 10.0.0.5', 'real-weight 10.0.0.4', 'real-weight 10.0.0.2', 'real-remove 10.0.0.3'])
})

t.test('what cannot be changed in place is made anew, and it is said why', async (t) => {
  for (const [change, why] of [[{ sourceIpSticky: true }, 'source-ip-sticky'], [{ tableLength: 4096 }, 'ring size'], [{ encap: 'gre6' as const, reals: new Map([['2001:db8::2', 1]]) }, 'encapsulation'], [{ encap: 'nat4' as const, targetPort: 81 }, 'encapsulation']] as const) {
    const model = new LbModel()
    await reach(model, wanted(vip()))
    t.same([...planBetween(wanted(vip(change)), await model.read()).recreated], [[vipKey(vip()), why]])
    const done = kinds(await reach(model, wanted(vip(change))))
    t.ok(done.indexOf('vip-remove') < done.indexOf('vip-add'), why)
    t.same(await reach(model, wanted(vip(change))), [])
  }
})

t.test('a table of 65536 is read back as 0 and is no difference', async (t) => {
  const model = new LbModel()
  await reach(model, wanted(vip({ tableLength: 65536 })))
  t.same(await reach(model, wanted(vip({ tableLength: 65536 }))), [])
})

t.test('VIPs of one prefix: those that clash go first, others last', async (t) => {
  const model = new LbModel()
  await reach(model, wanted(vip(), vip({ port: 443 })))
  const any = vip({ port: 0, protocol: ANY_PROTOCOL })
  t.same(kinds(await reach(model, wanted(any))).filter(kind => kind.startsWith('vip')), ['vip-remove', 'vip-remove', 'vip-add'])
  await reach(model, wanted(vip()))
  t.same(kinds(await reach(model, wanted(vip({ port: 8080 })))).filter(kind => kind.startsWith('vip')), ['vip-add', 'vip-remove'])
})

/** What can be known without a look. */
const known = ({ settings, vips }: Observed): unknown => [settings, vips.map(({ reals, ...vip }) => [vipKey(vip), vip.encap, vip.targetPort, vip.tableLength & 0xffff, vip.sourceIpSticky, [...reals].map(([real, { weight }]) => `${real} ${weight}`).sort()]).sort()]

t.test('from anywhere to anywhere: VPP refuses nothing on the way, and a VIP that stays always has somebody', async (t) => {
  const seed = Number(process.env['SEED'] ?? 20_261_122)
  t.comment(`SEED=${seed}`)
  const random = new Random(seed)
  const pick = (n: number): number => random.below(n)
  const families: Readonly<Record<Encap, boolean>> = { gre4: false, gre6: true, l3dsr: false, nat4: false, nat6: true }
  const state = (): Wanted => {
    const vips = new Map<string, WantedVip>()
    for (let prefix = 1; prefix <= 4; prefix++) {
      const encap = (['gre4', 'gre6', 'nat4'] as const)[pick(3)] ?? 'gre4'
      const any = encap !== 'nat4' && pick(4) === 0
      for (let n = any ? 1 : pick(4); n > 0; n--) {
        const one = vip({
          prefix: `192.0.2.${prefix}/32`, encap, port: any ? 0 : 80 + pick(4), protocol: any ? ANY_PROTOCOL : [6, 17][pick(2)] ?? 6, targetPort: encap === 'nat4' ? 8000 + pick(2) : 0, tableLength: [1024, 65536][pick(2)] ?? 1024, sourceIpSticky: pick(4) === 0,
          reals: new Map(Array.from({ length: pick(5) }, () => [families[encap] ? `2001:db8::${1 + pick(6)}` : `10.0.0.${1 + pick(6)}`, pick(4) * 30]))
        })
        vips.set(vipKey(one), one)
      }
    }
    return { settings: { ...settings, flowTimeoutS: 40 + pick(2) }, vips: [...vips.values()] }
  }
  for (let round = 0; round < 400; round++) {
    const model = new LbModel()
    const [from, to] = [state(), state()]
    await reach(model, from)
    const before = await model.read()
    const plan = planBetween(to, before)
    const serves = (key: string): boolean => [...model.vips.get(key)?.reals.values() ?? []].some(weight => weight > 0)
    const kept = to.vips.map(vipKey).filter(key => serves(key) && !plan.recreated.has(key) && [...to.vips.find(v => vipKey(v) === key)?.reals.values() ?? []].some(weight => weight > 0))
    const all = [...plan.settings === null ? [] : [plan.settings], ...[...plan.prefixes.values()].flat()]
    for (const operation of all) {
      await model.perform(operation)
      const idle = kept.filter(key => !serves(key))
      if (idle.length > 0) t.fail(`round ${round}: ${idle.join(', ')} has nobody after ${operation.kind}`)
    }
    if (JSON.stringify(known(applied(before, all))) !== JSON.stringify(known(await model.read()))) t.fail(`round ${round}: what was done comes to something else`)
    if ((await reach(model, to)).length > 0) t.fail(`round ${round}: something was left to do`)
    if (round === 399) t.pass('400 changes')
  }
})

const reconciler = (model: LbModel, clock: { ms: number }): LbReconciler => new LbReconciler({ driver: model, nowMs: () => clock.ms, random: () => 1 })

t.test('a VIP that is refused delays no other, and is tried again after a time that doubles', async (t) => {
  const model = new LbModel()
  const clock = { ms: 0 }
  const it = reconciler(model, clock)
  const bad = vip({ name: 'bad', prefix: '192.0.2.9/32' })
  model.refuses = (o) => o.kind === 'vip-add' && o.vip.prefix === bad.prefix
  it.want(wanted(vip(), bad, vip({ prefix: '192.0.2.2/32' })))
  const first = await it.pass()
  t.equal(model.vips.size, 2)
  t.match(first.failed, [{ vip: vipKey(bad), operation: 'vip-add', tries: 1, reason: /LS_V_REFUSED/ }])
  t.equal(it.dueMs, 1000)
  const second = await it.pass()
  t.same([second.failed, second.waiting], [[], [vipKey(bad)]], 'not before its time')
  for (const [at, next] of [[1000, 2000], [3000, 4000], [7000, 8000], [15_000, 16_000], [31_000, 30_000], [61_000, 30_000]] as const) {
    clock.ms = at
    t.equal((await it.pass()).failed.length, 1)
    t.equal(it.dueMs, at + next)
  }
  t.match(it.failures, [{ tries: 7 }])
  model.refuses = () => false
  clock.ms = 91_000
  t.same((await it.pass()).failed, [])
  t.equal(it.dueMs, null)
  t.equal(model.vips.size, 3)
})

t.test('a VIP that changed is tried at once; others of its prefix go on', async (t) => {
  const model = new LbModel()
  const clock = { ms: 0 }
  const it = reconciler(model, clock)
  const [bad, good] = [vip(), vip({ port: 443 })]
  model.refuses = (o) => 'real' in o && o.vip.port === 80 && o.real === '10.0.0.2'
  it.want(wanted(bad, good))
  await it.pass()
  t.equal(model.vips.get(vipKey(good))?.reals.size, 2)
  t.equal(model.vips.get(vipKey(bad))?.reals.size, 0, 'what comes after what failed is left out')
  it.want(wanted(vip({ reals: new Map([['10.0.0.3', 1]]) }), good))
  const pass = await it.pass()
  t.same([pass.failed, pass.waiting, it.dueMs], [[], [], null])
  t.same([...model.vips.get(vipKey(bad))?.reals ?? []], [['10.0.0.3', 1]])
})

t.test('flows of a real end once, after its weight is what it should be', async (t) => {
  const model = new LbModel()
  const it = reconciler(model, { ms: 0 })
  it.want(wanted(vip()))
  await it.pass()
  it.want(wanted(vip({ reals: new Map([['10.0.0.2', 0], ['10.0.0.3', 50]]) })))
  it.flush(vip(), '10.0.0.2')
  it.flush(vip(), '10.0.0.3')
  t.match((await it.pass()).done, [{ kind: 'real-weight', real: '10.0.0.2', weight: 0, flush: true }, { kind: 'real-weight', real: '10.0.0.3', weight: 50, flush: true }])
  t.same((await it.pass()).done, [])
})

t.test('what somebody else did is undone', async (t) => {
  const model = new LbModel()
  const it = reconciler(model, { ms: 0 })
  it.want(wanted(vip(), vip({ prefix: '192.0.2.2/32' })))
  await it.pass()
  await model.perform({ kind: 'vip-remove', vip: vip() })
  await model.perform({ kind: 'vip-add', vip: vip({ prefix: '192.0.2.77/32' }) })
  await model.perform({ kind: 'real-weight', vip: vip({ prefix: '192.0.2.2/32' }), real: '10.0.0.2', weight: 1, from: 100, flush: false })
  await model.perform({ kind: 'settings', settings: { ...settings, flowTimeoutS: 1 } })
  const { done } = await it.pass()
  t.same(new Set(kinds(done)), new Set(['settings', 'vip-add', 'real-add 10.0.0.2', 'real-add 10.0.0.3', 'vip-remove', 'real-weight 10.0.0.2']))
  t.same((await it.pass()).done, [])
})

t.test('who has not been told what should be changes nothing', async (t) => {
  const model = new LbModel()
  await reach(model, wanted(vip()))
  t.same((await reconciler(model, { ms: 0 }).pass()).done, [])
  t.equal(model.vips.size, 1)
})

t.test('without weights a real is there or not', async (t) => {
  const model = new LbModel()
  Object.defineProperty(model, 'weights', { value: false })
  const it = reconciler(model, { ms: 0 })
  it.want(wanted(vip({ reals: new Map([['10.0.0.2', 7], ['10.0.0.3', 0]]) })))
  await it.pass()
  t.same([...model.vips.get(vipKey(vip()))?.reals ?? []], [['10.0.0.2', 100]])
})

const text = (file: string, cmd: string): string => {
  const { frames } = transcriptOf(file)
  const reply = frames.find(({ msg, re }) => msg === 'cli_inband_reply_05879051' && re !== undefined && frames[re]?.fields?.['cmd'] === cmd)
  return String(reply?.fields?.['reply'])
}

t.test('what a real VPP shows', async (t) => {
  const vips = parseVips(text('lb_traffic.json', 'show lb vips verbose'))
  t.same(vips.map(({ index }) => index), [1, 2, 4, 5, 6, 7, 9, 10], 'those removed are left out')
  t.match(vips[0], { prefix: '192.0.2.1/32', protocol: ANY_PROTOCOL, port: 0, encap: 'gre4', tableLength: 1024, sourceIpSticky: false })
  t.same([...vips[0]?.reals ?? []], [['10.10.2.11', { weight: 100, buckets: 282 }], ['10.10.2.12', { weight: 50, buckets: 150 }], ['10.10.2.13', { weight: 0, buckets: 0 }], ['10.10.2.14', { weight: 255, buckets: 592 }]])
  t.same([...vips[1]?.reals.keys() ?? []], ['10.10.2.11'], 'a real that is removed is not in use')
  t.match(vips.find(({ encap }) => encap === 'nat4'), { prefix: '192.0.2.5/32', protocol: 17, port: 3306, targetPort: 3307 })
  t.same(parseSettings(text('lb_traffic.json', 'show lb')), { source4: '10.10.0.1', source6: '2001:db8:10::1', flowTimeoutS: 40 })
  t.match(parseVips(' ip4-gre4 [3] 192.0.2.2/32 src_ip_sticky\n  new_size:4096\n  protocol:6 port:443\n  #as:2\n    10.0.0.1 512 buckets   17 flows  dpo:52 used\n    10.0.0.2 0 buckets   1 flows  dpo:53  removed\n'),
    [{ sourceIpSticky: true, port: 443, protocol: 6, reals: new Map([['10.0.0.1', { weight: 100, buckets: 512 }]]) }], 'before 26.10')
  t.same(parseVips(''), [])
  t.same(parseVips('unknown command\n ip4-gre4 [x] y\n    1.2.3.4 weight:1 buckets:1 flows:1 dpo:1 used'), [])
})

const configured = (o: Partial<Vip> = {}): Vip => ({
  name: 'web', address: '192.0.2.1/32', port: 80, protocol: 6, mode: 'gre', redundancyGroup: 0, domain: 'default', ringSize: 65537, sourceIpSticky: false, snatPool: null, application: null, quorum: 1, panicPct: 0, flushOnDown: true, slowStartMs: 0,
  pools: [{ name: 'p', reals: [{ name: 'a', address: '10.0.0.2', port: 0, weight: 100, check: null }, { name: 'b', address: '10.0.0.3', port: 0, weight: 100, check: null }] }], ...o
})
const real = (address: string, port = 0): Vip['pools'][number]['reals'][number] => ({ name: `${address}:${port}`, address, port, weight: 100, check: null })
const pools = (...reals: Array<ReturnType<typeof real>>): Vip['pools'] => [{ name: 'p', reals }]
const of = (...vips: Vip[]): Pick<Desired, 'vips'> => ({ vips })

t.test('VIPs of the configuration', async (t) => {
  const { wanted: { vips }, refused, warnings } = wantedOf(of(configured(), configured({ name: 'dns', address: '2001:db8::53/128', port: 53, protocol: 0, pools: pools(real('2001:db8::2')) }), configured({ name: 'all', address: '198.51.100.0/24', port: 0, protocol: 0 }), configured({ name: 'nat', address: '192.0.2.7/32', mode: 'nat', protocol: 17, port: 53, pools: pools(real('10.0.0.2', 53)) })), settings, (_, { name }) => name === 'a' ? 7 : 1)
  t.same(refused, [])
  t.match(warnings, [/vips\.nat: .* port 13568/])
  t.match(vips, [
    { name: 'web', prefix: '192.0.2.1/32', protocol: 6, port: 80, encap: 'gre4', targetPort: 0, tableLength: 65536, reals: new Map([['10.0.0.2', 7], ['10.0.0.3', 1]]) },
    { name: 'dns', prefix: '2001:db8::53/128', protocol: 6, encap: 'gre6' }, { name: 'dns', protocol: 17, encap: 'gre6' }, { name: 'all', prefix: '198.51.100.0/24', protocol: ANY_PROTOCOL, port: 0 },
    { name: 'nat', encap: 'nat4', targetPort: 53 }
  ])
})

t.test('what VPP would take and do something else with is refused by name', async (t) => {
  const none = { ...settings, source4: '255.255.255.255', source6: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff' }
  const table: ReadonlyArray<readonly [Vip[], string, RegExp, LbSettings?]> = [
    [[configured({ mode: 'l2' })], 'vips.web.mode', /MAC/],
    [[configured({ mode: 'ipip' })], 'vips.web.mode', /IP-in-IP/],
    [[configured({ port: 0 })], 'vips.web.port', /all protocols/],
    [[configured({ mode: 'nat' })], 'vips.web.protocol', /everything but UDP/],
    [[configured({ mode: 'nat', protocol: 0 })], 'vips.web.protocol', /everything but UDP/],
    [[configured({ mode: 'nat', protocol: 17, port: 0 })], 'vips.web.port', /one port/],
    [[configured({ mode: 'nat', protocol: 17, pools: pools(real('10.0.0.2', 1)) })], 'vips.web.pools', /checksums/],
    [[configured({ mode: 'nat', protocol: 17, pools: pools(real('2001:db8::2')) })], 'vips.web.mode', /translate between/],
    [[configured({ pools: pools(real('10.0.0.2', 8080)) })], 'vips.web.pools', /keeps the port/],
    [[configured({ pools: pools(real('10.0.0.2'), real('2001:db8::2')) })], 'vips.web.pools', /family/],
    [[configured({ pools: pools(real('10.0.0.2'), real('10.0.0.2')) })], 'vips.web.pools', /once/],
    [[configured({ domain: 'blue' })], 'vips.web.domain', /table 0/],
    [[configured({ snatPool: 'p' })], 'vips.web.snat-pool', /hide/],
    [[configured()], 'vips.web.mode', /source4/, none],
    [[configured({ pools: pools(real('2001:db8::2')) })], 'vips.web.mode', /source6/, none],
    [[configured(), configured({ name: 'b', port: 81, pools: pools(real('2001:db8::2')) })], 'vips.b', /one encapsulation/],
    [[configured(), configured({ name: 'b', port: 0, protocol: 0 })], 'vips.b', /cannot share/]
  ]
  for (const [vips, object, reason, where = settings] of table) {
    const { refused } = wantedOf(of(...vips), where, () => 1)
    t.match(refused, [{ object, reason }], `${object} ${String(reason)}`)
  }
})

t.test('lengths of tables', async (t) => { t.same([2, 1021, 1024, 2047, 65521, 65537, 1048573].map(tableLength), [1024, 1024, 1024, 1024, 32768, 65536, 65536]) })
