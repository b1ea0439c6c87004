/** What an import did not carry, or carried in another way: nothing of the source goes without a note. */
import { LockstepError } from '../../contract/errors.js'
import { show } from '../issues.js'

export interface ImportNote {
  /** Of the source; `null`: about the whole of it. */
  readonly line: number | null
  /** What stands there, one line. */
  readonly text: string
  /** Why it is not carried as it is, and what to do instead. */
  readonly reason: string
}

const textMax = 240

export class Notes {
  private readonly found: ImportNote[] = []
  private readonly seen = new Set<string>()

  add (line: number | null, whole: string, reason: string): void {
    const text = whole.length > textMax ? `${whole.slice(0, textMax - 3)}...` : whole
    const key = `${line ?? ''}\n${text}\n${reason}`
    if (this.seen.has(key)) return
    this.seen.add(key)
    this.found.push({ line, text, reason })
  }

  get count (): number { return this.found.length }

  /** By line; those about the whole last. */
  list (): readonly ImportNote[] {
    return [...this.found].sort((a, b) => (a.line ?? Infinity) - (b.line ?? Infinity) || 0)
  }
}

/** The source cannot be read at all. `expected` says what would be. */
export function unreadable (file: string, line: number | null, what: string, found: unknown, expected: string): LockstepError {
  return new LockstepError('invalid', 'LS_C_IMPORT', what, { object: line === null ? file : `${file}:${line}`, found: show(found), expected })
}

/** Reasons by keyword: each row is keywords with blanks between, and why. */
export function reasonsOf (rows: ReadonlyArray<readonly [string, string]>): ReadonlyMap<string, string> {
  return new Map(rows.flatMap(([keys, reason]) => keys.split(' ').map(key => [key, reason] as const)))
}
