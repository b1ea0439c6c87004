/**
 * The sessions of VPP's NAT44-EI, START HERE: each life of VPP is told to give its sessions to us and to take ours (NAT HA, ha-*.ts), is asked for those that it has
 * (dump.ts), and from then on mirror.ts keeps them and the session table equal.
 */
import type { ProgramNat } from '../../../contract/dataplane.js'
import type { VppNatSettings } from '../../../contract/desired.js'
import { LockstepError } from '../../../contract/errors.js'
import type { VppClient } from '../client.js'
import type { Tell } from '../lb/sink.js'
import { dumpEi } from './dump.js'
import { HaEndpoint } from './ha-endpoint.js'
import { HA_PATH_MTU, type HaEvent } from './ha-wire.js'
import { sessionIds } from '../../../native/session-ids.js'
import { causeOf } from '../../../lib/cause-of.js'
import type { NatKeeper } from './keeper.js'
import { NatMirror } from './mirror.js'
import type { NatTable } from './table.js'

export interface NatSessionsOptions {
  readonly settings: VppNatSettings
  readonly table: NatTable
  readonly tell: Tell
  /** The sessions of this life are in place, or cannot be. */
  readonly onBegun: () => void
}

const PASS_MS = 1000
/** Passes that also look at VPP's configuration: those at the beginning, when it may still be made, and then some. */
const LOOKS_AT_FIRST = 10
const LOOKS_EVERY = 5
/** The link to VPP is short: 2 s in all. */
const RESEND_MS = 250
const RESENDS = 7
/** With more, VPP spreads sessions over its workers by a hash, and takes ours for the worker that we name. */
const WORKERS_MAX = 1

export class NatSessions implements NatKeeper {
  private readonly mirror: NatMirror
  private endpoint: HaEndpoint | null = null
  private client: VppClient | null = null
  private timer: NodeJS.Timeout | null = null
  private problem = ''
  private passing = false
  /** As VPP said it; '': not known. */
  private configured = ''
  private looks = 0
  private unanswered = 0
  private begun = false
  /** Of the life before. */
  private pid: number | null = null

  get table (): NatTable { return this.o.table }

  constructor (private readonly o: NatSessionsOptions) {
    this.mirror = new NatMirror({
      table: o.table, read: async () => await this.read(), inject: events => events.length === 0 ? 0 : this.endpoint?.inject(events) ?? 0,
      idle: () => this.endpoint?.sender.idle ?? true, newId: sessionIds()
    })
  }

  /** Begins; what is wrong with VPP's side is told and shown, and looked at again with each pass. `pid`: tells lives of VPP apart from lives of the connection. */
  async up (client: VppClient, pid: number): Promise<void> {
    this.client = client
    this.configured = ''
    this.looks = 0
    this.begun = false
    this.endpoint?.restart()
    this.mirror.doubt(this.pid !== null && this.pid !== pid)
    this.pid = pid
    await this.pass(client)
    if (this.timer !== null) clearInterval(this.timer)
    if (this.client === client) this.timer = setInterval(() => { void this.pass(client) }, PASS_MS)
  }

  /** One at a time: the next waits for the timer. */
  private async pass (client: VppClient): Promise<void> {
    if (this.passing) return
    this.passing = true
    try {
      const due = this.configured === '' || this.looks++ < LOOKS_AT_FIRST || this.looks % LOOKS_EVERY === 0
      const configured = due ? await this.configure(client) : this.configured
      if (this.client !== client) return
      if (configured !== this.configured) this.mirror.doubt()
      await this.mirror.pass()
      if (this.client !== client) return
      this.configured = configured
      this.problem = ''
      if (this.mirror.settled) this.begin()
    } catch (error) {
      if (this.client !== client) return
      this.configured = ''
      this.trouble(causeOf(error))
      this.begin()
    } finally {
      this.passing = false
    }
  }

  private begin (): void {
    if (this.begun) return
    this.begun = true
    this.o.onBegun()
  }

  /** Why this node should not take the group now; '': it may. */
  missing (): string { return this.problem !== '' ? `sessions of VPP's NAT are not kept: ${this.problem}` : this.begun ? '' : 'VPP does not have its sessions of NAT yet' }

  /** As it should be from here on. What it is: when that changes, sessions may have gone with it. */
  private async configure (client: VppClient): Promise<string> {
    const { agent, vpp, refreshMs } = this.o.settings
    const { thread_data: threads } = await client.call('show_threads_51077d14', {})
    const workers = threads.filter(({ type }) => type === 'workers').length
    if (workers > WORKERS_MAX) throw new LockstepError('unsupported', 'LS_V_NAT_WORKERS', 'sessions of NAT cannot be put into a VPP with so many workers', { found: String(workers), expected: `at most ${WORKERS_MAX}`, next: 'set cpu { workers 1 } in its startup.conf' })
    const running = await client.call('nat44_ei_show_running_config_51077d14', {})
    if (running.inside_vrf !== 0 || running.outside_vrf !== 0) throw new LockstepError('unsupported', 'LS_V_NAT_VRF', 'sessions of NAT are kept of the first table only', { found: `inside-vrf ${running.inside_vrf}, outside-vrf ${running.outside_vrf}`, expected: '0', next: 'enable NAT44-EI with vrf 0' })
    if (running.sessions === 0) throw new LockstepError('unavailable', 'LS_V_NAT_OFF', 'NAT44-EI is not enabled in this VPP', { next: 'nat44 ei plugin enable sessions N' })
    this.endpoint ??= await this.open()
    const interval = Math.round(refreshMs / 1000)
    const listener = await client.call('nat44_ei_ha_get_listener_51077d14', {})
    if (listener.ip_address !== vpp.address || listener.port !== vpp.port || listener.path_mtu !== HA_PATH_MTU) {
      await client.call('nat44_ei_ha_set_listener_e4a8cb4e', { ip_address: vpp.address, port: vpp.port, path_mtu: HA_PATH_MTU })
      this.mirror.doubt() // it was switched off and on, perhaps
    }
    const failover = await client.call('nat44_ei_ha_get_failover_51077d14', {})
    if (failover.ip_address !== agent.address || failover.port !== agent.port || failover.session_refresh_interval !== interval) {
      await client.call('nat44_ei_ha_set_failover_718246af', { ip_address: agent.address, port: agent.port, session_refresh_interval: interval })
      this.mirror.doubt()
    }
    // An ADD whose pool or FIB is not there is dropped without a word.
    return JSON.stringify([running, await client.dump('nat44_ei_address_dump_51077d14', {}), await client.dump('nat44_ei_interface_dump_51077d14', {})])
  }

  private async open (): Promise<HaEndpoint> {
    const { agent, vpp } = this.o.settings
    return await HaEndpoint.open({
      address: agent.address, port: agent.port, peer: vpp, sender: { resendMs: RESEND_MS, resends: RESENDS },
      onEvents: (events) => { this.mirror.told(events) },
      onMissed: () => { this.mirror.doubt() },
      onFailed: (failed) => {
        const events = [...failed.flatMap(({ events }) => events), ...this.endpoint?.restart() ?? []] // nobody is there: what waits would only fail later
        this.mirror.doubt()
        this.looks = 0
        this.unanswered += events.length
        this.o.tell('vpp-nat-unanswered', { sessions: events.length })
      }
    })
  }

  private async read (): Promise<readonly HaEvent[]> {
    const { client } = this
    if (client === null) throw new LockstepError('unavailable', 'LS_V_DOWN', 'VPP is not connected')
    const events = await dumpEi(client)
    this.o.tell('vpp-nat-read', { sessions: events.length })
    return events
  }

  down (): void {
    this.client = null
    this.begun = false
    this.mirror.doubt()
    if (this.timer !== null) clearInterval(this.timer)
    this.timer = null
    this.endpoint?.restart()
  }

  async stop (): Promise<void> {
    this.down()
    await this.endpoint?.close()
    this.endpoint = null
  }

  get status (): ProgramNat {
    const { opened, ended, injected, withdrawn } = this.mirror.tally
    return { sessions: this.mirror.size, changes: { opened, ended, injected, withdrawn, unanswered: this.unanswered } }
  }

  degraded (): string[] {
    const { refused, elsewhere } = this.mirror
    return [
      ...this.problem === '' ? [] : [`sessions of VPP's NAT are not kept: ${this.problem}`],
      ...refused === 0 ? [] : [`${refused} sessions of VPP's NAT are not in the session table: their tuples are taken, or it is full`],
      ...elsewhere === 0 ? [] : [`${elsewhere} sessions of VPP's NAT are not of the first table (vrf 0), and are not kept`]
    ]
  }

  private trouble (reason: string): void {
    if (reason !== this.problem) this.o.tell('vpp-nat-error', { reason })
    this.problem = reason
  }
}
