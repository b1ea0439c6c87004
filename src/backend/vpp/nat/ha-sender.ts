/**
 * Sessions put into VPP through its NAT HA listener: events are queued, leave in datagrams of one thread each, and are sent again until VPP answers. Pure
 * state; time comes in as milliseconds of one clock, what to send and when to call again comes out.
 *
 * An ACK says that VPP received, not that it has the session: an ADD whose outside address and port are not free in its pool, or whose FIB it does not have, is
 * answered all the same. VPP applies whatever comes, in whatever order and however often. So events of one session, or of one inside, are never in two datagrams that are both on
 * their way: the later one waits for the ACK of the earlier one, and with it all behind it in its thread. What is not answered after the last resend is given
 * back as failed: the caller reads VPP's sessions and repairs.
 */
import { encodeHa, haEventBytes, haInsideOf, haKeyOf, HA_EVENTS_RESENDABLE, HA_RESEND_MS, HA_RESENDS, type HaEvent, type HaPlace } from './ha-wire.js'

export interface HaSenderOptions {
  /** The thread of VPP that the session is of: with workers, the one its packets are hashed to. Below 2^32. */
  readonly threadOf?: (event: HaEvent) => number
  /** Of the first datagram. Random: then no answer to a sender before this one is taken for its own. VPP takes any. */
  readonly firstSequence?: number
  /** Events that wait for their first sending. */
  readonly queueMax?: number
  /** Events in a datagram: 4 as VPP does; 33 fill a packet of 1500 bytes. */
  readonly batchMax?: number
  /** Datagrams that are not answered yet: what VPP can get at once, as its way in has no queue that would push back. */
  readonly outstandingMax?: number
  readonly resendMs?: number
  /** After the first sending. */
  readonly resends?: number
}

/** What VPP did not answer. */
export interface HaFailed extends HaPlace { readonly events: readonly HaEvent[] }

export interface HaDue {
  /** To send now, in this order. */
  readonly datagrams: readonly Buffer[]
  readonly failed: readonly HaFailed[]
  /** When to poll again, if nothing else happens before; `null`: not by time. */
  readonly nextMs: number | null
}

/** Since the sender was made. Of events: offered, refused, acknowledged, failed; of datagrams: the others. `strayAcks`: of nothing that waits for one. */
export interface HaSenderTally { offered: number, refused: number, acknowledged: number, failed: number, sent: number, resent: number, strayAcks: number }

const QUEUE_MAX = 65_536
const OUTSTANDING_MAX = 16

const insidesOf = (event: HaEvent): string[] => [haInsideOf(event)].filter(key => key !== null)

interface Queued { readonly event: HaEvent, readonly bytes: Buffer, /** Its outside, and its inside where it has one: what VPP does to one it does to the other. */ readonly keys: readonly string[] }
interface Outstanding extends HaPlace { readonly queued: readonly Queued[], readonly datagram: Buffer, dueMs: number, tries: number }
/** First in, first out; `head` is the place of the first. */
interface Line { queue: Queued[], head: number }

export class HaSender {
  readonly tally: HaSenderTally = { offered: 0, refused: 0, acknowledged: 0, failed: 0, sent: 0, resent: 0, strayAcks: 0 }
  private readonly lines = new Map<number, Line>()
  private readonly outstanding = new Map<number, Outstanding>()
  /** Of the sessions in what is outstanding. */
  private readonly busy = new Set<string>()
  private sequence: number
  private waiting = 0

  constructor (private readonly o: HaSenderOptions = {}) { this.sequence = (o.firstSequence ?? 0) >>> 0 }

  /** Events without their first sending, and datagrams without an answer. */
  get queued (): number { return this.waiting }
  get unanswered (): number { return this.outstanding.size }

  /** How many, from the first, were taken: the others found the queue full. Then poll(). @throws invalid LS_V_VALUE, and none was taken */
  offer (events: readonly HaEvent[]): number {
    const room = Math.min(events.length, (this.o.queueMax ?? QUEUE_MAX) - this.waiting)
    const taken = events.slice(0, room).map(event => ({ thread: (this.o.threadOf?.(event) ?? 0) >>> 0, queued: { event, bytes: haEventBytes(event), keys: [haKeyOf(event), ...insidesOf(event)] } }))
    for (const { thread, queued } of taken) {
      const line = this.lines.get(thread)
      if (line === undefined) this.lines.set(thread, { queue: [queued], head: 0 })
      else line.queue.push(queued)
    }
    this.waiting += taken.length
    this.tally.offered += events.length
    this.tally.refused += events.length - taken.length
    return taken.length
  }

  /** VPP answered; what waited for it goes with the next poll(). False: to nothing that waits. */
  acknowledge ({ thread, sequence }: HaPlace): boolean {
    const found = this.outstanding.get(sequence)
    if (found?.thread !== thread) {
      this.tally.strayAcks++
      return false
    }
    this.settle(found)
    this.tally.acknowledged += found.queued.length
    return true
  }

  poll (nowMs: number): HaDue {
    const datagrams: Buffer[] = []
    const failed: HaFailed[] = []
    for (const one of this.outstanding.values()) {
      if (one.dueMs > nowMs) continue
      if (one.tries > (this.o.resends ?? HA_RESENDS)) {
        failed.push(this.fail(one))
        continue
      }
      one.tries++
      one.dueMs = nowMs + this.resendMs
      this.tally.resent++
      datagrams.push(one.datagram)
    }
    for (let thread = this.ready(); thread !== null; thread = this.ready()) datagrams.push(this.begin(thread, nowMs))
    return { datagrams, failed, nextMs: this.nextMs }
  }

  /** Nothing waits, and nothing is on its way. */
  get idle (): boolean { return this.waiting === 0 && this.outstanding.size === 0 }

  /** When something is to be sent again or given up. */
  get nextMs (): number | null {
    let next: number | null = null
    for (const { dueMs } of this.outstanding.values()) if (next === null || dueMs < next) next = dueMs
    return next
  }

  /** Gives up everything: VPP is gone, and all of it is void. The events, those on their way first. */
  drop (): readonly HaEvent[] {
    const events = [...[...this.outstanding.values()].flatMap(({ queued }) => queued), ...[...this.lines.values()].flatMap(({ queue, head }) => queue.slice(head))].map(({ event }) => event)
    this.tally.failed += events.length
    this.outstanding.clear()
    this.busy.clear()
    this.lines.clear()
    this.waiting = 0
    return events
  }

  private get resendMs (): number { return this.o.resendMs ?? HA_RESEND_MS }

  /** The thread whose turn it is; `null`: nobody may send. */
  private ready (): number | null {
    if (this.outstanding.size >= (this.o.outstandingMax ?? OUTSTANDING_MAX)) return null
    for (const [thread, { queue, head }] of this.lines) {
      const first = queue[head]
      if (first !== undefined && !first.keys.some(key => this.busy.has(key))) return thread
    }
    return null
  }

  private begin (thread: number, nowMs: number): Buffer {
    const queued = this.take(thread)
    const { sequence } = this
    this.sequence = (sequence + 1) >>> 0
    const datagram = encodeHa({ thread, sequence }, queued.map(({ bytes }) => bytes))
    for (const { keys } of queued) for (const key of keys) this.busy.add(key)
    this.outstanding.set(sequence, { thread, sequence, queued, datagram, dueMs: nowMs + this.resendMs, tries: 1 })
    this.tally.sent++
    return datagram
  }

  /** From the front of a line up to the first that has to wait; the line goes behind the others. */
  private take (thread: number): Queued[] {
    const line = this.lines.get(thread)
    const batchMax = Math.max(1, this.o.batchMax ?? HA_EVENTS_RESENDABLE)
    const taken: Queued[] = []
    if (line === undefined) return taken
    for (let one = line.queue[line.head]; one !== undefined && !one.keys.some(key => this.busy.has(key)) && taken.length < batchMax; one = line.queue[line.head]) {
      taken.push(one)
      line.head++
    }
    this.waiting -= taken.length
    this.lines.delete(thread)
    if (line.head * 2 > line.queue.length) {
      line.queue = line.queue.slice(line.head)
      line.head = 0
    }
    if (line.queue.length > line.head) this.lines.set(thread, line)
    return taken
  }

  private fail (one: Outstanding): HaFailed {
    this.settle(one)
    this.tally.failed += one.queued.length
    return { thread: one.thread, sequence: one.sequence, events: one.queued.map(({ event }) => event) }
  }

  private settle ({ sequence, queued }: Outstanding): void {
    this.outstanding.delete(sequence)
    for (const { keys } of queued) for (const key of keys) this.busy.delete(key)
  }
}
