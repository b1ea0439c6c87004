/** One file for all nodes (R29): the entry of a node under `nodes` laid over `agent`, `interfaces` and `bgp`, key by key; sources and sinks of BGP by name. */
import { pointer, pointerKeys } from '../issues.js'
import type { RawAgent, RawBgp, RawConfig } from '../raw.js'

export interface ForNode { readonly config: RawConfig, readonly origin: (path: string) => string }

export function forNode (config: RawConfig, node: string): ForNode {
  const own = config.nodes !== undefined && Object.hasOwn(config.nodes, node) ? config.nodes[node] : undefined
  if (own === undefined) return { config, origin: path => path }
  const interfaces: Record<string, object> = { ...config.interfaces }
  for (const [name, keys] of Object.entries(own.interfaces ?? {})) interfaces[name] = { ...interfaces[name], ...keys }
  const base = pointer('/nodes', node)
  const origin = (path: string): string => {
    const [section, ...keys] = pointerKeys(path)
    if (section !== 'agent' && section !== 'interfaces' && section !== 'bgp') return path
    return given(own[section], keys) || (section === 'interfaces' && keys.length === 1 && !given(config.interfaces, keys)) ? base + path : path
  }
  return { config: { ...config, agent: mergeAgent(config.agent ?? {}, own.agent ?? {}), interfaces, ...own.bgp === undefined ? {} : { bgp: mergeBgp(config.bgp ?? {}, own.bgp) } }, origin }
}

function mergeAgent (shared: RawAgent, own: Omit<RawAgent, 'node'>): RawAgent {
  return {
    ...shared, ...own,
    ...(own.labels === undefined ? {} : { labels: { ...shared.labels, ...own.labels } }),
    ...(own.table === undefined ? {} : { table: { ...shared.table, ...own.table } }),
    ...(own.management === undefined ? {} : { management: { ...shared.management, ...own.management } }),
    ...(own.gateway === undefined ? {} : { gateway: { ...shared.gateway, ...own.gateway } }),
  }
}

function mergeBgp (shared: RawBgp, own: RawBgp): RawBgp {
  return {
    ...shared, ...own, sources: { ...shared.sources, ...own.sources },
    ...(own.announce === undefined ? {} : { announce: { ...shared.announce, ...own.announce } }),
    ...(own.report === undefined ? {} : { report: { ...shared.report, ...own.report, sinks: { ...shared.report?.sinks, ...own.report.sinks } } }),
  }
}

/** The node's own entry says something at this place (an interface alone is only a container). */
function given (value: unknown, keys: readonly string[]): boolean {
  if (keys.length < 1) return false
  let node = value
  for (const [depth, key] of keys.entries()) {
    if (node === null || typeof node !== 'object') return depth > 1
    if (Array.isArray(node)) return true
    if (!Object.hasOwn(node, key)) return false
    node = (node as Readonly<Record<string, unknown>>)[key]
  }
  return node === null || typeof node !== 'object' || Array.isArray(node)
}
