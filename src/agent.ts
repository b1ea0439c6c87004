/**
 * The composition root: builds an agent from a configuration and takes it down again. The only place that names concrete classes.
 *
 * Order up: configuration read -> state directory held (a second agent stops here) -> table -> backend (touches nothing yet) -> socket claimed (or
 * here) -> backend started -> configuration applied -> serving. Down in reverse; each step runs whatever the one before it did.
 */
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import type { Logger } from 'pino'
import { backendOf, transportOf } from './agent/names.js'
import { closeTable } from './agent/close-table.js'
import { sinkOf } from './agent/config-sink.js'
import { watchHost } from './agent/host-watch.js'
import { announcedVips } from './agent/announced-vips.js'
import { Announcing } from './bgp/announce/index.js'
import { Reports } from './bgp/reports.js'
import { BgpRunner } from './bgp/runner.js'
import type { BgpEvent } from './bgp/events.js'
import { BackendChoice } from './backend/choice.js'
import { openBackends, probeBackends, requireBackend, requireStart } from './backend/registry.js'
import { SwitchWatch } from './backend/switch-watch.js'
import { TableDataPlane, type Compiler } from './backend/table/index.js'
import { givenUpText, ofConfiguration } from './backend/table/losses.js'
import { netnsPath } from './backend/table/ports.js'
import { refusal } from './backend/table/switch.js'
import { Authority, ConfigError, emptyIds, formatIssue, hostDefaults, nextScheduleEdge, parseConfig, realIdName, ringInputs, timeoutOf, timeoutTable, type ParseOptions } from './config/index.js'
import type { Applied } from './config/authority.js'
import { openState, type HeldState } from './config/state-directory.js'
import type { LoadBalancerEvent } from './contract/balancing.js'
import type { Desired } from './contract/desired.js'
import type { BackendName } from './contract/dataplane.js'
import { LockstepError } from './contract/errors.js'
import type { AgentInfo, ApplyOptions, SwitchEvent, ThreadStatus } from './contract/services.js'
import { leaseForeverNs } from './ha/lease.js'
import { limits } from './generated/layout.js'
import { ClusterLog } from './ha/event-log.js'
import { standalone } from './ha/standalone.js'
import { causeOf } from './lib/cause-of.js'
import { kernelBootId } from './lib/boot-id.js'
import { EventLog } from './lib/event-log.js'
import { FirstSeen } from './lib/first-seen.js'
import { mainTables } from './telemetry/debug/main-tables.js'
import { memoryTable, threadTable } from './telemetry/debug/process-tables.js'
import { DebugRegistry } from './telemetry/debug/registry.js'
import { workTables, type Pending } from './telemetry/debug/work-tables.js'
import { Journal } from './telemetry/journal.js'
import { natHistoryMemory } from './telemetry/nat-history.js'
import { watchLoopDelay } from './lib/loop-delay.js'
import { loopUse } from './lib/loop-use.js'
import { WorkBook } from './lib/work.js'
import { heapBytes } from './lib/thread-gauges.js'
import type { NativeTable } from './native/binding.js'
import { heldIds } from './native/held-ids.js'
import { loadCore } from './native/load.js'
import { version } from './native/version.js'
import { balancingEvent, balancingLost } from './reconcile/lb/events.js'
import { ApplyCount } from './telemetry/apply-tally.js'
import { logClosed, logPolicies } from './telemetry/session-log.js'
import { attributesOf, Tracer, type Span } from './telemetry/tracer.js'
import { startBalancing, type Balancing } from './workers/balancing.js'
import { clusterCalls } from './workers/cluster-bridge.js'
import { startCluster, type ClusterThread } from './workers/cluster-thread.js'
import { HeartPlace } from './workers/heart-place.js'
import { startPool, type Pool } from './workers/pool.js'
import type { Book, MainCalls } from './workers/protocol.js'
import { startRpcThread, type RpcThread } from './workers/rpc-thread.js'
import { startSyncThread } from './workers/sync-thread.js'
import { workCalls } from './workers/work-calls.js'
import { TraceThread } from './workers/trace-thread.js'

export interface AgentOptions {
  /** YAML text, and where it came from. `null`: the startup configuration of the state directory. */
  readonly config: { readonly text: string, readonly path: string | null } | null
  readonly socketPath: string | null
  readonly stateDirectory: string | null
  readonly instance: string | null
  /** Which node of the configuration this is, whatever `agent.node` says. */
  readonly node?: string | null
  readonly backend: string | null
  readonly vppTransport?: string | null
  readonly log: Logger
  /** `log` takes the level of the configuration in force; without, it keeps its own. */
  readonly followLogLevel?: boolean
  /** Aborts a start that is under way; what was begun is taken down. */
  readonly signal?: AbortSignal
}

export interface Agent {
  readonly socketPath: string
  readonly desired: () => Desired | null
  /** Reads the startup text again and applies it (SIGHUP). */
  readonly reload: () => Promise<void>
  readonly stop: () => Promise<void>
}

export async function startAgent (o: AgentOptions): Promise<Agent> {
  const defaults = hostDefaults()
  const host = { ...defaults, stateDir: o.stateDirectory ?? defaults.stateDir, socketPath: o.socketPath ?? defaults.socketPath }
  const parse: ParseOptions = { host, ...(o.node == null ? {} : { node: o.node }), ...(o.config?.path == null ? {} : { directory: dirname(o.config.path) }) }
  const early = o.config === null ? await openState(host.stateDir, null, loadCore().lockFile) : null
  const first = await firstDesired(o, parse, early).catch((error: unknown) => { early?.release(); throw error })
  const stateDirectory = o.stateDirectory ?? first.agent.stateDir
  if (early !== null && early.directory !== stateDirectory) early.release()
  const held = early?.directory === stateDirectory ? early : await openState(stateDirectory, o.config?.path ?? null, loadCore().lockFile)
  try {
    return await startWith(o, parse, first, held)
  } catch (error) {
    held.release()
    throw error
  }
}

async function startWith (o: AgentOptions, parse: ParseOptions, first: Desired, held: HeldState): Promise<Agent> {
  const agent = { ...first.agent, vpp: { ...first.agent.vpp, transport: transportOf(o.vppTransport ?? first.agent.vpp.transport) } }
  const { log } = o
  const { store } = held
  const socketPath = o.socketPath ?? agent.socketPath
  const setLevel = (d: Desired['agent']): void => { if (o.followLogLevel === true) log.level = d.logLevel }
  setLevel(agent)
  const instance = o.instance ?? agent.instance
  const choice = await BackendChoice.open(held.directory)
  const backend = backendOf(o.backend ?? choice.of(agent.backend))
  requireStart(backend)

  for (const note of store.notes) log.warn({ note }, 'the state directory was repaired')

  const core = loadCore()
  const workers = agent.workers === 0 ? Math.min(availableParallelism(), limits.LS_THREADS_MAX) : agent.workers
  const work = new WorkBook()
  const pool = startPool(work)
  const backends = await openBackends({ core, agent, instance, stateDirectory: held.directory, workers, backend, work, dpdkLog: (level, text) => { log[level]({ from: 'dpdk' }, text) }, tell: (name, fields) => { tellBalancing(balancingEvent(name, fields)) } })
  const { table } = backends
  const switches = new SwitchWatch(log)
  const journal = new Journal()
  const applies = new ApplyCount()
  const traces = new TraceThread({
    service: { version, node: agent.node, instance },
    onCollector: (reason) => {
      if (reason === null) log.info('the collector takes spans again')
      else log.warn({ reason }, 'the collector takes no spans: those that it does not take are counted, and lost')
      journal.note('agent', reason === null ? 'traces-exported' : 'traces-refused', '', { reason }, reason === null ? 'info' : 'warn')
    },
    onProblem: (error) => { problem('the trace thread ended; nothing is traced until agent.tracing changes or the agent is started again', error) }
  })
  const tracer = new Tracer(traces.emit)
  const traceAs = ({ tracing }: Desired['agent']): void => {
    traces.configure(tracing)
    tracer.sample = tracing?.sample ?? null
  }
  traceAs(agent)
  /** Moves that somebody waits for. */
  const moving = new Set<Span>()
  const tellSwitch = (event: SwitchEvent): void => {
    switches.tell(event)
    journal.switched(event)
    if (event.event === 'switch_port') tracer.past('backend.hand-over', event.handOverUs / 1000, { port: event.port, from: event.from, to: event.to })
  }
  const hearts = new HeartPlace(core, table, `${instance}/${process.pid}`, backends.folder)
  /** Null: standalone, or not open yet. */
  let cluster: ClusterThread | null = null
  /** The backend whose leases are kept. */
  let leased: BackendName = backend
  const balancingEvents = new EventLog(balancingLost)
  const tellBalancing = (event: LoadBalancerEvent): void => {
    balancingEvents.tell(event)
    journal.balancing(event)
    log[event.level]({ event: event.name, ...event.fields }, 'load balancing')
  }
  const balancing = startBalancing({
    netns: agent.netns === null ? null : netnsPath(agent.netns), netnsPath, stateDirectory: held.directory, inherited: backends.forwarding, work, refresh: async (why) => await refresh(why),
    flush: async (reals) => {
      const d = authority.desired()
      const groups = new Map(d?.vips.map(({ name, redundancyGroup }) => [name, redundancyGroup]))
      const mine = table.groups().map(({ role }) => role === limits.LS_ROLE_OWNER)
      const ids = reals.flatMap(({ vip, real }) => mine[groups.get(vip) ?? -1] === true ? d?.ids.real[realIdName(vip, real)] ?? [] : [])
      if (ids.length > 0) await work.run('end sessions', `of ${ids.length} reals`, async () => await dataplane.sessions.deleteReals(ids))
    },
    reconcile: async () => await work.run('put right', 'dataplane', async () => {
      const drift = await dataplane.loadBalancer.reconcile()
      if (drift.rings.length + drift.configBytes > 0) tracer.past('balancing.reconcile', drift.tookMs, { vips: drift.vips, repaired: drift.rings.length, configBytes: drift.configBytes })
      return drift
    }, false), observe: (bounds) => { sync.observe(bounds) },
    onEvent: (event) => {
      tellBalancing(event)
      if (event.name === 'vip-state') announcing.changed()
    },
    onProblem: (what, error) => { problem(what, error) }
  })
  const dataplane = new TableDataPlane({ onSwitch: tellSwitch, core, table, workers, netns: agent.netns, compiler: compilerOf(pool, (d) => balancing.weights(d)), backend, inherited: backends.inherited, forwarders: backends.forwarders })
  const tellBgp = ({ name, level, object, fields }: BgpEvent): void => {
    journal.note('bgp', name, object, fields, level)
    log[level]({ event: name, object, ...fields }, 'bgp')
  }
  const bgp = new BgpRunner({ onEvent: tellBgp })
  const said = (level: 'warn' | 'info' | 'debug') => (text: string): void => {
    log[level](text)
    if (level !== 'debug') journal.note('bgp', 'report', '', { text }, level)
  }
  const reports = new Reports({ view: bgp.view, node: agent.node, directory: held.directory, log: { warn: said('warn'), info: said('info'), debug: said('debug') }, onProblem: (error) => { problem('BGP sessions are not reported', error) } })
  const announcing = new Announcing({
    vips: async () => announcedVips(authority.desired(), await balancing.control.vips()),
    owns: () => {
      if (authority.desired()?.cluster == null) return () => true
      const roles = table.groups().map(({ role }) => role)
      return rg => roles[rg] === limits.LS_ROLE_OWNER
    },
    netns: netnsPath(agent.netns), directory: held.directory, onEvent: tellBgp, onProblem: (error) => { problem('routes to VIPs are not announced as they should be', error) }
  })
  const loop = watchLoopDelay()
  /** The backend of this name, if it can take over. */
  const takingOver = (name: string): BackendName => {
    const to = backendOf(name)
    try {
      if (to !== dataplane.name) requireBackend(to, agent.vpp.apiSocket)
    } catch (error) {
      tellSwitch(refusal({ from: dataplane.name, to }, error))
      throw error
    }
    return to
  }

  const problem = (what: string, error: unknown): void => {
    log.error({ err: error }, what)
    journal.note('agent', 'problem', '', { what, reason: causeOf(error) }, 'error')
  }
  /** What keeps the agent from being as it should, by subject. */
  const reasons = new Map<string, string>()
  const authority = new Authority({
    sink: sinkOf(dataplane, tracer, (configured) => takingOver(o.backend ?? choice.of(configured)), first, { starting: () => state === 'starting', onBackend: () => { keepLeases() } }), store, parse, reader: pool.reader, bootId: kernelBootId(), resumes: first.cluster !== null, leads: async () => await authorityElsewhere() === null, capabilities: () => dataplane.capabilities.filter(({ name }) => !choice.without(dataplane.name).includes(name)), held: (kind) => heldIds(table, kind), work,
    onApplied: (applied, desired) => {
      applies.done(applied.info, applied.result.durations)
      setLevel(desired.agent)
      traceAs(desired.agent)
      book = bookOf(desired)
      rpc?.push(book)
      shareGeneration(desired)
      balancing.configured(desired)
      bgp.configure(desired.bgp)
      reports.configure(desired.bgp)
      announcing.configure(desired.bgp?.announce ?? null)
      log.info({ generation: applied.info.generation, author: applied.info.author, totalMs: Math.round(applied.result.durations.totalMs), warnings: applied.result.warnings }, 'configuration in force')
      journal.note('config', 'config-applied', `generation ${applied.info.generation}`, { by: applied.info.author, comment: applied.info.comment, totalMs: Math.round(applied.result.durations.totalMs), warnings: applied.result.warnings.length })
      scheduleEdge()
    },
    onProblem: problem
  })
  let book = bookOf(null)
  let rpc: RpcThread | null = null
  const natHistory = natHistoryMemory(agent.natHistory, Date.now())
  const sync = startSyncThread({
    tableId: table.info().id, natHistory, timeouts: (app, phase) => timeoutOf(book.timeouts, app, phase), onLogs: (rows) => { logPolicies(log, rows, authority) },
    onClosed: (changes, lost) => { logClosed(log, changes, lost, authority) }, onObserved: (reals) => { balancing.observed(reals) },
    onProblem: (error) => {
      problem('the sync worker failed', error)
      reasons.set('sync worker', causeOf(error))
    }
  })

  const clusterEvents = new ClusterLog()
  const seen = new FirstSeen()
  const allReasons = (): readonly string[] => [...[...reasons].map(([what, text]) => `${what}: ${text}`), ...degraded()]
  let state: AgentInfo['state'] = 'starting'
  const startedAt = Date.now()
  const busy = loopUse(performance)
  /** What is asked for from outside: counted when it is refused or fails, and traced. */
  const applying = async (options: ApplyOptions, apply: () => Promise<Applied>): Promise<Applied> =>
    await applies.watch(async () => await tracer.run('config.apply', { author: options.author, source: options.source, confirmed: options.confirmWithinMs === null }, async (span) => {
      const applied = await apply()
      span.set({ generation: applied.info.generation, changes: applied.plan.length, warnings: applied.result.warnings.length })
      return applied
    }))
  const debug = new DebugRegistry()
  const calls: MainCalls = workCalls(work, {
    info: () => {
      const t = table.info()
      const threads: ThreadStatus[] = [{ name: 'main', loopDelayP99Ms: loop.p99Ms(), heapBytes: heapBytes(), busy: busy() }, ...rpc?.gauges() ?? [], sync.gauges(), ...balancing.gauges()]
      const why = allReasons()
      return {
        version, node: agent.node, instance, pid: process.pid, startedAt, backend: dataplane.name, generation: authority.status().running?.generation ?? 0,
        state: state === 'running' && why.length > 0 ? 'degraded' : state, reasons: why, reasonsSince: seen.of(why), tableCapacity: t.capacity, tableLive: t.live, hugepages: t.hugepages, eventLoopDelayP99Ms: loop.p99Ms(), rpcLoopDelayP99Ms: threads.find(({ name }) => name === 'rpc')?.loopDelayP99Ms ?? 0, switches: switches.tally, cluster: clusterEvents.tally(), applies: applies.tally, events: journal.tally, threads, traces: traces.tally(),
        gateway: (authority.desired()?.agent ?? agent).gateway, labels: (authority.desired()?.agent ?? agent).labels, program: dataplane.program, drivers: dataplane.drivers
      }
    },
    probeAll: async () => await Promise.resolve(probeBackends(agent.vpp.apiSocket)),
    switchBackend: async (name, how, signal) => {
      if (how.dryRun) return await dataplane.switchTo(takingOver(name), signal, how)
      const result = await tracer.run('backend.switch', { from: dataplane.name, to: name, force: how.force }, async (span) => {
        const done = await dataplane.switchTo(takingOver(name), signal, how)
        span.set({ ports: done.ports.length, sessions: done.sessions, lost: done.lost.map(({ capability }) => capability).join(' ') })
        return done
      })
      const target = result.to
      keepLeases()
      await choice.set(target, (authority.desired()?.agent ?? agent).backend, ofConfiguration(result.lost).map(({ capability }) => capability))
      return result
    },
    links: () => dataplane.links.list(),
    status: () => authority.status(),
    text: (which) => authority.text(which),
    check: async (text, signal) => await authority.check(text, signal),
    apply: async (text, options, signal) => {
      await refuseElsewhere()
      if (options.dryRun) return await authority.apply(text, options, signal)
      return await applying(options, async () => await authority.apply(text, options, signal))
    },
    confirm: async (generation) => {
      const info = await authority.confirm(generation)
      const desired = authority.desired()
      if (desired !== null) shareGeneration(desired)
      return info
    },
    rollback: async (generation, options, signal) => {
      await refuseElsewhere()
      return await applying(options, async () => await authority.rollback(generation, options, signal))
    },
    history: () => authority.history(),
    compare: async (from, to, signal) => await authority.compare(from, to, signal),
    save: async () => { await authority.save() },
    vips: balancing.control.vips,
    targets: balancing.control.targets,
    operateTarget: balancing.control.operate,
    reconcile: balancing.control.reconcile,
    readBack: async () => {
      const names = new Map(Object.entries(authority.ids().real).map(([name, id]) => [id, name]))
      return (await dataplane.loadBalancer.readBack()).map(({ vip, ringSize: size, ringHash: hash, drifted, reals }) =>
        ({ vip, size, hash, drifted, reals: reals.map(({ id, entries }) => ({ name: names.get(id)?.slice(vip.length + 1) ?? (id === 0 ? '(none)' : `#${id}`), entries })) }))
    },
    loadBalancerEvents: balancingEvents.after,
    bgpNeighbours: async () => await Promise.resolve(bgp.view.neighbours()),
    bgpSources: async () => await Promise.resolve(bgp.view.sources()),
    bgpPending: async () => await Promise.resolve(reports.pending()),
    bgpSinks: async () => await Promise.resolve(reports.tallies()),
    bgpRoutes: async () => await Promise.resolve(announcing.routes()),
    bgpRouteSinks: async () => await Promise.resolve(announcing.sinks()),
    events: journal.after,
    tell: (event) => {
      journal.tell(event)
      log.info({ event: event.name, object: event.object, ...event.fields }, event.area)
    },
    overlay: async () => await Promise.resolve(authority.overlay),
    changeOverlay: async (change, dryRun, signal) => {
      await refuseElsewhere()
      const overlay = await authority.change(change, signal, dryRun)
      if (dryRun) return overlay
      const { kind, vip } = change
      tellBalancing(balancingEvent(`overlay-${kind}`, { vip, ...('real' in change ? { real: change.real } : {}), ...('owner' in change ? { owner: change.owner } : {}), ...('reason' in change ? { reason: change.reason, ttlMs: change.ttlMs } : {}) }))
      return overlay
    },
    debugCount: debug.count, debugRows: debug.rows,
    span: traces.emit,
    ...clusterCalls(() => cluster?.control ?? standalone, clusterEvents),
    clusterSwitchover: async (rgs, to, signal) => await tracer.run('cluster.switchover', { groups: rgs.join(' '), to }, async (span) => {
      moving.add(span)
      try {
        const { done, refused } = await (cluster?.control ?? standalone).switchover(rgs, to, signal)
        span.set({ done: done.join(' '), refused: refused.map(({ rg, reasons }) => `${rg}: ${reasons.join(' ')}`).join('; ') })
        return { done, refused }
      } finally {
        moving.delete(span)
      }
    })
  })

  let edge: NodeJS.Timeout | null = null
  /** False: it failed, and what ran goes on. */
  const refresh = async (why: string): Promise<boolean> => {
    try {
      await work.run('recompile', why, async () => { await tracer.run('dataplane.refresh', { why }, async () => { await dataplane.refresh(AbortSignal.timeout(30_000)) }) })
      reasons.delete('refresh')
      log.debug({ why }, 'recompiled')
      return true
    } catch (error) {
      if (state === 'stopping') return false
      reasons.set('refresh', `recompiling after ${why} failed; the previous configuration stays in force`)
      problem(`recompiling after ${why} failed; the previous configuration stays in force`, error)
      return false
    }
  }
  function scheduleEdge (): void {
    if (edge !== null) clearTimeout(edge)
    edge = null
    if (state === 'stopping') return
    const d = authority.desired()
    const at = d === null ? null : nextScheduleEdge(d, new Date())
    if (at === null) return
    edge = setTimeout(() => { void refresh('a schedule').then(scheduleEdge) }, Math.min(at.getTime() - Date.now() + 50, 2 ** 31 - 1))
  }

  /** What waits to be confirmed is of this node alone: its peer runs what was before, and may own with it. */
  const confirmedGeneration = (): number => (store.state.unconfirmed === null ? store.state.running : store.state.unconfirmed.previous) ?? 0
  const shareGeneration = (desired: Desired): void => { cluster?.applied(desired, confirmedGeneration()) }
  const degraded = (): readonly string[] => {
    const without = givenUpText(dataplane.name, choice.without(dataplane.name), authority.desired())
    return [...dataplane.degraded(), ...without === null ? [] : [without], ...cluster?.degraded() ?? []]
  }
  /** After a change of backend: leases are kept by whoever lives as long as it. */
  const keepLeases = (): void => {
    if (dataplane.name === leased) return
    leased = dataplane.name
    cluster?.moved(outlives(leased), hearts.of(leased))
  }
  /** A pair has one configuration: that of the owner of group 0 (D8). Its name, if it is the other node. */
  const authorityElsewhere = async (): Promise<string | null> => {
    const owner = await cluster?.authority() ?? null
    return owner === agent.node ? null : owner
  }
  const refuseElsewhere = async (): Promise<void> => {
    const owner = await authorityElsewhere()
    if (owner !== null) throw new LockstepError('stale', 'LS_H_AUTHORITY', 'the other node owns group 0, and its configuration is the one of both', { object: 'config', found: `this node is ${agent.node}`, expected: owner, next: `apply it on ${owner}, or move group 0 here: lockstep cluster switchover 0 --to ${agent.node}` })
  }
  const openCluster = async (): Promise<void> => {
    const desired = authority.desired()
    if (desired?.cluster == null) {
      for (let rg = 0; rg < limits.LS_RGS_MAX; rg++) table.setRole(rg, limits.LS_ROLE_OWNER, 0n, leaseForeverNs) // a table may be of a time when there was one
      return
    }
    cluster = await startCluster({
      sync, desired, generation: confirmedGeneration(), table: { origin: originOf(table), capacity: table.info().capacity }, heart: hearts.of(dataplane.name),
      stateDirectory: held.directory, outlives: outlives(dataplane.name), groupFacts: (rg) => dataplane.haFacts(rg),
      monitorFacts: { interfaceUp: (name) => dataplane.interfaceUp(name), neighbourResolved: (address) => dataplane.neighbourResolved(address) },
      announce: (rg, on) => {
        if (on) dataplane.announcer.announce(rg)
        else dataplane.announcer.withdraw(rg)
        announcing.changed()
      },
      config: {
        shared: () => authority.shared(),
        follow: async (peer, signal) => {
          if (await cluster?.authority() === agent.node) throw new LockstepError('stale', 'LS_H_AUTHORITY', 'this node owns group 0, and its configuration is the one of both', { object: `generation ${peer.generation}`, found: agent.node })
          await applies.watch(async () => { await authority.follow(peer, signal) })
        },
        renumber: async (least, signal) => { if (await cluster?.authority() === agent.node) await authority.renumber(least, signal) }
      },
      rings: () => dataplane.loadBalancer.ringHashes(), watch: clusterEvents.watch, work,
      onEvent: (event) => {
        const { at, name, rg, peer, fields } = event
        clusterEvents.tell(event)
        if (rg !== null && (name === 'role' || name.startsWith('move-'))) for (const span of moving) span.event(name, attributesOf({ rg, ...fields }))
        journal.cluster(event)
        if (name === 'role' && rg !== null && fields['to'] === 'owner') balancing.owns(rg)
        if (name === 'role') announcing.changed()
        log.info({ event: name, at, ...(rg === null ? {} : { rg }), ...(peer === null ? {} : { peer }), ...fields }, 'cluster')
      }
    })
  }

  /** A state that `status` shows is in the log too, when it begins and when it ends. */
  const tellDegraded = (): void => {
    seen.of(allReasons())
    const { begins, ends } = journal.degraded(degraded())
    for (const reason of begins) log.warn({ reason }, 'degraded')
    for (const reason of ends) log.info({ reason }, 'no longer degraded')
  }

  /** What is waited for, and known where it is. */
  const pending = async (): Promise<readonly Pending[]> => {
    const redial = await cluster?.control.status().then(status => status?.sync.redial, () => null) ?? null
    const [desired, { unconfirmed }] = [authority.desired(), authority.status()]
    const edgeAt = desired === null ? null : nextScheduleEdge(desired, new Date())
    return [
      ...unconfirmed?.confirmBy == null ? [] : [{ process: 'rollback', object: `generation ${unconfirmed.generation}`, since: unconfirmed.appliedAt, until: unconfirmed.confirmBy, cause: 'not confirmed yet' }],
      ...edgeAt === null ? [] : [{ process: 'schedule', object: '', since: startedAt, until: edgeAt.getTime(), cause: 'its next edge: policies are compiled again' }],
      ...redial === null ? [] : [{ process: 'sync', object: '', since: startedAt, until: redial.until, cause: redial.reason === '' ? 'the peer is dialled' : redial.reason, attempts: 1 }]
    ]
  }
  for (const one of [
    ...workTables(work, pending, 'main thread'), memoryTable('memory', 'main thread', true),
    threadTable(() => [{ name: 'main', state: 'running', since: startedAt, busy: busy(), restarts: 0, underWay: 0, most: null, detail: `loop delay p99 ${loop.p99Ms().toFixed(1)} ms` }, ...rpc === null ? [] : [rpc.status()], sync.status(), ...balancing.threads(), pool.status()]),
    ...mainTables({ neighbours: () => dataplane.links.neighbours(), links: () => dataplane.links.list(), drivers: () => dataplane.drivers, capabilities: () => dataplane.capabilities, desired: () => authority.desired() })
  ]) debug.register(one)

  let unwatchHost = (): void => undefined
  const takeDown = async (): Promise<void> => {
    state = 'stopping'
    journal.note('agent', 'stopping', '', { pid: process.pid })
    unwatchHost()
    if (edge !== null) clearTimeout(edge)
    authority.close()
    const failed: unknown[] = []
    const steps: ReadonlyArray<() => Promise<void> | void> = [
      async () => { await rpc?.close(500) }, async () => { if (!outlives(dataplane.name)) await cluster?.resign() }, async () => { await announcing.close(!outlives(dataplane.name)) }, () => { cluster?.close() }, async () => { await balancing.close() }, async () => { await reports.close() }, () => { bgp.close() }, async () => { await sync.close() }, () => { hearts.close() }, async () => { await dataplane.close() }, async () => { await closeTable(table) }, () => { backends.close() }, async () => { await pool.close() },
      () => { loop.stop() }, async () => { await traces.close() }, held.release
    ]
    for (const step of steps) {
      try {
        await step()
      } catch (error) {
        failed.push(error)
      }
    }
    if (failed.length > 0) throw failed.length === 1 ? failed[0] : new AggregateError(failed, failed.map(causeOf).join('; '))
  }
  let stopping: Promise<void> | null = null
  const stop = async (): Promise<void> => { await (stopping ??= takeDown()) }
  const within = (ms: number): AbortSignal => AbortSignal.any([AbortSignal.timeout(ms), ...(o.signal === undefined ? [] : [o.signal])])

  try {
    rpc = await startRpcThread({
      socketPath, tableId: table.info().id, natHistory, epoch: journal.epoch, calls, debug: debug.shapes, work, book, listener: sync.listener,
      onBug: (method, error) => { problem(`${method} failed`, error) },
      onDown: (error) => {
        problem('the gRPC worker ended; it is started again', error)
        reasons.set('gRPC worker', causeOf(error))
      },
      onUp: () => {
        reasons.delete('gRPC worker')
        log.info('the gRPC worker serves again')
      }
    })
    // Before anything forwards: of a new table, or of a time without a cluster. Leases that the keeper renews go on.
    if (first.cluster !== null) table.groups().forEach(({ leaseDeadlineNs }, rg) => { if (leaseDeadlineNs === leaseForeverNs) table.setRole(rg, limits.LS_ROLE_INIT, 0n, 0n) })
    await dataplane.start(within(30_000))
    const applied = await authority.start(within(60_000))
    if (applied === null) log.warn('no configuration: apply one with `lockstep apply FILE`')
    await openCluster()
    o.signal?.throwIfAborted()
    unwatchHost = watchHost({ signature: () => dataplane.hostSignature(), refresh, work, onUnreadable: (error) => { problem('the links cannot be read', error) }, onLook: tellDegraded })
    state = 'running'
    journal.note('agent', 'started', '', { version, backend: dataplane.name, pid: process.pid, generation: applied?.info.generation ?? 0 })
    rpc.setServing(true)
    return { socketPath, desired: () => authority.desired(), reload: async () => {
      await refuseElsewhere()
      await applies.watch(async () => await authority.reload(AbortSignal.timeout(60_000)))
    }, stop }
  } catch (error) {
    await stop().catch((cause: unknown) => { problem('stopping after a failed start', cause) })
    throw error
  }
}

/** Programs forward on without their agent; packet workers are threads of it. */
const outlives = (backend: BackendName): boolean => backend === 'ebpf'

/** 16 bytes that name this life of the table. */
function originOf (table: NativeTable): Uint8Array {
  const bytes = new Uint8Array(16)
  new DataView(bytes.buffer).setBigUint64(0, table.info().origin, true)
  return bytes
}

/** The settings that must be known before anything is opened; the authority parses again and applies. */
async function firstDesired (o: AgentOptions, parse: ParseOptions, state: HeldState | null): Promise<Desired> {
  const text = o.config?.text ?? (await state?.store.startup())?.text
  if (text === undefined) throw new LockstepError('invalid', 'LS_A_NO_CONFIG', 'there is no configuration', { object: state?.directory ?? 'run', next: 'name a file: lockstep run FILE' })
  const result = parseConfig(text, parse)
  if (result.desired === null) throw new ConfigError(result.issues, 'invalid')
  return result.desired
}

function compilerOf (pool: Pool, weights: Balancing['weights']): Compiler {
  return {
    rings: (d) => ringInputs(d, weights(d)),
    weight: weights,
    compile: async (desired, ports, rings, generation, signal) => await pool.compile({ desired, ports, rings, nowMs: Date.now(), generation }, signal)
  }
}

const bookOf = (desired: Desired | null): Book => ({ ids: desired?.ids ?? emptyIds, timeouts: timeoutTable(desired), ...desired?.agent.tracing == null ? {} : { traced: desired.agent.tracing.sample } })

/** For messages: every issue of a refused configuration, one line each. */
export function explain (error: unknown): string {
  if (error instanceof ConfigError) return error.issues.map(formatIssue).join('\n')
  return causeOf(error)
}
