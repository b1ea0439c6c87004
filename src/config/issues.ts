/**
 * What is wrong with a configuration. Nothing here throws at the first mistake: issues are collected, so that one check names them all.
 * Paths are JSON pointers (RFC 6901) into the file as written.
 */
import { LockstepError, type ErrorClass } from '../contract/errors.js'
import type { ConfigIssue } from '../contract/services.js'
import { maySecret } from './secrets.js'

export type IssueCode =
  | 'LS_C_SYNTAX' | 'LS_C_ENCODING' | 'LS_C_SIZE' | 'LS_C_DUPLICATE_KEY' | 'LS_C_UNKNOWN_KEY' | 'LS_C_TYPE' | 'LS_C_REQUIRED' | 'LS_C_VALUE'
  | 'LS_C_REFERENCE' | 'LS_C_DUPLICATE' | 'LS_C_OVERLAP' | 'LS_C_CONFLICT' | 'LS_C_LIMIT' | 'LS_C_PORT' | 'LS_C_UNSUPPORTED' | 'LS_C_MORE'

/** More are counted, not listed. */
export const issuesMax = 200

export interface Position { readonly line: number, readonly column: number }
export type Locate = (pointer: string) => Position | null

export const pointer = (base: string, ...keys: ReadonlyArray<string | number>): string =>
  base + keys.map(key => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
export const pointerKeys = (path: string): string[] => path === '' ? [] : path.slice(1).split('/').map(key => key.replaceAll('~1', '/').replaceAll('~0', '~'))

/** One line, at most 80 characters. */
export function show (value: unknown): string {
  if (value === undefined) return 'nothing'
  let text: string
  try {
    text = typeof value === 'number' ? String(value) : (JSON.stringify(value) as string | undefined) ?? typeof value
  } catch {
    text = typeof value
  }
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

/** A part of what was found that may be shown even where a secret may stand. */
export class Harmless { constructor (readonly text: string) {} }

export class Issues {
  readonly warnings: string[] = []
  private readonly found: ConfigIssue[] = []
  private readonly seen = new Set<string>()
  private dropped = 0

  constructor (private readonly locate: Locate = () => null) {}

  /** `found` is the offending value itself; it is shown in one line, unless it may be a secret. */
  add (path: string, code: IssueCode, message: string, found: unknown, expected: string): void {
    const shown = code !== 'LS_C_UNKNOWN_KEY' && !(found instanceof Harmless) && maySecret(pointerKeys(path), found) ? 'what is not shown here' : show(found instanceof Harmless ? found.text : found)
    const key = `${path}\n${code}\n${message}\n${shown}`
    if (this.seen.has(key)) return
    if (this.found.length >= issuesMax) {
      this.dropped++
      return
    }
    this.seen.add(key)
    const at = this.locate(path)
    this.found.push({ path, line: at?.line ?? null, column: at?.column ?? null, code, message, found: shown, expected })
  }

  warn (path: string, message: string): void {
    const line = `${path}: ${message}`
    if (!this.warnings.includes(line) && this.warnings.length < issuesMax) this.warnings.push(line)
  }

  get count (): number { return this.found.length }
  get full (): boolean { return this.found.length >= issuesMax }
  /** Counts errors that nobody has time to describe. */
  drop (count: number): void { this.dropped += count }

  /** In file order; those without a place last. */
  list (): readonly ConfigIssue[] {
    const sorted = [...this.found].sort((a, b) => (a.line ?? Infinity) - (b.line ?? Infinity) || (a.column ?? 0) - (b.column ?? 0))
    if (this.dropped > 0) sorted.push({ path: '', line: null, column: null, code: 'LS_C_MORE', message: 'more errors are not listed', found: String(this.dropped), expected: 'none; fix the ones above first' })
    return sorted
  }
}

const place = ({ line, path }: ConfigIssue): string => `${line === null ? '' : `line ${line}: `}${path === '' ? '/' : path}`

/** `line 12: /policies/3/from: no such zone: found "client", expected one of clients, servers`. */
export function formatIssue (issue: ConfigIssue): string {
  return `${place(issue)}: ${issue.message}: found ${issue.found}, expected ${issue.expected}`
}

/** A configuration that was refused, with every reason. Its message goes into logs and journals: pieces of a text that is no YAML, which may be of any setting, stand in the issues alone, for who gave the text. */
export class ConfigError extends LockstepError {
  readonly issues: readonly ConfigIssue[]
  constructor (issues: readonly ConfigIssue[], errorClass: ErrorClass = 'invalid', code = 'LS_C_INVALID') {
    const first = issues[0]
    super(errorClass, code, `${issues.length} error${issues.length === 1 ? '' : 's'} in the configuration${first === undefined ? '' : `; first: ${first.code === 'LS_C_SYNTAX' ? `${place(first)}: ${first.message}` : formatIssue(first)}`}`,
      { object: 'configuration', next: 'run lockstep check for the whole list' })
    this.issues = issues
  }
}

/** The candidate that is nearest to what was typed, or `null` when none is near. */
export function nearest (typed: string, candidates: Iterable<string>): string | null {
  let best: string | null = null
  let bestDistance = Math.max(2, Math.ceil(Math.min(typed.length, 64) / 3)) + 1
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - typed.length) > bestDistance) continue
    const d = distance(typed.toLowerCase().replaceAll('_', '-'), candidate.toLowerCase(), bestDistance)
    if (d < bestDistance || (d === bestDistance && best !== null && candidate < best)) [best, bestDistance] = [candidate, d]
  }
  return best
}

/** Optimal string alignment: a swap of neighbours counts one. Infinity beyond `bound`. */
function distance (a: string, b: string, bound: number): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, (before[j - 2] ?? 0) + 1)
      row.push(cost)
    }
    if (Math.min(...row) > bound) return Infinity
    before = last
    last = row
  }
  return last[b.length] ?? Infinity
}

/** `a, b, c or 4 more`: for the expectation of an unknown name. */
export function oneOf (names: Iterable<string>): string {
  const all = [...names].sort()
  if (all.length === 0) return 'none is defined'
  return `one of ${all.slice(0, 8).join(', ')}${all.length > 8 ? ` or ${all.length - 8} more` : ''}`
}
