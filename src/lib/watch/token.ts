/** Where a reader of a watch stands, opaque to it: version, epoch, revision and what was asked for, with a checksum. */
import { createHash } from 'node:crypto'

export interface Position {
  readonly epoch: string
  readonly rev: number
  /** What was asked for, as text: another question has another history. */
  readonly scope: string
}

const VERSION = 1
const HASH_CHARS = 16
export const TOKEN_CHARS_MAX = 256

const hash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, HASH_CHARS)

export function formatToken ({ epoch, rev, scope }: Position): string {
  const body = [VERSION, epoch, rev, hash(scope)].join(' ')
  return Buffer.from(`${body} ${hash(body)}`).toString('base64url')
}

/** `null`: not a token of ours, or cut. `matches`: it is of this epoch and question. */
export function parseToken (token: string, of: Omit<Position, 'rev'>): { readonly rev: number, readonly matches: boolean } | null {
  if (token.length > TOKEN_CHARS_MAX) return null
  const found = /^(\d+) (\S+) (\d+) ([0-9a-f]{16}) ([0-9a-f]{16})$/.exec(Buffer.from(token, 'base64url').toString())
  if (found === null) return null
  const [, version, epoch, revText, scope, sum] = found
  const rev = Number(revText)
  if (Number(version) !== VERSION || !Number.isSafeInteger(rev) || hash([version, epoch, revText, scope].join(' ')) !== sum) return null
  return { rev, matches: epoch === of.epoch && scope === hash(of.scope) }
}
