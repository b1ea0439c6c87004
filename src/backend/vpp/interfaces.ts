/**
 * VPP's interfaces as links. Its events say that something happened, not what is (flags of one batch are ORed): after each event, and every ten seconds, all
 * are read again. For an address there is no event and no dump of all: those of an interface are read when it changed, and of all once a minute. Counters
 * are read when they are asked for.
 */
import type { LinkInfo } from '../../contract/dataplane.js'
import type { NativeVppStats } from '../../native/binding.js'
import type { VppClient } from './client.js'
import type { Tell } from './lb/sink.js'

type Interface = Pick<LinkInfo, 'name' | 'device' | 'mac' | 'mtu' | 'up' | 'addresses'>

const ALL = 0xffffffff
const [ADMIN_UP, LINK_UP] = [1, 2]
const AGAIN_MS = 10_000
const ADDRESSES_EVERY = 6
const SOON_MS = 50
const EVENT = 'sw_interface_event_2d3d95a7'

export class VppInterfaces {
  private all: readonly Interface[] = []
  private readonly timer: NodeJS.Timeout
  private soon: NodeJS.Timeout | null = null
  private off: () => void = () => undefined
  private turns = 0

  private constructor (private readonly client: VppClient, private readonly stats: NativeVppStats | null, private readonly tell: Tell) {
    this.timer = setInterval(() => { this.again(++this.turns % ADDRESSES_EVERY === 0) }, AGAIN_MS)
  }

  /** @throws what a call throws */
  static async open (client: VppClient, stats: NativeVppStats | null, tell: Tell): Promise<VppInterfaces> {
    const it = new VppInterfaces(client, stats, tell)
    try {
      it.off = client.on(EVENT, () => { it.soon ??= setTimeout(() => { it.soon = null; it.again(false) }, SOON_MS) })
      await client.call('want_interface_events_476f5a08', { enable_disable: 1, pid: process.pid })
      it.all = await it.look(true)
      return it
    } catch (error) {
      it.close()
      throw error
    }
  }

  close (): void {
    this.off()
    clearInterval(this.timer)
    if (this.soon !== null) clearTimeout(this.soon)
  }

  get devices (): ReadonlyArray<Pick<Interface, 'name' | 'device'>> { return this.all }

  list (): LinkInfo[] {
    return this.all.map((one) => {
      const [rxPackets, txPackets, dropped] = this.counted(one.device)
      return { ...one, kind: 'vpp', ifindex: 0, rxPackets, txPackets, rxDropped: dropped, txDropped: 0 }
    })
  }

  /** A failure is the connection's, which knows of it. */
  private again (addresses: boolean): void {
    void this.look(addresses).then((now) => {
      const before = new Map(this.all.map(one => [one.device, one]))
      this.all = now
      for (const { device, name, up } of now) if (before.get(device)?.up !== up) this.tell('vpp-link', { interface: name, state: up ? 'up' : 'down' })
      for (const { device, name } of before.values()) if (!now.some(one => one.device === device)) this.tell('vpp-link', { interface: name, state: 'gone' })
    }, () => undefined)
  }

  /** `addresses`: also of interfaces that are as they were. */
  private async look (addresses: boolean): Promise<Interface[]> {
    const before = new Map(this.all.map(one => [one.device, one]))
    const found = await this.client.dump('sw_interface_dump_aa610c27', { sw_if_index: ALL, name_filter_valid: false, name_filter: '' })
    return await Promise.all(found.map(async ({ sw_if_index: device, interface_name: name, l2_address: mac, flags, mtu: [mtu = 0], link_mtu: linkMtu }) => {
      const up = (flags & (ADMIN_UP | LINK_UP)) === (ADMIN_UP | LINK_UP)
      const was = before.get(device)
      const same = !addresses && was?.name === name && was.up === up
      return { name, device, mac, mtu: mtu === 0 ? linkMtu : mtu, up, addresses: same ? was.addresses : await this.addressesOf(device) }
    }))
  }

  private async addressesOf (sw_if_index: number): Promise<string[]> {
    const families = [false, true].map(async is_ipv6 => await this.client.dump('ip_address_dump_2d033de4', { sw_if_index, is_ipv6 }))
    return (await Promise.all(families)).flat().map(({ prefix }) => prefix)
  }

  private counted (device: number): [number, number, number] {
    try {
      const [rx = NaN, , tx = NaN, , drops = NaN] = this.stats?.counters(['/if/rx', '/if/tx', '/if/drops'], device) ?? []
      return [known(rx), known(tx), known(drops)]
    } catch {
      return [0, 0, 0] // the layout is being changed
    }
  }
}

const known = (n: number): number => Number.isNaN(n) ? 0 : n
