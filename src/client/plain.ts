/** Objects as people and scripts have them: enumerations as words (`rolled-back`), the rest as it is. */
import type { Kind, ObjectOf } from './grpc.js'

/** `GENERATION_STATE_ROLLED_BACK` of prefix GENERATION_STATE -> `rolled-back`. */
export function enumWord (prefix: string, value: string): string {
  return value.startsWith(prefix) ? value.slice(prefix.length + 1).toLowerCase().replaceAll('_', '-') : value.toLowerCase()
}

const wordOf = (prefix: string) => (value: string): string => enumWord(prefix, value)
const [agentState, vipState, targetState, generationState, generationSource, role, liveness, bgpState] =
  [wordOf('AGENT_STATE'), wordOf('VIP_STATE'), wordOf('TARGET_STATE'), wordOf('GENERATION_STATE'), wordOf('GENERATION_SOURCE'), wordOf('RG_ROLE'), wordOf('PEER_LIVENESS'), wordOf('BGP_STATE')] as const

const plain = {
  agent: (v: ObjectOf<'agent'>) => ({ ...v, state: agentState(v.state) }),
  vip: (v: ObjectOf<'vip'>) => ({ ...v, state: vipState(v.state) }),
  target: (v: ObjectOf<'target'>) => ({ ...v, state: targetState(v.state), history: v.history.map(h => ({ ...h, from: targetState(h.from), to: targetState(h.to) })) }),
  link: (v: ObjectOf<'link'>) => v,
  generation: (v: ObjectOf<'generation'>) => ({ ...v, state: generationState(v.state), source: generationSource(v.source) }),
  group: (v: ObjectOf<'group'>) => ({ ...v, role: role(v.role), peer: v.peer === undefined ? undefined : { ...v.peer, role: role(v.peer.role) }, history: v.history.map(h => ({ ...h, from: role(h.from), to: role(h.to) })) }),
  peer: (v: ObjectOf<'peer'>) => ({ ...v, liveness: liveness(v.liveness), paths: v.paths.map(path => ({ ...path, liveness: liveness(path.liveness) })) }),
  bgp: (v: ObjectOf<'bgp'>) => ({ ...v, state: bgpState(v.state) })
}

export type PlainOf<K extends Kind> = ReturnType<(typeof plain)[K]>

export const plainObject = <K extends Kind>(kind: K, value: ObjectOf<K>): PlainOf<K> => (plain[kind] as unknown as (value: ObjectOf<K>) => PlainOf<K>)(value)
