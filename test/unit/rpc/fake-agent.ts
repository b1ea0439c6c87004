/** AgentServices in memory: everything the surfaces may ask, with handles for tests to change what they get. */
import type { ApplyResult, CounterSnapshot, LinkInfo, NatUsage } from '../../../src/contract/dataplane.js'
import { ConfigError } from '../../../src/config/index.js'
import { LockstepError } from '../../../src/contract/errors.js'
import type {
  AgentInfo, AgentServices, ApplyOptions, CheckResult, ConfigAuthority, GenerationInfo, NameKind, PlanStep
} from '../../../src/contract/services.js'
import { counter, drop, phase } from '../../../src/generated/codes.js'
import { layout, limits } from '../../../src/generated/layout.js'
import { DebugRegistry } from '../../../src/telemetry/debug/registry.js'
import { Journal } from '../../../src/telemetry/journal.js'
import { remoteJournal } from '../../../src/workers/event-bridge.js'
import { FakeBgp } from './fake-bgp.js'
import { FakeCluster } from './fake-cluster.js'
import { FakeLoadBalancer } from './fake-load-balancer.js'
import type { EndedTranslations, TranslationQuery } from '../../../src/contract/services.js'
import { decodeFakeRecords, FakeSessions } from './fake-sessions.js'

export interface FakeAgent {
  readonly services: AgentServices
  readonly sessions: FakeSessions
  readonly config: FakeConfig
  readonly cluster: FakeCluster
  readonly loadBalancer: FakeLoadBalancer
  readonly bgp: FakeBgp
  readonly journal: Journal
  readonly counters: CounterSnapshot & { readonly blocks: Record<string, Float64Array> }
  /** Change it: names of configured objects by kind and id. */
  readonly names: Record<NameKind, Record<number, string>>
  info: AgentInfo
  /** Change it: what a walk finds; `walks` counts them. */
  readonly nat: { rows: NatUsage[], walks: number }
  /** Change it: what ended translations are answered with. */
  readonly translations: { answer: EndedTranslations, readonly asked: TranslationQuery[] }
  /** Hands records to every watcher. */
  readonly publish: (records: Uint8Array, lost?: number) => void
  readonly watchers: () => number
  /** Tables of another thread; register before a server starts. */
  readonly debug: DebugRegistry
}

export function createFakeAgent (rows = 1000): FakeAgent {
  const sessions = new FakeSessions(rows)
  const config = new FakeConfig()
  const cluster = new FakeCluster()
  const loadBalancer = new FakeLoadBalancer()
  const bgp = new FakeBgp()
  const journal = new Journal()
  const debug = new DebugRegistry()
  const subscribers = new Set<(records: Uint8Array, lost: number) => void>()
  const names: FakeAgent['names'] = {
    zone: { 1: 'clients', 2: 'servers' }, policy: { 1: 'allow-web' }, vip: { 1: 'web', 2: 'dns' }, real: { 11: 'web/a', 12: 'dns/a' },
    pool: { 1: 'out' }, app: { 0: 'any' }, interface: { 1: 'eth0', 2: 'eth1' }, domain: { 0: 'default' }
  }
  const blocks = emptyBlocks()
  const counters = { timeNs: 123_456_789n, generation: 7, blocks }
  const links: LinkInfo[] = [{ name: 'eth0', device: 1, kind: 'packet', ifindex: 2, mac: '02:00:00:00:00:01', mtu: 1500, up: true, addresses: ['192.0.2.1/24'], rxPackets: 10, txPackets: 20, rxDropped: 1, txDropped: 0 }]
  const nat = {
    walks: 0,
    rows: [
      { pool: 1, address: '203.0.113.1', ports: 64_512, inUse: 16_128, created: 70_000, failed: 0 },
      { pool: 1, address: '2001:db8:7::1', ports: 64_512, inUse: 80_640, created: 90_000, failed: 12 }
    ]
  }
  const column = (n: number, ...counts: Array<readonly [number, number]>): Float64Array => { const out = new Float64Array(n); for (const [at, count] of counts) out[at] = count; return out }
  const tally = { phases: column(phase.length, [phase.findIndex(({ name }) => name === 'tcp_established'), 900], [phase.findIndex(({ name }) => name === 'udp_new'), 100]), zones: column(limits.LS_ZONES_MAX, [1, 990], [9, 10]), protocols: column(256, [6, 900], [17, 90], [47, 10]) }
  const dataplane = {
    sessions,
    telemetry: { snapshot: () => counters, readFloodCounters: (zone: number) => ({ syn_flood: zone * 10 }), natUsage: async () => { nat.walks++; return nat.rows }, sessionTally: async () => tally },
    links: async () => links
  }
  const agent: FakeAgent = {
    sessions,
    config,
    cluster,
    loadBalancer,
    bgp,
    journal,
    counters,
    names,
    nat,
    debug,
    info: {
      labels: { rack: 'b12' },
    version: '0.1.0', node: 'edge-1', instance: 'default', pid: process.pid, startedAt: 1_700_000_000_000, backend: 'userspace', generation: 7,
      state: 'running', reasons: [], reasonsSince: [], tableCapacity: 1 << 20, tableLive: rows, hugepages: false, eventLoopDelayP99Ms: 1.25, rpcLoopDelayP99Ms: 2.5, switches: { done: 2, forced: 1, refused: 1, failed: 0, lastHandOverUs: 5123 }, cluster: [],
      applies: { done: { startup: 1, file: 0, grpc: 3, rollback: 1, peer: 0 }, refused: 2, failed: 0, seconds: { ports: 0.1, compile: 0.2, flip: 0.3, total: 0.75 } },
      events: [{ area: 'config', name: 'config-applied', level: 'info', count: 5 }, { area: 'audit', name: 'call', level: 'warn', count: 2 }],
      threads: [{ name: 'main', loopDelayP99Ms: 1.25, heapBytes: 20e6, busy: 0.125 }, { name: 'sync', loopDelayP99Ms: 0.5, heapBytes: 5e6, busy: null }],
      traces: { exported: 12, dropped: 1, failed: 2 },
      gateway: { grpc: '127.0.0.1:50461', metrics: null }, program: null,
      drivers: [{ port: 'wan', driver: 'net_ring', up: true, speedMbit: 10000, counters: { rx_packets: 7, rx_missed: 1 } }]
    },
    translations: { answer: { rows: [], completeSince: null, lost: 0, truncated: false }, asked: [] },
    publish: (records, lost = 0) => { for (const s of subscribers) s(records, lost) },
    watchers: () => subscribers.size,
    services: {
      info: async () => ({ ...agent.info, cluster: cluster.events.tally() }),
      dataplane: () => dataplane,
      switchBackend: async (backend, { force }) => {
        if (backend !== 'ebpf' && !force) throw new LockstepError('unsupported', 'LS_B_SWITCH_LOSES', 'no', { object: backend })
        return { from: 'userspace', to: 'ebpf', ports: [{ name: 'lan', handOverUs: 5123 }], sessions: 7, lost: backend === 'ebpf' ? [] : [{ capability: 'zones', reason: 'none', needed: ['/zones'] }], totalMs: 41.5 }
      },
      probeAll: async () => [
        { backend: 'userspace', available: true, reason: '', capabilities: [{ name: 'snat', supported: true, reason: '' }] },
        { backend: 'ebpf', available: false, reason: 'kernel 5.10 is older than 6.1', capabilities: [{ name: 'snat', supported: false, reason: 'not probed' }] }
      ],
      config,
      cluster,
      journal: remoteJournal(journal.after, journal.epoch, AbortSignal.timeout(600_000)), tell: (event) => { journal.tell(event) },
      loadBalancer,
      bgp,
      names: {
        name: (kind, id) => names[kind][id] ?? `#${id}`,
        id: (kind, name) => idOf(Object.entries(names[kind]).find(([, n]) => n === name)?.[0])
      },
      endedTranslations: (query) => { agent.translations.asked.push(query); return agent.translations.answer },
      feed: {
        subscribe: (onBatch) => { subscribers.add(onBatch); return () => { subscribers.delete(onBatch) } },
        listening: async () => {},
        decode: decodeFakeRecords
      },
      debug
    }
  }
  return agent
}

const idOf = (key: string | undefined): number | null => key === undefined ? null : Number(key)

function emptyBlocks (): Record<string, Float64Array> {
  const { size, ...members } = layout.ls_counters
  const blocks = Object.fromEntries(Object.entries(members).map(([name, m]) => [name, new Float64Array(m.count)]))
  const put = (block: string, at: number, value: number): void => { const b = blocks[block]; if (b !== undefined) b[at] = value }
  put('global', counter.findIndex((c) => c.name === 'rx_packets'), 1000)
  put('drops', drop.findIndex((d) => d.name === 'policy_deny'), 5)
  put('zone_in', 2, 700)
  put('zone_in', 3, 70_000)
  put('vip', 4, 40)
  put('real', 44, 41)
  put('screens', layout.ls_counters.screens.dims[1], 3)
  return size > 0 ? blocks : {}
}

/** Generations of plain text; a text with the word `bad` is refused with two issues. */
export class FakeConfig implements ConfigAuthority {
  readonly generations: Array<{ info: GenerationInfo, text: string }> = []
  lastOptions: ApplyOptions | null = null
  saved: string | null = null

  constructor () { this.#add('version: 1\n', { author: 'boot', comment: 'first', source: 'startup', confirmWithinMs: null }) }

  status = (): ReturnType<ConfigAuthority['status']> => {
    const running = this.generations.at(-1)?.info ?? null
    return { running, startupHash: this.saved === null ? null : 'aa', drift: this.saved !== this.generations.at(-1)?.text, unconfirmed: running?.state === 'unconfirmed' ? running : null }
  }

  text = (which: 'running' | 'startup'): string => {
    if (which === 'running') return this.generations.at(-1)?.text ?? ''
    if (this.saved === null) throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'there is no startup configuration', { object: 'config', next: 'run `lockstep save`' })
    return this.saved
  }

  check = async (text: string): Promise<CheckResult> => text.includes('bad')
    ? {
        ok: false,
        issues: [
          { path: '/zones/0/name', line: 3, column: 5, code: 'LS_C_TYPE', message: 'is not a string', found: '7', expected: 'a string' },
          { path: '/polices', line: 9, column: 1, code: 'LS_C_UNKNOWN_KEY', message: 'unknown key', found: 'polices', expected: 'policies' }
        ],
        warnings: [],
        plan: []
      }
    : { ok: true, issues: [], warnings: ['no policy permits anything'], plan: [{ action: 'add', kind: 'zone', name: 'dmz', detail: '2 interfaces' }] }

  apply: ConfigAuthority['apply'] = async (text, options) => {
    this.lastOptions = options
    const running = this.generations.at(-1)?.info.generation ?? 0
    const { issues, plan } = await this.check(text)
    if (issues.length > 0) throw new ConfigError(issues, 'invalid', 'LS_C_REFUSED')
    if (options.expectedGeneration !== null && options.expectedGeneration !== running) {
      throw new LockstepError('stale', 'LS_C_GENERATION', 'another generation runs', { object: 'config', found: String(running), expected: String(options.expectedGeneration), next: 'compare and apply again' })
    }
    const info = options.dryRun ? { ...this.#info(options), generation: running + 1 } : this.#add(text, options)
    return { info, result: result(info.generation), plan }
  }

  confirm = async (generation: number): Promise<GenerationInfo> => {
    const last = this.generations.at(-1)
    if (last === undefined || last.info.generation !== generation) throw new LockstepError('stale', 'LS_C_GENERATION', 'not the generation that waits')
    last.info = { ...last.info, state: 'running', confirmBy: null }
    return last.info
  }

  rollback: ConfigAuthority['rollback'] = async (generation, options, signal) => {
    const found = this.generations.find((g) => g.info.generation === generation)
    if (found === undefined) throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'no such generation', { object: `generation ${generation}` })
    return await this.apply(found.text, options, signal)
  }

  history = (): GenerationInfo[] => this.generations.map((g) => g.info)
  compare = async (from: number, to: number): Promise<PlanStep[]> => [
    { action: 'change', kind: 'policy', name: 'allow-web', detail: `${from} -> ${to}` }, { action: 'keep', kind: 'zone', name: 'clients', detail: '' }
  ]

  save = async (): Promise<void> => { this.saved = this.text('running') }

  #info (options: Pick<ApplyOptions, 'author' | 'comment' | 'source' | 'confirmWithinMs'>): GenerationInfo {
    return {
      generation: this.generations.length + 1,
      appliedAt: 1_700_000_000_000 + this.generations.length * 60_000,
      author: options.author,
      comment: options.comment,
      source: options.source,
      hash: 'ab'.repeat(32),
      state: options.confirmWithinMs === null ? 'running' : 'unconfirmed',
      confirmBy: options.confirmWithinMs === null ? null : 1_700_000_000_000 + options.confirmWithinMs
    }
  }

  #add (text: string, options: Pick<ApplyOptions, 'author' | 'comment' | 'source' | 'confirmWithinMs'>): GenerationInfo {
    const last = this.generations.at(-1)
    if (last !== undefined) last.info = { ...last.info, state: 'superseded' }
    const info = this.#info(options)
    this.generations.push({ info, text })
    return info
  }
}

function result (generation: number): ApplyResult {
  return {
    generation, zoneIds: {}, managedInterfaces: [], filterIds: {}, filterSpans: {}, natCounterIds: {}, poolIds: {}, policyNames: {}, appNames: {},
    policyScheduleRuleSlots: {}, vips: {}, capabilities: { supported: [], unsupportedReasons: {} }, warnings: ['no policy permits anything'],
    durations: { compileMs: 1, portsMs: 1, flipMs: 1, totalMs: 3 }
  }
}
