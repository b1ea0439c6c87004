/** Lists as they are asked for: a page at a time, and only the fields that are wanted. Pure. */
import { LockstepError } from '../contract/errors.js'
import type { Listing } from '../generated/proto/lockstep/v1/listing.js'

const PAGE_ROWS_MAX = 10_000
const TOKEN_CHARS_MAX = 1024

export interface Listed<Row> {
  readonly rows: Row[]
  readonly nextPageToken: string
}

/** `blank`: a row with nothing in it. `keyOf`: unique among the rows. @throws invalid LS_R_PAGE, LS_R_FIELD; stale LS_R_PAGE_GONE */
export function listed<Row extends object> (rows: readonly Row[], keyOf: (row: Row) => string, listing: Listing | undefined, blank: Row): Listed<Row> {
  const { pageSize = 0, pageToken = '', readMask = [] } = listing ?? {}
  if (pageSize > PAGE_ROWS_MAX) throw new LockstepError('invalid', 'LS_R_PAGE', 'the page is too large', { object: 'listing.page_size', found: String(pageSize), expected: `0 to ${PAGE_ROWS_MAX}` })
  const pick = picker(readMask, blank)
  const from = pageToken === '' ? 0 : rows.findIndex(row => tokenOf(keyOf(row)) === pageToken) + 1
  if (pageToken !== '' && from === 0) throw goneOrNone(pageToken)
  const page = rows.slice(from, pageSize === 0 ? undefined : from + pageSize)
  const last = page.at(-1)
  return { rows: page.map(pick), nextPageToken: last === undefined || from + page.length >= rows.length ? '' : tokenOf(keyOf(last)) }
}

const tokenOf = (key: string): string => Buffer.from(key).toString('base64url')

function goneOrNone (token: string): LockstepError {
  const key = token.length > TOKEN_CHARS_MAX ? '' : Buffer.from(token, 'base64url').toString()
  return tokenOf(key) === token && key !== ''
    ? new LockstepError('stale', 'LS_R_PAGE_GONE', 'what the page before ended with is gone', { object: 'listing.page_token', found: key, next: 'list from the start' })
    : new LockstepError('invalid', 'LS_R_PAGE', 'not a token of a page', { object: 'listing.page_token', found: token.slice(0, 64), expected: 'next_page_token of the page before' })
}

function picker<Row extends object> (paths: readonly string[], blank: Row): (row: Row) => Row {
  if (paths.length === 0) return row => row
  const known = new Map(Object.keys(blank).map(name => [snake(name), name]))
  const names = paths.map((path) => {
    const name = known.get(path)
    if (name === undefined) throw new LockstepError('invalid', 'LS_R_FIELD', 'a row has no such field', { object: 'listing.read_mask', found: path.slice(0, 64), expected: [...known.keys()].join(' ') })
    return name
  })
  return row => ({ ...blank, ...Object.fromEntries(Object.entries(row).filter(([name]) => names.includes(name))) })
}

const snake = (name: string): string => name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
