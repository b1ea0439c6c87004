/**
 * Keeps the sessions of VPP's NAT and those of the session table equal. Where this node owns the redundancy group VPP says what there is, and the table follows,
 * which the sync of docs/design/0010 carries to the peer; where it stands by the table says it, and VPP follows, so that VPP has every translation before it is
 * needed. Who becomes the owner, and each new life of VPP at an owner, unites the two: a session that ended meanwhile lives on until it is idle, rather than one
 * that lives being lost.
 *
 * A session that the table never had is nobody's business here: VPP may have it from a time before the table was whole.
 */
import { haKeyOf, type HaEvent } from './ha-wire.js'
import { FIB, sameSession, type SessionId } from './session.js'
import type { Held, NatTable } from './table.js'

export interface NatMirrorOptions {
  readonly table: NatTable
  /** Into VPP. How many, from the first, were taken. */
  readonly inject: (events: readonly HaEvent[]) => number
  readonly newId: () => SessionId
}

/** Since the mirror was made. Of sessions. `refused`: by the table. `elsewhere`: of a FIB that is not the first. */
export interface NatMirrorTally { opened: number, ended: number, injected: number, withdrawn: number, refused: number, elsewhere: number, united: number }

/** One that VPP translates in one way at a time. */
const insideOf = ({ protocol, insideAddress, insidePort }: HaEvent): string => `${protocol} ${insideAddress}:${insidePort}`
const NONE: SessionId = { origin: 0n, serial: 0n }

export class NatMirror {
  readonly tally: NatMirrorTally = { opened: 0, ended: 0, injected: 0, withdrawn: 0, refused: 0, elsewhere: 0, united: 0 }
  /** What VPP has, as far as it was told or asked. */
  private vpp = new Map<string, HaEvent>()
  /** What the table had when it was looked at, and what was put there since. */
  private held = new Map<string, Held>()
  private owned = false
  private turns: Promise<void> = Promise.resolve()

  constructor (private readonly o: NatMirrorOptions) {}

  /** Sessions that VPP has. */
  get size (): number { return this.vpp.size }

  /** VPP said so, in this order. */
  told (events: readonly HaEvent[]): void {
    const here = events.filter(({ fibIndex }) => fibIndex === FIB)
    this.tally.elsewhere += events.length - here.length
    for (const event of here) this.note(event)
    if (this.owned) void this.turn(async () => { await this.follow(here) })
  }

  /** A life of VPP has these sessions; what was known of another is void. `anew`: VPP was restarted, so what it translates otherwise than before gives way. */
  async began (sessions: readonly HaEvent[], anew: boolean): Promise<void> {
    const here = sessions.filter(({ fibIndex }) => fibIndex === FIB)
    this.tally.elsewhere += sessions.length - here.length
    await this.turn(async () => {
      this.vpp = new Map(here.map(event => [haKeyOf(event), event]))
      this.owned = false
      if (anew) this.giveWay(new Map((await this.o.table.all()).map(held => [insideOf(held.event), held])))
      await this.look()
    })
  }

  /** VPP did not answer to these: they are tried again with the next pass. */
  failed (events: readonly HaEvent[]): void {
    this.owned &&= !events.some(({ kind }) => kind === 'add')
    for (const event of events) {
      const key = haKeyOf(event)
      if (event.kind !== 'delete') this.vpp.delete(key)
      else if (!this.owned) {
        this.vpp.set(key, event)
        this.held.set(key, { event, id: NONE })
      }
    }
  }

  /** What the table has now goes to VPP where this node stands by; where it has just become the owner, the two are united. */
  async pass (): Promise<void> { await this.turn(async () => { await this.look() }) }

  private note (event: HaEvent): void {
    const key = haKeyOf(event)
    if (event.kind === 'delete') this.vpp.delete(key)
    else if (event.kind === 'add' || this.vpp.has(key)) this.vpp.set(key, event.kind === 'add' ? event : { ...this.vpp.get(key) ?? event, packets: event.packets, bytes: event.bytes })
  }

  private async look (): Promise<void> {
    const owns = this.o.table.owns()
    if (owns && this.owned) return
    this.owned = owns // what is told from here on is followed after this look
    const rows = new Map((await this.o.table.all()).map(held => [haKeyOf(held.event), held]))
    if (owns) await this.unite(rows)
    else this.give(rows)
  }

  /** VPP gets what it lacks, and loses what the table had and has no more. */
  private give (rows: Map<string, Held>): void {
    const gone = [...this.held.keys()].filter(key => !rows.has(key) && this.vpp.has(key)).flatMap(key => this.held.get(key) ?? [])
    const other = [...rows].filter(([key, { event }]) => { const had = this.vpp.get(key); return had !== undefined && !sameSession(had, event) }).map(([, held]) => held)
    const before = this.held
    this.held = rows
    const deletes = [...gone, ...other].map(({ event }): HaEvent => ({ ...event, kind: 'delete' }))
    const taken = this.inject(deletes)
    this.tally.withdrawn += taken
    for (const { event } of gone.slice(taken)) rows.set(haKeyOf(event), before.get(haKeyOf(event)) ?? { event, id: NONE }) // again with the next look
    if (taken === deletes.length) this.inject([...rows].filter(([key]) => !this.vpp.has(key)).map(([, { event }]) => event))
  }

  /** Packets that came before VPP had its sessions again took other ports: theirs end, and the ports of before are in use again. */
  private giveWay (rows: ReadonlyMap<string, Held>): void {
    const others = [...this.vpp].filter(([key, event]) => {
      const row = rows.get(insideOf(event))
      return row !== undefined && haKeyOf(row.event) !== key
    }).map(([, event]): HaEvent => ({ ...event, kind: 'delete' }))
    this.tally.withdrawn += this.inject(others)
  }

  private async unite (rows: Map<string, Held>): Promise<void> {
    this.held = rows
    this.tally.united++
    await this.follow([...this.vpp.values()].filter((event) => {
      const row = rows.get(haKeyOf(event))
      return row === undefined || !sameSession(row.event, event)
    }))
    this.inject([...this.held].filter(([key]) => !this.vpp.has(key)).map(([, { event }]) => event))
  }

  private inject (events: readonly HaEvent[]): number {
    const taken = this.o.inject(events)
    for (const event of events.slice(0, taken)) {
      this.note(event)
      if (event.kind === 'add') this.tally.injected++
    }
    return taken
  }

  /** The table follows VPP. What a session replaces ends first, as their tuples meet. */
  private async follow (events: readonly HaEvent[]): Promise<void> {
    const ends = new Map<SessionId, Held>()
    const opens = new Map<string, Held>()
    for (const event of events) {
      const key = haKeyOf(event)
      const now = this.held.get(key)
      if (event.kind === 'delete' || (event.kind === 'add' && now !== undefined && !sameSession(now.event, event))) {
        if (now !== undefined) ends.set(now.id, now)
        opens.delete(key)
        this.held.delete(key)
      }
      if (event.kind === 'delete') continue
      const known = this.held.get(key)
      if (event.kind === 'refresh' && known === undefined) continue // it is read with the next dump
      const held = known === undefined ? { id: this.o.newId(), event } : { ...known, event: { ...known.event, packets: event.packets, bytes: event.bytes } }
      this.held.set(key, held)
      opens.set(key, held)
    }
    await this.o.table.end([...ends.values()])
    this.tally.ended += ends.size
    this.tally.opened += opens.size
    this.tally.refused += this.o.table.open([...opens.values()])
  }

  /** One after the other: what ends is gone before what comes. */
  private async turn (task: () => Promise<void>): Promise<void> {
    const mine = this.turns.then(task)
    this.turns = mine.catch(() => undefined)
    await mine
  }
}
