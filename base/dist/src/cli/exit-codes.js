/** What the process returns; docs/cli.md has the same table. */
import { status } from '@grpc/grpc-js';
import { CommanderError } from 'commander';
import { LockstepError } from '../contract/errors.js';
import { RemoteError } from './remote-error.js';
import { Interrupted } from './io.js';
export const exitCode = {
    ok: 0,
    /** Refused or failed; of check and verify: there are findings. */
    failed: 1,
    usage: 2,
    unreachable: 3,
    notFound: 4,
    denied: 5,
    timeout: 6,
    bug: 70
};
const codeOfStatus = new Map([
    [status.NOT_FOUND, exitCode.notFound], [status.PERMISSION_DENIED, exitCode.denied], [status.UNAUTHENTICATED, exitCode.denied],
    [status.DEADLINE_EXCEEDED, exitCode.timeout]
]);
export function exitCodeOf(error) {
    if (error instanceof Interrupted)
        return error.exitCode;
    if (error instanceof CommanderError)
        return error.exitCode === 0 ? exitCode.ok : exitCode.usage;
    if (error instanceof RemoteError) {
        const known = codeOfStatus.get(error.grpcCode);
        if (known !== undefined)
            return known;
        // A call that we did not cancel ourselves (that is asked before) was cut off by an agent that stopped.
        if (error.code === 'LS_R_UNAVAILABLE' || error.grpcCode === status.CANCELLED)
            return exitCode.unreachable;
    }
    if (!(error instanceof LockstepError))
        return exitCode.bug;
    if (error.code === 'LS_U_USAGE')
        return exitCode.usage;
    if (error.code === 'LS_U_UNREACHABLE')
        return exitCode.unreachable;
    if (error.code === 'LS_E_PERMISSION')
        return exitCode.denied;
    return error.errorClass === 'bug' ? exitCode.bug : exitCode.failed;
}
export function usageError(what, found, expected) {
    return new LockstepError('invalid', 'LS_U_USAGE', what, { found, expected });
}
//# sourceMappingURL=exit-codes.js.map