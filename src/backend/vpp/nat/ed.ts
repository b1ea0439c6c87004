/**
 * The sessions of VPP's NAT44-ED, shown: VPP tells nobody of them and takes none, so they are read by its API in intervals and stand in the session table where
 * this node owns the group. What an operator takes out of the table ends in VPP. A read stops VPP's packets for each user, so it takes a tenth of the time at
 * most.
 */
import type { ProgramNat } from '../../../contract/dataplane.js'
import type { VppNatEdSettings } from '../../../contract/desired.js'
import { LockstepError } from '../../../contract/errors.js'
import type { VppClient } from '../client.js'
import type { Tell } from '../lb/sink.js'
import { dumpEd } from './dump.js'
import { sessionIds } from './ids.js'
import type { HaEvent } from './ha-wire.js'
import type { NatKeeper } from './keeper.js'
import type { SessionId } from './session.js'
import type { Held, NatTable } from './table.js'

export interface EdSessionsOptions {
  readonly settings: VppNatEdSettings
  readonly table: NatTable
  readonly tell: Tell
  /** As NatSessionsOptions has it. */
  readonly onBegun: () => void
}

const [INSIDE, EXTERNAL_VALID] = [0x20, 0x80]
/** A read takes this part of the time at most. */
const SHARE = 10

/** A session of it is told apart by both ends. */
const keyOf = ({ protocol, insideAddress, insidePort, externalNatAddress, externalNatPort }: HaEvent): string => `${protocol} ${insideAddress}:${insidePort} ${externalNatAddress}:${externalNatPort}`

export class EdSessions implements NatKeeper {
  private client: VppClient | null = null
  private timer: NodeJS.Timeout | null = null
  private problem = ''
  /** In the table after the last read, as far as they are of this life. */
  private readonly known = new Set<string>()
  private readonly newId: () => SessionId = sessionIds()
  private readonly tally = { sessions: 0, opened: 0, ended: 0, withdrawn: 0, refused: 0 }

  get table (): NatTable { return this.o.table }

  constructor (private readonly o: EdSessionsOptions) {}

  async up (client: VppClient): Promise<void> {
    this.client = client
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
    return [...this.problem === '' ? [] : [`sessions of VPP's NAT are not shown: ${this.problem}`], ...this.tally.refused === 0 ? [] : [`${this.tally.refused} sessions of VPP's NAT are not in the session table: their tuples are taken, or it is full`]]
  }

  get status (): ProgramNat {
    const { sessions, opened, ended, withdrawn } = this.tally
    return { sessions, changes: { opened, ended, injected: 0, withdrawn, unanswered: 0 } }
  }

  private async pass (client: VppClient): Promise<void> {
    const began = performance.now()
    try {
      if (this.o.table.owns()) await this.follow(client)
      else this.known.clear()
      this.problem = ''
    } catch (error) {
      if (this.client !== client) return
      const reason = error instanceof Error ? error.message : String(error)
      if (reason !== this.problem) this.o.tell('vpp-nat-error', { reason })
      this.problem = reason
    }
    if (this.client === client) this.timer = setTimeout(() => { void this.pass(client) }, Math.max(this.o.settings.intervalMs, SHARE * (performance.now() - began)))
  }

  private async follow (client: VppClient): Promise<void> {
    const { table } = this.o
    const there = new Map((await read(client)).map(event => [keyOf(event), event]))
    if (this.client !== client || !table.owns()) return
    const here = new Map((await table.all()).map(held => [keyOf(held.event), held]))
    const ends = [...here].filter(([key]) => !there.has(key)).map(([, held]) => held)
    const opens: Held[] = []
    const deleted: HaEvent[] = []
    for (const [key, event] of there) {
      if (here.has(key)) continue
      if (this.known.has(key)) deleted.push(event)
      else opens.push({ id: this.newId(), event })
    }
    await table.end(ends)
    const refused = table.open(opens)
    table.touch([...here].flatMap(([key, { id }]) => { const event = there.get(key); return event === undefined ? [] : [{ id, event }] }))
    await Promise.all(deleted.map(async (event) => { await remove(client, event) }))
    this.known.clear()
    for (const [key] of here) if (there.has(key)) this.known.add(key)
    const out = new Set(refused)
    for (const held of opens) if (!out.has(held)) this.known.add(keyOf(held.event))
    Object.assign(this.tally, { sessions: there.size - deleted.length, refused: refused.length, opened: this.tally.opened + opens.length - refused.length, ended: this.tally.ended + ends.length, withdrawn: this.tally.withdrawn + deleted.length })
  }
}

async function read (client: VppClient): Promise<HaEvent[]> {
  const { sessions } = await client.call('nat44_show_running_config_51077d14', {})
  if (sessions === 0) throw new LockstepError('unavailable', 'LS_V_NAT_OFF', 'NAT44-ED is not enabled in this VPP', { next: 'nat44 plugin enable sessions N' })
  return await dumpEd(client)
}

/** It may have ended by itself. */
async function remove (client: VppClient, { insideAddress: address, insidePort: port, protocol, externalNatAddress: ext_host_address, externalNatPort: ext_host_port }: HaEvent): Promise<void> {
  await client.call('nat44_del_session_15a5bf8c', { address, protocol, port, vrf_id: 0, flags: INSIDE | EXTERNAL_VALID, ext_host_address, ext_host_port }).catch(() => undefined)
}
