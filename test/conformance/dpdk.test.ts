/** The contract, held against the dpdk backend: its process, real frames on links. Golden packets are in test/native. */
import t from 'tap'
import { probeBackends } from '../../src/backend/registry.js'
import { skipReason } from '../lab/support.js'
import { dpdkRigs } from './dpdk-rig.js'
import { desiredOf, never } from './rig.js'
import { conformance, traffic } from './suite.js'
import { Wires } from './wires.js'
import { until } from '../until.js'


const dpdk = probeBackends().find(p => p.backend === 'dpdk')
t.test('dpdk', { skip: await skipReason('cc', 'unshare') || (dpdk?.available === true ? false : dpdk?.reason ?? 'no dpdk backend') }, async (t) => {
  const wires = await Wires.open()
  t.teardown(async () => { await wires.close() })
  const make = dpdkRigs(wires)
  conformance(t, make)

  t.test('its process is killed in the middle of traffic: what it held is taken back, another one forwards on, and the table is sound', async (t) => {
    const rig = await make()
    const { dataplane, received, forwarder } = rig
    t.teardown(async () => { await rig.close() })
    await dataplane.start(never)
    await dataplane.config.apply(rig.desired(traffic(10, 500)), 1, never)
    await until('packets', () => received() > 20)
    for (let n = 0; n < 3; n++) {
      const pid = forwarder.pid
      process.kill(pid, 'SIGKILL')
      await dataplane.config.apply(rig.desired(traffic(10, 500)), 2 + n, never) // its grace does not wait for the dead
      await until('the next life', () => forwarder.pid !== 0 && forwarder.pid !== pid && forwarder.degraded().length === 0)
      const had = received()
      await until('packets of the next life', () => received() > had + 20)
      const report = await dataplane.sessions.verify()
      t.same(report.faults.filter(f => f.count > 0), [])
    }
    t.ok(rig.log.some(line => line.includes('ended by SIGKILL')), rig.log.slice(-5).join('; '))
    await dataplane.close()
    t.same((await rig.table.verify()).faults.filter(f => f.count > 0), [], 'exact now that nothing moves')
  })

  t.test('a second process of the same prefix, and one that EAL refuses: errors that say so, and nothing else fails', async (t) => {
    const rig = await make()
    t.teardown(async () => { await rig.close() })
    await rig.dataplane.start(never)
    const second = await make({ eal: [`--file-prefix=lockstep-${rig.instance}`] })
    t.teardown(async () => { await second.close() })
    await t.rejects(second.forwarder.start(false), { errorClass: 'unavailable', code: 'LS_B_DPDK', message: /another primary process.*agent\.instance/is })
    const third = await make({ eal: ['--no-such-option'] })
    t.teardown(async () => { await third.close() })
    await third.dataplane.start(never)
    t.match(third.forwarder.degraded(), [/nothing is forwarded.*tried again/s], 'at the start of an agent it is told, and tried again')
    t.not(rig.forwarder.pid, 0, 'the first goes on')
  })

  t.test('a port of DPDK alone: the host has it as a TAP, by which it answers', async (t) => {
    const rig = await make()
    const { dataplane } = rig
    t.teardown(async () => { await rig.close() })
    await dataplane.start(never)
    const tap = `lsd${process.pid % 100000}`
    const text = (devargs: string): string => `
agent: {backend: dpdk}
interfaces: {wan: {port: "dpdk:${tap}", devargs: "${devargs}", zone: z}}
zones: {z: {host-inbound: [ping]}}
`
    const bare = (devargs: string): ReturnType<typeof rig.desired> => ({ ...desiredOf(text(devargs)), agent: { ...rig.desired(traffic(1, 1)).agent, netns: wires.netns } })
    await t.rejects(dataplane.config.apply(bare('net_nosuch0'), 1, never), { errorClass: 'invalid', message: /net_nosuch0.*devargs/s })
    await dataplane.config.apply(bare('net_null_wan'), 2, never)
    await until('the TAP', () => dataplane.links.list().some(l => l.name.includes(tap) && l.up))
    await rig.forwarder.count()
    t.match(rig.forwarder.drivers(), [{ driver: 'net_null', up: true, counters: { rx_missed: 0, tx_packets: Number } }])
    t.ok(Object.keys(rig.forwarder.drivers()[0]?.counters ?? {}).some(name => name.startsWith('rx_q0')), 'the driver’s own too')
    await dataplane.config.apply(rig.desired(traffic(1, 1)), 3, never)
    t.notOk(dataplane.links.list().some(l => l.name.includes(tap)), 'it goes with the port')
  })
})
