/**
 * Requests that carry no configuration are small: one that is not is refused before it is decoded, which for millions of list
 * items would hold the thread for a third of a second.
 */
import type { ServiceDefinition } from '@grpc/grpc-js'
import { LockstepError } from '../contract/errors.js'

const REQUEST_BYTES_MAX = 64 << 10

/** Stands in for a request that was not decoded. */
class Oversized {
  readonly bytes: number
  constructor (bytes: number) { this.bytes = bytes }
}

/** The same definition with the bound on every request. */
export function smallRequests<Definition extends ServiceDefinition> (definition: Definition): Definition {
  return Object.fromEntries(Object.entries(definition).map(([name, method]) => [name, {
    ...method,
    requestDeserialize: (bytes: Buffer): unknown => bytes.length > REQUEST_BYTES_MAX ? new Oversized(bytes.length) : method.requestDeserialize(bytes)
  }])) as Definition
}

/** @throws exhausted LS_R_REQUEST_SIZE */
export function refuseOversized<Req> (request: Req): Req {
  if (!(request instanceof Oversized)) return request
  throw new LockstepError('exhausted', 'LS_R_REQUEST_SIZE', 'the request is too large', { object: 'request', found: `${request.bytes} bytes`, expected: `at most ${REQUEST_BYTES_MAX}` })
}
