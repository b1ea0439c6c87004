/** Errors between threads. A clone keeps the text of an error and loses its class, code and fields, so they travel as data. */
import { ConfigError } from '../config/index.js'
import { LockstepError, type ErrorClass, type ErrorDetail } from '../contract/errors.js'
import type { ConfigIssue } from '../contract/services.js'

export interface PackedError {
  readonly name: string
  readonly message: string
  readonly stack: string | null
  /** Of a LockstepError; `null`: it is none. */
  readonly typed: { readonly errorClass: ErrorClass, readonly code: string, readonly detail: ErrorDetail, readonly issues: readonly ConfigIssue[] | null } | null
  readonly cause: PackedError | null
}

/** Causes of causes beyond this are left out. */
const DEPTH_MAX = 4

export function packError (thrown: unknown, depth = 0): PackedError {
  if (!(thrown instanceof Error)) return { name: 'Error', message: String(thrown), stack: null, typed: null, cause: null }
  const { name, message, stack, cause } = thrown
  return {
    name,
    message,
    stack: stack ?? null,
    typed: thrown instanceof LockstepError ? { errorClass: thrown.errorClass, code: thrown.code, detail: { ...thrown.detail }, issues: thrown instanceof ConfigError ? thrown.issues : null } : null,
    cause: cause === undefined || depth === DEPTH_MAX ? null : packError(cause, depth + 1)
  }
}

export function unpackError ({ name, message, stack, typed, cause }: PackedError): Error {
  const error = typed === null
    ? new Error(message)
    : typed.issues === null ? new LockstepError(typed.errorClass, typed.code, '', typed.detail) : new ConfigError(typed.issues, typed.errorClass, typed.code)
  error.name = name
  error.message = message
  if (stack !== null) error.stack = stack
  if (cause !== null) error.cause = unpackError(cause)
  return error
}
