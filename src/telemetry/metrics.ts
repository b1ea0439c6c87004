/**
 * The metrics page. One reading of the dataplane's counters a scrape, taken when the registry collects; no lock, no state kept
 * between scrapes: each family is emptied and filled again, so a series ends with the object it is about. Labels are names of
 * configured objects, addresses of NAT pools and code names only (bounded by limits.h), never addresses of clients or session ids.
 * Occupancy of NAT pools and what the sessions are take a walk each: at most one in WALK_MAX_AGE_MS, and no scrape waits for a long one.
 * Families of a pair are in cluster-metrics.ts, those of VIPs and health checks in load-balancer-metrics.ts, of configurations, events, threads and sessions in
 * control-metrics.ts, of BGP sessions in bgp-metrics.ts; when their status fails the page goes without them. What the gRPC server is asked (served-metrics.ts) is counted as it happens, and kept.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'
import type { ClusterStatus } from '../contract/cluster.js'
import type { CounterSnapshot, LinkInfo, NatUsage, ProgramStatus, SessionTally } from '../contract/dataplane.js'
import type { AgentInfo, AgentServices, ConfigStatus } from '../contract/services.js'
import { counter as globalCodes } from '../generated/codes.js'
import { RESOLUTION_MS } from '../lib/loop-delay.js'
import { addBgp, type BgpReadingNow } from './bgp-metrics.js'
import { addCluster } from './cluster-metrics.js'
import { addControl } from './control-metrics.js'
import { blockRows, counterBlocks, objectName, type BlockName, type BlockRow, type BlockShape } from './counter-blocks.js'
import { addCounter } from './families.js'
import { addLoadBalancer, type LoadBalancerReading } from './load-balancer-metrics.js'
import { Served } from './served-metrics.js'
import { natWalk, sessionWalk, type TableWalk } from './table-walk.js'

/** Prometheus text exposition 0.0.4. */
export interface MetricsPage { readonly contentType: string, readonly render: () => Promise<string> }
export interface Metrics extends MetricsPage { readonly registry: Registry, readonly served: Served }

export type MetricsSource = Pick<AgentServices, 'info' | 'dataplane' | 'cluster' | 'config' | 'loadBalancer' | 'bgp' | 'names'>

/** Families of one block: field index -> family name and help. `drops` and `global` are apart: their rows are codes. */
const objectFamilies: ReadonlyArray<{ readonly block: BlockName, readonly label: string, readonly fields: ReadonlyArray<readonly [string, string]> }> = [
  { block: 'zone_in', label: 'zone', fields: [['zone_received_packets', 'Packets received from a zone'], ['zone_received_bytes', 'Bytes received from a zone, layer 3']] },
  { block: 'zone_out', label: 'zone', fields: [['zone_sent_packets', 'Packets sent to a zone'], ['zone_sent_bytes', 'Bytes sent to a zone, layer 3']] },
  { block: 'zone_drops', label: 'zone', fields: [['zone_dropped_packets', 'Packets dropped, by the zone they came from']] },
  { block: 'iface_rx', label: 'interface', fields: [['interface_received_packets', 'Packets received on an interface'], ['interface_received_bytes', 'Bytes received on an interface, whole frames']] },
  { block: 'iface_tx', label: 'interface', fields: [['interface_sent_packets', 'Packets sent on an interface'], ['interface_sent_bytes', 'Bytes sent on an interface, whole frames']] },
  { block: 'policy', label: 'policy', fields: [['policy_packets', 'Packets that a policy decided on'], ['policy_bytes', 'Bytes that a policy decided on, layer 3']] },
  { block: 'vip', label: 'vip', fields: [['vip_packets', 'Packets to a VIP'], ['vip_bytes', 'Bytes to a VIP, layer 3'], ['vip_new_sessions', 'Sessions opened to a VIP'], ['vip_no_real', 'Packets to a VIP without a usable real']] },
  { block: 'real', label: 'real', fields: [['real_packets', 'Packets to a real'], ['real_bytes', 'Bytes to a real, layer 3'], ['real_new_sessions', 'Sessions opened to a real']] }
]

/** Longest stretch of rendering before others have their turn. */
const TURN_MS = 5
const WALK_MAX_AGE_MS = 10_000
/** A walk that takes longer shows in the next scrape. */
const WALK_PATIENCE_MS = 25

/** Default ones that are gauges by the name of a counter. */
const notConventional = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']
const shapes: ReadonlyMap<BlockName, BlockShape> = new Map(counterBlocks.map((b) => [b.name, b]))
const switchResults = ['done', 'forced', 'refused', 'failed'] as const
const agentStates: ReadonlyArray<AgentInfo['state']> = ['starting', 'running', 'degraded', 'stopping']

/** Creates the registry; `collectDefaultMetrics` starts the event-loop and garbage-collection observers of this process. */
export function createMetrics (source: MetricsSource, nat: Pick<TableWalk<readonly NatUsage[]>, 'poll'> = natWalk(source.dataplane)): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'lockstep_', eventLoopMonitoringPrecision: RESOLUTION_MS })
  for (const name of notConventional) registry.removeSingleMetric(`lockstep_${name}`)
  const reading = new Reading(source)
  const sessions = sessionWalk(source.dataplane)
  const served = new Served(registry)
  addAgent(registry, reading)
  addGlobal(registry, reading)
  addProgram(registry, reading)
  addDrivers(registry, reading)
  addCodes(registry, reading)
  for (const family of objectFamilies) addObjects(registry, reading, family)
  addDevices(registry, reading)
  addNat(registry, reading)
  addCluster(registry, () => ({ status: reading.now.cluster, tallies: reading.now.info.cluster }))
  addControl(registry, () => reading.now, source.names)
  addLoadBalancer(registry, () => reading.now.loadBalancer)
  addBgp(registry, () => reading.now.bgp)
  const render = async (): Promise<string> => {
    const [pools, tally] = await Promise.all([nat.poll(WALK_MAX_AGE_MS, WALK_PATIENCE_MS), sessions.poll(WALK_MAX_AGE_MS, WALK_PATIENCE_MS)])
    await reading.take(pools?.value ?? [], tally?.value ?? null)
    return await page(registry)
  }
  let running: Promise<string> | null = null
  return {
    registry,
    served,
    contentType: registry.contentType,
    // Families are filled in turns: two renderings at a time would mix their readings, so who comes meanwhile gets the same page.
    render: async () => await (running ??= render().finally(() => { running = null }))
  }
}

/** As `registry.metrics()`, with turns of the event loop in between: thousands of series take tens of milliseconds. */
async function page (registry: Registry): Promise<string> {
  const families: string[] = []
  let turn = performance.now()
  for (const { name } of registry.getMetricsAsArray()) {
    families.push(await registry.getSingleMetricAsString(name))
    if (performance.now() - turn < TURN_MS) continue
    await nextTurn()
    turn = performance.now()
  }
  return `${families.join('\n\n')}\n`
}

interface Taken {
  readonly snapshot: CounterSnapshot
  readonly info: AgentInfo
  readonly links: readonly LinkInfo[]
  readonly nat: readonly NatUsage[]
  readonly sessions: SessionTally | null
  readonly config: ConfigStatus | null
  readonly cluster: ClusterStatus | null
  readonly loadBalancer: LoadBalancerReading
  readonly bgp: BgpReadingNow
}

/** One snapshot and one AgentInfo that all families of a scrape share. */
class Reading {
  readonly #source: MetricsSource
  #taken: Taken | null = null
  readonly #rows = new Map<BlockName, readonly BlockRow[]>()

  constructor (source: MetricsSource) { this.#source = source }

  async take (nat: readonly NatUsage[], sessions: SessionTally | null): Promise<void> {
    const dataplane = this.#source.dataplane()
    const { cluster: pair, loadBalancer: lb, bgp } = this.#source
    const configStatus = async (): Promise<ConfigStatus> => await this.#source.config.status()
    const [info, links, cluster, config, vips, targets, neighbours, sources, sinks, routes, routeSinks] = await Promise.all([this.#source.info(), dataplane.links(), pair.status().catch(() => null), configStatus().catch(() => null), lb.vips().catch(() => []), lb.targets().catch(() => []), bgp.neighbours().catch(() => []), bgp.sources().catch(() => []), bgp.sinks().catch(() => []), bgp.routes().catch(() => []), bgp.routeSinks().catch(() => [])])
    this.#taken = { snapshot: dataplane.telemetry.snapshot(), info, links, nat, sessions, config, cluster, loadBalancer: { vips, targets }, bgp: { neighbours, sources, sinks, routes, routeSinks } }
    this.#rows.clear()
  }

  get now (): Taken {
    if (this.#taken === null) throw new Error('metrics are rendered by Metrics.render, which reads first')
    return this.#taken
  }

  /** Rows of objects that exist, made once a scrape. */
  rows (name: BlockName): readonly BlockRow[] {
    const shape = shapes.get(name)
    const rows = this.#rows.get(name) ?? (shape === undefined ? [] : blockRows(this.now.snapshot, shape, this.#source.names, 'known'))
    this.#rows.set(name, rows)
    return rows
  }

  /** Addresses of pools that exist. */
  nat (): ReadonlyArray<NatUsage & { readonly name: string }> {
    return this.now.nat.flatMap((row) => {
      const name = objectName(this.#source.names, 'pool', row.pool)
      return name === null ? [] : [{ ...row, name }]
    })
  }
}

function addAgent (registry: Registry, reading: Reading): void {
  const registers = [registry]
  const gauge = (name: string, help: string, value: (info: AgentInfo) => number): void => {
    new Gauge({ name: `lockstep_${name}`, help, registers, collect () { this.set(value(reading.now.info)) } })
  }
  new Gauge({
    name: 'lockstep_build_info',
    help: 'Version, node, instance and backend of the agent; always 1',
    labelNames: ['version', 'node', 'instance', 'backend'],
    registers,
    collect () {
      const { version, node, instance, backend } = reading.now.info
      this.reset()
      this.set({ version, node, instance, backend }, 1)
    }
  })
  new Gauge({
    name: 'lockstep_agent_state',
    help: 'State of the agent: 1 for the one it is in',
    labelNames: ['state'],
    registers,
    collect () { for (const state of agentStates) this.set({ state }, reading.now.info.state === state ? 1 : 0) }
  })
  gauge('start_time_seconds', 'Unix time at which the agent started', (i) => i.startedAt / 1000)
  gauge('config_generation', 'Generation of the running configuration', (i) => i.generation)
  gauge('sessions', 'Live sessions', (i) => i.tableLive)
  gauge('session_table_slots', 'Capacity of the session table', (i) => i.tableCapacity)
  new Counter({
    name: 'lockstep_backend_switches_total',
    help: 'Changes of the backend while the agent ran, by result; forced: those of done that gave something up',
    labelNames: ['result'],
    registers,
    collect () {
      this.reset()
      for (const result of switchResults) this.inc({ result }, reading.now.info.switches[result])
    }
  })
  gauge('backend_switch_last_hand_over_seconds', 'Longest hand-over of a port at the last change of the backend that was done; 0: there was none', (i) => i.switches.lastHandOverUs / 1e6)
}

/** Absent unless the backend programs another dataplane. */
function addProgram (registry: Registry, reading: Reading): void {
  const of = (name: string, help: string, read: (p: ProgramStatus) => number, labels: (p: ProgramStatus) => Readonly<Record<string, string>> = () => ({})): void => {
    new Gauge({
      name, help, labelNames: ['backend', ...Object.keys(labels(noProgram))], registers: [registry], // one without labels would never be absent
      collect () {
        this.reset()
        const { program, backend } = reading.now.info
        if (program !== null) this.set({ backend, ...labels(program) }, read(program))
      }
    })
  }
  of('lockstep_program_up', 'Whether the dataplane that is programmed answers', p => p.up ? 1 : 0)
  of('lockstep_program_since_seconds', 'Unix time since when it is up, or not', p => p.since / 1000)
  of('lockstep_program_nat_sessions', 'Sessions of its NAT that it has; 0 unless they are kept', p => p.nat?.sessions ?? 0)
  of('lockstep_program_info', 'Its version and process, 1 while it is up', p => p.up ? 1 : 0, ({ version, pid }) => ({ version, pid: String(pid) }))
  const counter = (name: string, help: string, kinds: (p: ProgramStatus) => Readonly<Record<string, number>>, label: string): void => {
    new Counter({
      name, help, labelNames: [label], registers: [registry],
      collect () {
        this.reset()
        const { program } = reading.now.info
        for (const [kind, n] of Object.entries(program === null ? {} : kinds(program))) this.inc({ [label]: kind }, n)
      }
    })
  }
  counter('lockstep_program_messages_total', 'Messages to and from it', ({ messages: { sent, received, timedOut, events } }) => ({ sent, received, timed_out: timedOut, event: events }), 'kind')
  counter('lockstep_program_operations_total', 'What was done to it', ({ operations }) => operations, 'kind')
  counter('lockstep_program_nat_changes_total', 'Sessions of its NAT that came and went: here as it said, there as their owner said', ({ nat }) => ({ ...nat?.changes }), 'change')
  counter('lockstep_program_connects_total', 'Lives of it that were brought up', ({ connects }) => ({ up: connects }), 'result')
}
const noProgram: ProgramStatus = { up: false, version: '', buildDate: '', pid: 0, since: 0, reason: '', connects: 0, operations: {}, messages: { sent: 0, received: 0, timedOut: 0, events: 0 }, nat: null }

/** Absent unless drivers are the backend's own. */
function addDrivers (registry: Registry, reading: Reading): void {
  new Gauge({
    name: 'lockstep_driver_port_up', help: 'Whether a port of DPDK has a link', labelNames: ['port', 'driver'], registers: [registry],
    collect () {
      this.reset()
      for (const { port, driver, up } of reading.now.info.drivers) this.set({ port, driver }, up ? 1 : 0)
    }
  })
  new Counter({
    name: 'lockstep_driver_port_total', help: 'What the driver of a port of DPDK counts, by its own names', labelNames: ['port', 'driver', 'counter'], registers: [registry],
    collect () {
      this.reset()
      for (const { port, driver, counters } of reading.now.info.drivers) for (const [counter, n] of Object.entries(counters)) this.inc({ port, driver, counter }, n)
    }
  })
}

function addGlobal (registry: Registry, reading: Reading): void {
  globalCodes.forEach((code, id) => {
    new Counter({
      name: `lockstep_${code.name}_total`,
      help: sentence(code.text),
      registers: [registry],
      collect () {
        this.reset()
        this.inc(reading.now.snapshot.blocks.global?.[id] ?? 0)
      }
    })
  })
}

function addCodes (registry: Registry, reading: Reading): void {
  new Counter({
    name: 'lockstep_dropped_packets_total',
    help: 'Packets dropped, by reason; every drop has exactly one',
    labelNames: ['reason'],
    registers: [registry],
    collect () {
      this.reset()
      for (const row of reading.rows('drops')) if (row.id !== 0) this.inc({ reason: row.name }, row.values[0] ?? 0)
    }
  })
  const screens = shapes.get('screens')
  new Counter({
    name: 'lockstep_screen_hits_total',
    help: 'Packets stopped by a screen of a zone',
    labelNames: ['zone', 'screen'],
    registers: [registry],
    collect () {
      this.reset()
      for (const row of reading.rows('screens')) {
        row.values.forEach((value, i) => this.inc({ zone: row.name, screen: screens?.fields[i] ?? `#${i}` }, value))
      }
    }
  })
}

function addObjects (registry: Registry, reading: Reading, { block, label, fields }: (typeof objectFamilies)[number]): void {
  fields.forEach(([name, help], field) => { addCounter(registry, { name, help, labelNames: [label], series: () => reading.rows(block).map(row => [{ [label]: row.name }, row.values[field] ?? 0]) }) })
}

/** Ports as the backend opened them, apart from logical interfaces. */
function addDevices (registry: Registry, reading: Reading): void {
  const fields = [
    ['received_packets', 'rxPackets', 'Packets received on a port'], ['sent_packets', 'txPackets', 'Packets sent on a port'],
    ['receive_dropped_packets', 'rxDropped', 'Packets the port lost before they were read'], ['send_dropped_packets', 'txDropped', 'Packets the port could not send']
  ] as const
  for (const [name, key, help] of fields) {
    new Counter({
      name: `lockstep_port_${name}_total`,
      help,
      labelNames: ['port'],
      registers: [registry],
      collect () {
        this.reset()
        for (const link of reading.now.links) this.inc({ port: link.name }, link[key])
      }
    })
  }
  new Gauge({
    name: 'lockstep_port_up',
    help: 'Whether a port is up',
    labelNames: ['port', 'kind'],
    registers: [registry],
    collect () {
      this.reset()
      for (const link of reading.now.links) this.set({ port: link.name, kind: link.kind }, link.up ? 1 : 0)
    }
  })
}

function addNat (registry: Registry, reading: Reading): void {
  const labelNames = ['pool', 'address']
  const registers = [registry]
  const gauges = [['sessions', 'inUse', 'Sessions that use an address of a NAT pool, all destinations together'], ['ports', 'ports', 'Ports of an address of a NAT pool that one destination can see at a time']] as const
  for (const [name, key, help] of gauges) {
    new Gauge({
      name: `lockstep_nat_pool_${name}`,
      help,
      labelNames,
      registers,
      collect () {
        this.reset()
        for (const row of reading.nat()) this.set({ pool: row.name, address: row.address }, row[key])
      }
    })
  }
  const counters = [['created', 'Sessions that got a port of an address of a NAT pool'], ['failed', 'Flows refused because an address of a NAT pool had no port']] as const
  for (const [key, help] of counters) {
    new Counter({
      name: `lockstep_nat_pool_${key}_total`,
      help,
      labelNames,
      registers,
      collect () {
        this.reset()
        for (const row of reading.nat()) this.inc({ pool: row.name, address: row.address }, row[key])
      }
    })
  }
}

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
