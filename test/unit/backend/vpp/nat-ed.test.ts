/** Sessions of NAT44-ED, read in intervals: what comes and goes in VPP, what an operator ends, whose node they are, and the mappings that stand for them elsewhere. */
import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { VppRefusal, type VppClient } from '../../../../src/backend/vpp/client.js'
import { EdSessions } from '../../../../src/backend/vpp/nat/ed.js'
import type { HaEvent } from '../../../../src/backend/vpp/nat/ha-wire.js'
import type { Held, NatTable } from '../../../../src/backend/vpp/nat/table.js'
import { until } from '../../../until.js'

interface Row { readonly protocol?: number, readonly port: number, readonly to?: string, readonly timedOut?: boolean, readonly twice?: string }

class Rig {
  rows: Row[] = []
  enabled = true
  timeoutSeconds = 300
  owner = true
  readonly deleted: number[] = []
  readonly table = new Map<string, Held>()
  readonly told: string[] = []
  /** Static mappings of VPP: inside, and what they are. Those of others have another tag. */
  readonly mapped = new Map<string, { readonly tag: string, readonly local_ip_address: string, readonly local_port: number, readonly external_ip_address: string, readonly external_port: number, readonly protocol: number }>()
  changes = 0
  version = 0
  readonly it: EdSessions
  constructor () {
    const key = ({ id: { origin, serial } }: Held): string => `${origin} ${serial}`
    const table: NatTable = {
      owns: () => this.owner, version: () => String(this.version), all: async () => await Promise.resolve([...this.table.values()]), clear: async () => { await Promise.resolve() }, touch: () => [],
      open: (held) => { for (const one of held) this.table.set(key(one), one); return [] },
      end: async (held) => { await Promise.resolve(); for (const one of held) this.table.delete(key(one)) }
    }
    this.it = new EdSessions({ settings: { redundancyGroup: 0, intervalMs: 20 }, table, tell: (_, fields) => { this.told.push(String(fields['reason'])) }, onBegun: () => undefined })
  }

  private map (asked: { is_add: boolean, tag: string, local_ip_address: string, local_port: number, external_ip_address: string, external_port: number, protocol: number }): unknown {
    this.changes++
    const inside = `${asked.protocol} ${asked.local_ip_address}:${asked.local_port}`
    if (asked.is_add === this.mapped.has(inside)) throw new VppRefusal('nat44_add_del_static_mapping_v2_5e205f1a', asked.is_add ? -81 : -6)
    if (asked.is_add) this.mapped.set(inside, asked)
    else this.mapped.delete(inside)
    return {}
  }

  /** As the sync of sessions puts it here. */
  put (protocol: number, insidePort: number, outsidePort: number, externalAddress = '192.0.2.1', isStatic = false): void {
    const event: HaEvent = { kind: 'add', protocol, static: isStatic, insideAddress: '10.0.0.1', insidePort, outsideAddress: '198.51.100.1', outsidePort, externalAddress, externalPort: 443, externalNatAddress: externalAddress, externalNatPort: 443, fibIndex: 0, packets: 1, bytes: 10n }
    this.table.set(`7 ${this.table.size}`, { id: { origin: 7n, serial: BigInt(this.table.size) }, event })
    this.version++
  }

  get insides (): string[] { return [...this.mapped].filter(([, { tag }]) => tag === 'lockstep-session').map(([inside]) => inside).sort() }

  get client (): VppClient {
    const call = async (key: string, asked: { readonly port: number }): Promise<unknown> => {
      await Promise.resolve()
      if (key === 'nat44_show_running_config_51077d14') return { sessions: this.enabled ? 1000 : 0, timeouts: { udp: this.timeoutSeconds, icmp: this.timeoutSeconds } }
      if (key === 'nat44_add_del_static_mapping_v2_5e205f1a') return this.map(asked as never)
      this.deleted.push(asked.port)
      this.rows = this.rows.filter(({ port }) => port !== asked.port)
      return {}
    }
    const dump = async (key: string): Promise<unknown[]> => {
      await Promise.resolve()
      if (key === 'nat44_user_dump_51077d14') return [{ vrf_id: 0, ip_address: '10.0.0.1' }, { vrf_id: 0, ip_address: '10.0.0.1' }, { vrf_id: 7, ip_address: '10.0.0.9' }]
      if (key === 'nat44_static_mapping_dump_51077d14') return [...this.mapped.values()]
      return this.rows.map(({ protocol = 6, port, to = '192.0.2.1', timedOut = false, twice = '0.0.0.0' }) => ({
        outside_ip_address: '198.51.100.1', outside_port: 40_000, inside_ip_address: '10.0.0.1', inside_port: port, protocol, flags: 0, last_heard: 0n, time_since_last_heard: 0n, total_bytes: 10n, total_pkts: 1,
        ext_host_address: to, ext_host_port: 443, ext_host_nat_address: twice, ext_host_nat_port: 443, is_timed_out: timedOut
      }))
    }
    return { call, dump } as unknown as VppClient
  }

  get ports (): number[] { return [...this.table.values()].map(({ event }) => event.insidePort).sort((a, b) => a - b) }
}

t.test('what VPP has, for whoever owns', async (t) => {
  const rig = new Rig()
  t.teardown(() => { rig.it.down() })
  rig.rows = [{ port: 1 }, { port: 2 }, { port: 2, to: '192.0.2.2' }, { port: 3, timedOut: true }, { port: 4, twice: '203.0.113.1' }]
  await rig.it.up(rig.client, 1)
  t.same(rig.ports, [1, 2, 2, 4], 'one outside for two hosts is two sessions; what has timed out is none')
  t.match([...rig.table.values()].find(({ event }) => event.insidePort === 4)?.event, { externalAddress: '192.0.2.1', externalNatAddress: '203.0.113.1' })
  rig.rows = [{ port: 1 }, { port: 5 }]
  await until('follows', () => rig.ports.join() === '1,5')
  for (const [key, { event }] of rig.table) if (event.insidePort === 1) rig.table.delete(key)
  await until('an operator ended it', () => rig.deleted.join() === '1')
  rig.rows.push({ port: 1 })
  await until('opened again by packets', () => rig.ports.join() === '1,5')
  rig.owner = false
  await sleep(50)
  rig.table.clear()
  rig.rows.push({ port: 6 })
  await sleep(60)
  t.same([rig.ports, rig.deleted], [[], [1]], 'not of this node: nothing is put, and nothing is ended')
  rig.enabled = false
  rig.owner = true
  await until('told', () => rig.told.length === 1)
  t.match(rig.it.degraded(), [/not shown: LS_V_NAT_OFF/])
})

t.test('static mappings stand for the sessions of a peer, and a takeover waits for their packets', async (t) => {
  const rig = new Rig()
  t.teardown(() => { rig.it.down() })
  rig.owner = false
  rig.mapped.set('17 10.0.0.1:9', { tag: 'web', protocol: 17, local_ip_address: '10.0.0.1', local_port: 9, external_ip_address: '198.51.100.1', external_port: 90 })
  rig.mapped.set('17 10.0.0.1:8', { tag: 'lockstep-session', protocol: 17, local_ip_address: '10.0.0.1', local_port: 8, external_ip_address: '198.51.100.1', external_port: 80 })
  rig.put(17, 1, 40_000)
  rig.put(17, 1, 40_000, '192.0.2.2')
  rig.put(6, 2, 40_000)
  rig.put(1, 3, 40_000)
  rig.put(17, 4, 40_000, '192.0.2.1', true)
  rig.put(17, 9, 40_009)
  await rig.it.up(rig.client, 1)
  t.same(rig.insides, ['1 10.0.0.1:3', '17 10.0.0.1:1'], 'one for an inside; none for TCP, for one of the operator, and what stood from before and is not wanted')
  t.match(rig.it.degraded(), [/1 sessions of the peer would be translated anew/], 'another is in the way')
  t.ok(rig.mapped.has('17 10.0.0.1:9'), 'which stays')
  const { changes } = rig
  await sleep(60)
  t.equal(rig.changes, changes, 'nothing is asked while nothing changes')
  rig.put(17, 5, 40_000)
  await until('a new one', () => rig.insides.includes('17 10.0.0.1:5'))

  rig.rows = [{ protocol: 17, port: 1 }]
  rig.owner = true
  await until('TCP is not waited for', () => !rig.ports.includes(2))
  await sleep(60)
  t.same(rig.ports, [1, 1, 3, 5], 'what has come, and what may come; 9 and 4 have no mapping of ours')
  rig.rows = [{ protocol: 17, port: 5 }]
  await until('it came, and another went', () => rig.ports.join() === '1,3,5') // 1 to its second host is still waited for
  rig.rows = []
  await until('it went as well', () => rig.ports.join() === '1,3')
  t.same(rig.insides, ['1 10.0.0.1:3', '17 10.0.0.1:1'], 'with its mapping')
  t.match(rig.it.status, { changes: { injected: 3 } })
})

t.test('what is waited for ends with the timeout of VPP', async (t) => {
  const rig = new Rig()
  t.teardown(() => { rig.it.down() })
  rig.timeoutSeconds = 0.1
  rig.owner = false
  rig.put(17, 1, 40_000)
  await rig.it.up(rig.client, 1)
  rig.owner = true
  await until('gone, with its mapping', () => rig.ports.length === 0 && rig.insides.length === 0)
})

t.test('a VPP that begins anew has mappings for what it translated', async (t) => {
  const rig = new Rig()
  t.teardown(() => { rig.it.down() })
  rig.rows = [{ protocol: 17, port: 1 }, { port: 2 }]
  await rig.it.up(rig.client, 1)
  t.same([rig.ports, rig.insides], [[1, 2], []], 'it has them itself')
  rig.it.down()
  await rig.it.up(rig.client, 1)
  t.same([rig.ports, rig.insides], [[1, 2], []], 'the same VPP')
  rig.it.down()
  rig.rows = []
  await rig.it.up(rig.client, 2)
  t.same([rig.ports, rig.insides], [[1], ['17 10.0.0.1:1']], 'another life of it')
})
