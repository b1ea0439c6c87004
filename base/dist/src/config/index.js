/** The configuration, from YAML text to the compiled bank. Start with parse.ts; authority.ts ties all together. */
export { compile, policyActiveRow } from './compile/index.js';
export { ringInputs } from './compile/vips.js';
export { emptyIds, IdBook, withIds } from './ids.js';
export { ConfigError, formatIssue } from './issues.js';
export { parseConfig } from './parse.js';
export { nextScheduleEdge } from './schedule.js';
export { configSchema } from './schema/index.js';
export { Authority } from './authority.js';
export { systemClock } from './authority-parts.js';
export { checkText } from './check.js';
export { hostDefaults } from './host-defaults.js';
export { nameBook } from './names.js';
export { planConfig } from './plan.js';
export { requiredCapabilities, unsupportedIssues } from './requires.js';
export { ConfigStore } from './store.js';
//# sourceMappingURL=index.js.map