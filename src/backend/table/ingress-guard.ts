/**
 * The ingress chains of an instance: those who forward by copies of frames that the kernel has too share them, so that a change from one to the other leaves no gap.
 */
import type { Desired } from '../../contract/desired.js'
import type { PortFact } from './forwarder.js'
import { ingressChains, ingressTable, type IngressPort } from './ingress.js'
import { HeldTable } from './nft.js'
import type { OpenPort } from './ports.js'

export class IngressGuard {
  /** By path of their namespace; empty = the agent's own. */
  private readonly tables = new Map<string, HeldTable>()
  private readonly users = new Set<string>()

  constructor (private readonly instance: string) {}

  /** Changes when they must be written again. */
  signature (): string { return [...this.tables.values()].map(table => table.deaths).join() }

  /** One chain set per namespace that has a packet port, and none where there was one and is no more. `user` stands behind it until it lets go. */
  async write (user: string, d: Desired, open: readonly OpenPort[], facts: Readonly<Record<string, PortFact>>): Promise<void> {
    this.users.add(user)
    const wanted = new Map<string, IngressPort[]>()
    const packet = open.filter(o => o.port.kind === 'packet')
    for (const { port, spec } of packet) {
      const interfaces = d.interfaces.filter(i => i.port === port.name)
      const names = new Set(interfaces.map(i => i.zone))
      wanted.set(spec.netns, [...wanted.get(spec.netns) ?? [], {
        device: port.device, zones: d.zones.filter(z => names.has(z.name)), addresses: packet.filter(o => o.spec.netns === spec.netns).flatMap(o => facts[o.port.name]?.addresses ?? []), // any address of the host, whichever port the packet came by
        management: d.agent.management.interfaces.length === 0 || interfaces.some(i => d.agent.management.interfaces.includes(i.name))
      }])
    }
    for (const [netns, ports] of wanted) {
      const table = this.tables.get(netns) ?? new HeldTable(netns, ingressTable(this.instance))
      this.tables.set(netns, table)
      await table.write(ingressChains(ports, d))
    }
    await this.release(netns => !wanted.has(netns))
  }

  /** The last user's chains go. */
  async letGo (user: string): Promise<void> {
    this.users.delete(user)
    if (this.users.size === 0) await this.release(() => true)
  }

  private async release (which: (netns: string) => boolean): Promise<void> {
    for (const [netns, table] of [...this.tables].filter(([name]) => which(name))) {
      await table.release()
      this.tables.delete(netns)
    }
  }
}
