/**
 * The eBPF backend, START HERE: XDP programs forward, this process only tells them how. Maps, program and links are pinned, so that forwarding and
 * the opening of sessions go on while the agent is away.
 */
import type { Capability, ProbeResult } from '../../contract/dataplane.js'
import type { Desired } from '../../contract/desired.js'
import { LockstepError } from '../../contract/errors.js'
import type { NativeTable } from '../../native/binding.js'
import type { NativeEbpf, NativeEbpfPort } from '../../native/binding-ebpf.js'
import { native } from '../../native/errors.js'
import { loadEbpf } from '../../native/load-ebpf.js'
import { admitsAll, type Forwarder } from '../table/forwarder.js'
import type { OpenPort } from '../table/ports.js'
import { capabilitiesOf } from './capabilities.js'
import { DeafPorts } from './deaf-ports.js'
import { Keeper } from './keeper.js'
import type { KeeperWatch } from './keeper-watch.js'
import { withLog } from './verifier-log.js'

/** The keeper lets go before it says so; this only waits for the kernel. */
const FREER_MS = 1000

/** Where the instance is pinned. */
export const pinFolder = (instance: string): string => `/sys/fs/bpf/lockstep/${instance.replaceAll('.', '~')}`

export function probeEbpf (): ProbeResult {
  const { addon, reason } = loadEbpf()
  const features = addon?.probe() ?? []
  const missing = addon === null ? reason : features.filter(f => f.needed && !f.ok).map(f => `${f.name}: ${f.reason}`).join('; ')
  const tcx = features.find(f => f.name === 'tcx')
  return { backend: 'ebpf', available: missing === '', reason: missing, capabilities: capabilitiesOf(tcx?.reason ?? missing) }
}

/** Ends the keeper of an instance without an agent and removes all that it pinned. False: there was nothing. @throws LS_E_BUSY while an agent has it. */
export async function removeInstance (instance: string): Promise<boolean> {
  const { addon, reason } = loadEbpf()
  if (addon === null) throw new LockstepError('unavailable', 'LS_B_EBPF', 'pins cannot be removed without the ebpf addon', { object: instance, found: reason })
  const folder = pinFolder(instance)
  const keeper = await Keeper.meet(folder)
  await keeper?.quit()
  return native(() => addon.remove(folder), { object: folder, next: 'stop the agent first: lockstep stop' })
}

export class EbpfForwarder implements Forwarder {
  readonly name = 'ebpf'
  readonly parks = true
  readonly copies = false
  readonly program = null
  readonly admit = admitsAll
  readonly capabilities: readonly Capability[] = probeEbpf().capabilities
  private loaded = false
  /** Ports on which the driver does not run programs, so that the generic hook does. */
  readonly generic = new Set<string>()
  /** Ports on whose way out nothing records what the host opens. */
  private readonly unrecorded = new Set<string>()
  private readonly deaf = new DeafPorts()

  constructor (private readonly ebpf: NativeEbpf, private readonly table: NativeTable, private readonly folder: string, private readonly keeper: KeeperWatch, private readonly stateDirectory: string) {}

  probe (): ProbeResult { return probeEbpf() }

  inherited (): ReadonlyMap<string, number> { return new Map(native(() => this.ebpf.info()).links.map(l => [l.name, l.device])) }

  async start (): Promise<void> {
    try {
      if (!this.loaded) native(() => { this.ebpf.load() }, { object: 'the XDP program', next: 'lockstep doctor tells what this kernel lacks' })
    } catch (error) {
      throw withLog(error, this.ebpf.log(), this.stateDirectory)
    }
    this.loaded = true
    native(() => { this.ebpf.publish() }, { object: 'agent.instance', next: 'stop the other agent, or give this one another agent.instance' })
    native(() => { this.ebpf.freer(FREER_MS) }, { object: this.folder })
    await this.keeper.start()
    native(() => { this.table.programs(true) })
  }

  /** Forwarding goes on, and the keeper stands in: from when the table is closed, which is when this process ends. */
  async stop (): Promise<void> { await Promise.resolve(this.keeper.stop()) }

  async leave (): Promise<void> {
    await this.keeper.end()
    native(() => { this.table.hostFlows(false) })
    native(() => { this.ebpf.unpublish() })
    native(() => { this.table.programs(false) })
  }

  enable (port: OpenPort): void {
    const { name } = port.port
    const { ifindex, mode, redirect, recorded } = native(() => this.ebpf.attach(this.spec(port)), { object: `port ${name}` })
    if (recorded) this.unrecorded.delete(name)
    else this.unrecorded.add(name)
    native(() => { this.table.hostFlows(this.unrecorded.size === 0) })
    if (mode === 1) this.generic.add(name)
    else this.generic.delete(name)
    this.deaf.enabled(name, { netns: port.spec.netns, ifindex, generic: mode === 1, redirect })
  }

  private spec ({ port, spec, device }: OpenPort): NativeEbpfPort { return { name: port.name, interface: spec.name, netns: spec.netns, device, generic: true } }

  open (port: OpenPort): void { native(() => this.ebpf.ways(this.spec(port)), { object: `port ${port.port.name}` }) }
  close (): void { /* nothing is left of a port that is detached */ }
  async handOver (port: OpenPort): Promise<void> { await Promise.resolve(this.disable(port)) }
  disable ({ port }: OpenPort): void { native(() => this.ebpf.detach(port.name), { object: `port ${port.name}` }) }

  settle (ports: readonly OpenPort[]): string[] {
    native(() => this.ebpf.detachOthers(ports.map(p => p.port.name)))
    const names = new Set(ports.map(p => p.port.name))
    for (const name of this.unrecorded) if (!names.has(name)) this.unrecorded.delete(name)
    this.deaf.settle(names)
    native(() => { this.table.hostFlows(this.unrecorded.size === 0) })
    return [
      ...[...this.generic].map(name => `port ${name}: its driver runs no XDP programs, the generic hook does: slower, after the kernel has copied each frame`),
      ...this.unrecorded.size === 0 ? [] : [`ports ${[...this.unrecorded].join(', ')}: this kernel has no tcx (Linux 6.6): replies to what the host opens are known by the host's ephemeral ports only`]
    ]
  }

  /** Nothing stands on the host but the programs: what they pass up, the stack may have. */
  async guard (d: Desired): Promise<void> {
    await Promise.resolve()
    const other = d.ports.filter(p => p.kind !== 'packet')
    if (other.length > 0) {
      throw new LockstepError('unsupported', 'LS_B_PORT_KIND', 'XDP programs run on kernel interfaces only', {
        object: other.map(p => `port ${p.name}`).join(', '), found: [...new Set(other.map(p => p.kind))].join(', '), expected: 'kind packet', next: 'remove the port, or use the userspace backend'
      })
    }
  }

  degraded (): string[] { return [...this.keeper.trouble === '' ? [] : [this.keeper.trouble], ...this.deaf.lines()] }
  async unguard (): Promise<void> { await Promise.resolve() }
  signature (): string { return '' }
}
