/**
 * Errors on the wire: LockstepError -> canonical gRPC code + google.rpc.Status in `grpc-status-details-bin`, and back.
 *
 * The details hold one google.rpc.ErrorInfo (reason = code, domain "lockstep", metadata = class, object, found, expected,
 * next) and, for a refused configuration, one google.rpc.BadRequest with a violation per error. Both are small messages of a
 * fixed published shape, written here by hand so that no generated code is needed for them.
 * Trailers are bounded: a value is cut at 512 bytes, violations stop at 6 KiB (peers refuse header blocks above 8-16 KiB).
 */
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire'
import { Metadata, status, type ServiceError } from '@grpc/grpc-js'
import { LockstepError, type ErrorClass, type ErrorDetail } from '../contract/errors.js'

const DETAILS = 'grpc-status-details-bin'
const DOMAIN = 'lockstep'
const ERROR_INFO = 'type.googleapis.com/google.rpc.ErrorInfo'
const BAD_REQUEST = 'type.googleapis.com/google.rpc.BadRequest'
const VALUE_BYTES_MAX = 512
const VIOLATION_BYTES_MAX = 6144
export const VIOLATIONS_MAX = 50

/** One error of a refused document: where, what, and a stable identifier. */
export interface Violation {
  readonly field: string
  readonly description: string
  readonly reason: string
}

/** Classes that a gRPC code stands for; codes with a better canonical match than their class come first. */
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
const classOfCode: Partial<Readonly<Record<status, ErrorClass>>> = {
  [status.INVALID_ARGUMENT]: 'invalid',
  [status.OUT_OF_RANGE]: 'invalid',
  [status.UNIMPLEMENTED]: 'unsupported',
  [status.ABORTED]: 'stale',
  [status.NOT_FOUND]: 'stale',
  [status.ALREADY_EXISTS]: 'stale',
  [status.FAILED_PRECONDITION]: 'stale',
  [status.RESOURCE_EXHAUSTED]: 'exhausted',
  [status.UNAVAILABLE]: 'unavailable',
  [status.DEADLINE_EXCEEDED]: 'unavailable',
  [status.CANCELLED]: 'unavailable',
  [status.PERMISSION_DENIED]: 'unavailable',
  [status.UNAUTHENTICATED]: 'unavailable'
}

export interface WireStatus {
  readonly code: status
  readonly details: string
  readonly metadata: Metadata
}

/** What a client is told about any thrown value. A value that is not ours is a bug: its text goes out, its stack does not. */
export function statusOfError (error: unknown, violations: readonly Violation[] = []): WireStatus {
  const known = error instanceof LockstepError ? error : bugOf(error)
  const code = codeOfError[known.code] ?? codeOfClass[known.errorClass]
  const metadata = new Metadata()
  metadata.set(DETAILS, encodeDetails(code, known, violations))
  return { code, details: cut(known.message, 2048), metadata }
}

/** A LockstepError that came over the wire. */
export class RemoteError extends LockstepError {
  readonly grpcCode: status
  readonly violations: readonly Violation[]

  constructor (text: string, grpcCode: status, info: { errorClass: ErrorClass, code: string, detail: ErrorDetail }, violations: readonly Violation[], cause: unknown) {
    super(info.errorClass, info.code, text, info.detail, cause)
    this.name = 'RemoteError'
    this.message = text
    this.grpcCode = grpcCode
    this.violations = violations
  }
}

/** The typed error behind what grpc-js hands to a client. Without details (an older or foreign server) the code decides. */
export function errorOfStatus (error: ServiceError): RemoteError {
  const fallback = {
    errorClass: classOfCode[error.code] ?? 'bug',
    code: `LS_R_${status[error.code] ?? 'UNKNOWN'}`,
    detail: {}
  }
  const raw = error.metadata?.get(DETAILS)[0]
  let info = fallback
  let violations: Violation[] = []
  if (raw instanceof Buffer) {
    try {
      for (const any of decodeStatus(raw)) {
        if (any.typeUrl === ERROR_INFO) info = decodeErrorInfo(any.value) ?? fallback
        if (any.typeUrl === BAD_REQUEST) violations = decodeBadRequest(any.value)
      }
    } catch {
      info = fallback
    }
  }
  return new RemoteError(error.details === '' ? error.message : error.details, error.code, info, violations, error)
}

function bugOf (error: unknown): LockstepError {
  const text = error instanceof Error ? error.message : String(error)
  return new LockstepError('bug', 'LS_E_BUG', text, { next: 'look at the log of the agent' }, error)
}

function encodeDetails (code: status, error: LockstepError, violations: readonly Violation[]): Buffer {
  const info = new BinaryWriter()
  info.uint32(10).string(error.code)
  info.uint32(18).string(DOMAIN)
  const pairs: Array<[string, string | undefined]> = [
    ['class', error.errorClass], ['object', error.detail.object], ['found', error.detail.found],
    ['expected', error.detail.expected], ['next', error.detail.next]
  ]
  for (const [key, value] of pairs) {
    if (value !== undefined) info.uint32(26).fork().uint32(10).string(key).uint32(18).string(cut(value, VALUE_BYTES_MAX)).join()
  }
  const out = new BinaryWriter()
  out.uint32(8).int32(code)
  any(out, ERROR_INFO, info.finish())
  if (violations.length > 0) any(out, BAD_REQUEST, encodeBadRequest(violations))
  return Buffer.from(out.finish())
}

function any (out: BinaryWriter, typeUrl: string, value: Uint8Array): void {
  out.uint32(26).fork().uint32(10).string(typeUrl).uint32(18).bytes(value).join()
}

function encodeBadRequest (violations: readonly Violation[]): Uint8Array {
  const out = new BinaryWriter()
  let left = VIOLATION_BYTES_MAX
  for (const v of violations.slice(0, VIOLATIONS_MAX)) {
    const field = cut(v.field, VALUE_BYTES_MAX)
    const description = cut(v.description, VALUE_BYTES_MAX)
    left -= Buffer.byteLength(field) + Buffer.byteLength(description) + v.reason.length + 8
    if (left < 0) break
    out.uint32(10).fork().uint32(10).string(field).uint32(18).string(description).uint32(26).string(v.reason).join()
  }
  return out.finish()
}

/** Calls `take` for each length-delimited field; other wire types are skipped. */
function eachField (bytes: Uint8Array, take: (field: number, value: Uint8Array) => void): void {
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (type === 2) take(field, reader.bytes())
    else reader.skip(type)
  }
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')

function decodeStatus (raw: Buffer): Array<{ typeUrl: string, value: Uint8Array }> {
  const out: Array<{ typeUrl: string, value: Uint8Array }> = []
  eachField(raw, (field, bytes) => {
    if (field !== 3) return
    const item: { typeUrl: string, value: Uint8Array } = { typeUrl: '', value: new Uint8Array() }
    eachField(bytes, (f, v) => { if (f === 1) item.typeUrl = text(v); else if (f === 2) item.value = v })
    out.push(item)
  })
  return out
}

function decodeErrorInfo (raw: Uint8Array): { errorClass: ErrorClass, code: string, detail: ErrorDetail } | null {
  let code = ''
  let domain = ''
  const map = new Map<string, string>()
  eachField(raw, (field, bytes) => {
    if (field === 1) code = text(bytes)
    else if (field === 2) domain = text(bytes)
    else if (field === 3) {
      let key = ''
      let value = ''
      eachField(bytes, (f, v) => { if (f === 1) key = text(v); else if (f === 2) value = text(v) })
      map.set(key, value)
    }
  })
  const errorClass = map.get('class')
  if (domain !== DOMAIN || errorClass === undefined || !(errorClass in codeOfClass)) return null
  const detail: ErrorDetail = Object.fromEntries(
    ['object', 'found', 'expected', 'next'].flatMap((key) => map.has(key) ? [[key, map.get(key)]] : []))
  return { errorClass: errorClass as ErrorClass, code, detail }
}

function decodeBadRequest (raw: Uint8Array): Violation[] {
  const out: Violation[] = []
  eachField(raw, (field, bytes) => {
    if (field !== 1) return
    const v = { field: '', description: '', reason: '' }
    eachField(bytes, (f, value) => {
      if (f === 1) v.field = text(value)
      else if (f === 2) v.description = text(value)
      else if (f === 3) v.reason = text(value)
    })
    out.push(v)
  })
  return out
}

function cut (value: string, bytesMax: number): string {
  if (Buffer.byteLength(value) <= bytesMax) return value
  return Buffer.from(value).subarray(0, bytesMax - 3).toString('utf8').replace(/\uFFFD+$/, '') + '…'
}
