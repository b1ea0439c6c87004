/** Routes in a routing table of the kernel: FRR takes them with `ip import-table` and `redistribute table`, BIRD with a `protocol kernel` that learns. */
import { putRoutes } from '../../native/own-routes.js'
import type { Place } from './place.js'

/** `netns`: a path; empty = the agent's own. */
export const kernelTable = (table: number, netns: string): Place => ({
  name: `kernel table ${table}`, kind: 'kernel',
  put: async (wanted) => await putRoutes(netns, table, wanted),
})
