/**
 * A dataplane over the shared session table, START HERE: turns a configuration into a flip of the table, whoever forwards. Who does (packet workers of
 * this process, programs in the kernel) is a Forwarder, and can change while traffic flows: the table, its configuration and its sessions stay.
 *
 * An apply: open new ports -> read the host's facts -> build rings -> compile -> guard of the forwarder -> flip and grace -> routes and neighbours -> close
 * stale ports -> re-evaluate sessions. Whatever fails before the flip leaves everything as it was; after the flip nothing is refused any more.
 */
import type {
  Announcer, ApplyResult, BackendName, Capability, ConfigSink, DataPlane, Drift, DriverPort, HaController, HaFacts, LinkController, LoadBalancerSink, ProbeResult, ProgramStatus, SessionDeltaSource, SessionStore, Telemetry
} from '../../contract/dataplane.js'
import type { Desired, Real, Vip } from '../../contract/desired.js'
import { LockstepError } from '../../contract/errors.js'
import type { SwitchEvent, SwitchResult, SwitchTerms } from '../../contract/services.js'
import { limits } from '../../generated/layout.js'
import type { NativeCore, NativeTable, NativeUserspace } from '../../native/binding.js'
import { fromNative, native } from '../../native/errors.js'
import { createSessionStore } from '../../native/session-store.js'
import { createTelemetry } from '../../native/telemetry.js'
import { Announcements } from './announcer.js'
import type { Forwarder, PortFact } from './forwarder.js'
import { haController } from './ha.js'
import { inKernel, netnsPath, PortSet, type OpenPort, type PreparedPorts } from './ports.js'
import { RingArena, type PreparedRings, type RingPlaced, type RingWanted } from './rings.js'
import { refusal, switchForwarder } from './switch.js'

/** The compiler of configurations (src/config/compile), handed in: a backend does not know the configuration's rank-mates. */
export interface Compiler {
  readonly rings: (d: Desired) => readonly RingWanted[]
  /** Share of new flows of a real now. */
  readonly weight: (d: Desired) => (vip: Vip, real: Real) => number
  readonly compile: (d: Desired, ports: Readonly<Record<string, PortFact>>, rings: Readonly<Record<string, RingPlaced>>, generation: number, signal: AbortSignal) => Compiled | Promise<Compiled>
}
export interface Compiled {
  readonly bank: Uint8Array
  readonly routes: Uint8Array
  readonly neighbours: Uint8Array
  /** By redundancy group: packed struct ls_announcement. */
  readonly announcements: Readonly<Record<number, Uint8Array>>
  readonly result: Omit<ApplyResult, 'generation' | 'capabilities' | 'durations'>
  readonly warnings: readonly string[]
}

export interface TableDataPlaneOptions {
  readonly core: NativeCore
  readonly table: NativeTable
  /** Packet workers that may run. */
  readonly workers: number
  /** Made over the native dataplane that this class opens. */
  readonly forwarders: (dataplane: NativeUserspace) => ReadonlyMap<BackendName, Forwarder>
  /** The one to start with. */
  readonly backend: BackendName
  /** Something of another forwarder may be left from an earlier life: it goes once this one forwards. */
  readonly inherited: boolean
  /** Namespace of the ports that name no other. */
  readonly netns: string | null
  readonly compiler: Compiler
  readonly onSwitch?: (event: SwitchEvent) => void
}

const kindNames = ['packet', 'packet', 'pcap', 'tap', 'source'] as const
const neighbourStates = ['incomplete', 'incomplete', 'valid', 'failed'] as const
const IFF_UP = 1

export class TableDataPlane implements DataPlane {
  readonly sessions: SessionStore
  readonly deltas: SessionDeltaSource
  readonly telemetry: Telemetry
  readonly config: ConfigSink = { apply: async (d, generation, signal) => await this.apply(d, generation, signal), lastApplyResult: () => structuredClone(this.last) }
  readonly links: LinkController = { list: () => this.forwarder.program?.links() ?? this.listLinks(), neighbours: () => this.listNeighbours() }
  readonly ha: HaController
  readonly announcer: Announcer
  readonly loadBalancer: LoadBalancerSink = {
    ringHashes: () => this.forwarder.program?.loadBalancer.ringHashes() ?? this.rings.hashes(), readBack: async () => await (this.forwarder.program?.loadBalancer.readBack() ?? this.rings.readBack()),
    reconcile: async () => await (this.forwarder.program?.loadBalancer.reconcile() ?? this.reconcile())
  }
  private readonly dataplane: NativeUserspace
  private readonly ports: PortSet
  private readonly rings: RingArena
  private readonly announcements: Announcements
  private last: ApplyResult | null = null
  private desired: Desired | null = null
  /** As it was compiled and written. */
  private bank: Uint8Array | null = null
  private readonly forwarders: ReadonlyMap<BackendName, Forwarder>
  private forwarder: Forwarder
  private alone = false
  private started = false
  private closed = false
  private turns: Promise<unknown> = Promise.resolve()

  constructor (private readonly o: TableDataPlaneOptions) {
    const { core, table } = o
    this.dataplane = native(() => new core.Userspace(table, o.workers), { object: 'agent.workers' })
    this.forwarders = o.forwarders(this.dataplane)
    this.forwarder = this.named(o.backend)
    this.ports = new PortSet(this.dataplane, o.netns, () => this.forwarder)
    this.rings = new RingArena(core, table)
    const sessions = createSessionStore(table, (app, phase) => this.timeoutMs(app, phase))
    this.sessions = {
      ...sessions,
      deleteReals: async (reals) => {
        await this.forwarder.program?.flush(reals)
        return await sessions.deleteReals(reals)
      }
    }
    this.telemetry = createTelemetry(table)
    this.deltas = { drain: (out) => native(() => table.drain(out)) }
    this.ha = haController(table)
    this.announcer = this.announcements = new Announcements((rg, rows) => native(() => this.dataplane.announce(rg, rows)))
  }

  get name (): BackendName { return this.forwarder.name }
  get program (): ProgramStatus | null { return this.forwarder.program?.status() ?? null }
  get drivers (): readonly DriverPort[] { return this.forwarder.drivers?.() ?? [] }
  get capabilities (): readonly Capability[] { return this.forwarder.capabilities }

  async probe (): Promise<ProbeResult> { return await Promise.resolve(this.forwarder.probe()) }

  async start (signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.started) return
    native(() => { this.dataplane.startLinks(netnsPath(this.o.netns)) }, { object: `netns ${this.o.netns ?? '(own)'}` })
    native(() => { this.o.table.startFreer() })
    const hurry = (): void => { this.hurry() }
    signal.addEventListener('abort', hurry)
    await this.forwarder.start(true).finally(() => { signal.removeEventListener('abort', hurry) })
    this.started = true
  }

  async close (): Promise<void> {
    this.hurry()
    await this.turn(async () => { await this.stop() })
  }

  /** Who waits for one of them to end does not wait for what hangs. */
  private hurry (): void { for (const forwarder of this.forwarders.values()) forwarder.hurry?.() }

  /** Sessions go with the reason `admin`, so that whoever listens hears of it. */
  async teardown (): Promise<void> {
    this.hurry()
    await this.turn(async () => {
      if (this.closed) return
      await this.sessions.deleteByFilter({}, new AbortController().signal)
      if (this.started) await this.forwarder.leave()
      await this.stop()
    })
  }

  private async stop (): Promise<void> {
    if (this.closed) return
    this.closed = true
    this.announcements.close()
    if (this.started) await this.forwarder.stop()
    this.started = false
    this.dataplane.close()
    this.o.table.stopFreer()
  }

  /** Applies again what runs, because the host changed: addresses, links, schedules. */
  async refresh (signal: AbortSignal): Promise<void> {
    await this.turn(async () => { if (this.desired !== null && this.last !== null) await this.replace(this.desired, this.last.generation, signal) })
  }

  /** What a compile depends on besides the configuration; a change calls for refresh(). */
  hostSignature (): string { return JSON.stringify([this.facts(this.ports.all()), [...this.ports.replaced()], this.forwarder.signature()]) }

  /** What forwards less than it should, one line each. */
  degraded (): string[] {
    if (!this.started || this.closed) return []
    const cut = native(() => this.dataplane.routesLeftOut())
    const { pressure, capacity } = this.o.table.info()
    const gone = this.ports.gone().map(({ port }) => `port ${port.name}: its interface is gone: nothing is received or sent there until there is one of its name`)
    return [...this.scarce(pressure, capacity), ...gone, ...this.forwarder.degraded(), ...this.announcements.degraded(), ...cut === 0 ? [] : [`routes: ${cut} do not fit (${limits.LS_ROUTES_MAX} routes with ${limits.LS_NEXTHOPS_MAX} next hops at most): the widest prefixes are left out, and their packets drop as no_route`]]
  }

  private scarce (pressure: number, capacity: number): string[] {
    if (pressure === 0) return []
    const early = `sessions that nobody answers end after ${limits.LS_PRESSED_MS / 1000} s`
    return [pressure === limits.LS_PRESSURE_COOKIES
      ? `session table: ${limits.LS_MARK_COOKIES} % of ${capacity} were taken: SYNs are answered with cookies, ${early}`
      : `session table: ${limits.LS_MARK_HALF_OPEN} % of ${capacity} were taken: ${early}`]
  }

  /** Who forwards from now on. The table, its configuration and its sessions stay where they are; each port is received from at every moment. */
  async switchTo (backend: BackendName, signal: AbortSignal, { force, dryRun }: SwitchTerms = { force: false, dryRun: false }): Promise<SwitchResult> {
    if (!dryRun && backend !== this.forwarder.name) this.forwarder.hurry?.()
    return await this.turn(async () => {
      signal.throwIfAborted()
      const from = this.forwarder
      const to = this.target(backend)
      if (from === to || !this.started) {
        if (!dryRun) this.forwarder = to
        return { from: from.name, to: to.name, ports: [], sessions: this.o.table.info().live, lost: [], totalMs: 0 }
      }
      if (!dryRun && this.desired !== null && this.last !== null && from.program !== null && to.program === null) await this.replace(this.desired, this.last.generation, signal, false) // rings that it picks from
      const gone = new Set(this.ports.gone())
      const ports = this.ports.all().filter(port => !gone.has(port))
      const weight = this.desired === null ? () => 0 : this.o.compiler.weight(this.desired)
      const hurry = (): void => { to.hurry?.() }
      signal.addEventListener('abort', hurry)
      const result = await switchForwarder({ from, to, desired: this.desired, ports, gone: [...gone], facts: this.facts(ports), weight, sessions: () => this.o.table.info().live, force, dryRun, tell: this.tell })
        .finally(() => { signal.removeEventListener('abort', hurry) })
      if (!dryRun) this.forwarder = to
      return result
    })
  }

  private readonly tell = (event: SwitchEvent): void => { this.o.onSwitch?.(event) }

  private target (backend: BackendName): Forwarder {
    try {
      return this.named(backend)
    } catch (error) {
      this.tell(refusal({ from: this.forwarder.name, to: backend }, error))
      throw error
    }
  }

  private named (backend: BackendName): Forwarder {
    const found = this.forwarders.get(backend)
    if (found === undefined) throw new LockstepError('unavailable', 'LS_B_BACKEND', 'this backend cannot run on this table', { object: backend, expected: [...this.forwarders.keys()].join(' or '), next: 'set agent.table.hugepages to auto or off if it is on, and restart the agent; lockstep backend list shows what this host can do' })
    return found
  }

  private async settleAlone (): Promise<void> {
    if (this.alone) return
    this.alone = true
    if (this.o.inherited) for (const other of this.forwarders.values()) if (other !== this.forwarder) await other.leave()
  }

  /** As an apply, at the agent's start: what its ports stand on and cannot be had yet is waited for, so that the agent lives. */
  async resume (d: Desired, generation: number, signal: AbortSignal): Promise<ApplyResult> {
    return await this.turn(async () => await this.replace(d, generation, signal, this.forwarder.program !== null, true))
  }

  private async apply (d: Desired, generation: number, signal: AbortSignal): Promise<ApplyResult> {
    return await this.turn(async () => await this.replace(d, generation, signal))
  }

  /** One change after another: an apply that overtook a refresh would be undone by it. */
  private async turn<T> (task: () => Promise<T>): Promise<T> {
    const before = this.turns
    const mine = (async () => { await before; return await task() })()
    this.turns = mine.catch(() => undefined)
    return await mine
  }

  /** `programmed`: nobody picks from rings of this table. */
  private async replace (d: Desired, generation: number, signal: AbortSignal, programmed = this.forwarder.program !== null, waits = false): Promise<ApplyResult> {
    const began = performance.now()
    signal.throwIfAborted()
    if (this.closed) throw new LockstepError('unavailable', 'LS_B_CLOSED', 'the dataplane is closed', { object: `generation ${generation}`, next: 'start the agent again' })
    if (d.agent.netns !== this.o.netns) throw new LockstepError('stale', 'LS_B_RESTART', 'agent.netns changes only with a restart', { object: 'agent.netns', found: String(d.agent.netns), expected: String(this.o.netns), next: 'restart the agent with this configuration' })
    const dismiss = await this.forwarder.admit(d, this.ports.replaced(), waits)
    const ports = await this.prepared(d, dismiss)
    const opened = performance.now()
    let rings: PreparedRings | null = null
    let compiled: Compiled
    let compiledAt: number
    let flipping = false
    try {
      rings = await this.rings.prepare(programmed ? [] : this.o.compiler.rings(d))
      compiled = await this.o.compiler.compile(d, this.facts(ports.all), rings.rings, generation, signal)
      compiledAt = performance.now()
      flipping = true
      await this.forwarder.guard(d, ports.all, this.facts(ports.all))
      signal.throwIfAborted()
      native(() => { this.o.table.writeConfig(compiled.bank) }, { object: `generation ${generation}` })
    } catch (error) {
      ports.undo()
      rings?.undo()
      if (flipping) await this.restoreGuard()
      await dismiss()
      throw error
    }
    // In force. What follows is told as a warning when it fails: the generation runs, whatever the caller hears.
    const warnings = [...compiled.warnings]
    const after = async (what: string, run: () => unknown): Promise<void> => {
      try {
        await run()
      } catch (error) {
        warnings.push(`${what}: ${fromNative(error).message}`)
      }
    }
    rings.commit()
    this.desired = d
    this.bank = compiled.bank
    this.announcements.replace(compiled.announcements)
    const flipped = performance.now()
    const unsupported = this.capabilities.filter(c => !c.supported)
    const result = (): ApplyResult => ({
      ...compiled.result, generation,
      capabilities: { supported: this.capabilities.filter(c => c.supported).map(c => c.name), unsupportedReasons: Object.fromEntries(unsupported.map(c => [c.name, c.reason])) },
      warnings,
      durations: { portsMs: opened - began, compileMs: compiledAt - opened, flipMs: flipped - compiledAt, totalMs: performance.now() - began }
    })
    this.last = result()
    await after('routes', () => { this.dataplane.setRoutes(compiled.routes) })
    await after('neighbours', () => { this.dataplane.setNeighbours(compiled.neighbours) })
    await after('new ports', ports.enable)
    await after('old ports', ports.closeStale)
    await after('ports', async () => { warnings.push(...await this.forwarder.settle(ports.all)) })
    if (programmed) await after('the dataplane', async () => { warnings.push(...await this.forwarder.program?.follow(d, this.o.compiler.weight(d)) ?? []) })
    warnings.push(...this.degraded())
    await after('the other backend', async () => { await this.settleAlone() })
    if (d.reload.policyRematch) await after('sessions were not looked up in the new policies', async () => { await this.o.table.reevaluate() })
    this.last = result()
    return structuredClone(this.last)
  }

  /** The mirror of the kernel's links covers the agent's namespace: a port elsewhere has what it was opened with. */
  private facts (open: readonly OpenPort[]): Record<string, PortFact> {
    const links = native(() => this.dataplane.links())
    const ports = new Map(native(() => this.dataplane.ports()).map(p => [p.device, p]))
    return Object.fromEntries(open.map(({ port, spec, device, mac, mtu, ifindex }) => {
      const mirrored = inKernel(port) && spec.netns === netnsPath(this.o.netns)
      const link = mirrored ? links.find(l => l.ifindex === ifindex) : undefined
      return [port.name, { device, mac: link?.mac ?? mac, mtu: link?.mtu ?? mtu, ifindex: mirrored ? ifindex : 0, addresses: link?.addresses ?? [], up: link === undefined ? ports.get(device)?.up ?? true : (link.flags & IFF_UP) !== 0 }]
    }))
  }

  /** Of what still runs, after a flip that did not happen. The first error is the one that is told. */
  private async restoreGuard (): Promise<void> {
    const ports = this.ports.all()
    if (this.desired === null) await this.forwarder.unguard()
    else await this.forwarder.guard(this.desired, ports, this.facts(ports)).catch(() => undefined)
  }

  private async prepared (d: Desired, dismiss: () => Promise<void>): Promise<PreparedPorts> {
    try {
      return this.ports.prepare(d)
    } catch (error) {
      await dismiss()
      throw error
    }
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
    const facts = this.facts(this.ports.all())
    const names = new Map(this.ports.all().map(p => [p.device, p.port.name]))
    const program = this.forwarder.parks ? this.interfaceCounts() : null
    return native(() => this.dataplane.ports()).map(p => {
      const name = names.get(p.device) ?? p.name
      const fact = facts[name]
      const seen = program === null || p.kind !== 1 ? p : { ...p, ...program(p.device) }
      return { name, device: p.device, kind: kindNames[p.kind] ?? 'packet', ifindex: p.ifindex, mac: fact?.mac ?? p.mac, mtu: fact?.mtu ?? p.mtu, up: p.up, addresses: fact?.addresses ?? [], rxPackets: seen.rxPackets, txPackets: seen.txPackets, rxDropped: p.rxDropped, txDropped: p.txDropped }
    })
  }

  /** Frames of a port that a program receives from, by the counters of its interfaces. */
  private interfaceCounts (): (device: number) => { rxPackets: number, txPackets: number } {
    const { iface_rx: rx, iface_tx: tx } = this.telemetry.snapshot().blocks
    const interfaces = this.last?.managedInterfaces ?? []
    const sum = (block: Float64Array | undefined, device: number): number => interfaces.filter(i => i.device === device).reduce((n, i) => n + (block?.[2 * i.id] ?? 0), 0)
    return device => ({ rxPackets: sum(rx, device), txPackets: sum(tx, device) })
  }

  /** What a node must have before it takes a group. Ports of a namespace that is not mirrored are up, and their next hops are not counted. */
  haFacts (rg: number): HaFacts {
    const mine = this.desired?.interfaces.filter(i => i.redundancyGroup === rg && i.role === 'data') ?? []
    const up = this.portsUp()
    return { interfacesDown: mine.filter(i => !up.has(i.port)).map(i => i.name), nextHopsUnresolved: native(() => this.dataplane.unresolved(rg)), alarms: [this.forwarder.program?.missing() ?? '', this.forwarder.down?.() ?? ''].filter(line => line !== '') }
  }

  /** False: down, without a carrier, or there is no such interface. */
  interfaceUp (name: string): boolean {
    const port = this.desired?.interfaces.find(i => i.name === name)?.port
    return port !== undefined && this.portsUp().has(port)
  }

  /** Its link-layer address is known. Asked for when it is not, and kept probed by the question. */
  neighbourResolved (address: string): boolean { return native(() => this.dataplane.resolved(address)) }

  private portsUp (): Set<string> {
    const up = new Set(native(() => this.dataplane.ports()).filter(p => p.up).map(p => p.device))
    const lacks = new Set(this.forwarder.lacks?.())
    return new Set(this.ports.all().filter(p => up.has(p.device) && !lacks.has(p.port.name)).map(p => p.port.name))
  }

  private listNeighbours (): ReturnType<LinkController['neighbours']> {
    return native(() => this.dataplane.neighbours()).map(n => ({ address: n.address, device: n.device, mac: n.mac, state: neighbourStates[n.state] ?? 'failed' }))
  }

  /** In a turn of its own: what an apply is about to put is not drift. */
  private async reconcile (): Promise<Drift> {
    return await this.turn(async () => {
      const began = performance.now()
      const rings = await this.rings.mend()
      let configBytes = 0
      if (this.bank !== null) {
        const { bank } = this
        const now = new Uint8Array(bank.length)
        native(() => { this.o.table.readConfig(now) })
        if (Buffer.compare(bank, now) !== 0) {
          configBytes = bank.reduce((n, byte, i) => byte === now[i] ? n : n + 1, 0)
          native(() => { this.o.table.writeConfig(bank) })
        }
      }
      return { vips: this.rings.size, rings, configBytes, tookMs: performance.now() - began }
    })
  }
}
