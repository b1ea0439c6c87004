/** Sessions.Top: two readings of the counters of all sessions that match, and those that moved the most between them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { LockstepError } from '../contract/errors.js'
import type { AgentServices } from '../contract/services.js'
import type { SessionColumns, SessionFilter } from '../contract/session.js'
import { TopBy, type SessionsTopRequest, type SessionsTopResponse } from '../generated/proto/lockstep/v1/sessions.js'
import { sessionId } from '../lib/session-id.js'
import type { CallContext } from './handler.js'
import { filterOf } from './session-filter.js'
import { sessionMessage } from './session-message.js'
import type { TableTurns } from './turns.js'

const [LIMIT, LIMIT_MAX] = [20, 1000]
const [WINDOW_MS, WINDOW_MS_MIN, WINDOW_MS_MAX] = [1000, 100, 60_000]
const BATCH_ROWS = 8192
const columns = ['slot', 'id', 'packets_forward', 'packets_reply', 'bytes_forward', 'bytes_reply'] as const

export interface Moved { readonly id: string, readonly packets: number, readonly bytes: number }

export async function topSessions (services: AgentServices, request: SessionsTopRequest, { signal }: CallContext, turns: TableTurns): Promise<SessionsTopResponse> {
  const limit = bounded('limit', request.limit === 0 ? LIMIT : request.limit, 1, LIMIT_MAX)
  const windowMs = bounded('window_ms', request.windowMs === 0 ? WINDOW_MS : request.windowMs, WINDOW_MS_MIN, WINDOW_MS_MAX)
  const filter = filterOf(request.filter, services.names)
  const { sessions } = services.dataplane()
  const before = new Reading()
  const began = performance.now()
  await read(services, filter, signal, turns, (batch) => { before.keep(batch) })
  await sleep(Math.max(0, windowMs - (performance.now() - began)), undefined, { signal }).catch(() => undefined)
  signal.throwIfAborted()
  const top = new Top(limit, request.by === TopBy.TOP_BY_PACKETS ? 'packets' : 'bytes')
  const ended = performance.now()
  await read(services, filter, signal, turns, (batch) => { before.since(batch, moved => { top.add(moved) }) })
  const seconds = (ended - began) / 1000
  const rows = await Promise.all(top.best().map(async moved => ({ moved, row: await sessions.get(moved.id) })))
  return {
    sessions: rows.flatMap(({ moved, row }) => row === null ? [] : [{ session: sessionMessage(row, services.names), packetsPerS: moved.packets / seconds, bitsPerS: 8 * moved.bytes / seconds }]),
    windowMs: ended - began, packetsPerS: top.packets / seconds, bitsPerS: 8 * top.bytes / seconds
  }
}

async function read (services: AgentServices, filter: SessionFilter, signal: AbortSignal, turns: TableTurns, onBatch: (batch: SessionColumns) => void): Promise<void> {
  for (let cursor: number | null = 0; cursor !== null;) {
    await turns.next(signal)
    const batch = services.dataplane().sessions.list(filter, columns, cursor, BATCH_ROWS)
    cursor = batch.cursor
    if (batch.rows > 0) onBatch(batch)
  }
}

/** Counters by slot, of the session that had it: 24 bytes each. */
class Reading {
  private serials = new BigUint64Array(0)
  private packets = new Float64Array(0)
  private bytes = new Float64Array(0)

  keep (batch: SessionColumns): void {
    const { slots, ids, packets, bytes } = viewsOf(batch)
    this.room(slots.reduce((most, slot) => Math.max(most, slot), 0) + 1)
    slots.forEach((slot, i) => {
      this.serials[slot] = ids[2 * i + 1] ?? 0n
      this.packets[slot] = packets[i] ?? 0
      this.bytes[slot] = bytes[i] ?? 0
    })
  }

  /** Calls back for each session whose counters grew; one that was not there has moved all that it has. */
  since (batch: SessionColumns, onMoved: (moved: Moved) => void): void {
    const { slots, ids, packets, bytes } = viewsOf(batch)
    slots.forEach((slot, i) => {
      const same = this.serials[slot] === ids[2 * i + 1]
      const moved = { packets: (packets[i] ?? 0) - (same ? this.packets[slot] ?? 0 : 0), bytes: (bytes[i] ?? 0) - (same ? this.bytes[slot] ?? 0 : 0) }
      if (moved.packets > 0) onMoved({ ...moved, id: sessionId(ids[2 * i] ?? 0n, ids[2 * i + 1] ?? 0n) })
    })
  }

  private room (slots: number): void {
    if (slots <= this.serials.length) return
    const [serials, packets, bytes] = [new BigUint64Array(2 * slots), new Float64Array(2 * slots), new Float64Array(2 * slots)]
    serials.set(this.serials)
    packets.set(this.packets)
    bytes.set(this.bytes)
    Object.assign(this, { serials, packets, bytes })
  }
}

/** The best so far, and the sum of all. */
export class Top {
  private kept: Moved[] = []
  packets = 0
  bytes = 0

  constructor (private readonly limit: number, private readonly by: 'packets' | 'bytes') {}

  add (moved: Moved): void {
    this.packets += moved.packets
    this.bytes += moved.bytes
    if (this.kept.length >= 4 * this.limit) this.kept = this.best()
    this.kept.push(moved)
  }

  best (): Moved[] { return [...this.kept].sort((a, b) => b[this.by] - a[this.by]).slice(0, this.limit) }
}

interface Views { readonly slots: Uint32Array, readonly ids: BigUint64Array, readonly packets: Float64Array, readonly bytes: Float64Array }

function viewsOf ({ rows, columns: data }: SessionColumns): Views {
  const copy = (name: typeof columns[number], width: number): ArrayBuffer => Uint8Array.from((data.get(name) ?? new Uint8Array(0)).subarray(0, rows * width)).buffer
  const sum = (a: ArrayBuffer, b: ArrayBuffer): Float64Array => {
    const [forward, reply] = [new BigUint64Array(a), new BigUint64Array(b)]
    return Float64Array.from(forward, (value, i) => Number(value) + Number(reply[i] ?? 0n))
  }
  return { slots: new Uint32Array(copy('slot', 4)), ids: new BigUint64Array(copy('id', 16)), packets: sum(copy('packets_forward', 8), copy('packets_reply', 8)), bytes: sum(copy('bytes_forward', 8), copy('bytes_reply', 8)) }
}

function bounded (field: string, value: number, least: number, most: number): number {
  if (value < least || value > most) throw new LockstepError('invalid', 'LS_R_RANGE', 'out of range', { object: field, found: String(value), expected: `${least} to ${most}, or 0 for the default` })
  return value
}
