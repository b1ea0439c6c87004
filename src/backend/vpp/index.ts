/**
 * The VPP backend, START HERE: VPP forwards, this process programs its load balancer and reads its counters. The connection (connection.ts) is a unit of API
 * and statistics; each life of VPP gets everything anew; between lives and after each change lb/ makes what VPP has what it should have; nat/ keeps its sessions. VPP goes on
 * forwarding while the agent is away.
 */
import { existsSync } from 'node:fs'
import type { ProbeResult, ProgramStatus } from '../../contract/dataplane.js'
import type { Desired, VppSettings } from '../../contract/desired.js'
import { LockstepError } from '../../contract/errors.js'
import type { NativeCore, NativeTable, NativeVppStats } from '../../native/binding.js'
import { fromNative, native } from '../../native/errors.js'
import { admitsAll, type Forwarder, type Program } from '../table/forwarder.js'
import { VppClient, type VppTransport } from './client.js'
import { vppCapabilities } from './capabilities.js'
import type { WorkBook } from '../../lib/work.js'
import { VppConnection, type VppLife } from './connection.js'
import { VppInterfaces } from './interfaces.js'
import { LbSink, type LbSinkOptions, type Tell } from './lb/sink.js'
import type { WeightOf } from './lb/wanted.js'
import { EdSessions } from './nat/ed.js'
import { NatSessions } from './nat/index.js'
import type { NatKeeper } from './nat/keeper.js'
import { natTable, type NatNative } from './nat/table.js'
import { sharedTransport } from './shared.js'

const REPLY_MS = 5000
const STATS_MS = 1000

/** Where VPP has it unless told otherwise. */
const API_SOCKET = '/run/vpp/api.sock'

export function probeVpp (apiSocket = API_SOCKET): ProbeResult {
  const reason = existsSync(apiSocket) ? '' : `no VPP serves its API at ${apiSocket} (agent.vpp.api-socket)`
  return { backend: 'vpp', available: reason === '', reason, capabilities: vppCapabilities }
}

export interface VppForwarderOptions {
  readonly core: Pick<NativeCore, 'VppSocket' | 'VppShared' | 'VppStats'>
  readonly table: NatNative & Pick<NativeTable, 'programmed'>
  readonly settings: VppSettings
  /** Shown by `show api clients`. */
  readonly name: string
  readonly nowMs: () => number
  readonly tell: Tell
  readonly count: LbSinkOptions['count']
  /** Told of the wait before it is tried again. */
  readonly work?: WorkBook
}

/** Sessions of its NAT stand in the session table, and end when VPP says so. */
export const keepsSessions = ({ natSessions, natEdSessions }: VppSettings): boolean => (natSessions ?? natEdSessions) !== null

export class VppForwarder implements Forwarder {
  readonly name = 'vpp'
  readonly parks = true
  readonly copies = false
  readonly admit = admitsAll
  readonly capabilities = vppCapabilities
  readonly program: Program
  private readonly loadBalancer: LbSink
  private readonly nat: NatKeeper | null
  private connection: VppConnection<NativeVppStats> | null = null
  private interfaces: VppInterfaces | null = null
  private client: VppClient | null = null
  private connects = 0
  /** Messages of lives that have ended. */
  private readonly past = { sent: 0, received: 0, timedOut: 0, events: 0 }

  constructor (private readonly o: VppForwarderOptions) {
    const loadBalancer = new LbSink({ nowMs: o.nowMs, random: Math.random, tell: o.tell, count: o.count })
    this.loadBalancer = loadBalancer
    this.nat = this.natKeeper()
    this.program = { loadBalancer, status: () => this.status(), links: () => this.interfaces?.list() ?? [], missing: () => this.connection?.state.state === 'up' ? this.nat?.missing() ?? '' : this.downLine(), follow: async (d, weight) => await this.follow(d, weight), flush: async (reals) => { await loadBalancer.flush(reals) } }
  }

  private natKeeper (): NatKeeper | null {
    const { settings: { natSessions: ei, natEdSessions: ed }, table, tell } = this.o
    const onBegun = (): void => { table.programmed(true, true) }
    if (ei !== null) return new NatSessions({ settings: ei, table: natTable(table, ei.redundancyGroup), tell, onBegun })
    return ed === null ? null : new EdSessions({ settings: ed, table: natTable(table, ed.redundancyGroup), tell, onBegun })
  }

  probe (): ProbeResult { return probeVpp(this.o.settings.apiSocket) }
  inherited (): ReadonlyMap<string, number> { return new Map() }

  /** VPP need not be there yet. */
  async start (): Promise<void> {
    if (this.connection === null) {
      this.o.table.programmed(false, this.nat !== null)
      await this.nat?.table.clear() // what an earlier configuration kept of other groups
    }
    const { core, settings: { statsSocket }, name, nowMs } = this.o
    this.connection ??= new VppConnection({
      connect: async (signal) => await VppClient.open({ signal, name: name.slice(0, 63), timeoutMs: REPLY_MS, connect: ready => this.transport(ready) }),
      attach: () => statsSocket === null ? null : native(() => new core.VppStats(statsSocket, STATS_MS), { object: statsSocket, next: 'set agent.vpp.stats-socket, to null if this VPP has none' }),
      onUp: async (life) => { await this.up(life) },
      onDown: (reason) => {
        this.quiet()
        this.o.table.programmed(false, this.nat !== null)
        this.o.tell('vpp-disconnect', { reason })
      },
      nowMs, random: Math.random,
      onWait: (wait) => {
        if (wait === null) this.o.work?.settled('vpp', '')
        else this.o.work?.wait('vpp', '', wait.ms, wait.reason)
      }
    })
    await this.connection.start()
  }

  private transport (ready: () => void): VppTransport {
    const { core, settings: { apiSocket, transport, library, apiPrefix }, name } = this.o
    if (transport === 'shm') return native(() => sharedTransport(new core.VppShared(library, apiPrefix, name.slice(0, 63), ready)), { next: 'see agent.vpp.library and api-prefix, or set agent.vpp.transport to socket' })
    try {
      return new core.VppSocket(apiSocket, ready)
    } catch (error) {
      const denied = fromNative(error).code === 'LS_E_PERMISSION'
      throw fromNative(error, { next: denied ? 'let the user of the agent into the group of its sockets (VPP: unix { gid vpp })' : 'start VPP, or set agent.vpp.api-socket' })
    }
  }

  /** VPP forwards on. */
  async stop (): Promise<void> {
    await this.connection?.close()
    this.quiet()
    this.connection = null
    await this.nat?.stop()
  }

  /** Its VIPs go. */
  async leave (): Promise<void> {
    this.loadBalancer.wantNothing()
    const pass = await this.loadBalancer.pass().finally(async () => {
      await this.stop()
      this.o.table.programmed(false, false)
    })
    const [failure] = pass?.failed ?? []
    if (failure !== undefined) throw new LockstepError('unavailable', 'LS_V_LEFT', 'VPP keeps VIPs that it does not give up', { object: `VIP ${failure.vip}`, found: failure.reason, next: 'remove them by hand: vppctl lb vip ... del' })
  }

  private async up ({ client, stats, identity: { version, pid, messages } }: VppLife<NativeVppStats>): Promise<void> {
    this.client = client
    this.interfaces = await VppInterfaces.open(client, stats, (name, fields) => {
      this.o.tell(name, fields)
      void this.loadBalancer.pass('changed').catch(() => undefined)
    })
    await this.loadBalancer.up(client, stats, () => this.interfaces?.devices ?? [])
    if (this.client !== client) return // it ended meanwhile
    if (this.nat === null) this.o.table.programmed(true, false)
    else await this.nat.up(client, pid)
    if (this.client !== client) return
    this.connects++
    this.o.tell('vpp-connect', { version, pid, messages })
  }

  private status (): ProgramStatus {
    const state = this.connection?.state ?? { state: 'down', reason: 'not started', sinceMs: this.o.nowMs() }
    const [up, since] = [state.state === 'up', Date.now() - (this.o.nowMs() - state.sinceMs)]
    const now = this.client?.tally
    const messages = { sent: this.past.sent + (now?.sent ?? 0), received: this.past.received + (now?.received ?? 0), timedOut: this.past.timedOut + (now?.timedOut ?? 0), events: this.past.events + (now?.events ?? 0) }
    return { up, since, ...state.state === 'up' ? { version: state.identity.version, buildDate: state.identity.buildDate, pid: state.identity.pid } : { version: '', buildDate: '', pid: 0 }, reason: state.state === 'up' ? '' : state.reason, connects: this.connects, operations: this.loadBalancer.operations, messages, nat: this.nat?.status ?? null }
  }

  private quiet (): void {
    const { client } = this
    if (client !== null) for (const key of ['sent', 'received', 'timedOut', 'events'] as const) this.past[key] += client.tally[key]
    this.client = null
    this.loadBalancer.down()
    this.nat?.down()
    this.interfaces?.close()
    this.interfaces = null
  }

  async guard (d: Desired): Promise<void> { await Promise.resolve(this.loadBalancer.check(d)) }
  async unguard (): Promise<void> { await Promise.resolve() }

  private async follow (d: Desired, weight: WeightOf): Promise<string[]> {
    const warnings = this.loadBalancer.want(d, weight)
    const pass = await this.loadBalancer.pass()
    return [...warnings, ...pass === null ? ['the VIPs follow when VPP is there'] : []]
  }

  degraded (): string[] { return this.connection === null || this.connection.state.state === 'up' ? [...this.loadBalancer.degraded(), ...this.nat?.degraded() ?? []] : [this.downLine()] }

  private downLine (): string {
    const state = this.connection?.state
    return `VPP is not connected${state?.state === 'down' ? `: ${state.reason}` : ''}`
  }

  // What goes by ports is VPP's own.
  open (): void { /* VPP has it open */ }
  close (): void { /* and keeps it */ }
  async handOver (): Promise<void> { await Promise.resolve() }
  enable (): void { /* VPP receives */ }
  disable (): void { /* what it wants */ }
  settle (): string[] { return [] }
  signature (): string { return '' }
}
