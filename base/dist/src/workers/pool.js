/** The piscina pool for bulk jobs. Two threads at most: a host's cores belong to its packet workers. */
import { Piscina } from 'piscina';
import { ConfigError } from '../config/index.js';
import { LockstepError } from '../contract/errors.js';
export function startPool() {
    const piscina = new Piscina({
        filename: new URL('./jobs.js', import.meta.url).href, minThreads: 1, maxThreads: 2, idleTimeout: 30_000, maxQueue: 64,
        // the default would freeze an idle worker's event loop
        atomics: 'disabled'
    });
    return {
        compile: async (job, signal) => {
            const result = await piscina.run(job, { name: 'compileBank', signal });
            if (!('failed' in result))
                return result;
            if (result.issues !== null)
                throw new ConfigError(result.issues, result.errorClass, result.code);
            const error = new LockstepError(result.errorClass, result.code, '', result.detail);
            error.message = result.message;
            throw error;
        },
        close: async () => { await piscina.destroy(); }
    };
}
//# sourceMappingURL=pool.js.map