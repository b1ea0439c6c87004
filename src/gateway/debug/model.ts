/** A debug page before it is written: HTML and JSON are made of this, and of nothing else. */
import type { ReadRow } from '../../client/debug-reading.js'
import type { DebugColumn } from '../../contract/debug.js'
import type { DebugListTablesResponse } from '../../generated/proto/lockstep/v1/debug.js'

export type Row = ReadRow

/** What the query string asks of a table. */
export interface Query {
  readonly filters: ReadonlyMap<string, string>
  readonly sort: string
  readonly offset: number
  readonly limit: number
}

export interface External { readonly name: string, readonly url: string }

export interface Section {
  /** Of the table; also its anchor. */
  readonly name: string
  readonly about: string
  /** `object`: one row, its columns one below the other. */
  readonly shape: 'table' | 'object'
  readonly columns: readonly DebugColumn[]
  readonly rows: readonly Row[]
  /** In place of rows; '' = there are. */
  readonly error: string
  /** Rows that pass the filters, of those read; more were not read when `sample`, `unread` as far as is known. */
  readonly matched: number
  readonly sample: boolean
  readonly unread: number
  readonly tookMs: number
  /** Unix ms. */
  readonly at: number
  readonly source: string
  /** Of the page's own table: it can be sorted and filtered. `null`: it cannot be here. */
  readonly query: Query | null
  /** Where its rows lead: to pages of their own, of tables, or of agents; '' = nowhere. */
  readonly leads: 'rows' | 'tables' | 'agents' | ''
  readonly external: readonly External[]
}

export interface Head extends Omit<DebugListTablesResponse, 'tables' | 'generation' | 'startedAtMs' | 'atMs'> {
  readonly generation: number
  readonly startedAt: number
  readonly at: number
}

export interface Page {
  readonly status: number
  readonly title: string
  /** '' = the page of all agents. */
  readonly agent: string
  /** From the agent on, as shown in the header. */
  readonly path: readonly string[]
  /** `null`: it has not answered, and `error` says why. */
  readonly head: Head | null
  readonly error: string
  readonly sections: readonly Section[]
  /** Tables that nothing leads here from. */
  readonly without: readonly string[]
  /** Seconds after which the page is asked for again; 0: never. */
  readonly refresh: number
}

export const emptySection = { columns: [], rows: [], error: '', matched: 0, sample: false, unread: 0, tookMs: 0, source: '', query: null, leads: '', external: [], shape: 'table' } as const
