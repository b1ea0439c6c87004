/**
 * The dpdk backend, START HERE: packet workers on DPDK's lcores, in a process of its own that maps the session table (native/dpdk). This process starts it, tells it
 * of ports, and when it dies adopts what it left and starts it again; what should be is kept here, so that a new life gets all of it.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Capability, DriverPort, ProbeResult } from '../../contract/dataplane.js'
import type { Desired, DpdkSettings, Port } from '../../contract/desired.js'
import { LockstepError } from '../../contract/errors.js'
import type { WorkBook } from '../../lib/work.js'
import { limits } from '../../generated/layout.js'
import type { NativeTable } from '../../native/binding.js'
import { native } from '../../native/errors.js'
import { loadCore } from '../../native/load.js'
import { dpdkProgram } from '../../native/load-dpdk.js'
import type { Forwarder, PortFact } from '../table/forwarder.js'
import type { IngressGuard } from '../table/ingress-guard.js'
import { inKernel, netnsPath, type OpenPort } from '../table/ports.js'
import { probeHost } from '../table/probe.js'
import { capabilitiesOf } from './capabilities.js'
import { DpdkChild, type LogLine } from './child.js'
import { ealArguments, filePrefix, packetDevargs } from './eal.js'
import { freeHugePages, hugePagesMounted } from './huge-pages.js'
import type { PortRequest } from './wire.js'

const DRAIN_MS = 5
const FIRST_MS = 100
const LONGEST_MS = 30_000
/** Drivers are asked so often. */
const COUNT_MS = 2000

export interface DpdkOptions {
  readonly table: NativeTable
  readonly settings: DpdkSettings
  readonly instance: string
  readonly netns: string | null
  /** Of the table's threads: its workers are those from `first` on. */
  readonly first: number
  readonly workers: number
  /** The table's, one or one for each region. */
  readonly descriptors: readonly number[]
  readonly ingress: IngressGuard
  readonly log: LogLine
  readonly work?: WorkBook
}

/** What should be of a port, and in this life is. */
interface Wanted { readonly request: PortRequest, port: number | null, device: number, enabled: boolean, driver: string, /** Claim of its interface’s offloads: of this process, so that a child that dies leaves none. */ aggregation: number }

/** Its interface gets its offloads back. */
function letGo (p: Wanted): void {
  loadCore().aggregationBack(p.aggregation)
  p.aggregation = 0
}

export function probeDpdk (): ProbeResult {
  const { reason } = dpdkProgram()
  return { backend: 'dpdk', available: reason === '', reason, capabilities: capabilitiesOf(probeHost()) }
}

/** CPUs that this process may run on. */
export function allowedCpus (status = readFileSync('/proc/self/status', 'utf8')): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? '0'
  return list.split(',').flatMap(part => {
    const [from = 0, to = from] = part.split('-').map(Number)
    return Array.from({ length: to - from + 1 }, (_, i) => from + i)
  })
}

export class DpdkForwarder implements Forwarder {
  readonly name = 'dpdk'
  readonly parks = true
  readonly copies = true
  readonly program = null
  readonly capabilities: readonly Capability[] = probeDpdk().capabilities
  private child: DpdkChild | null = null
  private readonly ports = new Map<string, Wanted>()
  private wanted = false
  /** Why it is down; '' = it is not, or should be. */
  private trouble = ''
  private pause = FIRST_MS
  private timer: NodeJS.Timeout | null = null
  private counter: NodeJS.Timeout | null = null
  private counted: readonly DriverPort[] = []
  private turns: Promise<unknown> = Promise.resolve()

  constructor (private readonly o: DpdkOptions) {}

  probe (): ProbeResult { return probeDpdk() }
  inherited (): ReadonlyMap<string, number> { return new Map() }
  signature (): string { return this.o.ingress.signature() }
  degraded (): string[] { return this.trouble === '' ? [] : [`dpdk: ${this.trouble}`] }
  get pid (): number { return this.child?.pid ?? 0 }

  /** At the agent's start a DPDK that does not start is tried again: the agent lives, and another backend can be chosen. */
  async start (first: boolean): Promise<void> {
    this.wanted = true
    try {
      await this.turn(async () => { await this.launch() })
    } catch (error) {
      if (!first) {
        this.wanted = false
        throw error
      }
      this.again(error)
    }
  }

  private async launch (): Promise<void> {
    const { table, settings, instance, first, workers, descriptors, log } = this.o
    const { path, reason } = dpdkProgram()
    if (path === null) throw new LockstepError('unavailable', 'LS_B_DPDK', 'there is no DPDK', { object: 'agent.backend', found: reason })
    if (this.child !== null) return
    const { cpus, threads } = table.info()
    if (threads < first + workers) throw new LockstepError('unsupported', 'LS_B_DPDK_ROOM', 'the table has no room for its packet workers', { object: 'agent.backend', found: `${threads} packet threads`, expected: `${first + workers}`, next: 'lower agent.workers and restart the agent; if the table is of an earlier life (ebpf), lockstep teardown first' })
    if (settings.hugepages === 'on' && !hugePagesMounted()) throw new LockstepError('unavailable', 'LS_B_DPDK', 'DPDK finds no huge pages', { object: 'agent.dpdk.hugepages', found: 'no hugetlbfs with pages of 2 MiB is mounted', next: 'mkdir -p /dev/hugepages && mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages; or agent.dpdk.hugepages: off' })
    const began = Date.now()
    const child: DpdkChild = await DpdkChild.start({
      program: path, prefix: filePrefix(instance), descriptors, log,
      argv: [first, workers, settings.buffers, settings.frameBytes, settings.idle, descriptors.length, '--', ...ealArguments(settings, instance, workers, allowedCpus(), freeHugePages())].map(String),
      onLink: (port, up) => {
        const name = [...this.ports].find(([, p]) => p.port === port)?.[0] ?? String(port)
        log(up ? 'info' : 'warn', `port ${name}: link ${up ? 'up' : 'down'}`)
      },
      onEnd: (how) => { this.ended(cpus + first, this.silent(child.pid) + how.text, how.clean, began) }
    })
    this.child = child
    this.counter ??= setInterval(() => { this.count().catch(() => undefined) }, COUNT_MS).unref() // a process that is gone has no drivers
    log('info', `DPDK runs: ${child.version}, ${workers} packet workers, process ${child.pid}`)
    for (const [name, p] of this.ports) {
      try {
        await this.restore(child, p)
      } catch (error) {
        log('error', `port ${name}: ${(error as Error).message}`)
      }
    }
    this.trouble = ''
    this.o.work?.settled('dpdk', '')
  }

  private async restore (child: DpdkChild, p: Wanted): Promise<void> {
    const { port, driver } = await child.add(p.request)
    Object.assign(p, { port, driver })
    if (p.request.interface !== '' && p.aggregation === 0) p.aggregation = loadCore().aggregationOff(p.request.netns, p.request.interface)
    if (p.device === 0) return
    await child.bind(port, p.device)
    if (p.enabled) await child.enable(p.device)
  }

  /** Why a grace ended it; '' = none did, or nobody is to know. */
  private silent (pid: number): string {
    return this.wanted && this.o.table.info().silenced === pid ? `a packet worker did nothing for ${limits.LS_PROCESS_SILENT_MS / 1000} s (stopped, or its driver hangs): ` : ''
  }

  /** Its workers forward no more: nobody waits for them, what they held is freed, and it is tried again. */
  private ended (worker: number, text: string, clean: boolean, began: number): void {
    this.child = null
    for (const p of this.ports.values()) p.port = null
    void this.turn(async () => {
      if (clean) native(() => { this.o.table.detachWorkers(worker, this.o.workers) })
      else {
        const { undone, finished, listed } = await this.o.table.adoptWorkers(worker, this.o.workers)
        this.o.log('warn', `the process that runs DPDK ended: ${text}; of its workers ${listed} free slots were taken back, ${undone + finished} sessions in the making undone`)
      }
    }).catch(() => undefined) // the table is closed: nobody is left to adopt for
    if (!this.wanted) return
    if (Date.now() - began > LONGEST_MS) this.pause = FIRST_MS
    this.again(new Error(text))
  }

  private again (why: unknown): void {
    const text = why instanceof Error ? why.message : String(why)
    this.trouble = `nothing is forwarded, the process that runs DPDK is down: ${text}; it is tried again`
    this.o.log('error', this.trouble)
    this.o.work?.wait('dpdk', '', this.pause, why)
    this.timer = setTimeout(() => {
      this.turn(async () => { if (this.wanted) await this.launch() }).catch((error: unknown) => { if (this.wanted) this.again(error) })
    }, this.pause).unref()
    this.pause = Math.min(2 * this.pause, LONGEST_MS)
  }

  async stop (): Promise<void> {
    this.wanted = false
    if (this.timer !== null) clearTimeout(this.timer)
    if (this.counter !== null) clearInterval(this.counter)
    this.counter = null
    this.counted = []
    this.trouble = ''
    this.o.work?.settled('dpdk', '')
    await this.turn(async () => { await this.child?.stop() })
    await this.turn(async () => { await Promise.resolve() }) // what it held is back
    for (const p of this.ports.values()) {
      p.port = null
      letGo(p)
    }
    await this.unguard()
  }

  async leave (): Promise<void> {
    for (const name of [...this.ports.keys()]) await this.drop(name).catch(() => undefined)
    await this.stop()
  }

  /** Ports are found and started before anything is changed, so that wrong devargs refuse the configuration. */
  async admit (d: Desired, replaced: ReadonlySet<string>): Promise<() => Promise<void>> {
    /** By name, what was there before. */
    const added = new Map<string, Wanted | null>()
    const dismiss = async (): Promise<void> => {
      for (const [name, before] of added) {
        await this.drop(name).catch(() => undefined)
        if (before !== null) await this.put(name, before).catch(() => undefined)
      }
    }
    try {
      for (const port of d.ports.filter(inKernel)) {
        const request = this.requestOf(port)
        const known = this.ports.get(port.name)
        if (known !== undefined && !replaced.has(port.name) && JSON.stringify(known.request) === JSON.stringify(request)) continue
        if (known !== undefined) await this.drop(port.name)
        added.set(port.name, known ?? null)
        await this.put(port.name, { request, port: null, device: 0, enabled: false, driver: '', aggregation: 0 })
      }
    } catch (error) {
      await dismiss()
      throw error
    }
    return dismiss
  }

  private requestOf (port: Port): PortRequest {
    const { frameBytes } = this.o.settings
    const netns = netnsPath(port.netns ?? this.o.netns)
    return port.kind === 'dpdk' ? { name: port.name, devargs: port.devargs ?? '', netns, tap: port.device, shared: false, interface: '' }
      : { name: port.name, devargs: packetDevargs(port.name, port.device, this.o.workers, frameBytes), netns, tap: '', shared: true, interface: port.device }
  }

  private async put (name: string, p: Wanted): Promise<void> {
    await this.turn(async () => {
      if (this.child !== null) await this.restore(this.child, p)
      // its end on the host, a TAP, is made with it
      else if (!p.request.shared) throw new LockstepError('unavailable', 'LS_B_DPDK', 'the port cannot be made while DPDK is down', { object: `port ${name}`, found: this.trouble, next: 'without ports of DPDK the agent starts, and tries DPDK again' })
      this.ports.set(name, p)
    })
  }

  private async drop (name: string): Promise<void> {
    await this.turn(async () => {
      const p = this.ports.get(name)
      if (p === undefined) return
      this.ports.delete(name)
      try {
        if (p.port !== null) await this.child?.remove(p.port)
      } finally {
        letGo(p)
      }
    })
  }

  /** Frames can leave by it. */
  async open ({ port, device }: OpenPort): Promise<void> {
    if (!this.ports.has(port.name)) await this.put(port.name, { request: this.requestOf(port), port: null, device: 0, enabled: false, driver: '', aggregation: 0 })
    await this.turn(async () => {
      const p = this.ports.get(port.name)
      if (p === undefined) return
      Object.assign(p, { device, enabled: false })
      if (p.port !== null) await this.child?.bind(p.port, device)
    })
  }

  async close ({ port }: OpenPort): Promise<void> { await this.drop(port.name) }

  async enable (open: OpenPort): Promise<void> { await this.receive(open, true) }
  async disable (open: OpenPort): Promise<void> { await this.receive(open, false) }

  async handOver (port: OpenPort, copied: boolean): Promise<void> {
    if (!copied) await sleep(DRAIN_MS)
    await this.disable(port)
  }

  private async receive ({ port, device }: OpenPort, on: boolean): Promise<void> {
    await this.turn(async () => {
      const p = this.ports.get(port.name)
      if (p === undefined) return
      p.enabled = on
      if (p.port === null || this.child === null) return
      if (on) await this.child.enable(device)
      else await this.child.disable(device)
    })
  }

  async settle (ports: readonly OpenPort[]): Promise<string[]> {
    const names = new Set(ports.map(p => p.port.name))
    for (const name of [...this.ports.keys()]) if (!names.has(name)) await this.drop(name)
    return []
  }

  async guard (d: Desired, open: readonly OpenPort[], facts: Readonly<Record<string, PortFact>>): Promise<void> {
    const other = d.ports.filter(p => !inKernel(p))
    if (other.length > 0) {
      throw new LockstepError('unsupported', 'LS_B_PORT_KIND', 'DPDK has no ports of this kind', {
        object: other.map(p => `port ${p.name}`).join(', '), found: [...new Set(other.map(p => p.kind))].join(', '), expected: 'kernel interfaces, or dpdk:NAME with devargs', next: 'remove the port, or use the userspace backend'
      })
    }
    await this.o.ingress.write(this.name, d, open, facts)
  }

  async unguard (): Promise<void> { await this.o.ingress.letGo(this.name) }

  readonly drivers = (): readonly DriverPort[] => this.counted

  /** Asks the drivers; what they said before is forgotten. */
  async count (): Promise<void> {
    this.counted = await this.turn(async () => {
      const out: DriverPort[] = []
      for (const [name, { port, driver }] of this.ports) {
        const f = port === null ? null : await this.child?.figures(port) ?? null
        if (f !== null) out.push({ port: name, driver, up: f.up, speedMbit: f.speedMbit, counters: f.counters })
      }
      return out
    })
  }

  /** One change after the other: a new life gets what was wanted before it, and then what is asked next. */
  private async turn<T> (task: () => Promise<T>): Promise<T> {
    const before = this.turns
    const mine = (async () => { await before; return await task() })()
    this.turns = mine.catch(() => undefined)
    return await mine
  }
}
