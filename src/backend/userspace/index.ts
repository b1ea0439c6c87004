/**
 * The userspace backend, START HERE: the reference dataplane. Packet workers are native threads over AF_PACKET, TAP, capture files or a traffic
 * source; this class turns a configuration into a flip of the shared table.
 *
 * An apply: open new ports -> read the host's facts -> build rings -> compile -> ingress chain -> flip and grace -> routes and neighbours -> close stale
 * ports -> re-evaluate sessions. Whatever fails before the flip leaves everything as it was; after the flip nothing is refused any more.
 */
import type {
  ApplyResult, Capability, ConfigSink, DataPlane, HaController, LinkController, LoadBalancerSink, ProbeResult, RgRole, SessionDeltaSource, SessionStore, Telemetry
} from '../../contract/dataplane.js'
import type { Desired } from '../../contract/desired.js'
import { LockstepError } from '../../contract/errors.js'
import { limits } from '../../generated/layout.js'
import type { NativeCore, NativeTable, NativeUserspace } from '../../native/binding.js'
import { native } from '../../native/errors.js'
import { createSessionStore } from '../../native/session-store.js'
import { createTelemetry } from '../../native/telemetry.js'
import { capabilitiesOf } from './capabilities.js'
import { ingressRemoval, ingressRules, type IngressPort } from './ingress.js'
import { runNft } from './nft.js'
import { netnsPath, PortSet } from './ports.js'
import { probeHost } from './probe.js'
import { RingArena, type RingPlaced, type RingWanted } from './rings.js'

/** The compiler of configurations (src/config/compile), handed in: a backend does not know the configuration's rank-mates. */
export interface Compiler {
  readonly rings: (d: Desired) => readonly RingWanted[]
  readonly compile: (d: Desired, ports: Readonly<Record<string, PortFact>>, rings: Readonly<Record<string, RingPlaced>>, generation: number) => Compiled
}
export interface PortFact { readonly device: number, readonly mac: string, readonly mtu: number, readonly ifindex: number, readonly addresses: readonly string[], readonly up: boolean }
export interface Compiled {
  readonly bank: Uint8Array
  readonly routes: Uint8Array
  readonly neighbours: Uint8Array
  readonly result: Omit<ApplyResult, 'generation' | 'capabilities' | 'durations'>
  readonly warnings: readonly string[]
}

export interface UserspaceOptions {
  readonly core: NativeCore
  readonly table: NativeTable
  readonly workers: number
  readonly instance: string
  /** Namespace of the ports that name no other. */
  readonly netns: string | null
  readonly compiler: Compiler
}

const roles: Readonly<Record<RgRole, number>> = {
  init: limits.LS_ROLE_INIT, standby: limits.LS_ROLE_STANDBY, owner: limits.LS_ROLE_OWNER, hold: limits.LS_ROLE_HOLD, yield: limits.LS_ROLE_YIELD, take: limits.LS_ROLE_TAKE
}
const kindNames = ['packet', 'packet', 'pcap', 'tap', 'source'] as const
const neighbourStates = ['incomplete', 'incomplete', 'valid', 'failed'] as const
const IFF_UP = 1

export class UserspaceDataPlane implements DataPlane {
  readonly name = 'userspace'
  readonly sessions: SessionStore
  readonly deltas: SessionDeltaSource
  readonly telemetry: Telemetry
  readonly capabilities: readonly Capability[]
  readonly config: ConfigSink = { apply: async (d, generation, signal) => await this.apply(d, generation, signal), lastApplyResult: () => structuredClone(this.last) }
  readonly links: LinkController = { list: () => this.listLinks(), neighbours: () => this.listNeighbours() }
  readonly ha: HaController
  readonly loadBalancer: LoadBalancerSink = { readBack: () => this.readBack() }
  private readonly dataplane: NativeUserspace
  private readonly ports: PortSet
  private readonly rings: RingArena
  private last: ApplyResult | null = null
  private desired: Desired | null = null
  private ingress = false
  private started = false

  constructor (private readonly o: UserspaceOptions) {
    const { core, table } = o
    this.dataplane = native(() => new core.Userspace(table, o.workers), { object: 'agent.workers' })
    this.ports = new PortSet(this.dataplane)
    this.rings = new RingArena(core, table)
    this.capabilities = capabilitiesOf(probeHost())
    this.sessions = createSessionStore(table, (app, phase) => this.timeoutMs(app, phase))
    this.telemetry = createTelemetry(table)
    this.deltas = { drain: (out) => table.drain(out) }
    this.ha = {
      setRole: (rg, role, epoch) => { table.setRole(rg, roles[role], epoch, 2n ** 64n - 1n) },
      setFabricForwarding: () => { throw new LockstepError('unsupported', 'LS_B_FABRIC', 'the userspace backend has no fabric forwarding', { object: 'fabric', next: 'see backend list' }) },
      stampLease: (rg, deadlineNs) => { table.setRole(rg, roles.owner, 0n, deadlineNs) }
    }
  }

  async probe (): Promise<ProbeResult> {
    return await Promise.resolve({ backend: 'userspace', available: true, reason: '', capabilities: capabilitiesOf(probeHost()) })
  }

  async start (signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.started) return
    native(() => { this.dataplane.startLinks(netnsPath(this.o.netns)) }, { object: `netns ${this.o.netns ?? '(own)'}` })
    native(() => { this.o.table.startFreer() })
    native(() => { this.dataplane.start() })
    this.started = true
    await Promise.resolve()
  }

  async close (): Promise<void> {
    if (this.started) this.dataplane.stop()
    this.started = false
    if (this.ingress) {
      this.ingress = false
      await runNft(this.netns(), ingressRemoval(this.o.instance)).catch(() => undefined) // the namespace may be gone, and the chain with it
    }
    this.dataplane.close()
    this.o.table.stopFreer()
  }

  async teardown (): Promise<void> { await this.close() }

  /** Applies again what runs, because the host changed: addresses, links, schedules. */
  async refresh (signal: AbortSignal): Promise<void> {
    if (this.desired !== null && this.last !== null) await this.apply(this.desired, this.last.generation, signal)
  }

  /** What a compile depends on besides the configuration; a change calls for refresh(). */
  hostSignature (): string { return JSON.stringify(this.facts()) }

  private netns (): string | null { return this.o.netns === null ? null : netnsPath(this.o.netns) }

  private async apply (d: Desired, generation: number, signal: AbortSignal): Promise<ApplyResult> {
    const began = performance.now()
    signal.throwIfAborted()
    if (d.agent.netns !== this.o.netns) throw new LockstepError('stale', 'LS_B_RESTART', 'agent.netns changes only with a restart', { object: 'agent.netns', found: String(d.agent.netns), expected: String(this.o.netns), next: 'restart the agent with this configuration' })
    const ports = this.ports.prepare(d)
    const opened = performance.now()
    try {
      const rings = await this.rings.prepare(this.o.compiler.rings(d))
      const compiled = this.o.compiler.compile(d, this.facts(), rings.rings, generation)
      const compiledAt = performance.now()
      await this.writeIngress(d)
      signal.throwIfAborted()
      native(() => { this.o.table.writeConfig(compiled.bank) })
      rings.commit()
      this.desired = d
      const flipped = performance.now()
      native(() => { this.dataplane.setRoutes(compiled.routes) })
      this.dataplane.setNeighbours(compiled.neighbours)
      ports.enable()
      ports.closeStale()
      if (d.reload.policyRematch) await this.o.table.reevaluate()
      const unsupported = this.capabilities.filter(c => !c.supported)
      this.last = {
        ...compiled.result, generation,
        capabilities: { supported: this.capabilities.filter(c => c.supported).map(c => c.name), unsupportedReasons: Object.fromEntries(unsupported.map(c => [c.name, c.reason])) },
        warnings: compiled.warnings,
        durations: { portsMs: opened - began, compileMs: compiledAt - opened, flipMs: flipped - compiledAt, totalMs: performance.now() - began }
      }
      return structuredClone(this.last)
    } catch (error) {
      ports.undo()
      throw error
    }
  }

  private facts (): Record<string, PortFact> {
    const links = this.dataplane.links()
    const ports = new Map(this.dataplane.ports().map(p => [p.device, p]))
    return Object.fromEntries(this.ports.all().map(({ port, device, mac, mtu, ifindex }) => {
      const link = port.kind === 'packet' ? links.find(l => l.ifindex === ifindex) : undefined
      return [port.name, { device, mac: link?.mac ?? mac, mtu: link?.mtu ?? mtu, ifindex, addresses: link?.addresses ?? [], up: link === undefined ? ports.get(device)?.up ?? true : (link.flags & IFF_UP) !== 0 }]
    }))
  }

  private async writeIngress (d: Desired): Promise<void> {
    const facts = this.facts()
    const ports: IngressPort[] = d.ports.filter(p => p.kind === 'packet').map(port => {
      const interfaces = d.interfaces.filter(i => i.port === port.name)
      const names = new Set(interfaces.map(i => i.zone))
      return {
        device: port.device, zones: d.zones.filter(z => names.has(z.name)), addresses: facts[port.name]?.addresses ?? [],
        management: d.agent.management.interfaces.length === 0 || interfaces.some(i => d.agent.management.interfaces.includes(i.name))
      }
    })
    if (ports.length === 0 && !this.ingress) return
    await runNft(this.netns(), ports.length === 0 ? ingressRemoval(this.o.instance) : ingressRules(this.o.instance, ports, d))
    this.ingress = ports.length > 0
  }

  private timeoutMs (app: number, phase: number): number {
    const d = this.desired
    if (d === null) return 0
    const name = this.last?.appNames[app]
    const phases = Object.keys(d.timeouts)
    const key = phases[phase] ?? ''
    return d.applications.find(a => a.name === name)?.timeouts[key] ?? d.timeouts[key] ?? 0
  }

  private listLinks (): ReturnType<LinkController['list']> {
    const facts = this.facts()
    const names = new Map(this.ports.all().map(p => [p.device, p.port.name]))
    return this.dataplane.ports().map(p => {
      const name = names.get(p.device) ?? p.name
      return { name, device: p.device, kind: kindNames[p.kind] ?? 'packet', ifindex: p.ifindex, mac: p.mac, mtu: p.mtu, up: p.up, addresses: facts[name]?.addresses ?? [], rxPackets: p.rxPackets, txPackets: p.txPackets, rxDropped: p.rxDropped, txDropped: p.txDropped }
    })
  }

  private listNeighbours (): ReturnType<LinkController['neighbours']> {
    return this.dataplane.neighbours().map(n => ({ address: n.address, device: n.device, mac: n.mac, state: neighbourStates[n.state] ?? 'failed' }))
  }

  private readBack (): ReturnType<LoadBalancerSink['readBack']> {
    const vips = this.last?.vips ?? {}
    return this.rings.readBack().map(r => ({
      vip: vips[r.vip]?.id ?? 0, ringSize: r.size, ringHash: r.hash.toString(16).padStart(16, '0'),
      reals: [...r.entries].map(([id, slots]) => ({ id, slots })).sort((a, b) => a.id - b.id)
    }))
  }
}
