/** How a debug table is written down: each column beside the function that fills it. */
import type { DebugAccess, DebugAsk, DebugCell, DebugLink, DebugRow, DebugTable, DebugTone, DebugType } from '../../contract/debug.js'

/** Type, value, and for links the tables they lead to. */
export type ColumnSpec<R> = readonly [DebugType, (row: R) => DebugCell, ...tables: string[]]

export interface TableSpec<R> {
  readonly name: string
  readonly about: string
  readonly group: string
  readonly source: string
  readonly access?: DebugAccess
  /** By name, in order; the first is the key. */
  readonly columns: Readonly<Record<string, ColumnSpec<R>>>
  /** All there are, or some of them and how many more (`null`: nobody knows). */
  readonly read: (ask: DebugAsk, signal: AbortSignal) => Found<R> | Promise<Found<R>>
  readonly tone?: (row: R) => DebugTone
  readonly count?: (signal: AbortSignal) => number | Promise<number>
}
export type Found<R> = readonly R[] | { readonly part: readonly R[], readonly more: number | null }

export function debugTable<R> ({ columns, read, tone, access = 'viewer', count, ...shape }: TableSpec<R>): DebugTable {
  const specs = Object.entries(columns)
  const rowOf = (row: R): DebugRow => {
    const tint = tone?.(row) ?? ''
    return { cells: specs.map(([, [, value]]) => value(row)), ...tint === '' ? {} : { tone: tint } }
  }
  return {
    ...shape, access, ...count === undefined ? {} : { count },
    columns: specs.map(([name, [type, , ...tables]]) => ({ name, type, ...tables.length === 0 ? {} : { tables } })),
    rows: async (ask, signal) => {
      const found = await read(ask, signal)
      return 'part' in found ? { rows: found.part.map(rowOf), more: found.more } : { rows: found.map(rowOf) }
    }
  }
}

/** None when there is no key. */
export const link = (table: string, key: string | number | null): readonly DebugLink[] => key === null || key === '' ? [] : [{ table, key: String(key) }]
export const yes = (is: boolean): string => is ? 'yes' : ''

/** What is one thing, as rows of names and values. */
export interface Fact { readonly name: string, readonly value: string | number | null, readonly tone?: DebugTone }
export const factColumns: Readonly<Record<string, ColumnSpec<Fact>>> = { name: ['text', fact => fact.name], value: ['text', ({ value }) => value === null ? null : String(value)] }
export const factTone = ({ tone = '' }: Fact): DebugTone => tone
