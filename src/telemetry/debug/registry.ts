/**
 * The debug tables of a thread: subsystems register them, and they are read one at a time, within a time limit. A table that hangs costs its asker the limit and the
 * agent a few forgotten promises, never more: while so many of its reads have not come back it is not read again.
 */
import type { DebugAsk, DebugCell, DebugColumn, DebugRows, DebugShape, DebugSource, DebugTable } from '../../contract/debug.js'
import { LockstepError } from '../../contract/errors.js'

/** For one table: a page has many, and gives each a second. */
export const READ_MS = 900
/** Reads of one table under way. */
const READS_MAX = 16

const named = /^[a-z][a-z0-9-]{0,39}$/
/** Words of a query that are no columns. */
export const reservedNames: readonly string[] = ['format', 'limit', 'offset', 'q', 'refresh', 'sort']

export class DebugRegistry implements DebugSource {
  private readonly tables = new Map<string, DebugTable>()
  private readonly under = new Map<string, number>()

  constructor (private readonly limitMs: number = READ_MS) {}

  /** What it returns takes it away. @throws bug: a name twice, or one that cannot stand in an address. */
  register (table: DebugTable): () => void {
    refuseUnfit(table)
    if (this.tables.has(table.name)) throw unfit(table.name, 'the name is taken')
    this.tables.set(table.name, table)
    return () => { if (this.tables.get(table.name) === table) this.tables.delete(table.name) }
  }

  /** Tables of another thread, too. */
  mount (other: DebugSource): void {
    for (const shape of other.shapes) {
      this.register({ ...shape, count: async (signal) => await other.count(shape.name, signal), rows: async (ask, signal) => await other.rows(shape.name, ask, signal) })
    }
  }

  get shapes (): readonly DebugShape[] {
    return [...this.tables.values()].map(({ name, about, group, columns, source, access }) => ({ name, about, group, columns, source, access }))
  }

  readonly count = async (name: string, signal: AbortSignal): Promise<number> => await this.within(name, signal, async (table, until) => {
    if (table.count !== undefined) return await table.count(until)
    const { rows, more } = await table.rows({ filters: [], key: null, refers: null, most: Infinity }, until)
    return rows.length + (more ?? 0)
  })

  readonly rows = async (name: string, ask: DebugAsk, signal: AbortSignal): Promise<DebugRows> => await this.within(name, signal, async (table, until) => {
    const found = await table.rows(ask, until)
    const secrets = new Set(table.columns.flatMap(({ type }, i) => type === 'secret' ? [i] : []))
    return secrets.size === 0 ? found : { ...found, rows: found.rows.map(row => ({ ...row, cells: row.cells.map((cell, i) => secrets.has(i) ? redacted(cell) : cell) })) }
  })

  /** @throws stale LS_E_NOT_FOUND; exhausted LS_D_BUSY; unavailable LS_D_SLOW; what the table throws */
  private async within<T> (name: string, signal: AbortSignal, read: (table: DebugTable, until: AbortSignal) => Promise<T>): Promise<T> {
    const table = this.tables.get(name)
    if (table === undefined) throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'no such debug table', { object: 'table', found: name, expected: [...this.tables.keys()].sort().join(' ') })
    const under = this.under.get(name) ?? 0
    if (under >= READS_MAX) throw new LockstepError('exhausted', 'LS_D_BUSY', 'earlier reads of the table have not come back', { object: `table ${name}`, found: String(under), expected: `at most ${READS_MAX}`, next: `look at what hangs: ${table.source}` })
    this.under.set(name, under + 1)
    const over = new AbortController()
    const reading = (async () => await read(table, over.signal))().finally(() => { this.under.set(name, (this.under.get(name) ?? 1) - 1) })
    reading.catch(() => undefined)
    let stop: () => void = () => undefined
    const stopped = new Promise<never>((_resolve, reject) => {
      const end = (reason: unknown): void => {
        over.abort(reason)
        reject(reason as Error)
      }
      const timer = setTimeout(() => { end(new LockstepError('unavailable', 'LS_D_SLOW', 'the table was not read in time', { object: `table ${name}`, expected: `${this.limitMs} ms`, next: `it is asked of: ${table.source}` })) }, this.limitMs)
      const onAbort = (): void => { end(signal.reason) }
      if (signal.aborted) onAbort()
      else signal.addEventListener('abort', onAbort, { once: true })
      stop = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
      }
    })
    try {
      return await Promise.race([reading, stopped])
    } finally {
      stop()
    }
  }
}

const redacted = (cell: DebugCell): DebugCell => cell === null || cell === '' ? null : 'set'

const unfit = (name: string, why: string): LockstepError => new LockstepError('bug', 'LS_E_BUG', why, { object: `debug table ${name.slice(0, 80)}` })

function refuseUnfit ({ name, columns }: DebugTable): void {
  if (!named.test(name)) throw unfit(name, 'the name cannot stand in an address')
  const [first] = columns
  if (first === undefined || first.type === 'link' || first.type === 'secret') throw unfit(name, 'the first column is the key: text or a number')
  const wrong = columns.find((column: DebugColumn, i) => !named.test(column.name) || reservedNames.includes(column.name) || columns.findIndex(other => other.name === column.name) !== i)
  if (wrong !== undefined) throw unfit(name, `column ${wrong.name.slice(0, 80)}: a word of its own, in lower case`)
}
