/** What of a cluster is read once, when the agent starts: listeners, who listens and who dials, the number in epochs. Pure. */
import type { ClusterNode } from '../contract/cluster.js'
import type { Desired } from '../contract/desired.js'

/** Names of such settings that differ, `cluster.nodes.edge-1.sync`; `cluster` alone when there was none or is none any more. */
export function clusterRestarts (before: Desired, after: Desired): string[] {
  const [old, next] = [before.cluster, after.cluster]
  if (old === null || next === null) return old === next ? [] : ['cluster']
  const names = [...new Set([...old.nodes, ...next.nodes].map(node => node.name))].sort()
  return names.flatMap(name => {
    const find = (nodes: readonly ClusterNode[]): ClusterNode | undefined => nodes.find(node => node.name === name)
    const [a, z] = [find(old.nodes), find(next.nodes)]
    const path = `cluster.nodes.${name}`
    if (a === undefined || z === undefined) return [path]
    return [...a.index !== z.index ? [`${path}.index`] : [], ...JSON.stringify(a.sync) !== JSON.stringify(z.sync) ? [`${path}.sync`] : []]
  })
}
