/** Facts of one network namespace. */
import type { NamespaceFacts } from '../facts.js'
import { mapSeen, readSeen } from '../seen.js'
import { readAll } from './files.js'
import { gatherRuleset } from './ruleset.js'

const COUNT = '/proc/sys/net/netfilter/nf_conntrack_count'
const MAX = '/proc/sys/net/netfilter/nf_conntrack_max'
const PORTS = '/proc/sys/net/ipv4/ip_local_port_range'
const LEGACY = { '/proc/net/ip_tables_names': 'ip', '/proc/net/ip6_tables_names': 'ip6' } as const

export async function gatherNamespace (netns: string | null, signal?: AbortSignal): Promise<NamespaceFacts> {
  const [ruleset, files] = await Promise.all([gatherRuleset(netns, signal), readAll(netns, [COUNT, MAX, PORTS, ...Object.keys(LEGACY)], signal)])
  return {
    netns,
    ruleset,
    legacyTables: mapSeen(files, (f) => Object.entries(LEGACY).flatMap(([path, family]) => (f.get(path) ?? '').split('\n').filter((n) => n !== '').map((n) => `${family} ${n}`))),
    conntrack: mapSeen(files, (f) => {
      const [count, max] = [f.get(COUNT), f.get(MAX)]
      return count === undefined || max === undefined ? null : { count: Number(count), max: Number(max) }
    }),
    localPorts: readSeen(files, (f) => {
      const [from, to] = (f.get(PORTS) ?? '').split(/\s+/).map(Number)
      if (from === undefined || to === undefined) throw new Error(`no ${PORTS}`)
      return { from, to }
    })
  }
}
