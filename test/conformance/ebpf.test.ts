/** The contract, held against the eBPF backend: its programs, the kernel's verifier, real frames on links. Golden packets and the differential fuzzer are in test/native. */
import { readdirSync } from 'node:fs'
import t from 'tap'
import { TableDataPlane } from '../../src/backend/table/index.js'
import { ebpfSkip } from '../lab/instance.js'
import { ebpfRigs } from './ebpf-rig.js'
import { never } from './rig.js'
import { conformance, traffic } from './suite.js'
import { Wires } from './wires.js'
import { until } from '../until.js'


t.test('ebpf', { skip: await ebpfSkip('cc', 'unshare') }, async (t) => {
  const wires = await Wires.open()
  t.teardown(async () => { await wires.close() })
  const make = ebpfRigs(wires)
  conformance(t, make)

  t.test('whether what the host opens is recorded is told alike before and after ports are open', async (t) => {
    const rig = await make()
    t.teardown(async () => { await rig.close() })
    await rig.dataplane.start(never)
    const { warnings } = await rig.dataplane.config.apply(rig.desired(traffic(1, 1)), 1, never)
    t.equal(rig.dataplane.capabilities.find(c => c.name === 'host_egress_tracking')?.supported, !warnings.some(w => w.includes('tcx')), warnings.join('; '))
  })

  t.test('an interface that went and came back: the host is seen to have changed, a refresh puts the program there, and nothing of the old one stays', async (t) => {
    const rig = await make()
    const { dataplane, received } = rig
    t.teardown(async () => { await rig.close() })
    if (!(dataplane instanceof TableDataPlane)) throw new Error('another dataplane')
    const pins = (): string[] => readdirSync(rig.folder).filter(name => /^(link|out)_/.test(name)).sort()
    await dataplane.start(never)
    await dataplane.config.apply(rig.desired(traffic(10, 500)), 1, never)
    await until('packets', () => received() > 20)
    const before = pins()
    for (const change of ['remove', 'add'] as const) {
      const signature = dataplane.hostSignature()
      wires[change]('a')
      await until(change, () => dataplane.hostSignature() !== signature)
    }
    rig.desired(traffic(10, 500)) // the far end
    await wires.ready()
    const had = received()
    await dataplane.refresh(never)
    wires.play()
    await until('packets by the new link', () => received() > had + 20)
    const [a, b] = ['a', 'b'].map(name => dataplane.links.list().find(l => l.name === name)?.device ?? 0)
    t.same(pins().filter(name => name.startsWith('link_')), [`link_${b}_b`, `link_${a}_a`].sort())
    t.equal(pins().length, before.length, 'as many as before')
    t.ok(pins().every(name => name.endsWith(`_${a}_a`) || name.endsWith(`_${b}_b`)), pins().join(' '))
  })
})
