/** The configuration, from YAML text to the compiled bank. Start with parse.ts; authority.ts ties all together. */
export { compile, policyActiveRow, type CompiledConfig, type HostFacts, type PortFacts, type RingFacts, type Rings } from './compile/index.js'
export { ringInputs, type RingInput } from './compile/vips.js'
export { emptyIds, IdBook, withIds } from './ids.js'
export { ConfigError, formatIssue } from './issues.js'
export { parseConfig, type ParseOptions, type ParseResult } from './parse.js'
export { nextScheduleEdge } from './schedule.js'
export { configSchema } from './schema/index.js'
