/**
 * The model that tests without a VPP rest on, beside a real one: random operations, legal or not, get the same answer from both, and leave the same VIPs and
 * reals. VPP 26.10 or later.
 */
import t from 'tap'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VppRefusal } from '../../src/backend/vpp/client.js'
import { ApiDriver } from '../../src/backend/vpp/lb/api-driver.js'
import type { LbDriver } from '../../src/backend/vpp/lb/driver.js'
import { planBetween, type Operation } from '../../src/backend/vpp/lb/plan.js'
import { ANY_PROTOCOL, encaps, vipKey, type Observed, type VppVip } from '../../src/backend/vpp/lb/state.js'
import { Random } from '../simulation/random.js'
import { LbModel } from '../vpp/lb-model.js'
import { LiveVpp, vppSkip } from '../vpp/live-vpp.js'
import { openClient } from '../vpp/open-client.js'

const outcome = async (driver: LbDriver, operation: Operation): Promise<number> => {
  try {
    await driver.perform(operation)
    return 0
  } catch (error) {
    if (error instanceof VppRefusal) return error.retval
    throw error
  }
}
const plain = ({ settings, vips }: Observed): unknown => ({
  settings, vips: vips.map(({ reals, index: _, tableLength, ...vip }) => ({ ...vip, key: vipKey(vip), tableLength: tableLength & 0xffff, reals: [...reals].map(([real, { weight }]) => `${real}=${weight}`).sort() })).sort((a, b) => a.key < b.key ? -1 : 1)
})

t.test('the model and a real VPP', { skip: await vppSkip() }, async (t) => {
  const vpp = new LiveVpp({ directory: mkdtempSync(join(tmpdir(), 'lockstep-vpp-model-')), netns: null, prefix: `lsm${process.pid}`, plugins: ['lb'] })
  t.teardown(async () => { await vpp.remove() })
  await vpp.start()
  const live = new ApiDriver(await openClient(t, vpp.apiSocket, { timeoutMs: 10_000 }))
  const seed = Number(process.env['SEED'] ?? 26_10)
  t.comment(`SEED=${seed}, ${vpp.version}`)
  const random = new Random(seed)
  const of = <T>(list: readonly T[]): T => list[random.below(list.length)] as T
  const families = { gre4: 4, gre6: 6, l3dsr: 4, nat4: 4, nat6: 6 } as const
  const anyVip = (): VppVip => {
    const six = random.chance(0.2)
    const encap = six ? of(['gre4', 'gre6', 'nat6'] as const) : of(encaps.filter((e) => e !== 'nat6')) // what VPP makes silently something else is refused before it
    const single = encap.startsWith('nat') || random.chance(0.8)
    return {
      prefix: six ? `2001:db8::${1 + random.below(3)}/128` : `192.0.2.${1 + random.below(4)}/32`, encap, port: single ? of([80, 443, 257]) : 0, protocol: encap.startsWith('nat') ? 17 : single ? of([6, 17]) : ANY_PROTOCOL,
      targetPort: encap.startsWith('nat') ? of([80, 257]) : 0, tableLength: of([1024, 4096, 1024, 1000]), sourceIpSticky: random.chance(0.2)
    }
  }
  const model = new LbModel()
  const known = (): VppVip => random.chance(0.2) || model.vips.size === 0 ? anyVip() : of([...model.vips.values()]).vip
  const anyReal = (vip: VppVip): string => random.chance(0.1) ? of(['10.0.0.9', '2001:db8:1::9']) : families[vip.encap] === 6 ? `2001:db8:1::${1 + random.below(4)}` : `10.0.0.${1 + random.below(4)}`
  const operation = (): Operation => {
    const vip = known()
    switch (random.below(10)) {
      case 0: return { kind: 'settings', settings: { source4: '10.0.0.1', source6: '2001:db8::1', stickyBuckets: of([1024, 2048, 1000]), flowTimeoutS: 40 + random.below(3) } }
      case 1: case 2: return { kind: 'vip-add', vip: anyVip() }
      case 3: return { kind: 'vip-remove', vip }
      case 4: case 5: case 6: return { kind: 'real-add', vip, real: anyReal(vip), weight: of([0, 1, 100, 255]) }
      case 7: return { kind: 'real-remove', vip, real: anyReal(vip), flush: random.chance(0.5) }
      default: { const weight = of([0, 1, 50, 255]); return { kind: 'real-weight', vip, real: anyReal(vip), weight, from: 0, flush: random.chance(0.3) } }
    }
  }
  t.same(plain(await live.read()), plain(await model.read()))
  let refused = 0
  for (let i = 0; i < 3000; i++) {
    const o = operation()
    const before = model.log.length
    const [ours, theirs] = [await outcome(model, o), await outcome(live, o)]
    if (ours !== 0) refused++
    if (ours !== theirs) {
      t.fail(`${i}: ${JSON.stringify(o)}: the model says ${ours}, VPP ${theirs}; ${before} were taken before`)
      return
    }
    if (i % 100 === 99) t.same(plain(await live.read()), plain(await model.read()), `after ${i + 1}`)
  }
  t.ok(refused > 500 && refused < 2500, `${refused} were refused`)
  const plan = planBetween({ settings: model.settings, vips: [] }, await live.read())
  for (const o of [...plan.prefixes.values()].flat()) await live.perform(o)
  t.same((await live.read()).vips, [])
})
