/**
 * Requests that carry no configuration are small: one that is not is refused before it is decoded, which for millions of list
 * items would hold the thread for a third of a second.
 */
import type { ServiceDefinition } from '@grpc/grpc-js'
import { LockstepError } from '../contract/errors.js'

const REQUEST_BYTES_MAX = 64 << 10
/** Sessions.Install: as many sessions as a call takes. */
export const INSTALL_BYTES_MAX = 1 << 20

/** Stands in for a request that was not decoded. */
class Oversized {
  readonly bytes: number
  readonly bytesMax: number
  constructor (bytes: number, bytesMax: number) {
    this.bytes = bytes
    this.bytesMax = bytesMax
  }
}

/** The same definition with a bound on every request; `larger`: those of methods that take more, by name. */
export function smallRequests<Definition extends ServiceDefinition> (definition: Definition, larger: Partial<Record<keyof Definition, number>> = {}): Definition {
  return Object.fromEntries(Object.entries(definition).map(([name, method]) => {
    const bytesMax = larger[name] ?? REQUEST_BYTES_MAX
    return [name, { ...method, requestDeserialize: (bytes: Buffer): unknown => bytes.length > bytesMax ? new Oversized(bytes.length, bytesMax) : method.requestDeserialize(bytes) }]
  })) as Definition
}

/** @throws exhausted LS_R_REQUEST_SIZE */
export function refuseOversized<Req> (request: Req): Req {
  if (!(request instanceof Oversized)) return request
  throw new LockstepError('exhausted', 'LS_R_REQUEST_SIZE', 'the request is too large', { object: 'request', found: `${request.bytes} bytes`, expected: `at most ${request.bytesMax}` })
}
