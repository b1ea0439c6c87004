/** `cluster` from what one node's file knows: its own ends, perhaps the peer's. What is not known is left out, and said. */
import { clusterLimits } from '../../contract/cluster-limits.js'
import { formatEndpoint } from '../../lib/address.js'
import type { Notes } from './notes.js'
import type { Comment } from './write.js'

/** The two ends of a path; `null`: not known. */
export interface PairPath { readonly own: string | null, readonly peer: string | null }

export interface Pair {
  readonly node: string
  readonly peer: string
  /** Of equals the lower index owns. */
  readonly first: boolean
  readonly paths: readonly PairPath[]
}

/** As in the examples; another service must not have them. */
export const pairPorts = { sync: 7946, heartbeat: 7945 } as const
const keyFile = '/etc/lockstep/cluster.key'

export function importPair (notes: Notes, pair: Pair, comments: Comment[]): Record<string, unknown> {
  const paths = pair.paths.slice(0, Math.min(clusterLimits.heartbeatPathsMax, clusterLimits.syncPathsMax))
  if (pair.paths.length > paths.length) notes.add(null, 'cluster.nodes', `${pair.paths.length} paths between the nodes: the first ${paths.length} are carried`)
  const node = (index: number, ends: ReadonlyArray<string | null>): Record<string, unknown> => {
    const known = ends.every(end => end !== null) ? ends : []
    const at = (port: number): readonly string[] => known.map(end => formatEndpoint(end ?? '', port))
    return { index, ...(known.length === 0 ? {} : { sync: at(pairPorts.sync), heartbeat: at(pairPorts.heartbeat) }) }
  }
  const nodes = { [pair.node]: node(pair.first ? 1 : 2, paths.map(path => path.own)), [pair.peer]: node(pair.first ? 2 : 1, paths.map(path => path.peer)) }
  for (const [name, entry] of Object.entries(nodes)) {
    if (entry['sync'] !== undefined) continue
    const what = `its sync and heartbeat are not known from this file: give its address with TCP ${pairPorts.sync} and UDP ${pairPorts.heartbeat}`
    notes.add(null, `cluster.nodes.${name}`, what)
    comments.push({ path: ['cluster', 'nodes', name], text: `${what}, like sync: ["192.0.2.1:${pairPorts.sync}"], heartbeat: ["192.0.2.1:${pairPorts.heartbeat}"]` })
  }
  notes.add(null, `cluster.nodes ${pair.node}, ${pair.peer}`, 'this file is for both nodes: name them as the hosts are called, or give agent.node or --node')
  notes.add(null, 'cluster.key-file', `make it once and copy it to both nodes: head -c 32 /dev/urandom > ${keyFile}`)
  return { 'key-file': keyFile, nodes }
}
