/**
 * Errors on the wire: LockstepError -> canonical gRPC code, and a google.rpc.Status in `grpc-status-details-bin` with one
 * ErrorInfo (reason = code, domain "lockstep", metadata = class, object, found, expected, next) and, for a refused
 * configuration, one BadRequest with a violation for each error. The way back is src/cli/remote-error.ts.
 * Trailers are bounded: a value is cut at 384 bytes, violations stop at 3 KiB (peers refuse header blocks above 8-16 KiB, and
 * binary trailers grow by a third).
 */
import { Metadata, status } from '@grpc/grpc-js'
import { LockstepError, type ErrorClass } from '../contract/errors.js'
import { BadRequest, ErrorInfo } from '../generated/proto/google/rpc/error_details.js'
import { Status } from '../generated/proto/google/rpc/status.js'
import { causeOf } from '../lib/cause-of.js'

const VALUE_BYTES_MAX = 384
const TEXT_BYTES_MAX = 1024
const VIOLATION_BYTES_MAX = 3072
export const VIOLATIONS_MAX = 50

/** One error of a refused document: where, what, and a stable identifier. */
export interface Violation {
  readonly field: string
  readonly description: string
  readonly reason: string
}

/** Codes with a better canonical match than their class. */
const codeOfError: Readonly<Record<string, status>> = {
  LS_E_NOT_FOUND: status.NOT_FOUND,
  LS_E_PERMISSION: status.PERMISSION_DENIED,
  LS_E_CANCELLED: status.CANCELLED
}
const codeOfClass: Readonly<Record<ErrorClass, status>> = {
  invalid: status.INVALID_ARGUMENT,
  unsupported: status.UNIMPLEMENTED,
  stale: status.ABORTED,
  exhausted: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  bug: status.INTERNAL
}

export interface WireStatus {
  readonly code: status
  readonly details: string
  readonly metadata: Metadata
}

/** What a client is told about any thrown value. A value that is not ours is a bug: its text goes out, its stack does not. */
export function statusOfError (thrown: unknown, violations: readonly Violation[] = []): WireStatus {
  const error = thrown instanceof LockstepError ? thrown : bugOf(thrown)
  const code = codeOfError[error.code] ?? codeOfClass[error.errorClass]
  const text = cut(error.message, TEXT_BYTES_MAX)
  const details = [{ typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo', value: Buffer.from(ErrorInfo.encode(infoOf(error)).finish()) }]
  if (violations.length > 0) {
    details.push({ typeUrl: 'type.googleapis.com/google.rpc.BadRequest', value: Buffer.from(BadRequest.encode({ fieldViolations: bounded(violations) }).finish()) })
  }
  const metadata = new Metadata()
  metadata.set('grpc-status-details-bin', Buffer.from(Status.encode({ code, message: text, details }).finish()))
  return { code, details: text, metadata }
}

function bugOf (thrown: unknown): LockstepError {
  const text = causeOf(thrown)
  return new LockstepError('bug', 'LS_E_BUG', text, { next: 'look at the log of the agent' }, thrown)
}

function infoOf ({ errorClass, code, detail }: LockstepError): ErrorInfo {
  const pairs = Object.entries({ class: errorClass, object: detail.object, found: detail.found, expected: detail.expected, next: detail.next })
  return {
    reason: code,
    domain: 'lockstep',
    metadata: Object.fromEntries(pairs.flatMap(([key, value]) => (value === undefined ? [] : [[key, cut(value, VALUE_BYTES_MAX)]])))
  }
}

/** The first violations that fit. */
function bounded (violations: readonly Violation[]): Violation[] {
  const out: Violation[] = []
  let left = VIOLATION_BYTES_MAX
  for (const v of violations.slice(0, VIOLATIONS_MAX)) {
    const short = { field: cut(v.field, VALUE_BYTES_MAX), description: cut(v.description, VALUE_BYTES_MAX), reason: v.reason }
    left -= Buffer.byteLength(short.field) + Buffer.byteLength(short.description) + short.reason.length + 8
    if (left < 0) break
    out.push(short)
  }
  return out
}

function cut (value: string, bytesMax: number): string {
  if (Buffer.byteLength(value) <= bytesMax) return value
  return Buffer.from(value).subarray(0, bytesMax - 3).toString('utf8').replace(/\uFFFD+$/, '') + '…'
}
