import { setImmediate as nextTurn } from 'node:timers/promises';
import { LockstepError } from '../contract/errors.js';
import { statusOfError } from './error-status.js';
import { refuseOversized } from './request-size.js';
const WINDOW = 2;
/** An error with a violation for each fault of the request. */
export class RefusedError extends LockstepError {
    violations;
    constructor(error, violations) {
        super(error.errorClass, error.code, '', error.detail, error);
        this.message = error.message;
        this.violations = violations;
    }
}
export function unary(onBug, handle) {
    return (call, callback) => {
        const abort = new AbortController();
        call.on('cancelled', () => abort.abort(cancelled()));
        const run = async () => await handle(refuseOversized(call.request), { signal: abort.signal, caller: callerOf(call.metadata) });
        run().then((response) => callback(null, response), (error) => callback(wireError(call.getPath(), error, onBug)));
    };
}
export function streaming(onBug, handle) {
    return (call) => {
        const abort = new AbortController();
        let waiting = 0;
        let wake = null;
        const over = () => {
            abort.abort(cancelled());
            wake?.();
        };
        call.on('cancelled', over);
        call.on('close', over);
        const send = async (message) => {
            abort.signal.throwIfAborted();
            waiting++;
            call.write(message, () => {
                waiting--;
                wake?.();
            });
            while (waiting >= WINDOW && !abort.signal.aborted) {
                await new Promise((resolve) => { wake = resolve; });
                wake = null;
            }
            abort.signal.throwIfAborted();
        };
        const run = async () => { await handle(refuseOversized(call.request), { signal: abort.signal, caller: callerOf(call.metadata), send }); };
        run().then(() => { call.end(); }, (error) => {
            if (!call.cancelled)
                call.emit('error', wireError(call.getPath(), error, onBug));
        });
    };
}
/** Lets timers and sockets have their turn; ends a loop whose caller has gone. */
export async function yieldTurn(signal) {
    await nextTurn();
    signal.throwIfAborted();
}
function wireError(method, error, onBug) {
    const wire = statusOfError(error, error instanceof RefusedError ? error.violations : []);
    if (!(error instanceof LockstepError) || error.errorClass === 'bug')
        onBug(method, error);
    return Object.assign(new Error(wire.details), wire);
}
function callerOf(metadata) {
    const value = metadata.get('lockstep-caller')[0];
    return typeof value === 'string' && value !== '' ? value.slice(0, 256) : null;
}
function cancelled() {
    return new LockstepError('unavailable', 'LS_E_CANCELLED', 'the caller cancelled or its deadline passed');
}
//# sourceMappingURL=handler.js.map