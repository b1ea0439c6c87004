/** Loads the core addon by name, once, and checks that it was built from the same headers as this code. */
import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LockstepError } from '../contract/errors.js';
import { layout } from '../generated/layout.js';
let loaded = null;
/** The package's own folder: where package.json is. */
export function packageRoot() {
    let at = dirname(fileURLToPath(import.meta.url));
    while (!existsSync(join(at, 'package.json'))) {
        const up = dirname(at);
        if (up === at)
            throw new LockstepError('bug', 'LS_N_ROOT', 'package.json is in no folder above the code');
        at = up;
    }
    return at;
}
/** @throws unavailable LS_N_ADDON: neither built nor prebuilt for this machine, or built from other headers. */
export function loadCore() {
    if (loaded !== null)
        return loaded;
    const require = createRequire(import.meta.url);
    const nodeGypBuild = require('node-gyp-build');
    let core;
    try {
        core = nodeGypBuild(packageRoot());
    }
    catch (cause) {
        throw new LockstepError('unavailable', 'LS_N_ADDON', 'the native addon cannot be loaded', { object: 'core.node', next: 'run npm run build' }, cause);
    }
    if (core.configBytes !== layout.ls_config.size || core.countersBytes !== layout.ls_counters.size) {
        throw new LockstepError('unavailable', 'LS_N_LAYOUT', 'the native addon was built from other headers', {
            object: 'core.node', found: `ls_config of ${core.configBytes} bytes`, expected: `${layout.ls_config.size}`, next: 'run npm run build'
        });
    }
    loaded = core;
    return core;
}
//# sourceMappingURL=load.js.map