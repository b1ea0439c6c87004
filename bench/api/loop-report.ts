/** What the two event loops of the server process tell each other: the channel, and the answer to `read`. */
export const CHANNEL = 'lockstep-bench-api'

export interface LoopReport { readonly p99Ms: number, readonly maxMs: number }
