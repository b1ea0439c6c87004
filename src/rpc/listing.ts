/** Lists as they are asked for: a page at a time, and only the fields that are wanted. A page fits into an answer, however many rows are asked for. Pure. */
import { LockstepError } from '../contract/errors.js'
import type { Listing } from '../generated/proto/lockstep/v1/listing.js'

const PAGE_ROWS_MAX = 10_000
/** Of the 4 MiB that clients receive by default; what stands beside the rows of an answer is small. */
const PAGE_BYTES_MAX = 3 << 20
/** Before a row in its answer, at most. */
const FRAME_BYTES = 6
const TOKEN_CHARS_MAX = 1024

export interface Listed<Row> {
  readonly rows: Row[]
  readonly nextPageToken: string
}

/** As generated for a message. */
export interface RowType<Row> {
  readonly encode: (row: Row) => { readonly finish: () => Uint8Array }
  readonly decode: (bytes: Uint8Array) => Row
}

/** `keyOf`: unique among the rows. @throws invalid LS_R_PAGE, LS_R_FIELD; stale LS_R_PAGE_GONE */
export function listed<Row extends object> (rows: readonly Row[], keyOf: (row: Row) => string, listing: Listing | undefined, type: RowType<Row>): Listed<Row> {
  const { pageSize = 0, pageToken = '', readMask = [] } = listing ?? {}
  if (pageSize > PAGE_ROWS_MAX) throw new LockstepError('invalid', 'LS_R_PAGE', 'the page is too large', { object: 'listing.page_size', found: String(pageSize), expected: `0 to ${PAGE_ROWS_MAX}` })
  const pick = picker(readMask, type.decode(new Uint8Array()))
  const from = pageToken === '' ? 0 : behind(rows, keyOf, pageToken)
  const page: Row[] = []
  let bytes = 0
  for (const row of rows.slice(from, pageSize === 0 ? undefined : from + pageSize)) {
    const picked = pick(row)
    bytes += type.encode(picked).finish().length + FRAME_BYTES
    if (page.length > 0 && bytes > PAGE_BYTES_MAX) break
    page.push(picked)
  }
  const last = rows[from + page.length - 1]
  return { rows: page, nextPageToken: last === undefined || from + page.length >= rows.length ? '' : tokenOf(keyOf(last)) }
}

const tokenOf = (key: string): string => Buffer.from(key).toString('base64url')

/** @throws invalid LS_R_PAGE */
export function keyOfToken (token: string): string {
  const key = token.length > TOKEN_CHARS_MAX ? '' : Buffer.from(token, 'base64url').toString()
  if (key === '' || tokenOf(key) !== token) throw new LockstepError('invalid', 'LS_R_PAGE', 'not a token of a page', { object: 'listing.page_token', found: token.slice(0, 64), expected: 'next_page_token of the page before' })
  return key
}

/** Where the page after that token begins. */
function behind<Row> (rows: readonly Row[], keyOf: (row: Row) => string, token: string): number {
  const key = keyOfToken(token)
  const at = rows.findIndex(row => keyOf(row) === key)
  if (at < 0) throw new LockstepError('stale', 'LS_R_PAGE_GONE', 'what the page before ended with is gone', { object: 'listing.page_token', found: key, next: 'list from the start' })
  return at + 1
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
