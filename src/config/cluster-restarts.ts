/** What of a cluster is read once, when the agent starts: listeners, who listens and who dials, the number in epochs, keys, times that both nodes must have alike. Pure. */
import type { ClusterNode } from '../contract/cluster.js'
import type { Desired } from '../contract/desired.js'

/** Names of such settings that differ, `cluster.nodes.edge-1.sync`; `cluster` alone when there was none or is none any more. */
export function clusterRestarts (before: Desired, after: Desired): string[] {
  const [old, next] = [before.cluster, after.cluster]
  if (old === null || next === null) return old === next ? [] : ['cluster']
  const alike = (a: unknown, z: unknown): boolean => JSON.stringify(a) === JSON.stringify(z)
  const whole = ([['key-file', 'keyFile'], ['certificates', 'certificates'], ['heartbeat', 'timing'], ['timers', 'timers']] as const).filter(([, key]) => !alike(old[key], next[key])).map(([name]) => `cluster.${name}`)
  const names = [...new Set([...old.nodes, ...next.nodes].map(node => node.name))].sort()
  return [...whole, ...names.flatMap(name => {
    const find = (nodes: readonly ClusterNode[]): ClusterNode | undefined => nodes.find(node => node.name === name)
    const [a, z] = [find(old.nodes), find(next.nodes)]
    const path = `cluster.nodes.${name}`
    if (a === undefined || z === undefined) return [path]
    return [...a.index !== z.index ? [`${path}.index`] : [], ...alike(a.sync, z.sync) ? [] : [`${path}.sync`], ...alike(a.heartbeats, z.heartbeats) ? [] : [`${path}.heartbeat`]]
  })]
}
