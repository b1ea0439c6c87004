/**
 * What VPP tells as the sender of NAT HA: a datagram in, events to apply and the ACK to send back. Pure state; time comes in as milliseconds of one clock.
 *
 * VPP numbers its datagrams from 0 in each of its lives, and sends one that was not answered again after 2, 4 and 6 s, byte for byte or cut short. So every
 * copy of a datagram comes within 8 s, and that time decides what a number from the past is: bytes that are kept since less than that are a copy, which is
 * answered and not applied; a number that is missing since less than that is late, and applied; anything else cannot be of this life, VPP was restarted. The
 * time is needed beside the bytes as VPP chooses ports alike after each start: its first datagrams can be equal to those of the life before.
 *
 * A restart may be seen late, when the first numbers of the new life are lost: what came just before it can be of either life. It is kept for that time as well,
 * and if it comes again, it is applied again, and the restart is told again.
 *
 * Late events give way: if another datagram, which was sent after them, has told of the same session, an ADD would bring back what was deleted.
 *
 * What never came is told to the caller, who reads all sessions anew. It cannot be told of the last datagrams before a silence (there is no higher number), and
 * Linux drops what VPP cuts short before a socket sees it: watch VPP's counter /nat44-ei/ha/missed-count, and set its path_mtu to HA_PATH_MTU.
 */
import { decodeHa, encodeHaAck, haKeyOf, HA_RESEND_MS, HA_RESENDS, type HaDatagram, type HaEvent, type HaPlace } from './ha-wire.js'

/**
 * `joined`: what was before the first datagram that we saw · `restarted`: VPP begins anew, all of the old is void, and what was told of the new may be not
 * all · `gap`: datagrams `from` to `to` of a thread never came · `truncated`: one that came cut short
 */
export type HaMissedReason = 'joined' | 'restarted' | 'gap' | 'truncated'
/** Sequence numbers, both inclusive; `to` is before `from` where the number wraps. */
export interface HaMissed { readonly reason: HaMissedReason, readonly thread: number, readonly from: number, readonly to: number }

export interface HaReceived {
  /** To apply in this order, before the reply is sent. */
  readonly events: readonly HaEvent[]
  /** Goes back to where the datagram came from. */
  readonly reply: Buffer | null
  /** Not empty: read all sessions anew. */
  readonly missed: readonly HaMissed[]
  /** VPP took a datagram of ours. */
  readonly ack: HaPlace | null
}

/** Since the receiver was made. Of datagrams, where it does not say events. `ignored`: no datagram of this protocol, or of a thread beyond THREADS_MAX. */
export interface HaReceiverTally {
  received: number
  applied: number
  duplicates: number
  late: number
  truncated: number
  ignored: number
  acks: number
  trailing: number
  restarts: number
  /** Datagrams, of `gap` and `truncated`. */
  missed: number
  events: number
  unknownEvents: number
  /** Late events that gave way to newer ones. */
  supersededEvents: number
}

export interface HaReceiverOptions {
  /** Whether each thread of VPP counts by itself, or all together. Wrongly `thread`, gaps are told that are none. */
  readonly countedBy?: 'thread' | 'vpp'
}

/** After that no copy of a datagram comes any more: all resends, and one interval for what they meet on their way. */
export const SETTLED_MS = (HA_RESENDS + 1) * HA_RESEND_MS
/** A step of more numbers at once is no loss: VPP was restarted. */
export const JUMP_MAX = 65_536
export const THREADS_MAX = 256
/** Of bytes kept to know copies, over all threads; beyond it, a late copy is taken for a restart. */
const KEPT_BYTES_MAX = 32 << 20
const KEPT_OVERHEAD = 256
/** Of each thread; beyond them the oldest is told at once. */
const GAPS_MAX = 1024
/** Sessions told of while a gap is open; beyond them all gaps are told at once. */
const TOUCHED_MAX = 262_144

interface Kept { readonly bytes: Buffer, readonly atMs: number, /** False: it came cut short, and was not applied. */ readonly whole: boolean }
/** Numbers that did not come, both inclusive. `told`: the caller knows. */
interface Gap { readonly from: number, readonly to: number, readonly dueMs: number, readonly told: boolean }
/** The newest datagrams that told of a session. */
interface Touched { change: number | null, refresh: number | null }
interface Stream {
  readonly thread: number
  next: number
  /** In the order in which they came. */
  readonly kept: Map<number, Kept>
  /** In the order in which they are due. */
  gaps: Gap[]
  /** By key; only while there are gaps: nothing else can be late. */
  readonly touched: Map<string, Touched>
}

type Numbered = Extract<HaDatagram, { readonly kind: 'events' | 'truncated' }>
type Standing = 'first' | 'next' | 'ahead' | 'late' | 'again' | 'restart'

export class HaReceiver {
  readonly tally: HaReceiverTally = { received: 0, applied: 0, duplicates: 0, late: 0, truncated: 0, ignored: 0, acks: 0, trailing: 0, restarts: 0, missed: 0, events: 0, unknownEvents: 0, supersededEvents: 0 }
  private readonly streams = new Map<number, Stream>()
  private keptBytes = 0
  /** What was before a restart that was seen, and until when copies of it come. */
  private former: { readonly streams: ReadonlyMap<number, Stream>, readonly untilMs: number } | null = null

  constructor (private readonly o: HaReceiverOptions = {}) {}

  /** VPP is known to have been restarted: the next datagram begins a life. */
  restart (): void {
    this.former = null
    this.forgetAll()
  }

  /** When poll() has something to tell; `null`: never, as of now. */
  get nextMs (): number | null {
    let next: number | null = null
    for (const { gaps } of this.streams.values()) {
      const due = gaps.find(({ told }) => !told)?.dueMs
      if (due !== undefined && (next === null || due < next)) next = due
    }
    return next
  }

  /** What will not come any more. */
  poll (nowMs: number): readonly HaMissed[] {
    const missed: HaMissed[] = []
    if (this.former !== null && this.former.untilMs <= nowMs) this.former = null
    for (const stream of this.streams.values()) {
      for (const [sequence, { atMs }] of stream.kept) {
        if (nowMs - atMs < SETTLED_MS) break
        this.forget(stream, sequence)
      }
      this.close(stream, gap => gap.dueMs <= nowMs, missed)
    }
    return missed
  }

  /** Never throws, whatever the bytes are; they are copied. */
  receive (bytes: Buffer, nowMs: number): HaReceived {
    this.tally.received++
    const missed = [...this.poll(nowMs)]
    const datagram = decodeHa(bytes)
    if (datagram.kind === 'ack') {
      this.tally.acks++
      return { events: [], reply: null, missed, ack: { thread: datagram.thread, sequence: datagram.sequence } }
    }
    if (datagram.kind === 'short' || datagram.kind === 'version' || datagram.thread >= THREADS_MAX) {
      this.tally.ignored++
      return { events: [], reply: null, missed, ack: null }
    }
    const { events, reply } = this.numbered(datagram, bytes, nowMs, missed)
    return { events, reply, missed, ack: null }
  }

  private numbered (datagram: Numbered, bytes: Buffer, nowMs: number, missed: HaMissed[]): { readonly events: readonly HaEvent[], readonly reply: Buffer | null } {
    const { sequence, thread } = datagram
    const id = this.o.countedBy === 'vpp' ? 0 : thread
    const whole = datagram.kind === 'events'
    const standing = standingOf(this.streams.get(id), sequence, bytes, whole)
    if (standing === 'again') {
      this.tally.duplicates++
      return { events: [], reply: this.streams.get(id)?.kept.get(sequence)?.whole === true ? encodeHaAck(datagram) : null }
    }
    if (standing === 'restart') {
      this.former = { streams: new Map(this.streams), untilMs: nowMs + SETTLED_MS }
      this.forgetAll()
      this.tally.restarts++
      this.tell(missed, { reason: 'restarted', thread, from: 0, to: sequence })
    } else if (this.former?.streams.get(id)?.kept.get(sequence)?.bytes.equals(bytes) === true) this.tell(missed, { reason: 'restarted', thread, from: sequence, to: sequence })
    const stream = this.streams.get(id) ?? { thread: id, next: sequence, kept: new Map<number, Kept>(), gaps: [], touched: new Map<string, Touched>() }
    this.streams.set(id, stream)
    const dueMs = nowMs + SETTLED_MS
    if (standing === 'first' && sequence !== 0) this.tell(missed, { reason: 'joined', thread, from: 0, to: before(sequence) })
    // What was sent before is on its way again, perhaps; told, as the caller knows that he has not all.
    if ((standing === 'first' || standing === 'restart') && sequence !== 0) stream.gaps.push({ from: 0, to: before(sequence), dueMs, told: true })
    if (standing === 'ahead') stream.gaps.push({ from: stream.next, to: before(sequence), dueMs, told: false })
    if (standing === 'late') {
      this.tally.late++
      stream.gaps = stream.gaps.flatMap(gap => without(gap, sequence))
    } else stream.next = (sequence + 1) >>> 0
    this.keep(stream, sequence, { bytes: Buffer.from(bytes), atMs: nowMs, whole })
    if (!whole) {
      this.tally.truncated++
      this.tell(missed, { reason: 'truncated', thread, from: sequence, to: sequence })
      stream.gaps.push({ from: sequence, to: sequence, dueMs, told: true })
    }
    const events = whole ? this.timely(stream, sequence, datagram.events) : []
    if (stream.gaps.length > GAPS_MAX) {
      const oldest = stream.gaps[0]
      this.close(stream, gap => gap === oldest, missed)
    }
    if (stream.touched.size > TOUCHED_MAX) this.close(stream, () => true, missed)
    if (stream.gaps.length === 0) stream.touched.clear()
    if (!whole) return { events, reply: null }
    this.tally.applied++
    this.tally.events += events.length
    this.tally.unknownEvents += datagram.unknown
    if (datagram.trailing > 0) this.tally.trailing++
    return { events, reply: encodeHaAck(datagram) }
  }

  /** Without those that newer datagrams have made void. */
  private timely (stream: Stream, sequence: number, events: readonly HaEvent[]): readonly HaEvent[] {
    if (stream.gaps.length === 0 && stream.touched.size === 0) return events
    const timely = events.filter((event) => {
      const key = haKeyOf(event)
      const touched = stream.touched.get(key) ?? { change: null, refresh: null }
      if (isNewer(touched.change, sequence) || (event.kind === 'refresh' && isNewer(touched.refresh, sequence))) return false
      touched[event.kind === 'refresh' ? 'refresh' : 'change'] = sequence
      stream.touched.set(key, touched)
      return true
    })
    this.tally.supersededEvents += events.length - timely.length
    return timely
  }

  private keep (stream: Stream, sequence: number, kept: Kept): void {
    this.forget(stream, sequence)
    stream.kept.set(sequence, kept)
    this.keptBytes += kept.bytes.length + KEPT_OVERHEAD
    for (const oldest of stream.kept.keys()) {
      if (this.keptBytes <= KEPT_BYTES_MAX) break
      this.forget(stream, oldest)
    }
  }

  private forgetAll (): void {
    this.streams.clear()
    this.keptBytes = 0
  }

  private forget ({ kept }: Stream, sequence: number): void {
    const found = kept.get(sequence)
    if (found === undefined) return
    kept.delete(sequence)
    this.keptBytes -= found.bytes.length + KEPT_OVERHEAD
  }

  /** Gaps of which nothing more is hoped for. */
  private close (stream: Stream, over: (gap: Gap) => boolean, missed: HaMissed[]): void {
    const { gaps } = stream
    if (!gaps.some(over)) return
    stream.gaps = gaps.filter(gap => !over(gap))
    for (const { told, from, to } of gaps.filter(over)) if (!told) this.tell(missed, { reason: 'gap', thread: stream.thread, from, to })
    if (stream.gaps.length === 0) stream.touched.clear()
  }

  private tell (missed: HaMissed[], one: HaMissed): void {
    missed.push(one)
    if (one.reason === 'gap' || one.reason === 'truncated') this.tally.missed += ((one.to - one.from) >>> 0) + 1
  }
}

function standingOf (stream: Stream | undefined, sequence: number, bytes: Buffer, whole: boolean): Standing {
  if (stream === undefined) return 'first'
  const kept = stream.kept.get(sequence)
  if (kept !== undefined) {
    if (!isCopy(kept, bytes, whole)) return 'restart'
    return whole && !kept.whole ? 'late' : 'again'
  }
  const ahead = (sequence - stream.next) >>> 0
  if (ahead === 0) return 'next'
  if (ahead <= JUMP_MAX) return 'ahead'
  return stream.gaps.some(gap => contains(gap, sequence)) ? 'late' : 'restart'
}

/** One that was cut short is a copy of what begins with it. */
function isCopy (kept: Kept, bytes: Buffer, whole: boolean): boolean {
  if (kept.whole && whole) return kept.bytes.equals(bytes)
  const n = Math.min(kept.bytes.length, bytes.length)
  return kept.bytes.subarray(0, n).equals(bytes.subarray(0, n))
}

const before = (sequence: number): number => (sequence - 1) >>> 0
const isNewer = (a: number | null, b: number): boolean => a !== null && ((a - b) | 0) > 0
const contains = ({ from, to }: Gap, sequence: number): boolean => (sequence - from) >>> 0 <= (to - from) >>> 0
function without (gap: Gap, sequence: number): Gap[] {
  if (!contains(gap, sequence)) return [gap]
  const parts: Gap[] = []
  if (sequence !== gap.from) parts.push({ ...gap, to: before(sequence) })
  if (sequence !== gap.to) parts.push({ ...gap, from: (sequence + 1) >>> 0 })
  return parts
}
