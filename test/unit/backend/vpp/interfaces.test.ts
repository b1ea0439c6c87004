/** VPP's interfaces as links: what an event says of them is not believed, they are read again. */
import t from 'tap'
import { VppInterfaces } from '../../../../src/backend/vpp/interfaces.js'
import { ModelServer } from '../../../vpp/model-server.js'
import { openClient } from '../../../vpp/open-client.js'
import { comesAbout } from '../../../until.js'

t.test('a link for each, with its addresses', async (t) => {
  const vpp = new ModelServer(t)
  await vpp.start()
  const told: string[] = []
  const it = await VppInterfaces.open(await openClient(t, vpp.path), null, (name, { interface: of, state }) => { told.push(`${name} ${of} ${state}`) })
  t.teardown(() => { it.close() })
  t.same(it.list(), [
    { name: 'local0', device: 0, mac: '00:00:00:00:00:00', mtu: 1500, up: false, addresses: [], kind: 'vpp', ifindex: 0, rxPackets: 0, txPackets: 0, rxDropped: 0, txDropped: 0 },
    { name: 'host-lan', device: 1, mac: '02:fe:00:00:00:01', mtu: 1500, up: true, addresses: ['10.0.0.1/8', '2001:db8::1/64'], kind: 'vpp', ifindex: 0, rxPackets: 0, txPackets: 0, rxDropped: 0, txDropped: 0 }
  ])
  const until = async (n: number): Promise<void> => { await comesAbout(() => told.length >= n) }
  vpp.flap(1, 1) // admin up, no link: the event says up
  await until(1)
  vpp.flap(1, 3)
  await until(2)
  t.equal(vpp.asked.get('ip_address_dump_2d033de4'), 2 * 2 + 2 * 2, 'of two interfaces at first, then of the one that changed, each time of both families')
  for (let i = 0; i < 20; i++) vpp.flap(1, 3)
  vpp.interfaces = vpp.interfaces.slice(0, 1)
  vpp.flap(0, 0)
  await until(3)
  t.same(told, ['vpp-link host-lan down', 'vpp-link host-lan up', 'vpp-link host-lan gone'])
})

