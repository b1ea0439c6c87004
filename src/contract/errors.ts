/**
 * The one error type that crosses a boundary. The class decides what a caller does; callers match on `code`, never on text.
 *
 * `invalid` fix the input · `unsupported` choose another · `stale` re-plan · `exhausted` shed or wait ·
 * `unavailable` retry with backoff · `bug` a broken invariant
 */
export type ErrorClass = 'invalid' | 'unsupported' | 'stale' | 'exhausted' | 'unavailable' | 'bug'

export interface ErrorDetail {
  /** What it is about: a configuration path, a session, a port … */
  readonly object?: string
  /** The value found there, printable. */
  readonly found?: string
  /** The bound or expectation that was not met. */
  readonly expected?: string
  /** What to do next, one imperative sentence. */
  readonly next?: string
}

export class LockstepError extends Error {
  readonly errorClass: ErrorClass
  /** Stable identifier, for example `LS_E_FULL` or `LS_C_UNKNOWN_KEY`. */
  readonly code: string
  readonly detail: ErrorDetail

  constructor (errorClass: ErrorClass, code: string, what: string, detail: ErrorDetail = {}, cause?: unknown) {
    super(errorText(code, what, detail), cause === undefined ? undefined : { cause })
    this.name = 'LockstepError'
    this.errorClass = errorClass
    this.code = code
    this.detail = detail
  }
}

/** `code: object: what: found X, expected Y; next`. */
function errorText (code: string, what: string, d: ErrorDetail): string {
  const object = d.object === undefined ? '' : `${d.object}: `
  const found = d.found === undefined ? '' : `: found ${d.found}`
  const expected = d.expected === undefined ? '' : `${found === '' ? ': ' : ', '}expected ${d.expected}`
  const next = d.next === undefined ? '' : `; ${d.next}`
  return `${code}: ${object}${what}${found}${expected}${next}`
}

/** The class of any thrown value; what is not ours is a bug. */
export function classOf (error: unknown): ErrorClass {
  return error instanceof LockstepError ? error.errorClass : 'bug'
}
