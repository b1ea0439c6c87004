/**
 * Parts that offline verbs load only when asked: `lockstep sessions list` must not pay for the agent, and a package without
 * benches still has a CLI. The specifier is a value so that the compiler does not follow it.
 */
import { LockstepError } from '../contract/errors.js';
const places = {
    main: '../main.js',
    quickstart: '../quickstart.js',
    gateway: '../gateway/main.js',
    lab: '../../test/lab/main.js',
    bench: '../../bench/main.js',
    config: '../config/check.js',
    hostDefaults: '../config/host-defaults.js'
};
export async function load(name) {
    const place = places[name];
    try {
        return await import(place);
    }
    catch (cause) {
        const { code, message } = cause;
        if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes(place.split('/').at(-1) ?? place))
            throw cause;
        throw new LockstepError('unsupported', 'LS_U_MODULE', 'this part is not in this package', { object: name, next: name === 'lab' || name === 'bench' ? 'use a clone of the repository: npm run build, then run this there' : 'reinstall the package' }, cause);
    }
}
//# sourceMappingURL=modules.js.map