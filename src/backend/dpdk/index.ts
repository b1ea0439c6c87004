/**
 * The dpdk backend, START HERE: packet workers on DPDK's lcores, in a process of its own that maps the session table (native/dpdk). This process starts it, tells it
 * of ports, and when it dies adopts what it left and starts it again; what should be is kept here, so that a new life gets all of it.
 */
import { readFileSync } from 'node:fs'
import { freemem } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Capability, DriverPort, ProbeResult } from '../../contract/dataplane.js'
import type { Desired, DpdkSettings, Port } from '../../contract/desired.js'
import { LockstepError } from '../../contract/errors.js'
import { causeOf } from '../../lib/cause-of.js'
import type { WorkBook } from '../../lib/work.js'
import { limits } from '../../generated/layout.js'
import type { NativeTable } from '../../native/binding.js'
import { native } from '../../native/errors.js'
import { loadCore } from '../../native/load.js'
import { dpdkProgram, type DpdkProgram } from '../../native/load-dpdk.js'
import type { Forwarder, PortFact } from '../table/forwarder.js'
import type { IngressGuard } from '../table/ingress-guard.js'
import { inKernel, netnsPath, type OpenPort } from '../table/ports.js'
import { probeHost } from '../table/probe.js'
import { capabilitiesOf } from './capabilities.js'
import { DpdkChild, type LogLine } from './child.js'
import { ealArguments, filePrefix, memoryText, packetDevargs } from './eal.js'
import { freeHugePages, hugePagesMounted } from './huge-pages.js'
import { removeRuntime } from './runtime.js'
import { makeTap, removeTap } from './tap.js'
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
  /** Default: the one of this build. */
  readonly program?: DpdkProgram
}

/** What should be of a port, and in this life is. `trouble`: why this life has not got it; '': it has, or there is no life. */
interface Wanted { readonly request: PortRequest, port: number | null, device: number, enabled: boolean, driver: string, trouble: string, /** Claim of its interface’s offloads: of this process, so that a child that dies leaves none. */ aggregation: number }

const wantedOf = (request: PortRequest): Wanted => ({ request, port: null, device: 0, enabled: false, driver: '', trouble: '', aggregation: 0 })

/** Its interface gets its offloads back. */
function letGo (p: Wanted): void {
  loadCore().aggregationBack(p.aggregation)
  p.aggregation = 0
}

/** A life that ended as soon as it ran. */
class Gone extends LockstepError {
  constructor () { super('unavailable', 'LS_B_DPDK_GONE', 'the process that runs DPDK ended as soon as it ran', { object: 'agent.dpdk', next: 'see its last lines in the log' }) }
}

/** What ended has let go of it as well. */
const unlessGone = (error: unknown): false => {
  if (error instanceof LockstepError && error.code === 'LS_B_DPDK_GONE') return false
  throw error
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
  /** Of a start that is under way. */
  private starting: AbortController | null = null
  private launching: Promise<void> = Promise.resolve()
  private readonly ports = new Map<string, Wanted>()
  private wanted = false
  /** Why it is down; '' = it is not, or should be. */
  private trouble = ''
  private pause = FIRST_MS
  private timer: NodeJS.Timeout | null = null
  private portPause = FIRST_MS
  private portTimer: NodeJS.Timeout | null = null
  private counter: NodeJS.Timeout | null = null
  private counted: readonly DriverPort[] = []
  private turns: Promise<unknown> = Promise.resolve()

  constructor (private readonly o: DpdkOptions) {}

  probe (): ProbeResult { return probeDpdk() }
  inherited (): ReadonlyMap<string, number> { return new Map() }
  signature (): string { return this.o.ingress.signature() }
  degraded (): string[] { return [...this.trouble === '' ? [] : [`dpdk: ${this.trouble}`], ...[...this.ports].filter(([, p]) => p.trouble !== '').map(([name, p]) => `port ${name}: DPDK has not got it, nothing is received or sent there: ${p.trouble}; it is tried again`)] }
  down (): string { return !this.wanted || this.child !== null ? '' : this.trouble === '' ? 'nothing is forwarded: the process that runs DPDK is being started' : this.trouble }
  lacks (): string[] { return [...this.ports].filter(([, p]) => p.port === null).map(([name]) => name) }

  hurry (): void {
    this.starting?.abort()
    this.child?.hurry()
  }

  get pid (): number { return this.child?.pid ?? 0 }

  /** At the agent's start a DPDK that does not start is tried again: the agent lives, and another backend can be chosen. */
  async start (first: boolean): Promise<void> {
    this.wanted = true
    try {
      await this.launch()
    } catch (error) {
      if (!first) {
        this.wanted = false
        throw error
      }
      this.again(error)
    }
  }

  /** Only who wants it started waits for that: EAL may hang. What is changed meanwhile it gets when it is there. */
  private async launch (): Promise<void> {
    const mine = this.begin()
    this.launching = mine.catch(() => undefined)
    await mine
  }

  private async begin (): Promise<void> {
    await this.turn(async () => { await Promise.resolve() }) // what an earlier life held is back
    const { table, settings, instance, first, workers, descriptors, log } = this.o
    const { path, reason } = this.o.program ?? dpdkProgram()
    if (path === null) throw new LockstepError('unavailable', 'LS_B_DPDK', 'there is no DPDK', { object: 'agent.backend', found: reason })
    if (this.child !== null || !this.wanted) return
    const { cpus, threads } = table.info()
    if (threads < first + workers) throw new LockstepError('unsupported', 'LS_B_DPDK_ROOM', 'the table has no room for its packet workers', { object: 'agent.backend', found: `${threads} packet threads`, expected: `${first + workers}`, next: 'lower agent.workers and restart the agent; if the table is of an earlier life (ebpf), lockstep teardown first' })
    if (settings.hugepages === 'on' && !hugePagesMounted()) throw new LockstepError('unavailable', 'LS_B_DPDK', 'DPDK finds no huge pages', { object: 'agent.dpdk.hugepages', found: 'no hugetlbfs with pages of 2 MiB is mounted', next: 'mkdir -p /dev/hugepages && mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages; or agent.dpdk.hugepages: off' })
    const began = Date.now()
    const prefix = filePrefix(instance)
    const freeHuge = freeHugePages()
    let over = false
    const starting = this.starting = new AbortController()
    removeRuntime(prefix) // of a life that was killed with its agent
    const child: DpdkChild = await DpdkChild.start({
      program: path, prefix, descriptors, log, signal: starting.signal, needs: memoryText(settings, freeHuge, freemem()),
      argv: [first, workers, settings.buffers, settings.frameBytes, settings.idle, descriptors.length, '--', ...ealArguments(settings, instance, workers, allowedCpus(), freeHuge)].map(String),
      onLink: (port, up) => {
        const name = [...this.ports].find(([, p]) => p.port === port)?.[0] ?? String(port)
        log(up ? 'info' : 'warn', `port ${name}: link ${up ? 'up' : 'down'}`)
      },
      onEnd: (how) => {
        over = true
        this.ended(cpus + first, this.silent(this.child?.pid ?? null) + how.text, how.clean, began)
      }
    }).finally(() => { this.starting = null })
    await this.turn(async () => {
      if (over) throw new Gone()
      this.child = child
      if (!this.wanted) return void await child.stop()
      this.counter ??= setInterval(() => { this.count().catch(() => undefined) }, COUNT_MS).unref() // a process that is gone has no drivers
      log('info', `DPDK runs: ${child.version}, ${workers} packet workers, process ${child.pid}`)
      await this.restoreAll(child)
      if (this.child !== child) throw new Gone() // its trouble stays
      this.trouble = ''
      this.o.work?.settled('dpdk', '')
    })
  }

  private async restoreAll (child: DpdkChild): Promise<void> {
    for (const [name, p] of this.ports) {
      if (p.port !== null && p.trouble === '') continue
      try {
        await this.restore(child, p)
        if (p.trouble !== '') this.o.log('info', `port ${name}: DPDK has it`)
        p.trouble = ''
        this.o.work?.settled('dpdk port', name)
      } catch (error) {
        if (this.child !== child) return // its end is the trouble
        this.troubled(name, p, causeOf(error))
      }
    }
    this.portsAgain()
  }

  private troubled (name: string, p: Wanted, text: string): void {
    if (p.trouble !== text) this.o.log('error', `port ${name}: DPDK has not got it: ${text}; it is tried again`)
    p.trouble = text
  }

  /** It is in no life, and nothing is tried for it. */
  private lifeless (name: string, p: Wanted): void {
    Object.assign(p, { port: null, trouble: '' })
    this.o.work?.settled('dpdk port', name)
  }

  /** Ports that this life could not be given are tried until it has them, or nobody wants them. */
  private portsAgain (): void {
    if (this.portTimer !== null) clearTimeout(this.portTimer)
    this.portTimer = null
    const lacking = [...this.ports].filter(([, p]) => p.trouble !== '')
    if (!this.wanted || lacking.length === 0) {
      this.portPause = FIRST_MS
      return
    }
    for (const [name, p] of lacking) this.o.work?.wait('dpdk port', name, this.portPause, p.trouble)
    this.portTimer = setTimeout(() => {
      void this.turn(async () => { if (this.child !== null) await this.restoreAll(this.child) })
    }, this.portPause).unref()
    this.portPause = Math.min(2 * this.portPause, LONGEST_MS)
  }

  /** What of it is there already stays as it is. */
  private async restore (child: DpdkChild, p: Wanted): Promise<void> {
    if (p.port === null) {
      const { port, driver } = await child.add(p.request)
      Object.assign(p, { port, driver })
    }
    if (p.request.interface !== '' && p.aggregation === 0) p.aggregation = loadCore().aggregationOff(p.request.netns, p.request.interface)
    if (p.device === 0) return
    await child.bind(p.port ?? 0, p.device)
    if (p.enabled) await child.enable(p.device)
  }

  /** Why a grace ended it; '' = none did, or nobody is to know. */
  private silent (pid: number | null): string {
    return this.wanted && pid !== null && this.o.table.info().silenced === pid ? `a packet worker did nothing for ${limits.LS_PROCESS_SILENT_MS / 1000} s (stopped, or its driver hangs): ` : ''
  }

  /** Its workers forward no more: nobody waits for them, what they held is freed, and it is tried again. */
  private ended (worker: number, text: string, clean: boolean, began: number): void {
    this.child = null
    for (const [name, p] of this.ports) this.lifeless(name, p)
    void this.turn(async () => {
      if (clean) native(() => { this.o.table.detachWorkers(worker, this.o.workers) })
      else {
        const { undone, finished, listed } = await this.o.table.adoptWorkers(worker, this.o.workers)
        this.o.log('warn', `the process that runs DPDK ended: ${text}; of its workers ${listed} free slots were taken back, ${undone + finished} sessions in the making undone`)
      }
    }).catch(() => undefined) // the table is closed: nobody is left to adopt for
    if (Date.now() - began > LONGEST_MS) this.pause = FIRST_MS
    this.again(new Error(text))
  }

  private again (why: unknown): void {
    if (!this.wanted || why instanceof Gone) return // of an end ended() tells, with its last words
    this.trouble = `nothing is forwarded, the process that runs DPDK is down: ${causeOf(why)}; it is tried again`
    this.o.log('error', this.trouble)
    this.o.work?.wait('dpdk', '', this.pause, why)
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = setTimeout(() => {
      if (this.wanted) this.launch().catch((error: unknown) => { this.again(error) })
    }, this.pause).unref()
    this.pause = Math.min(2 * this.pause, LONGEST_MS)
  }

  async stop (): Promise<void> {
    this.wanted = false
    this.hurry()
    for (const timer of [this.timer, this.portTimer]) if (timer !== null) clearTimeout(timer)
    if (this.counter !== null) clearInterval(this.counter)
    this.counter = null
    this.counted = []
    this.trouble = ''
    this.o.work?.settled('dpdk', '')
    await this.child?.stop() // whatever it is asked now ends with it
    await this.launching
    await this.turn(async () => { await this.child?.stop() })
    await this.turn(async () => { await Promise.resolve() }) // what it held is back
    for (const [name, p] of this.ports) {
      this.lifeless(name, p)
      letGo(p)
    }
    removeRuntime(filePrefix(this.o.instance))
    await this.unguard()
  }

  async leave (): Promise<void> {
    this.wanted = false
    this.hurry()
    for (const name of [...this.ports.keys()]) await this.drop(name).catch(() => undefined)
    await this.stop()
  }

  /** Ports are found and started before anything is changed, so that wrong devargs refuse the configuration. */
  async admit (d: Desired, replaced: ReadonlySet<string>, waits = false): Promise<() => Promise<void>> {
    /** By name, what was there before. */
    const added = new Map<string, Wanted | null>()
    const dismiss = async (): Promise<void> => {
      for (const [name, before] of added) {
        await this.drop(name).catch(() => undefined)
        if (before !== null) await this.put(name, before, true).catch((error: unknown) => { this.o.log('error', `port ${name}: ${causeOf(error)}`) })
      }
    }
    try {
      for (const port of d.ports.filter(inKernel)) {
        const request = this.requestOf(port)
        const known = this.ports.get(port.name)
        if (known !== undefined && !replaced.has(port.name) && JSON.stringify(known.request) === JSON.stringify(request)) continue
        if (!waits) this.refuseDown(port.name, request)
        if (known !== undefined) await this.drop(port.name)
        added.set(port.name, known ?? null)
        await this.put(port.name, wantedOf(request), waits)
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

  /** `waits`: what cannot be had now is tried again, and its end on the host, which everybody else knows it by, is there meanwhile. */
  private async put (name: string, p: Wanted, waits = false): Promise<void> {
    await this.turn(async () => {
      try {
        if (!waits) this.refuseDown(name, p.request)
        if (this.child !== null) await this.restore(this.child, p)
        else if (!p.request.shared) await makeTap(p.request)
      } catch (error) {
        if (!waits) throw error
        if (!p.request.shared) await makeTap(p.request)
        if (this.child !== null) this.troubled(name, p, causeOf(error))
      }
      this.ports.set(name, p)
      if (p.trouble !== '') this.portsAgain()
    })
  }

  /** Nobody could say whether there is such a device. */
  private refuseDown (name: string, { shared }: PortRequest): void {
    if (this.child === null && !shared) throw new LockstepError('unavailable', 'LS_B_DPDK', 'the port cannot be made while DPDK is down', { object: `port ${name}`, found: this.down(), next: 'apply it when DPDK runs again, which is tried by itself; lockstep status tells' })
  }

  private async drop (name: string): Promise<void> {
    await this.turn(async () => {
      const p = this.ports.get(name)
      if (p === undefined) return
      this.ports.delete(name)
      const { port } = p
      this.lifeless(name, p)
      try {
        const removed = port !== null && this.child !== null && await this.child.remove(port).then(() => true, unlessGone)
        if (!removed && !p.request.shared) await removeTap(p.request)
      } finally {
        letGo(p)
      }
    })
  }

  /** Frames can leave by it. */
  async open ({ port, device }: OpenPort): Promise<void> {
    if (!this.ports.has(port.name)) await this.put(port.name, wantedOf(this.requestOf(port)))
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
      else await this.child.disable(device).catch(unlessGone)
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
