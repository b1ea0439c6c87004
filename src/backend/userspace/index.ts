/**
 * The userspace backend, START HERE: the reference. Packet workers are native threads over AF_PACKET, TAP, capture files or a traffic source; an nft
 * ingress chain keeps the host's stack away from what they forward.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Capability, ProbeResult } from '../../contract/dataplane.js'
import type { Desired } from '../../contract/desired.js'
import type { NativeUserspace } from '../../native/binding.js'
import { native } from '../../native/errors.js'
import { admitsAll, type Forwarder, type PortFact } from '../table/forwarder.js'
import type { IngressGuard } from '../table/ingress-guard.js'
import type { OpenPort } from '../table/ports.js'
import { probeHost } from '../table/probe.js'
import { capabilitiesOf } from './capabilities.js'

/** What lies in a receive ring is taken within a round of its worker. */
const DRAIN_MS = 5

export const probeUserspace = (): ProbeResult => ({ backend: 'userspace', available: true, reason: '', capabilities: capabilitiesOf(probeHost()) })

export class UserspaceForwarder implements Forwarder {
  readonly name = 'userspace'
  readonly parks = false
  readonly copies = true
  readonly program = null
  readonly admit = admitsAll
  readonly capabilities: readonly Capability[] = capabilitiesOf(probeHost())

  constructor (private readonly dataplane: NativeUserspace, private readonly ingress: IngressGuard) {}

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
  async handOver (port: OpenPort, copied: boolean): Promise<void> {
    if (!copied) await sleep(DRAIN_MS)
    this.disable(port)
  }

  disable ({ device }: OpenPort): void { native(() => { this.dataplane.disablePort(device) }) }
  signature (): string { return this.ingress.signature() }

  async guard (d: Desired, open: readonly OpenPort[], facts: Readonly<Record<string, PortFact>>): Promise<void> { await this.ingress.write(this.name, d, open, facts) }
  async unguard (): Promise<void> { await this.ingress.letGo(this.name) }
}
