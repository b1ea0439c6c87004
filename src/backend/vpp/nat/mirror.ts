/**
 * Keeps the sessions of VPP's NAT and those of the session table equal. Where this node owns the redundancy group VPP says what there is, and the table follows,
 * which the sync of docs/design/0010 carries to the peer; where it stands by the table says it, and VPP follows, so that VPP has every translation before it is
 * needed. Who becomes the owner, and each new life of VPP at an owner, unites the two: a session that ended meanwhile lives on until it is idle, rather than one
 * that lives being lost.
 *
 * A session that the table never had is nobody's business here: VPP may have it from a time before the table was whole.
 */
import { SessionBook } from './book.js'
import { haKeyOf, type HaEvent } from './ha-wire.js'
import { FIB, sameSession, type SessionId } from './session.js'
import type { Held, NatTable } from './table.js'

export interface NatMirrorOptions {
  readonly table: NatTable
  /** All that VPP has. */
  readonly read: () => Promise<readonly HaEvent[]>
  /** Into VPP. How many, from the first, were taken. */
  readonly inject: (events: readonly HaEvent[]) => number
  /** VPP has answered to all that was put in. */
  readonly idle: () => boolean
  readonly newId: () => SessionId
}

/** Since the mirror was made. Of sessions. `refused`: by the table. `elsewhere`: of a FIB that is not the first. */
export interface NatMirrorTally { opened: number, ended: number, injected: number, withdrawn: number, refused: number, elsewhere: number, united: number, reads: number }

const NONE: SessionId = { origin: 0n, serial: 0n }
const inVpp = (event: HaEvent): Held => ({ id: NONE, event })
const sameKeyed = (a: HaEvent, b: HaEvent): boolean => haKeyOf(a) === haKeyOf(b) && sameSession(a, b)

export class NatMirror {
  readonly tally: NatMirrorTally = { opened: 0, ended: 0, injected: 0, withdrawn: 0, refused: 0, elsewhere: 0, united: 0, reads: 0 }
  /** What VPP has, as far as it was told or asked. */
  private vpp = new SessionBook()
  /** What the table had when it was looked at, and what was put there since. */
  private held = new SessionBook()
  private known = false
  private anew = false
  /** Told while VPP is asked: what it answers may be from before. */
  private meanwhile: HaEvent[] = []
  private owned = false
  private turns: Promise<void> = Promise.resolve()

  constructor (private readonly o: NatMirrorOptions) {}

  /** Sessions that VPP has. */
  get size (): number { return this.vpp.size }

  /** VPP said so, in this order. */
  told (events: readonly HaEvent[]): void {
    const here = this.here(events)
    for (const event of here) this.note(event)
    if (!this.known) this.meanwhile.push(...here)
    else if (this.owned) void this.turn(async () => { await this.follow(here) }).catch(() => { this.doubt() })
  }

  /** What VPP has is asked anew with the next pass: something got lost, or it begins a life. `anew`: after a restart, so that what it translates otherwise than before gives way. */
  doubt (anew = false): void {
    this.known = false
    this.owned = false
    this.anew ||= anew
  }

  /** What the table has now goes to VPP where this node stands by; where it has just become the owner, the two are united. @throws what reading throws */
  async pass (): Promise<void> {
    await this.turn(async () => {
      if (!this.known) await this.ask()
      else if (this.o.idle()) this.anew = false
      await this.look()
    })
  }

  private async ask (): Promise<void> {
    this.meanwhile = []
    const sessions = await this.o.read()
    this.tally.reads++
    this.vpp = new SessionBook(this.here(sessions).map(inVpp))
    for (const event of this.meanwhile.splice(0)) this.note(event)
    this.known = true
    if (this.anew && this.o.table.owns()) this.giveWay(new SessionBook(await this.o.table.all()))
  }

  private here (events: readonly HaEvent[]): HaEvent[] {
    const here = events.filter(({ fibIndex }) => fibIndex === FIB)
    this.tally.elsewhere += events.length - here.length
    return here
  }

  private note (event: HaEvent): void {
    const had = this.vpp.get(haKeyOf(event))
    if (event.kind === 'add') {
      const rival = this.vpp.rivalOf(event)
      for (const one of [had, rival]) if (one !== undefined) this.vpp.delete(one)
      this.vpp.set(inVpp(event))
    } else if (had !== undefined && event.kind === 'delete') this.vpp.delete(had)
    else if (had !== undefined) this.vpp.set(inVpp({ ...had.event, packets: event.packets, bytes: event.bytes }))
  }

  private async look (): Promise<void> {
    const owns = this.o.table.owns()
    if (owns && this.owned) return
    this.owned = owns // what is told from here on is followed after this look
    const rows = new SessionBook(await this.o.table.all())
    if (!this.known) this.owned = false
    else if (owns) await this.unite(rows)
    else this.give(rows)
  }

  /** VPP gets what it lacks, and loses what the table had and has no more. */
  private give (rows: SessionBook): void {
    const left = [...this.held].filter(([key]) => !rows.has(key))
    const gone = left.filter(([key]) => this.vpp.has(key)).map(([, held]) => held)
    const other = [...rows].flatMap(([key, { event }]) => [this.vpp.get(key), this.vpp.rivalOf(event)].filter(had => had !== undefined && !sameKeyed(had.event, event)).flatMap(had => had ?? []))
    const going = this.o.idle() ? gone : left.map(([, held]) => held) // remembered until VPP has answered
    this.held = new SessionBook([...going, ...[...rows].map(([, held]) => held)])
    const deletes = [...gone, ...other].map(({ event }): HaEvent => ({ ...event, kind: 'delete' }))
    const taken = this.inject(deletes)
    this.tally.withdrawn += taken
    if (taken === deletes.length) this.inject([...rows].filter(([key]) => !this.vpp.has(key)).map(([, { event }]) => event))
  }

  /** Packets that came before VPP had its sessions again took other ports: theirs end, and the ports of before are in use again. */
  private giveWay (rows: SessionBook): void {
    const others = [...this.vpp].filter(([, { event }]) => rows.rivalOf(event) !== undefined).map(([, { event }]): HaEvent => ({ ...event, kind: 'delete' }))
    this.tally.withdrawn += this.inject(others)
  }

  private async unite (rows: SessionBook): Promise<void> {
    this.held = rows
    this.tally.united++
    await this.follow([...this.vpp].map(([, { event }]) => event).filter((event) => {
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
      const over = event.kind === 'delete' ? [now] : event.kind === 'add' ? [now !== undefined && sameSession(now.event, event) ? undefined : now, this.held.rivalOf(event)] : []
      for (const one of over) {
        if (one === undefined) continue
        ends.set(one.id, one)
        opens.delete(haKeyOf(one.event))
        this.held.delete(one)
      }
      if (event.kind === 'delete') continue
      const known = this.held.get(key)
      if (event.kind === 'refresh' && known === undefined) continue // it is read with the next dump
      const held = known === undefined ? { id: this.o.newId(), event } : { ...known, event: { ...known.event, packets: event.packets, bytes: event.bytes } }
      this.held.set(held)
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
