/** What a verb may touch of its process: streams, environment, terminal. Tests pass their own. */
import { constants as osConstants } from 'node:os';
import { LockstepError } from '../contract/errors.js';
/** The real process. Colour only on a terminal, never under NO_COLOR (no-color.org). */
export function processIo() {
    const { stdout, stderr, env } = process;
    const colorWanted = (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
    const abort = new AbortController();
    for (const name of ['SIGINT', 'SIGTERM']) {
        process.once(name, () => {
            abort.abort(new Interrupted(128 + osConstants.signals[name]));
            process.once(name, () => process.exit(128 + osConstants.signals[name]));
        });
    }
    return {
        out: async (text) => await new Promise((resolve, reject) => {
            stdout.write(text, (error) => { if (error instanceof Error)
                reject(outputError(error));
            else
                resolve(); });
        }),
        err: (text) => { stderr.write(text); },
        env,
        // Some terminals say 0.
        width: stdout.isTTY ? stdout.columns || 80 : null,
        // Undefined off a terminal, and to picocolors that means "look at CI and FORCE_COLOR".
        color: stdout.isTTY === true && colorWanted,
        errColor: stderr.isTTY === true && colorWanted,
        stdin: async () => {
            const parts = [];
            abort.signal.addEventListener('abort', () => { process.stdin.destroy(abort.signal.reason); }, { once: true });
            for await (const part of process.stdin)
                parts.push(part);
            return Buffer.concat(parts).toString('utf8');
        },
        signal: abort.signal
    };
}
function outputError(cause) {
    return cause.code === 'EPIPE' ? cause : new LockstepError('unavailable', 'LS_U_OUTPUT', 'standard output cannot be written', { found: cause.code ?? cause.message }, cause);
}
export class Interrupted extends Error {
    exitCode;
    constructor(exitCode) {
        super('interrupted');
        this.exitCode = exitCode;
    }
}
//# sourceMappingURL=io.js.map