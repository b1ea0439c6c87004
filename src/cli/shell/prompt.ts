/** What the shell asks with: which node this is, what forwards, what the node is in its pair, or that the agent is not reached. Followed, not asked for. */
import { createColors } from 'picocolors'
import { enumWord, mirror, type ObjectOf, type ObjectsConnection } from '../../client/index.js'
import type { ClusterGroup } from '../../generated/proto/lockstep/v1/cluster.js'
import { printable } from '../format.js'

export interface Prompt {
  readonly text: () => string
  readonly close: () => Promise<void>
}

/** An agent that was started again is seen within a second or so. */
const backoff = { leastMs: 100, mostMs: 1000, healthyMs: 1000 }
const FIRST_MS = 1000

/** Waits a moment for the agent, so that the first prompt tells something. */
export async function followPrompt (objects: ObjectsConnection, color: boolean): Promise<Prompt> {
  const agents = mirror(objects.open('agent'), { backoff })
  const groups = mirror(objects.open('group'), { backoff })
  const soon = { signal: AbortSignal.timeout(FIRST_MS) }
  await Promise.all([agents.waitSynced(soon), groups.waitSynced(soon)]).catch(() => { /* the prompt tells */ })
  const c = createColors(color)
  return {
    text: () => {
      const agent = [...agents.current().values()][0]
      const { state } = agents.status()
      if (state === 'live' && agent !== undefined) return `${words(agent, [...groups.current().values()])}> `
      return `${agent === undefined ? 'lockstep' : printable(agent.node)} ${c.yellow('(not reached)')}> `
    },
    close: async () => { await Promise.all([agents.close(), groups.close()]) }
  }
}

/** `edge-1 userspace owner`: more only when there is more to look at. */
export function words ({ node, backend, state }: ObjectOf<'agent'>, groups: readonly ClusterGroup[]): string {
  const word = enumWord('AGENT_STATE', state)
  return printable([node, backend, ...roles(groups), ...word === 'running' ? [] : [word]].join(' '))
}

/** One word when all groups are alike, else the groups of each role. */
function roles (groups: readonly ClusterGroup[]): string[] {
  const by = new Map<string, number[]>()
  for (const { rg, role } of groups) {
    const word = enumWord('RG_ROLE', role)
    by.set(word, [...by.get(word) ?? [], rg])
  }
  return by.size <= 1 ? [...by.keys()] : [...by].map(([role, rgs]) => `${role}:${rgs.join(',')}`)
}
