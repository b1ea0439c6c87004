/**
 * One connection to VPP's binary API: requests, dumps and events by the keys of messages.ts, over a transport that only moves frames. Requests of one turn
 * of the event loop leave in one write. VPP answers nothing at all to what it does not know or finds too short, so everything has a deadline; what comes
 * after it is counted and dropped. Thread: any one.
 */
import { LockstepError } from '../../contract/errors.js'
import { Codec, Writer, type Values } from './codec.js'
import { complete, covers, describe } from './described.js'
import { answers, dumps, layouts, requests, retvals, structures, type Answer, type DetailsOf, type DumpKey, type EventKey, type Question, type ReplyOf, type RequestKey } from './messages.js'

/** Frames, whole and in order: 16 bytes of header, of which the length of the payload at 8 is all that counts, and the payload. */
export interface VppTransport {
  /** 0 or an errno. */
  readonly send: (frames: Uint8Array) => number
  readonly take: () => Uint8Array | null
  /** `null`: alive; else why it is not, '' when VPP closed it. */
  readonly over: () => string | null
  readonly close: () => void
  /** Of a transport that greets VPP itself and has its table of messages, but no list of it. */
  readonly table?: {
    /** `null`: not yet, and `ready` is called when it is so; else what events carry in the place of a context. */
    readonly greeted: () => number | null
    /** Id of a key, -1: none. */
    readonly lookup: (key: string) => number
  }
}

export interface VppClientOptions {
  /** `ready`: there is something to take, or it is over. */
  readonly connect: (ready: () => void) => VppTransport
  /** Shown by `show api clients`; at most 63 bytes. */
  readonly name: string
  /** For each request. */
  readonly timeoutMs: number
  /** Closes it, whatever it does. */
  readonly signal?: AbortSignal
}

/** VPP answered, and the answer is no. */
export class VppRefusal extends LockstepError {
  constructor (key: string, readonly retval: number) {
    super('invalid', 'LS_V_REFUSED', 'VPP refused a request', { object: nameOf(key), found: `${retval} ${retvals[retval] ?? ''}`.trim(), next: 'its log says more: vppctl show logging' })
  }
}

/** Messages since the connection was made. `late`: came after their deadline; `strange`: of nobody. */
export interface VppTally { sent: number, received: number, timedOut: number, late: number, strange: number, events: number }

const HEADER = 16
const SOCKCLNT_CREATE = 15
const NAME_BYTES = 64
const CONTEXT_MAX = 0x7fffffff // an event has our index, of which the highest bit is set, where an answer has its context
const IN_FLIGHT_MAX = 1024
const DESCRIPTION = 'get_api_json_51077d14'
const SWEEP_MS = 100
const PING = 'control_ping_51077d14'
const PONG = 'control_ping_reply_f6b0b8ca'

export const nameOf = (key: string): string => key.replace(/_[0-9a-f]{8}$/, '')

interface Waiting {
  readonly key: string
  readonly deadline: number
  /** What ends it, by id. */
  readonly lastId: number
  readonly last: string
  /** Of a dump. */
  readonly rowId: number
  readonly row: string
  readonly rows: Values[]
  readonly resolve: (last: Values, rows: Values[]) => void
  readonly reject: (error: LockstepError) => void
}

export class VppClient {
  readonly tally: VppTally = { sent: 0, received: 0, timedOut: 0, late: 0, strange: 0, events: 0 }
  /** Resolves to the reason when the connection is over, however that came. */
  readonly ended: Promise<string>
  private codec = new Codec(structures)
  private structures: Readonly<Record<string, string>> = structures
  /** Layouts of this VPP where they are not ours, by our key. */
  private readonly described = new Map<string, string>()
  private readonly transport: VppTransport
  private readonly waiting = new Map<number, Waiting>()
  private readonly listeners = new Map<number, { readonly fields: string, readonly call: Set<(event: Values) => void> }>()
  private readonly queue: Array<() => void> = []
  private ids = new Map<string, number>()
  private index = 0
  private context = 0
  private out = new Writer()
  private flushing = false
  private sweeper: NodeJS.Timeout | null = null
  private dumping: Promise<unknown> = Promise.resolve()
  private over: string | null = null
  private end: (reason: string) => void = () => undefined
  private greeted: { readonly resolve: () => void, readonly reject: (error: LockstepError) => void } | null = null

  private constructor (private readonly o: VppClientOptions) {
    this.ended = new Promise((resolve) => { this.end = resolve })
    this.transport = o.connect(() => { this.receive() })
  }

  /** @throws unavailable LS_V_SILENT nobody answers · LS_V_GONE · invalid LS_V_NAME · what the transport throws */
  static async open (o: VppClientOptions): Promise<VppClient> {
    if (Buffer.byteLength(o.name) >= NAME_BYTES) throw new LockstepError('invalid', 'LS_V_NAME', 'the name is too long for VPP', { found: o.name, expected: `at most ${NAME_BYTES - 1} bytes` })
    const client = new VppClient(o)
    o.signal?.addEventListener('abort', client.abort)
    try {
      o.signal?.throwIfAborted()
      await client.greet()
      await client.describe()
    } catch (error) {
      client.close()
      throw error
    }
    return client
  }

  /** Keys of everything that this VPP understands; of a transport with a table: of what was asked for. */
  get keys (): ReadonlyMap<string, number> { return this.ids }
  has (key: string): boolean { return this.find(key) !== undefined }

  /** @throws unsupported LS_V_UNKNOWN · unavailable LS_V_SILENT, LS_V_GONE, LS_V_SHORT · VppRefusal */
  async call<K extends RequestKey> (key: K, fields: Question<K>, timeoutMs = this.o.timeoutMs): Promise<ReplyOf<K>> {
    const { reply, fields: ours } = requests[key]
    const shape = this.shapeOf(key, ours)
    const last = await new Promise<Values>((resolve, reject) => {
      this.ask({ key, shape, values: fields as Values, timeoutMs, lastId: this.idOf(reply), last: this.shapeOf(reply, answers[reply]), rowId: -1, row: '', resolve, reject })
    })
    const { retval } = last
    if (typeof retval === 'number' && retval < 0) throw new VppRefusal(key, retval)
    return last as ReplyOf<K>
  }

  /** All details; one dump at a time, as VPP keeps what is not read yet in its own memory. */
  async dump<K extends DumpKey> (key: K, fields: Question<K>, timeoutMs = this.o.timeoutMs): Promise<Array<DetailsOf<K>>> {
    const { details, fields: ours } = dumps[key]
    const shape = this.shapeOf(key, ours)
    const run = async (): Promise<Values[]> => await new Promise((resolve, reject) => {
      this.ask({ key, shape, values: fields as Values, timeoutMs, lastId: this.idOf(PONG), last: answers[PONG], rowId: this.idOf(details), row: this.shapeOf(details, answers[details]), resolve: (_, rows) => { resolve(rows) }, reject })
    })
    const mine = this.dumping.then(run, run)
    this.dumping = mine.catch(() => undefined)
    return await mine as Array<DetailsOf<K>>
  }

  /** Each event of the kind; what it returns ends that. VPP sends none before it is asked to. */
  on<K extends EventKey> (key: K, call: (event: Answer<K>) => void): () => void {
    const id = this.idOf(key)
    const known = this.listeners.get(id) ?? { fields: this.shapeOf(key, answers[key]), call: new Set() }
    this.listeners.set(id, known)
    const mine = call as (event: Values) => void
    known.call.add(mine)
    return () => { known.call.delete(mine) }
  }

  close (): void { this.finish('closed') }

  private readonly abort = (): void => { this.close() }

  private find (key: string): number | undefined {
    const known = this.ids.get(key)
    if (known !== undefined || this.transport.table === undefined || this.over !== null) return known
    const id = this.transport.table.lookup(key)
    if (id === -1) return undefined
    this.ids.set(key, id)
    return id
  }

  private idOf (key: string): number {
    const id = this.find(key)
    if (id === undefined) throw new LockstepError('unsupported', 'LS_V_UNKNOWN', 'this VPP does not have a message', { object: nameOf(key), expected: this.transport.table === undefined ? `${key} in its table of ${this.ids.size}` : `${key} in its table`, next: 'load the plugin it belongs to (vppctl show plugins), or run a release that has it' })
    return id
  }

  private async greet (): Promise<void> {
    if (this.transport.table === undefined) this.appendGreeting()
    const timer = setTimeout(() => { this.greeted?.reject(this.silent(this.transport.table === undefined ? 'sockclnt_create' : 'memclnt_create', this.o.timeoutMs)) }, this.o.timeoutMs)
    try {
      await new Promise<void>((resolve, reject) => {
        this.greeted = { resolve, reject }
        this.flush()
        if (this.over !== null) reject(this.gone())
        else this.meetTable()
      })
    } finally {
      clearTimeout(timer)
      this.greeted = null
    }
  }

  private appendGreeting (): void {
    const at = this.out.take(HEADER + 6 + NAME_BYTES)
    this.out.bytes.writeUInt32BE(6 + NAME_BYTES, at + 8)
    this.out.bytes.writeUInt16BE(SOCKCLNT_CREATE, at + HEADER)
    this.out.bytes.writeUInt32BE(this.nextContext(), at + HEADER + 2)
    this.out.bytes.write(this.o.name, at + HEADER + 6)
  }

  /** The transport has greeted VPP. */
  private meetTable (): void {
    const index = this.transport.table?.greeted() ?? null
    if (index === null || this.greeted === null) return
    this.index = index
    this.greeted.resolve()
    this.greeted = null
  }

  /** The first frame that comes. */
  private meet (bytes: Buffer, at: number, end: number): void {
    const id = bytes.readUInt16BE(at)
    if (id !== SOCKCLNT_CREATE + 1) {
      this.greeted?.reject(new LockstepError('unavailable', 'LS_V_PROTOCOL', 'what answers is not the API of VPP', { found: `message ${id} first`, expected: String(SOCKCLNT_CREATE + 1) }))
      return
    }
    const { response, index, message_table: table } = this.codec.read(answers.sockclnt_create_reply_35166268, bytes, at + 10, end) as Answer<'sockclnt_create_reply_35166268'>
    if (response !== 0) {
      this.greeted?.reject(new VppRefusal('sockclnt_create', response))
      return
    }
    this.index = index
    this.ids = new Map(table.map(({ index, name }) => [name, index]))
    this.greeted?.resolve()
  }

  private shapeOf (key: string, ours: string): string { return this.described.get(key) ?? ours }

  /** Messages that this release has in another layout are used in that one, as far as it says all that we need. Without a description they are unknown. */
  private async describe (): Promise<void> {
    if (this.transport.table !== undefined || !this.ids.has(DESCRIPTION)) return
    const known = new Set([...this.ids.keys()].map(nameOf))
    const changed = [...layouts].filter(([key]) => !this.ids.has(key) && known.has(nameOf(key)))
    if (changed.length === 0) return
    const json = await this.call(DESCRIPTION, {}).then(({ json }) => json, () => '')
    const { messages, structures: theirs } = describe(json)
    this.structures = { ...structures, ...theirs }
    this.codec = new Codec(this.structures)
    for (const [key, fields] of changed) {
      const found = messages.get(nameOf(key))
      const id = found === undefined ? undefined : this.ids.get(`${nameOf(key)}_${found.crc}`)
      if (found === undefined || id === undefined || !covers(found.fields, fields, this.structures)) continue
      this.ids.set(key, id)
      this.described.set(key, found.fields)
    }
  }

  private nextContext (): number {
    do this.context = this.context === CONTEXT_MAX ? 1 : this.context + 1
    while (this.waiting.has(this.context) || this.context === this.index)
    return this.context
  }

  private ask (q: { readonly shape: string, readonly values: Values, readonly timeoutMs: number } & Omit<Waiting, 'deadline' | 'rows'>): void {
    if (this.over !== null) {
      q.reject(this.gone())
      return
    }
    if (this.waiting.size >= IN_FLIGHT_MAX) {
      this.queue.push(() => { this.ask(q) })
      return
    }
    const context = this.nextContext()
    try {
      this.append(this.idOf(q.key), context, q.shape, this.described.has(q.key) ? complete(q.shape, q.values, this.structures) : q.values)
      if (q.rowId !== -1) this.append(this.idOf(PING), context, '', {})
    } catch (error) {
      q.reject(error as LockstepError)
      return
    }
    this.waiting.set(context, { ...q, deadline: performance.now() + q.timeoutMs, rows: [] })
    this.sweeper ??= setInterval(() => { this.sweep() }, SWEEP_MS)
    if (this.flushing) return
    this.flushing = true
    queueMicrotask(() => { this.flush() })
  }

  /** A frame; on an error nothing of it stays. */
  private append (id: number, context: number, shape: string, values: Values): void {
    const { out } = this
    const at = out.take(HEADER + 10)
    try {
      this.codec.write(out, shape, values)
    } catch (error) {
      out.used = at
      throw error
    }
    out.bytes.writeUInt32BE(out.used - at - HEADER, at + 8)
    out.bytes.writeUInt16BE(id, at + HEADER)
    out.bytes.writeUInt32BE(this.index, at + HEADER + 2)
    out.bytes.writeUInt32BE(context, at + HEADER + 6)
    this.tally.sent++
  }

  private flush (): void {
    this.flushing = false
    if (this.over !== null || this.out.used === 0) return
    const failed = this.transport.send(this.out.bytes.subarray(0, this.out.used))
    this.out.used = 0
    if (failed !== 0) this.finish(`requests cannot be sent: errno ${failed}`)
  }

  private receive (): void {
    for (;;) {
      if (this.over !== null) return
      const taken = this.transport.take()
      if (taken === null) break
      this.frames(Buffer.from(taken.buffer, taken.byteOffset, taken.length))
    }
    const why = this.transport.over()
    if (why !== null) this.finish(why === '' ? 'VPP closed the connection' : why)
    else this.meetTable()
  }

  private frames (bytes: Buffer): void {
    for (let at = 0; at + HEADER <= bytes.length;) {
      const payload = at + HEADER
      at = payload + bytes.readUInt32BE(at + 8)
      if (at - payload < 6) this.tally.strange++
      else this.message(bytes, payload, at)
      if (this.over !== null) return
    }
    while (this.queue.length > 0 && this.waiting.size < IN_FLIGHT_MAX) this.queue.shift()?.()
  }

  private message (bytes: Buffer, at: number, end: number): void {
    this.tally.received++
    if (this.greeted !== null) {
      try {
        this.meet(bytes, at, end)
      } catch (error) {
        this.greeted.reject(error as LockstepError)
      }
      return
    }
    const id = bytes.readUInt16BE(at)
    const event = this.listeners.get(id)
    if (event !== undefined) {
      this.hear(event, bytes, at, end)
      return
    }
    const context = bytes.readUInt32BE(at + 2)
    const waiting = this.waiting.get(context)
    if (waiting === undefined) {
      if (context === this.index) this.tally.events++ // of a kind that nobody listens for
      else if (context > this.context) this.tally.strange++
      else this.tally.late++
      return
    }
    try {
      if (id === waiting.rowId) waiting.rows.push(this.codec.read(waiting.row, bytes, at + 6, end))
      else if (id === waiting.lastId) {
        this.waiting.delete(context)
        waiting.resolve(this.codec.read(waiting.last, bytes, at + 6, end), waiting.rows)
      } else throw new LockstepError('unavailable', 'LS_V_PROTOCOL', 'VPP answered with another message', { object: nameOf(waiting.key), found: `id ${id}`, expected: `id ${waiting.lastId}` })
    } catch (error) {
      this.waiting.delete(context)
      waiting.reject(error as LockstepError)
    }
  }

  private hear ({ fields, call }: { readonly fields: string, readonly call: ReadonlySet<(event: Values) => void> }, bytes: Buffer, at: number, end: number): void {
    this.tally.events++
    let event: Values
    try {
      event = this.codec.read(fields, bytes, at + 6, end)
    } catch {
      this.tally.strange++
      return
    }
    for (const listener of call) listener(event)
  }

  private sweep (): void {
    const now = performance.now()
    for (const [context, waiting] of this.waiting) {
      if (waiting.deadline > now) continue
      this.waiting.delete(context)
      this.tally.timedOut++
      waiting.reject(this.silent(nameOf(waiting.key), this.o.timeoutMs))
    }
    while (this.queue.length > 0 && this.waiting.size < IN_FLIGHT_MAX) this.queue.shift()?.()
    if (this.waiting.size === 0 && this.sweeper !== null) {
      clearInterval(this.sweeper)
      this.sweeper = null
    }
  }

  private silent (object: string, timeoutMs: number): LockstepError { return new LockstepError('unavailable', 'LS_V_SILENT', 'VPP does not answer', { object, expected: `an answer within ${timeoutMs} ms`, next: 'vppctl show version tells whether it hangs' }) }
  private gone (): LockstepError { return new LockstepError('unavailable', 'LS_V_GONE', 'the connection to VPP is over', { found: this.over ?? '' }) }

  private finish (reason: string): void {
    if (this.over !== null) return
    this.over = reason
    this.o.signal?.removeEventListener('abort', this.abort)
    this.transport.close()
    if (this.sweeper !== null) clearInterval(this.sweeper)
    const gone = this.gone()
    this.greeted?.reject(gone)
    for (const { reject } of this.waiting.values()) reject(gone)
    this.waiting.clear()
    for (const again of this.queue.splice(0)) again()
    this.end(reason)
  }
}
