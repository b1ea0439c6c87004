/**
 * Debug tables: what a subsystem knows about itself, as rows for people. A subsystem registers a table by a function that is called when somebody asks, and costs
 * nothing otherwise; pages, JSON, gRPC and the command line are made of what stands here, so a new table needs no code of theirs.
 */

/** `address` is filtered by prefix too · `id` is a number that names something, as a port · `link` leads to rows of other tables · `secret` never leaves the agent: only whether it is set does. */
export const debugTypes = ['text', 'address', 'id', 'number', 'bytes', 'duration', 'time', 'link', 'secret'] as const
export type DebugType = typeof debugTypes[number]

/** A row of a table, by its key. */
export interface DebugLink { readonly table: string, readonly key: string }

export interface DebugColumn {
  /** Lower case, with hyphens: it stands in addresses. */
  readonly name: string
  readonly type: DebugType
  /** Of links: the tables they lead to. */
  readonly tables?: readonly string[]
}

/** Durations and times are ms (times: Unix), links a list of them; `null`: there is none. */
export type DebugCell = string | number | readonly DebugLink[] | null

/** How a row is meant: `dim` is over, or idle. */
export const debugTones = ['', 'good', 'warn', 'bad', 'dim'] as const
export type DebugTone = typeof debugTones[number]

export interface DebugRow {
  /** One for each column; the first, as text, is the key of the row. */
  readonly cells: readonly DebugCell[]
  readonly tone?: DebugTone
}

/** `viewer`: whoever may look · `operator`: it tells of other callers. */
export type DebugAccess = 'viewer' | 'operator'

/** A table without its rows. */
export interface DebugShape {
  readonly name: string
  /** What a row is, in a sentence. */
  readonly about: string
  /** Where it stands among the others: `dataplane`, `agent`, `work`... */
  readonly group: string
  readonly columns: readonly DebugColumn[]
  /** Who knows it. */
  readonly source: string
  readonly access: DebugAccess
}

/** A condition on a column: text that it has, or with `=`, `!`, `<`, `<=`, `>`, `>=` before it. */
export interface DebugFilter { readonly column: string, readonly text: string }

/** What is asked of a table. A table may use it to look at less; it is applied to what it gives in any case. */
export interface DebugAsk {
  readonly filters: readonly DebugFilter[]
  /** This row alone. */
  readonly key: string | null
  /** Rows that lead there. */
  readonly refers: DebugLink | null
  /** Rows that are wanted: what a table with millions of them looks for. */
  readonly most: number
}

export interface DebugRows {
  readonly rows: readonly DebugRow[]
  /** More than these would pass, and how many as far as is known; absent: these are all. */
  readonly more?: number | null
}

export interface DebugTable extends DebugShape {
  /** How many, when that costs less than the rows. */
  readonly count?: (signal: AbortSignal) => number | Promise<number>
  readonly rows: (ask: DebugAsk, signal: AbortSignal) => DebugRows | Promise<DebugRows>
}

/** Where tables are read, of this thread or another. */
export interface DebugSource {
  readonly shapes: readonly DebugShape[]
  readonly count: (name: string, signal: AbortSignal) => Promise<number>
  readonly rows: (name: string, ask: DebugAsk, signal: AbortSignal) => Promise<DebugRows>
}

export const everyRow: DebugAsk = { filters: [], key: null, refers: null, most: Infinity }
export const keyOf = ({ cells: [first] }: DebugRow): string => typeof first === 'string' || typeof first === 'number' ? String(first) : ''
export const isLinks = (cell: DebugCell): cell is readonly DebugLink[] => typeof cell === 'object' && cell !== null
