/** How much memory a table takes: a record and half a bucket a session, and what does not grow with it (docs/operations/host.md). */
import { layout } from '../../generated/layout.js'

const FIXED_BYTES = 66 << 20

/** About: rings grow with the number of CPUs, by a few per cent. */
export const tableBytes = (capacity: number): number => capacity * (layout.ls_session.size + layout.ls_bucket.size / 2) + FIXED_BYTES

export const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`
