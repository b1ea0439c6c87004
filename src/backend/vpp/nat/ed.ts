/**
 * The sessions of VPP's NAT44-ED: VPP tells nobody of them and takes none, so they are read by its API in intervals and stand in the session table where this
 * node owns the group. What an operator takes out of the table ends in VPP. A read stops VPP's packets for each user, so it takes a tenth of the time at most.
 * Elsewhere static mappings stand for them (mappings.ts), so that what comes here after a failover is translated as it was; not for TCP.
 */
import type { ProgramNat } from '../../../contract/dataplane.js'
import type { VppNatEdSettings } from '../../../contract/desired.js'
import { LockstepError } from '../../../contract/errors.js'
import type { VppClient } from '../client.js'
import type { Tell } from '../lb/sink.js'
import { dumpEd } from './dump.js'
import { sessionIds, type SessionId } from '../../../native/session-ids.js'
import { causeOf } from '../../../lib/cause-of.js'
import type { HaEvent } from './ha-wire.js'
import type { NatKeeper } from './keeper.js'
import { Mappings, mappingsFor } from './mappings.js'
import type { Held, NatTable } from './table.js'

export interface EdSessionsOptions {
  readonly settings: VppNatEdSettings
  readonly table: NatTable
  readonly tell: Tell
  /** As NatSessionsOptions has it. */
  readonly onBegun: () => void
}

const [INSIDE, EXTERNAL_VALID] = [0x20, 0x80]
const UDP = 17
/** A read takes this part of the time at most. */
const SHARE = 10
/** Nothing of VPP is read by a standby, and it should see soon that it owns. */
const STANDBY_MS = 1000

/** A session of it is told apart by both ends. */
const keyOf = ({ protocol, insideAddress, insidePort, externalNatAddress, externalNatPort }: HaEvent): string => `${protocol} ${insideAddress}:${insidePort} ${externalNatAddress}:${externalNatPort}`

export class EdSessions implements NatKeeper {
  private client: VppClient | null = null
  private timer: NodeJS.Timeout | null = null
  private problem = ''
  /** In the table after the last read, as far as they are of this life. */
  private readonly known = new Set<string>()
  private readonly mappings = new Mappings()
  /** Sessions that VPP opens by a mapping when their next packet comes, and until when that is waited for. */
  private readonly awaited = new Map<string, number>()
  /** What this pass builds on: nothing is known yet; a peer's sessions stand here; ours do. */
  private stage: 'new' | 'standby' | 'owner' = 'new'
  /** Of the table, when mappings were made of it. */
  private mappedVersion = ''
  /** This VPP has begun anew, with nothing. */
  private lost = false
  /** Of the life before. */
  private pid: number | null = null
  private readonly newId: () => SessionId = sessionIds()
  private readonly tally = { sessions: 0, opened: 0, ended: 0, injected: 0, withdrawn: 0, refused: 0 }

  get table (): NatTable { return this.o.table }

  constructor (private readonly o: EdSessionsOptions) {}

  async up (client: VppClient, pid: number): Promise<void> {
    this.client = client
    this.stage = 'new'
    this.mappedVersion = ''
    this.lost = this.pid !== null && this.pid !== pid
    this.pid = pid
    await this.pass(client)
    this.o.onBegun()
  }

  down (): void {
    this.client = null
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
  }

  async stop (): Promise<void> { await Promise.resolve(this.down()) }
  missing (): string { return '' }
  degraded (): string[] {
    return [...this.problem === '' ? [] : [`sessions of VPP's NAT are not shown: ${this.problem}`], ...this.tally.refused === 0 ? [] : [`${this.tally.refused} sessions of VPP's NAT are not in the session table: their tuples are taken, or it is full`],
      ...this.mappings.refused === 0 ? [] : [`${this.mappings.refused} sessions of the peer would be translated anew here: VPP has another static mapping at their inside or outside`]]
  }

  get status (): ProgramNat {
    const { sessions, opened, ended, injected, withdrawn } = this.tally
    return { sessions, changes: { opened, ended, injected, withdrawn, unanswered: 0 } }
  }

  private async pass (client: VppClient): Promise<void> {
    const began = performance.now()
    try {
      if (this.stage === 'new') await this.mappings.read(client)
      if (this.o.table.owns()) await this.follow(client)
      else await this.standBy(client)
      this.problem = ''
    } catch (error) {
      if (this.client !== client) return
      const reason = causeOf(error)
      if (reason !== this.problem) this.o.tell('vpp-nat-error', { reason })
      this.problem = reason
    }
    const everyMs = this.stage === 'owner' ? this.o.settings.intervalMs : Math.min(STANDBY_MS, this.o.settings.intervalMs)
    if (this.client === client) this.timer = setTimeout(() => { void this.pass(client) }, Math.max(everyMs, SHARE * (performance.now() - began)))
  }

  /** Ms without a packet, of its settings. @throws LS_V_NAT_OFF */
  private async timeouts (client: VppClient): Promise<{ readonly udp: number, readonly icmp: number }> {
    const { sessions, timeouts: { udp, icmp } } = await client.call('nat44_show_running_config_51077d14', {})
    if (sessions === 0) throw new LockstepError('unavailable', 'LS_V_NAT_OFF', 'NAT44-ED is not enabled in this VPP', { next: 'nat44 plugin enable sessions N' })
    return { udp: udp * 1000, icmp: icmp * 1000 }
  }

  /** Sessions of the owner have their mappings here. */
  private async standBy (client: VppClient): Promise<void> {
    const { table } = this.o
    const version = table.version()
    if (this.stage !== 'standby' || version !== this.mappedVersion) {
      await this.timeouts(client) // a mapping in a NAT that is not enabled would be refused for another reason
      const sessions = await table.all()
      if (this.client !== client || table.owns()) return
      const { added, removed } = await this.mappings.follow(client, mappingsFor(sessions.map(({ event }) => event)), true)
      this.tally.injected += added
      this.tally.withdrawn += removed
      this.mappedVersion = version
    }
    this.known.clear()
    this.awaited.clear()
    Object.assign(this.tally, { sessions: 0, refused: 0 })
    this.stage = 'standby'
    this.lost = false
  }

  private async follow (client: VppClient): Promise<void> {
    const { table, mappings } = this
    const timeouts = await this.timeouts(client)
    const there = new Map((await dumpEd(client)).map(event => [keyOf(event), mappings.stands(event) ? { ...event, static: false } : event]))
    const here = new Map((await table.all()).map(held => [keyOf(held.event), held]))
    if (this.client !== client || !table.owns()) return
    if (this.stage !== 'owner') {
      const absent = [...here].filter(([key]) => !there.has(key))
      if (this.stage === 'standby' || this.lost) this.tally.injected += (await mappings.follow(client, mappingsFor([...here.values()].map(({ event }) => event)), true)).added
      for (const [key, { event }] of absent) if (mappings.stands(event)) this.awaited.set(key, performance.now() + (event.protocol === UDP ? timeouts.udp : timeouts.icmp))
      this.stage = 'owner'
      this.lost = false
    }
    for (const [key, untilMs] of this.awaited) if (there.has(key) || !here.has(key) || untilMs < performance.now()) this.awaited.delete(key)
    const ends = [...here].filter(([key]) => !there.has(key) && !this.awaited.has(key)).map(([, held]) => held)
    const opens: Held[] = []
    const deleted: HaEvent[] = []
    for (const [key, event] of there) {
      if (here.has(key)) continue
      if (this.known.has(key)) deleted.push(event)
      else opens.push({ id: this.newId(), event })
    }
    await table.end(ends)
    for (const { event } of ends) here.delete(keyOf(event))
    const refused = new Set(table.open(opens))
    table.touch([...here].flatMap(([key, { id }]) => { const event = there.get(key); return event === undefined ? [] : [{ id, event }] }))
    await Promise.all(deleted.map(async (event) => { await remove(client, event) }))
    this.known.clear()
    for (const [key] of here) if (there.has(key)) this.known.add(key)
    for (const held of opens) if (!refused.has(held)) this.known.add(keyOf(held.event))
    if (mappings.some) await mappings.follow(client, mappingsFor([...here.values(), ...opens].map(({ event }) => event)), false) // those of sessions that ended
    Object.assign(this.tally, { sessions: there.size - deleted.length, refused: refused.size, opened: this.tally.opened + opens.length - refused.size, ended: this.tally.ended + ends.length, withdrawn: this.tally.withdrawn + deleted.length })
  }
}

/** It may have ended by itself. */
async function remove (client: VppClient, { insideAddress: address, insidePort: port, protocol, externalNatAddress: ext_host_address, externalNatPort: ext_host_port }: HaEvent): Promise<void> {
  await client.call('nat44_del_session_15a5bf8c', { address, protocol, port, vrf_id: 0, flags: INSIDE | EXTERNAL_VALID, ext_host_address, ext_host_port }).catch(() => undefined)
}
