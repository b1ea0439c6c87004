/** Which rows of a debug table are shown, in which order: filters, sorting with the key behind it, a page. Pure. */
import { isLinks, keyOf, type DebugAsk, type DebugCell, type DebugColumn, type DebugRow, type DebugShape } from '../../contract/debug.js'
import { LockstepError } from '../../contract/errors.js'
import { parsePrefix, prefixSpan, type Span } from '../../lib/address.js'
import { cellText } from '../../lib/debug-text.js'

export interface Page {
  /** A column; '' = as the table gives them. With `-` before it: descending. */
  readonly sort: string
  readonly offset: number
  readonly limit: number
}

export interface Selected {
  /** That pass, before the page is taken. */
  readonly matched: number
  readonly rows: readonly DebugRow[]
}

/** @throws invalid LS_D_COLUMN */
export function select (shape: DebugShape, all: readonly DebugRow[], { filters, key, refers }: DebugAsk, { sort, offset, limit }: Page): Selected {
  const tests = filters.map(({ column, text }) => column === '' ? anywhere(shape, text) : on(columnOf(shape, column), text))
  if (key !== null) tests.push(row => keyOf(row) === key)
  if (refers !== null) tests.push(({ cells }) => cells.some(cell => isLinks(cell) && cell.some(({ table, key }) => table === refers.table && key === refers.key)))
  const rows = tests.length === 0 ? [...all] : all.filter(row => tests.every(test => test(row)))
  if (sort !== '') rows.sort(orderOf(columnOf(shape, sort.replace(/^-/, '')), sort.startsWith('-')))
  return { matched: rows.length, rows: rows.slice(offset, offset + limit) }
}

interface Placed extends DebugColumn { readonly at: number }

function columnOf ({ name, columns }: DebugShape, wanted: string): Placed {
  const at = columns.findIndex(column => column.name === wanted)
  const column = columns[at]
  if (column === undefined) throw new LockstepError('invalid', 'LS_D_COLUMN', 'the table has no such column', { object: `table ${name}`, found: wanted.slice(0, 80), expected: columns.map(one => one.name).join(' ') })
  return { ...column, at }
}

const valueOf = ({ cells }: DebugRow, { at }: Placed): DebugCell => cells[at] ?? null
const has = (text: string, part: string): boolean => text.toLowerCase().includes(part.toLowerCase())

const anywhere = ({ columns }: DebugShape, part: string) => ({ cells }: DebugRow): boolean => columns.some(({ type }, i) => has(cellText(type, cells[i] ?? null), part))

/** Empty text: everything. */
function on (column: Placed, text: string): (row: DebugRow) => boolean {
  const [, op = '', rest = ''] = /^(<=|>=|<|>|=|!)?(.*)$/s.exec(text) ?? []
  if (op === '' && rest === '') return () => true
  const inside = op === '' && column.type === 'address' && rest.includes('/') ? spanOf(rest) : null
  if (inside !== null) return row => within(inside, valueOf(row, column))
  const words = (row: DebugRow): string => plain(column, valueOf(row, column))
  switch (op) {
    case '': return row => (column.type === 'number' || column.type === 'id') && /^-?\d+$/.test(rest) ? words(row) === rest : has(words(row), rest)
    case '=': return row => words(row) === rest
    case '!': return row => rest === '' ? words(row) !== '' : !has(words(row), rest)
    default: return row => compares(op, valueOf(row, column), rest)
  }
}

/** Links by their keys, numbers as they are, the rest as it is shown. */
const plain = ({ type }: Placed, cell: DebugCell): string => isLinks(cell) ? cell.map(({ key }) => key).join(' ') : typeof cell === 'number' && type === 'number' ? String(cell) : cellText(type, cell)

function compares (op: string, cell: DebugCell, bound: string): boolean {
  if (cell === null) return false
  const order = typeof cell === 'number' ? cell - Number(bound) : plain({ name: '', type: 'text', at: 0 }, cell).localeCompare(bound)
  switch (op) {
    case '<': return order < 0
    case '<=': return order <= 0
    case '>': return order > 0
    default: return order >= 0
  }
}

function spanOf (text: string): Span | null {
  const prefix = parsePrefix(text)
  return prefix === null ? null : prefixSpan(prefix)
}

function within ({ from, to }: Span, cell: DebugCell): boolean {
  const prefix = typeof cell === 'string' ? parsePrefix(cell) : null
  return prefix !== null && prefix.address >= from && prefix.address <= to
}

/** What is not there comes last, whatever the direction; equal ones by key. */
function orderOf (column: Placed, descending: boolean): (a: DebugRow, b: DebugRow) => number {
  const compare = (a: DebugCell, b: DebugCell): number => {
    const [none, other] = [isNone(a), isNone(b)]
    if (none || other) return Number(none) - Number(other)
    const order = typeof a === 'number' && typeof b === 'number' ? a - b : text(plain(column, a), plain(column, b))
    return descending ? -order : order
  }
  return (a, b) => compare(valueOf(a, column), valueOf(b, column)) || text(keyOf(a), keyOf(b))
}

const isNone = (cell: DebugCell): boolean => cell === null || cell === '' || (isLinks(cell) && cell.length === 0)
/** `web2` before `web10`. */
const collator = new Intl.Collator('en', { numeric: true })
const text = (a: string, b: string): number => collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0)
