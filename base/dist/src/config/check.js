/** `lockstep check FILE` without an agent: the same issues, and what an apply to an empty host would do. */
import { dirname, resolve } from 'node:path';
import { hostDefaults } from './host-defaults.js';
import { parseConfig } from './parse.js';
import { planConfig } from './plan.js';
/** `file` is where the text came from: relative capture files are beside it. */
export function checkText(text, file) {
    const options = { host: hostDefaults(), ...(file === undefined ? {} : { directory: dirname(resolve(file)) }) };
    const { desired, issues, warnings } = parseConfig(text, options);
    return { ok: desired !== null, issues, warnings, plan: desired === null ? [] : planConfig(null, desired) };
}
//# sourceMappingURL=check.js.map