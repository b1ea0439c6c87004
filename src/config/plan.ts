/**
 * What an apply would do, as lines for people and in the order in which it is safe: new and changed things first, in the order in which
 * they need each other, then what is gone, in reverse (hazard 80: clear-then-write opens a hole). Pure function of two configurations.
 */
import type { Endpoint } from '../contract/cluster.js'
import type { Desired } from '../contract/desired.js'
import type { PlanStep } from '../contract/services.js'
import { formatEndpoint } from '../lib/address.js'
import { formatDuration } from './units.js'

interface Item { readonly name: string, readonly value: unknown, readonly summary: string }
interface Section { readonly kind: string, readonly items: (d: Desired) => readonly Item[], readonly ordered?: boolean }

const named = <T extends { readonly name: string }>(list: readonly T[], summary: (value: T) => string): Item[] => list.map(value => ({ name: value.name, value, summary: summary(value) }))
const any = (list: readonly string[]): string => list.length === 0 ? 'any' : list.length > 3 ? `${list.slice(0, 3).join(',')},+${list.length - 3}` : list.join(',')
const match = (rule: { from: readonly string[], to?: readonly string[], applications: readonly string[] }): string =>
  `from ${any(rule.from)}${rule.to === undefined ? '' : ` to ${any(rule.to)}`}${rule.applications.length === 0 ? '' : ` ${any(rule.applications)}`}`

function ownership ({ cluster }: Desired, id: number): object {
  const { rg: _, ...settings } = cluster?.groups.find(({ rg }) => rg === id) ?? {} as { rg?: number }
  return settings
}
const at = ({ host, port }: Endpoint): string => formatEndpoint(host, port)
function clusterItems ({ cluster }: Desired): Item[] {
  if (cluster === null) return []
  const { nodes, groups: _, ...value } = cluster
  return [{ name: 'cluster', value, summary: `${nodes.map(node => node.name).join(', ')}; heartbeat ${formatDuration(value.timing.intervalMs)} x ${value.timing.count}` }]
}

/** In dependency order. */
const sections: readonly Section[] = [
  { kind: 'agent', items: d => [{ name: 'agent', value: d.agent, summary: `backend ${d.agent.backend}` }, { name: 'reload', value: d.reload, summary: `policy-rematch ${d.reload.policyRematch}` }] },
  { kind: 'timeouts', items: d => [{ name: 'timeouts', value: d.timeouts, summary: `${Object.keys(d.timeouts).length} phases` }] },
  { kind: 'cluster', items: d => clusterItems(d) },
  { kind: 'cluster-node', items: d => named((d.cluster?.nodes ?? []).map(n => ({ ...n, sync: n.sync.map(at), heartbeats: n.heartbeats.map(at) })), n => `index ${n.index}, sync ${n.sync.join(', ')}, heartbeat ${n.heartbeats.join(', ')}`) },
  { kind: 'redundancy-group', items: d => d.redundancyGroups.map(g => ({ name: String(g.id), value: { ...g, ...ownership(d, g.id) }, summary: g.description })) },
  { kind: 'screen', items: d => named(d.screens, s => Object.keys(s.limits).join(', ')) },
  { kind: 'schedule', items: d => named(d.schedules, s => `${s.weekly.length} weekly, ${s.dates.length} dates, ${s.timeZone}`) },
  { kind: 'application', items: d => named(d.applications.filter(a => !a.inline), a => `${a.terms.length} term${a.terms.length === 1 ? '' : 's'}`) },
  { kind: 'zone', items: d => named(d.zones, z => `redundancy group ${z.redundancyGroup}${z.screen === null ? '' : `, screen ${z.screen}`}`) },
  { kind: 'port', items: d => named(d.ports, p => p.kind) },
  { kind: 'interface', items: d => named(d.interfaces, i => `on ${i.port}${i.vlan === 0 ? '' : ` vlan ${i.vlan}`}, zone ${i.zone === '' ? i.role : i.zone}`) },
  { kind: 'route', items: d => d.routes.map(r => ({ name: r.prefix, value: r, summary: r.kind === 'gateway' ? `via ${r.nextHop ?? ''}` : r.kind })) },
  { kind: 'bgp', items: d => d.bgp === null ? [] : [{ name: 'bgp', value: { intervalMs: d.bgp.intervalMs, timeoutMs: d.bgp.timeoutMs, maxAgeMs: d.bgp.maxAgeMs }, summary: `read every ${formatDuration(d.bgp.intervalMs)}` }] },
  { kind: 'bgp-source', items: d => named(d.bgp?.sources ?? [], s => s.type) },
  { kind: 'nat-pool', items: d => named(d.nat.pools, p => `${p.addresses.length} address${p.addresses.length === 1 ? '' : 'es'}`) },
  { kind: 'nat-ports', items: d => [{ name: 'interface-ports', value: d.nat.interfacePorts, summary: `${d.nat.interfacePorts.from}-${d.nat.interfacePorts.to}` }] },
  { kind: 'bgp-report', items: d => d.bgp?.report == null ? [] : [{ name: 'report', value: d.bgp.report, summary: `to ${d.bgp.report.sinks.map(s => s.name).join(', ')}` }] },
  { kind: 'bgp-announce', items: d => d.bgp?.announce == null ? [] : [{ name: 'announce', value: d.bgp.announce, summary: `while ${d.bgp.announce.when}` }] },
  { kind: 'healthcheck', items: d => named(d.healthChecks, c => c.type) },
  { kind: 'vip', items: d => named(d.vips.map(({ pools, ...vip }) => ({ ...vip, pools: pools.map(p => p.name) })), v => `${v.address} port ${v.port === 0 ? 'any' : v.port} mode ${v.mode}`) },
  { kind: 'real', items: d => d.vips.flatMap(v => v.pools.flatMap(p => p.reals.map(({ name, ...real }) => ({ name: `${v.name}/${name}`, value: { ...real, pool: p.name }, summary: `${real.address} weight ${real.weight}` })))) },
  { kind: 'nat-static', items: d => named(d.nat.static, s => `${s.outside} to ${s.inside}`) },
  { kind: 'nat-destination', ordered: true, items: d => named(d.nat.destination, r => `${match(r)} -> ${r.translate === null ? 'off' : r.translate.address}`) },
  { kind: 'nat-source', ordered: true, items: d => named(d.nat.source, r => `${match(r)} -> ${r.translate.kind === 'pool' ? `pool ${r.translate.pool}` : r.translate.kind}`) },
  { kind: 'policy', ordered: true, items: d => named(d.policies, p => `${p.action} ${match(p)}`) },
]

/** Settings that are read once, when the agent starts. */
const atStart: Readonly<Record<string, readonly string[]>> = {
  agent: ['node', 'instance', 'stateDir', 'socketPath', 'netns', 'workers', 'table.capacity', 'table.hugepages', 'gateway.grpc', 'gateway.metrics', 'vpp.apiSocket', 'vpp.statsSocket', 'vpp.transport', 'vpp.apiPrefix', 'vpp.library'],
  'cluster-node': ['index', 'sync', 'heartbeats'],
}

/** From nothing (`null`): everything is added. Unchanged things are left out. */
export function planConfig (from: Desired | null, to: Desired): PlanStep[] {
  const write: PlanStep[] = []
  const clear: PlanStep[] = []
  for (const { kind, items, ordered } of sections) {
    const later = kind === 'cluster' && from !== null ? ' (at the next start)' : ''
    const old = new Map((from === null ? [] : items(from)).map(item => [item.name, item]))
    const next = items(to)
    const moved = ordered === true ? movedNames([...old.keys()], next.map(item => item.name)) : new Map<string, string>()
    for (const { name, value, summary } of next) {
      const before = old.get(name)
      old.delete(name)
      if (before === undefined) write.push({ action: 'add', kind, name, detail: summary + later })
      else {
        const changes = differences(before.value, value)
        const place = moved.get(name)
        if (place !== undefined) changes.push(place)
        if (changes.length > 0) write.push({ action: 'change', kind, name, detail: changes.map(change => kind === 'cluster' || atStart[kind]?.includes(change.split(' ')[0] ?? '') === true ? `${change} (at the next start)` : change).join('; ') })
      }
    }
    clear.unshift(...[...old.values()].reverse().map(({ name, summary }): PlanStep => ({ action: 'remove', kind, name, detail: summary + later })))
  }
  return [...write, ...clear]
}

/** Names whose order among the common ones changed: all but a longest sequence that kept its order. */
function movedNames (old: readonly string[], next: readonly string[]): Map<string, string> {
  const position = new Map(old.map((name, i) => [name, i]))
  const common = next.filter(name => position.has(name))
  // Longest increasing subsequence: tails[k] = index of the smallest end of a run of k + 1.
  const at = common.map(name => position.get(name) ?? 0)
  const tails: number[] = []
  const before: number[] = []
  at.forEach((value, i) => {
    let low = 0
    let high = tails.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((at[tails[middle] ?? 0] ?? 0) < value) low = middle + 1
      else high = middle
    }
    before[i] = low === 0 ? -1 : tails[low - 1] ?? -1
    tails[low] = i
  })
  const kept = new Set<number>()
  for (let i = tails.at(-1) ?? -1; i >= 0; i = before[i] ?? -1) kept.add(i)
  const out = new Map<string, string>()
  common.forEach((name, i) => {
    if (kept.has(i)) return
    const where = next.indexOf(name)
    out.set(name, where === 0 ? 'moved to the top' : `moved after ${next[where - 1] ?? ''}`)
  })
  return out
}

/** What everybody may see of a setting that may hold a secret, by the end of its path: the rest stays with those who may read the text. */
const shown: ReadonlyArray<readonly [RegExp, (value: string) => string]> = [
  [/(^|\.)(headers\.[^.]+|send|argv)$/, () => 'set'],
  [/\.url$/, value => URL.canParse(value) ? new URL(value).origin : 'set'],
  [/^http\.path$/, value => value.replace(/\?.*/s, '?...')],
]
/** A list of things with names, by name; `null`: it is none. */
function byName (list: unknown): Readonly<Record<string, unknown>> | null {
  const items: readonly unknown[] = Array.isArray(list) ? list : []
  const named = items.flatMap(item => isRecord(item) && typeof item['name'] === 'string' ? [[item['name'], item] as const] : [])
  return named.length === 0 || named.length < items.length ? null : Object.fromEntries(named)
}

/** `weight 100 -> 50`, one per differing leaf; lists are compared by the names of what they hold, or as a whole. */
function differences (before: unknown, after: unknown, path = ''): string[] {
  if (isRecord(before) && isRecord(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    return keys.flatMap(key => differences(before[key], after[key], path === '' ? key : `${path}.${key}`))
  }
  const [was, is] = [JSON.stringify(before), JSON.stringify(after)]
  if (was === is) return []
  const show = shown.find(([end]) => end.test(path))?.[1]
  if (show !== undefined) {
    const [a, b] = [before, after].map(value => value === null || value === undefined ? 'none' : show(typeof value === 'string' ? value : ''))
    return [a === b ? `${path} changed` : `${path} ${a} -> ${b}`]
  }
  const [old, next] = [byName(before), byName(after)]
  if (old !== null && next !== null) return [...differences(Object.keys(old), Object.keys(next), path), ...Object.keys(old).filter(name => name in next).flatMap(name => differences(old[name], next[name], `${path}.${name}`))]
  if (Array.isArray(before) && Array.isArray(after)) {
    const text = (value: unknown): string => typeof value === 'string' ? value : isRecord(value) && typeof value['name'] === 'string' ? value['name'] : JSON.stringify(value)
    const [a, b] = [before.map(text), after.map(text)]
    const added = b.filter(item => !a.includes(item))
    const gone = a.filter(item => !b.includes(item))
    const listed = (items: readonly string[], sign: string): string[] => items.length > 3 ? [...items.slice(0, 3).map(item => sign + item), `${sign}${items.length - 3} more`] : items.map(item => sign + item)
    return [added.length + gone.length === 0 ? `${path} reordered` : `${path} ${[...listed(added, '+'), ...listed(gone, '-')].join(' ')}`]
  }
  return [`${path} ${leaf(before)} -> ${leaf(after)}`]
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => value !== null && typeof value === 'object' && !Array.isArray(value)
/** A whole branch that comes or goes is not spelt out: it may hold any of what is above. */
const leaf = (value: unknown): string => value === null || value === undefined ? 'none' : typeof value === 'string' ? value : isRecord(value) ? 'set' : JSON.stringify(value)
