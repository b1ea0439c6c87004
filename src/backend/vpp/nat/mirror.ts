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
import type { SessionId } from '../../../native/session-ids.js'
import { FIB, sameSession } from './session.js'
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

/** Since the mirror was made. Of sessions; `united`, `reads`: how often. */
export interface NatMirrorTally { opened: number, ended: number, injected: number, withdrawn: number, united: number, reads: number }

/** Sessions that are named in one way or another; beyond them they are not told apart. */
const NAMED_MAX = 65_536

const NONE: SessionId = { origin: 0n, serial: 0n }
const inVpp = (event: HaEvent): Held => ({ id: NONE, event })
/** Bounded: more are not told apart. */
function named (names: Set<string>, key: string): void { if (names.size < NAMED_MAX) names.add(key) }
const sameKeyed = (a: HaEvent, b: HaEvent): boolean => haKeyOf(a) === haKeyOf(b) && sameSession(a, b)

export class NatMirror {
  readonly tally: NatMirrorTally = { opened: 0, ended: 0, injected: 0, withdrawn: 0, united: 0, reads: 0 }
  /** What VPP has, as far as it was told or asked. */
  private vpp = new SessionBook()
  /** What the table had when it was looked at, and what was put there since. */
  private held = new SessionBook()
  /** What VPP is to lose, until it has answered and was seen to have lost it. */
  private going = new SessionBook()
  private known = false
  private anew = false
  /** Told while VPP is asked: what it answers may be from before. `null`: it is not asked. */
  private meanwhile: HaEvent[] | null = null
  /** Ended while nothing was followed. */
  private readonly endings = new Set<string>()
  /** Refused by the table now. */
  private readonly refusals = new Set<string>()
  /** Of a FIB that is not the first. */
  private readonly others = new Set<string>()
  /** The last look was a standby's, and complete. */
  private stoodBy = false
  /** Of the table, at that look; '': VPP has changed since. */
  private version = ''
  private owned = false
  private turns: Promise<void> = Promise.resolve()

  constructor (private readonly o: NatMirrorOptions) {}

  /** Sessions that VPP has. */
  get size (): number { return this.vpp.size }
  /** That the table does not take. */
  get refused (): number { return this.refusals.size }
  /** That are not of the first FIB. */
  get elsewhere (): number { return this.others.size }
  /** VPP has what it should have, as far as is known. */
  get settled (): boolean { return this.known && this.o.idle() }

  /** VPP said so, in this order. */
  told (events: readonly HaEvent[]): void {
    const here = this.here(events)
    for (const event of here) this.note(event)
    this.version = ''
    this.meanwhile?.push(...here)
    if (this.known && this.owned) void this.turn(async () => { await this.follow(here) }).catch(() => { this.doubt() })
    else for (const event of here) if (event.kind === 'delete') named(this.endings, haKeyOf(event)); else if (event.kind === 'add') this.endings.delete(haKeyOf(event))
  }

  /** What VPP has is asked anew with the next pass: something got lost, or it begins a life. `anew`: after a restart, so that what it translates otherwise than before gives way. */
  doubt (anew = false): void {
    this.known = false
    this.owned = false
    this.stoodBy = false
    this.version = ''
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
    this.refusals.clear()
    this.others.clear()
    try {
      const sessions = await this.o.read()
      this.tally.reads++
      this.vpp = new SessionBook(this.here(sessions).map(inVpp))
      for (const event of this.meanwhile) this.note(event)
      this.known = true
    } finally {
      this.meanwhile = null
    }
  }

  /** Of the first FIB. VPP names an end by the FIB of the outside, which may be another: what is known by its key is meant. */
  private here (events: readonly HaEvent[]): HaEvent[] {
    return events.filter((event) => {
      const key = haKeyOf(event)
      const here = event.fibIndex === FIB || (event.kind !== 'add' && this.vpp.has(key))
      if (here || event.kind === 'delete') this.others.delete(key)
      else named(this.others, key)
      return here
    })
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
    const version = this.o.table.version()
    if (!owns && this.version === version && this.o.idle()) return // nothing has changed on either side
    this.version = version
    const rows = new SessionBook(await this.o.table.all())
    if (!this.known) { // lost meanwhile
      this.owned = false
      return
    }
    // Until now the table was right, also about what it had lost when this node took over.
    if (!owns || this.stoodBy) this.give(rows)
    if (owns) await this.unite(rows)
    else this.endings.clear()
    this.stoodBy = !owns
  }

  /** VPP gets what it lacks, and loses what the table had and has no more. */
  private give (rows: SessionBook): void {
    const left = [...new SessionBook([...this.going, ...this.held].map(([, held]) => held))].filter(([key]) => !rows.has(key))
    const gone = left.filter(([key]) => this.vpp.has(key)).map(([, held]) => held)
    const other = [...rows].flatMap(([key, { event }]) => [this.vpp.get(key), this.vpp.rivalOf(event)].filter(had => had !== undefined && !sameKeyed(had.event, event)).flatMap(had => had ?? []))
    this.going = new SessionBook([...this.o.idle() ? gone : left.map(([, held]) => held), ...other])
    this.held = rows
    const deletes = [...gone, ...other].map(({ event }): HaEvent => ({ ...event, kind: 'delete' }))
    const taken = this.inject(deletes)
    this.tally.withdrawn += taken
    if (taken === deletes.length) this.inject([...rows].filter(([key]) => !this.vpp.has(key)).map(([, { event }]) => event))
  }

  private async unite (rows: SessionBook): Promise<void> {
    this.held = rows
    this.tally.united++
    const all = [...this.vpp].map(([, { event }]) => event)
    // Packets that came before VPP had its sessions again took other ports: theirs end, and the ports of before are in use again.
    const hasty = this.anew ? all.filter(event => rows.rivalOf(event) !== undefined).map((event): HaEvent => ({ ...event, kind: 'delete' })) : []
    for (const event of hasty) this.going.set(inVpp({ ...event, kind: 'add' }))
    const withdrawn = this.inject(hasty)
    this.tally.withdrawn += withdrawn
    const ended = [...rows].filter(([key]) => this.endings.has(key) && !this.vpp.has(key)).map(([, { event }]): HaEvent => ({ ...event, kind: 'delete' }))
    this.endings.clear()
    const other = all.filter((event) => {
      const row = rows.get(haKeyOf(event))
      return this.vpp.has(haKeyOf(event)) && (row === undefined || !sameSession(row.event, event))
    })
    await this.follow([...ended, ...other])
    const lacking = [...this.held].filter(([key]) => !this.vpp.has(key)).map(([, { event }]) => event)
    if (withdrawn < hasty.length || this.inject(lacking) < lacking.length) this.owned = false // the rest with the next look
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
    if (!this.o.table.owns()) {
      this.owned = false
      return
    }
    const ends = new Map<SessionId, Held>()
    const opens = new Map<string, Held>()
    const touches = new Map<string, Held>()
    for (const event of events) {
      const key = haKeyOf(event)
      const now = this.held.get(key)
      const over = event.kind === 'delete' ? [now] : event.kind === 'add' ? [now !== undefined && sameSession(now.event, event) ? undefined : now, this.held.rivalOf(event)] : []
      for (const one of over) {
        if (one === undefined) continue
        ends.set(one.id, one)
        for (const map of [opens, touches]) map.delete(haKeyOf(one.event))
        this.held.delete(one)
        this.refusals.delete(haKeyOf(one.event))
      }
      const known = this.held.get(key)
      if (event.kind === 'delete' || (event.kind === 'refresh' && known === undefined)) continue // a dump has it, if it is one
      const held = known === undefined ? { id: this.o.newId(), event } : { ...known, event: { ...known.event, packets: event.packets, bytes: event.bytes } }
      this.held.set(held)
      if (known === undefined || opens.has(key) || this.refusals.has(key)) opens.set(key, held) // what was refused is tried again
      else touches.set(key, held)
    }
    await this.o.table.end([...ends.values()])
    this.tally.ended += ends.size
    const refused = new Set(this.o.table.open([...opens.values()]))
    for (const [key, held] of opens) if (refused.has(held)) named(this.refusals, key); else this.refusals.delete(key)
    this.tally.opened += opens.size - refused.size
    // What an operator took out of the table ends in VPP as well.
    const gone = this.o.table.touch([...touches.values()])
    for (const held of gone) this.held.delete(held)
    this.tally.withdrawn += this.inject(gone.map(({ event }): HaEvent => ({ ...event, kind: 'delete' })))
  }

  /** One after the other: what ends is gone before what comes. */
  private async turn (task: () => Promise<void>): Promise<void> {
    const mine = this.turns.then(task)
    this.turns = mine.catch(() => undefined)
    await mine
  }
}
