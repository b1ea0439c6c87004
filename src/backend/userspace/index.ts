/**
 * The userspace backend, START HERE: the reference. Packet workers are native threads over AF_PACKET, TAP, capture files or a traffic source; an nft
 * ingress chain keeps the host's stack away from what they forward.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Capability, ProbeResult } from '../../contract/dataplane.js'
import type { Desired } from '../../contract/desired.js'
import type { NativeUserspace } from '../../native/binding.js'
import { native } from '../../native/errors.js'
import type { Forwarder, PortFact } from '../table/forwarder.js'
import type { OpenPort } from '../table/ports.js'
import { capabilitiesOf } from './capabilities.js'
import { ingressChains, ingressTable, type IngressPort } from './ingress.js'
import { HeldTable } from './nft.js'
import { probeHost } from './probe.js'

/** What lies in a receive ring is taken within a round of its worker. */
const DRAIN_MS = 5

export const probeUserspace = (): ProbeResult => ({ backend: 'userspace', available: true, reason: '', capabilities: capabilitiesOf(probeHost()) })

export class UserspaceForwarder implements Forwarder {
  readonly name = 'userspace'
  readonly parks = false
  readonly program = null
  readonly capabilities: readonly Capability[] = capabilitiesOf(probeHost())
  /** Ingress chains by path of their namespace; empty = the agent's own. */
  private readonly ingress = new Map<string, HeldTable>()

  constructor (private readonly dataplane: NativeUserspace, private readonly instance: string) {}

  probe (): ProbeResult { return probeUserspace() }
  async start (): Promise<void> { await Promise.resolve(native(() => { this.dataplane.start() })) }

  async stop (): Promise<void> {
    this.dataplane.stop()
    await this.unguard()
  }

  async leave (): Promise<void> { await this.stop() }
  inherited (): ReadonlyMap<string, number> { return new Map() }
  settle (): string[] { return [] }
  degraded (): string[] { return [] }
  enable ({ device }: OpenPort): void { native(() => { this.dataplane.enablePort(device) }) }
  open ({ device, port }: OpenPort): void { if (port.kind === 'packet') native(() => { this.dataplane.unparkPort(device) }, { object: `port ${port.name}` }) }
  close ({ device, port }: OpenPort): void { if (port.kind === 'packet') native(() => { this.dataplane.parkPort(device) }, { object: `port ${port.name}` }) }
  async handOver (port: OpenPort): Promise<void> {
    await sleep(DRAIN_MS)
    this.disable(port)
  }

  disable ({ device }: OpenPort): void { native(() => { this.dataplane.disablePort(device) }) }
  signature (): string { return [...this.ingress.values()].map(table => table.deaths).join() }

  /** One chain set per namespace that has a packet port, and none where there was one and is no more. */
  async guard (d: Desired, open: readonly OpenPort[], facts: Readonly<Record<string, PortFact>>): Promise<void> {
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
      const table = this.ingress.get(netns) ?? new HeldTable(netns, ingressTable(this.instance))
      this.ingress.set(netns, table)
      await table.write(ingressChains(ports, d))
    }
    await this.release(netns => !wanted.has(netns))
  }

  async unguard (): Promise<void> { await this.release(() => true) }

  private async release (which: (netns: string) => boolean): Promise<void> {
    for (const [netns, table] of [...this.ingress].filter(([name]) => which(name))) {
      await table.release()
      this.ingress.delete(netns)
    }
  }
}
