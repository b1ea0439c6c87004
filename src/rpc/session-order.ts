/** Sessions.List in an order: all that match are walked in the steps of a listing, the first ones are kept, and then their rows are read. */
import { LockstepError } from '../contract/errors.js'
import type { AgentServices } from '../contract/services.js'
import { SESSION_ORDER_MAX, type SessionColumns, type SessionFilter } from '../contract/session.js'
import { column as columnCodes, type Column } from '../generated/codes.js'
import { SessionOrderBy, type SessionOrder, type SessionsListRequest } from '../generated/proto/lockstep/v1/sessions.js'
import { columnSpecs, walkColumns } from './session-walk.js'
import type { TableTurns } from './turns.js'

const keys: ReadonlyMap<SessionOrderBy, readonly Column[]> = new Map<SessionOrderBy, readonly Column[]>([
  [SessionOrderBy.SESSION_ORDER_BY_BYTES, ['bytes_forward', 'bytes_reply']], [SessionOrderBy.SESSION_ORDER_BY_PACKETS, ['packets_forward', 'packets_reply']],
  [SessionOrderBy.SESSION_ORDER_BY_AGE, ['age_ms']], [SessionOrderBy.SESSION_ORDER_BY_IDLE, ['idle_ms']], [SessionOrderBy.SESSION_ORDER_BY_EXPIRES, ['expires_ms']]
])

export interface Ordered { readonly rows: readonly SessionColumns[], /** There are more. */ readonly truncated: boolean }

/** Each a batch of one row. @throws invalid */
export async function orderedSessions (services: AgentServices, { limit, fromSlot }: SessionsListRequest, { by, ascending, skip }: SessionOrder, filter: SessionFilter, wanted: readonly string[], signal: AbortSignal, turns: TableTurns): Promise<Ordered> {
  const sums = keys.get(by)
  if (sums === undefined) throw new LockstepError('invalid', 'LS_R_ORDER', 'no such order', { object: 'order.by', found: by, expected: [...keys.keys()].join(' ') })
  const deep = Number(limit) + skip
  if (limit === 0n || deep > SESSION_ORDER_MAX) throw new LockstepError('invalid', 'LS_R_ORDER', 'an order goes only so deep', { object: 'limit, order.skip', found: `${limit}, ${skip}`, expected: `a limit, and both together at most ${SESSION_ORDER_MAX}`, next: 'narrow the filter' })
  if (fromSlot !== 0) throw new LockstepError('invalid', 'LS_R_ORDER', 'an order begins at its beginning', { object: 'from_slot', found: String(fromSlot), expected: '0', next: 'use order.skip' })
  const { sessions } = services.dataplane()
  const first = new First(deep, ascending ? -1 : 1)
  for await (const batch of walkColumns(services, filter, columnSpecs(['slot', ...sums]), turns, signal)) first.take(numbers(batch, 'slot'), sums.map(name => numbers(batch, name)))
  const columns = wanted.includes('slot') ? wanted : [...wanted, 'slot']
  const rows: SessionColumns[] = []
  for (const slot of first.slots().slice(skip)) {
    await turns.next(signal)
    const batch = sessions.list(filter, columns, slot, 1)
    if (batch.rows === 1 && numbers(batch, 'slot')[0] === slot) rows.push(batch)
  }
  return { rows, truncated: first.seen > deep }
}

/** The first ones so far; those of one value in the order of the table. */
class First {
  seen = 0
  private kept: Array<{ readonly slot: number, readonly key: number }> = []
  /** What is not above it is not among them. */
  private bar = -Infinity

  constructor (private readonly most: number, private readonly way: 1 | -1) {}

  take (slots: ArrayLike<number>, parts: ReadonlyArray<ArrayLike<number>>): void {
    this.seen += slots.length
    for (let i = 0; i < slots.length; i++) {
      let key = 0
      for (const part of parts) key += part[i] ?? 0
      key *= this.way
      if (key <= this.bar) continue
      this.kept.push({ slot: slots[i] ?? 0, key })
      if (this.kept.length >= 4 * this.most) this.cut()
    }
  }

  slots (): number[] {
    this.cut()
    return this.kept.map(({ slot }) => slot)
  }

  private cut (): void {
    this.kept = this.kept.sort((a, b) => b.key - a.key || a.slot - b.slot).slice(0, this.most)
    if (this.kept.length === this.most) this.bar = this.kept.at(-1)?.key ?? -Infinity
  }
}

const widths: ReadonlyMap<string, number> = new Map(columnCodes.map(({ name, bytes }) => [name, bytes]))

function numbers ({ rows, columns }: SessionColumns, name: Column): ArrayLike<number> {
  const width = widths.get(name) ?? 0
  const { buffer } = new Uint8Array((columns.get(name) ?? new Uint8Array(0)).subarray(0, rows * width)) // a copy that begins where numbers may
  return width === 8 ? Float64Array.from(new BigUint64Array(buffer), Number) : new Uint32Array(buffer)
}
