/** The typed error behind a gRPC status: the way back of src/rpc/error-status.ts. */
import { status } from '@grpc/grpc-js';
import { LockstepError } from '../contract/errors.js';
import { BadRequest, ErrorInfo } from '../generated/proto/google/rpc/error_details.js';
import { Status } from '../generated/proto/google/rpc/status.js';
const classes = ['invalid', 'unsupported', 'stale', 'exhausted', 'unavailable', 'bug'];
/** What an error without details (from an older or foreign server, or from grpc-js itself) is taken for. */
const classOfCode = {
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
};
/** A LockstepError that came over the wire. Without details its code is `LS_R_` and the name of the gRPC code. */
export class RemoteError extends LockstepError {
    grpcCode;
    /** What is wrong with a refused configuration, place by place. */
    violations;
    constructor(text, grpcCode, { errorClass, code, detail }, violations, cause) {
        super(errorClass, code, text, detail, cause);
        this.name = 'RemoteError';
        this.message = text;
        this.grpcCode = grpcCode;
        this.violations = violations;
    }
}
export function errorOfStatus(error) {
    const raw = error.metadata.get('grpc-status-details-bin')[0];
    let meaning = { errorClass: classOfCode[error.code] ?? 'bug', code: `LS_R_${status[error.code]}`, detail: {} };
    let violations = [];
    if (raw instanceof Buffer) {
        try {
            for (const { typeUrl, value } of Status.decode(raw).details) {
                if (typeUrl.endsWith('/google.rpc.ErrorInfo'))
                    meaning = meaningOf(ErrorInfo.decode(value)) ?? meaning;
                if (typeUrl.endsWith('/google.rpc.BadRequest'))
                    violations = BadRequest.decode(value).fieldViolations;
            }
        }
        catch { /* garbage in the details: the code says enough */ }
    }
    const cutOff = error.code === status.CANCELLED && meaning.code === 'LS_R_CANCELLED';
    const text = error.details === '' ? error.message : error.details;
    return new RemoteError(cutOff ? 'the call was cut off: the agent stopped, or the call was cancelled' : text, error.code, meaning, violations, error);
}
function meaningOf({ reason, domain, metadata }) {
    const { class: errorClass = '', object, found, expected, next } = metadata;
    if (domain !== 'lockstep' || !classes.includes(errorClass))
        return null;
    const given = Object.entries({ object, found, expected, next }).filter(([, value]) => value !== undefined);
    return { errorClass: errorClass, code: reason, detail: Object.fromEntries(given) };
}
//# sourceMappingURL=remote-error.js.map