/**
 * Tables for people: aligned, headed, as wide as the terminal. A table that does not fit loses its least important columns
 * first, then cuts its longest cells; into a pipe it is never cut.
 */
import { createColors } from 'picocolors'
import { printable } from './format.js'

export interface TableColumn<Row> {
  readonly title: string
  readonly value: (row: Row) => string
  readonly align?: 'left' | 'right'
  /** Columns with higher numbers go first when the terminal is too narrow; 0, the default: never. */
  readonly drop?: number
  /** An age: its text changes by itself, which is no news. */
  readonly ticks?: boolean
}

export interface TableStyle {
  readonly width: number | null
  readonly color: boolean
}

const GAP = '  '
const CELL_MIN = 8

/** Text with a line for the head and one a row, each ended by a newline. */
export function table<Row> (columns: ReadonlyArray<TableColumn<Row>>, rows: readonly Row[], style: TableStyle): string {
  const laid = layOut(columns, rows, style.width)
  return tableHead(laid, style) + tableRows(laid, rows)
}

export interface LaidTable<Row> {
  readonly columns: ReadonlyArray<TableColumn<Row> & { readonly width: number }>
}

/** Chooses columns and widths from some rows; later rows are cut to fit only on a terminal. */
export function layOut<Row> (columns: ReadonlyArray<TableColumn<Row>>, rows: readonly Row[], width: number | null): LaidTable<Row> {
  let laid = columns.map((column) => ({ ...column, width: rows.reduce((max, row) => Math.max(max, cell(column, row).length), column.title.length) }))
  if (width === null) return { columns: laid }
  const total = (): number => laid.reduce((sum, c) => sum + c.width, GAP.length * (laid.length - 1))
  while (total() > width) {
    const worst = laid.reduce((a, b) => ((b.drop ?? 0) > (a.drop ?? 0) ? b : a))
    if ((worst.drop ?? 0) === 0) break
    laid = laid.filter((c) => c !== worst)
  }
  while (total() > width) {
    const longest = laid.reduce((a, b) => (b.width > a.width ? b : a))
    if (longest.width <= CELL_MIN) break
    longest.width--
  }
  return { columns: laid }
}

export function tableHead<Row> ({ columns }: LaidTable<Row>, { color }: Pick<TableStyle, 'color'>): string {
  return `${createColors(color).bold(line(columns.map((c) => pad(c.title, c.width, c.align)))).trimEnd()}\n`
}

/** How a cell of the final width looks; `text` is what it says. */
export type Paint<Row> = (padded: string, text: string, column: TableColumn<Row>) => string

export function tableRows<Row> ({ columns }: LaidTable<Row>, rows: readonly Row[], cutCells = true, paint: Paint<Row> = (padded) => padded): string {
  return rows.map((row) => `${line(columns.map((c) => paint(pad(clip(cell(c, row), cutCells ? c.width : Infinity), c.width, c.align), cell(c, row), c)))}\n`).join('')
}

const cell = <Row> (column: TableColumn<Row>, row: Row): string => printable(column.value(row))
const line = (cells: readonly string[]): string => cells.join(GAP).trimEnd()
const clip = (text: string, width: number): string => (text.length <= width ? text : `${text.slice(0, width - 1)}…`)
const pad = (text: string, width: number, align: 'left' | 'right' = 'left'): string => (align === 'left' ? text.padEnd(width) : text.padStart(width))

/** `key  value` lines, keys aligned; the third, if any, colours the value. */
export function fields (pairs: ReadonlyArray<readonly [string, string, ((text: string) => string)?]>): string {
  const width = pairs.reduce((max, [key]) => Math.max(max, key.length), 0)
  return pairs.map(([key, value, paint = (text) => text]) => `${key.padEnd(width)}  ${paint(printable(value))}`.trimEnd() + '\n').join('')
}
