import { LockstepError } from '../contract/errors.js';
export const REQUEST_BYTES_MAX = 64 << 10;
/** Stands in for a request that was not decoded. */
class Oversized {
    bytes;
    constructor(bytes) { this.bytes = bytes; }
}
/** The same definition with the bound on every request. */
export function smallRequests(definition) {
    return Object.fromEntries(Object.entries(definition).map(([name, method]) => [name, {
            ...method,
            requestDeserialize: (bytes) => bytes.length > REQUEST_BYTES_MAX ? new Oversized(bytes.length) : method.requestDeserialize(bytes)
        }]));
}
/** @throws exhausted LS_R_REQUEST_SIZE */
export function refuseOversized(request) {
    if (!(request instanceof Oversized))
        return request;
    throw new LockstepError('exhausted', 'LS_R_REQUEST_SIZE', 'the request is too large', { object: 'request', found: `${request.bytes} bytes`, expected: `at most ${REQUEST_BYTES_MAX}` });
}
//# sourceMappingURL=request-size.js.map