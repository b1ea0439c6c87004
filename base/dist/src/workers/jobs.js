/** Bulk jobs of the piscina pool: pure functions of their input, run off the main thread. Each export is one job, named in pool.ts. */
import { move } from 'piscina';
import { compile, ConfigError } from '../config/index.js';
import { LockstepError } from '../contract/errors.js';
/** Desired, host facts and rings -> the bank; 4 MiB travel by transfer. */
export function compileBank(job) {
    try {
        const compiled = compile(job.desired, { ports: job.ports }, job.desired.ids, job.rings, new Date(job.nowMs), job.generation);
        move(compiled.bank.buffer);
        return compiled;
    }
    catch (error) {
        return failed(error);
    }
}
/** Errors lose their class between threads, so they travel as data. A bug is thrown as it is. */
function failed(error) {
    if (!(error instanceof LockstepError))
        throw error;
    return { failed: true, errorClass: error.errorClass, code: error.code, message: error.message, detail: error.detail, issues: error instanceof ConfigError ? error.issues : null };
}
//# sourceMappingURL=jobs.js.map