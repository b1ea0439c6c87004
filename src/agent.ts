/**
 * The composition root: builds an agent from a configuration and takes it down again. The only place that names concrete classes.
 *
 * Order up: configuration read -> table -> backend (touches nothing yet) -> socket claimed (a second agent stops here) -> backend started ->
 * configuration applied -> serving. Down in reverse; each step has its own bound.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Logger } from 'pino'
import { UserspaceDataPlane, type Compiler } from './backend/userspace/index.js'
import { Authority, ConfigError, ConfigStore, formatIssue, hostDefaults, nextScheduleEdge, parseConfig, ringInputs, type ParseOptions } from './config/index.js'
import type { Desired } from './contract/desired.js'
import type { ProbeResult } from './contract/dataplane.js'
import { LockstepError } from './contract/errors.js'
import type { AgentInfo, AgentServices } from './contract/services.js'
import type { SessionChange } from './contract/session.js'
import { drop } from './generated/codes.js'
import { layout } from './generated/layout.js'
import { formatAddress, addressOfBytes } from './lib/address.js'
import type { NativeTable } from './native/binding.js'
import { fromNative } from './native/errors.js'
import { loadCore } from './native/load.js'
import { resolveNamedFilter } from './rpc/resolve-filter.js'
import { startRpcServer, type RpcServer } from './rpc/server.js'
import { version } from './native/version.js'
import { startFeed } from './workers/feed.js'
import { startPool, type Pool } from './workers/pool.js'

export interface AgentOptions {
  /** YAML text, and where it came from. `null`: the startup configuration of the state directory. */
  readonly config: { readonly text: string, readonly path: string | null } | null
  readonly socketPath: string | null
  readonly stateDirectory: string | null
  readonly instance: string | null
  readonly backend: string | null
  readonly log: Logger
}

export interface Agent {
  readonly services: AgentServices
  readonly socketPath: string
  readonly desired: () => Desired | null
  /** Reads the startup text again and applies it (SIGHUP). */
  readonly reload: () => Promise<void>
  readonly stop: () => Promise<void>
}

const REFRESH_MS = 2000

export async function startAgent (o: AgentOptions): Promise<Agent> {
  const { log } = o
  const defaults = hostDefaults()
  const host = { ...defaults, stateDir: o.stateDirectory ?? defaults.stateDir, socketPath: o.socketPath ?? defaults.socketPath }
  const parse: ParseOptions = { host, ...(o.config?.path == null ? {} : { directory: dirname(o.config.path) }) }
  const first = await firstDesired(o, parse, host.stateDir)
  const { agent } = first
  const stateDirectory = o.stateDirectory ?? agent.stateDir
  const socketPath = o.socketPath ?? agent.socketPath
  if ((o.backend ?? agent.backend) !== 'userspace') throw new LockstepError('unsupported', 'LS_A_BACKEND', 'this backend is not in this version', { object: 'agent.backend', found: o.backend ?? agent.backend, expected: 'userspace', next: 'lockstep backend list shows what this host can do' })

  await mkdir(dirname(socketPath), { recursive: true, mode: 0o755 })
  const store = await openStore(stateDirectory, o.config?.path ?? null)
  for (const note of store.notes) log.warn({ note }, 'the state directory was repaired')

  const core = loadCore()
  const workers = agent.workers === 0 ? availableParallelism() : agent.workers
  const pool = startPool()
  const table = createTable(core.Table, agent, workers)
  const dataplane = new UserspaceDataPlane({ core, table, workers, instance: o.instance ?? agent.instance, netns: agent.netns, compiler: compilerOf(pool) })
  const loop = monitorEventLoopDelay({ resolution: 5 })
  loop.enable()

  const problem = (what: string, error: unknown): void => { log.error({ err: error }, what) }
  const authority = new Authority({
    sink: dataplane.config, store, parse, bootId: bootId(), capabilities: () => dataplane.capabilities,
    onApplied: (applied) => {
      log.info({ generation: applied.info.generation, author: applied.info.author, totalMs: Math.round(applied.result.durations.totalMs), warnings: applied.result.warnings }, 'configuration in force')
      scheduleEdge()
    },
    onProblem: problem
  })
  const timeouts = (app: number, phase: number): number => {
    const d = authority.desired()
    if (d === null) return 0
    const key = Object.keys(d.timeouts)[phase] ?? ''
    return d.applications.find(a => d.ids.app[a.name] === app)?.timeouts[key] ?? d.timeouts[key] ?? 0
  }
  const feed = startFeed({ tableId: table.info().id, timeouts, onLogs: (rows) => { logPolicies(log, rows, authority) }, onClosed: (changes) => { logClosed(log, changes, authority) }, onProblem: (error) => { problem('the sync worker failed', error) } })

  let state: AgentInfo['state'] = 'starting'
  const startedAt = Date.now()
  const services: AgentServices = {
    info: () => {
      const t = table.info()
      return {
        version, node: agent.node, instance: o.instance ?? agent.instance, pid: process.pid, startedAt, backend: 'userspace', generation: authority.status().running?.generation ?? 0,
        state, reasons: [], tableCapacity: t.capacity, tableLive: t.live, hugepages: t.hugepages, eventLoopDelayP99Ms: loop.percentile(99) / 1e6
      }
    },
    dataplane: () => dataplane,
    probeAll: async () => [await dataplane.probe(), ...absent],
    config: authority, names: authority.names, feed,
    resolveFilter: (named) => resolveNamedFilter(named, authority.names)
  }

  let edge: NodeJS.Timeout | null = null
  const refresh = async (why: string): Promise<void> => {
    try {
      await dataplane.refresh(AbortSignal.timeout(30_000))
      log.debug({ why }, 'recompiled')
    } catch (error) {
      problem(`recompiling after ${why} failed; the previous configuration stays in force`, error)
    }
  }
  function scheduleEdge (): void {
    if (edge !== null) clearTimeout(edge)
    edge = null
    const d = authority.desired()
    const at = d === null ? null : nextScheduleEdge(d, new Date())
    if (at === null) return
    edge = setTimeout(() => { void refresh('a schedule').then(scheduleEdge) }, Math.min(at.getTime() - Date.now() + 50, 2 ** 31 - 1))
  }

  let rpc: RpcServer | null = null
  let watcher: NodeJS.Timeout | null = null
  const stop = async (): Promise<void> => {
    if (state === 'stopping') return
    state = 'stopping'
    if (watcher !== null) clearInterval(watcher)
    if (edge !== null) clearTimeout(edge)
    authority.close()
    await rpc?.close(500)
    await feed.close()
    await dataplane.close()
    table.close()
    await pool.close()
    loop.disable()
  }

  try {
    rpc = await startRpcServer(services, { socketPath, onBug: (error) => { problem('a call failed', error) } })
    await dataplane.start(AbortSignal.timeout(30_000))
    const applied = await authority.start(AbortSignal.timeout(60_000))
    if (applied === null) log.warn('no configuration: apply one with `lockstep apply FILE`')
    let signature = dataplane.hostSignature()
    watcher = setInterval(() => {
      const now = dataplane.hostSignature()
      if (now === signature) return
      signature = now
      void refresh('a change of links or addresses')
    }, REFRESH_MS)
    state = 'running'
    rpc.setServing(true)
    return { services, socketPath, desired: () => authority.desired(), reload: async () => { await authority.reload(AbortSignal.timeout(60_000)) }, stop }
  } catch (error) {
    await stop().catch((cause: unknown) => { problem('stopping after a failed start', cause) })
    throw error
  }
}

const absent: readonly ProbeResult[] = (['ebpf', 'dpdk', 'vpp'] as const).map(backend => ({ backend, available: false, reason: 'not built into this version', capabilities: [] }))

/** The settings that must be known before anything is opened; the authority parses again and applies. */
async function firstDesired (o: AgentOptions, parse: ParseOptions, stateDir: string): Promise<Desired> {
  const text = o.config?.text ?? (await (await openStore(stateDir, null)).startup())?.text
  if (text === undefined) throw new LockstepError('invalid', 'LS_A_NO_CONFIG', 'there is no configuration', { object: stateDir, next: 'name a file: lockstep run FILE' })
  const result = parseConfig(text, parse)
  if (result.desired === null) throw new ConfigError(result.issues, 'invalid')
  return result.desired
}

async function openStore (directory: string, startupPath: string | null): Promise<ConfigStore> {
  try {
    return await ConfigStore.open(directory, startupPath === null ? {} : { startupPath })
  } catch (error) {
    if (error instanceof LockstepError) throw error
    throw new LockstepError('unavailable', 'LS_A_STATE', 'the state directory cannot be used', { object: directory, found: (error as Error).message, next: 'name another with --state' }, error)
  }
}

function createTable (Table: ReturnType<typeof loadCore>['Table'], agent: Desired['agent'], workers: number): NativeTable {
  try {
    return new Table({ capacity: agent.table.capacity, cpus: 0, threads: workers, arena: 0, hugepages: { off: 0, auto: 1, on: 2 }[agent.table.hugepages], path: '' })
  } catch (error) {
    throw fromNative(error, { object: 'agent.table', found: `capacity ${agent.table.capacity}`, next: 'lower agent.table.capacity or free memory (huge pages: vm.nr_hugepages)' })
  }
}

function compilerOf (pool: Pool): Compiler {
  return {
    rings: (d) => ringInputs(d),
    compile: async (desired, ports, rings, generation, signal) => await pool.compile({ desired, ports, rings, nowMs: Date.now(), generation }, signal)
  }
}

/** CLOCK_MONOTONIC and kernel state are comparable within one boot only. */
function bootId (): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return createHash('sha256').update(String(process.pid)).digest('hex')
  }
}

/** Policy decisions that asked to be logged, one line each. */
function logPolicies (log: Logger, rows: Uint8Array, authority: Authority): void {
  const shape = layout.ls_log
  const key = layout.ls_key
  const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength)
  for (let base = 0; base + shape.size <= rows.length; base += shape.size) {
    const k = base + shape.key.offset
    const reason = view.getUint8(base + shape.drop.offset)
    log.info({
      action: (['deny', 'permit', 'reject'] as const)[view.getUint8(base + shape.action.offset)] ?? 'deny',
      policy: authority.names.name('policy', view.getUint16(base + shape.policy.offset, true)),
      from: authority.names.name('zone', view.getUint16(base + shape.zone_in.offset, true)), to: authority.names.name('zone', view.getUint16(base + shape.zone_out.offset, true)),
      source: formatAddress(addressOfBytes(rows, k + key.src.offset)), sourcePort: view.getUint16(k + key.sport_be.offset, false),
      destination: formatAddress(addressOfBytes(rows, k + key.dst.offset)), destinationPort: view.getUint16(k + key.dport_be.offset, false),
      protocol: view.getUint8(k + key.proto.offset), ...(reason === 0 ? {} : { reason: drop[reason]?.name })
    }, 'policy')
  }
}

/** Ended sessions of policies with `log: close`. */
function logClosed (log: Logger, changes: readonly SessionChange[], authority: Authority): void {
  for (const { session: s, closeReason } of changes) {
    log.info({
      policy: authority.names.name('policy', s.policy), reason: closeReason, source: s.source, sourcePort: s.sourcePort, destination: s.destination, destinationPort: s.destinationPort,
      protocol: s.protocol, seconds: Math.round(s.ageMs / 1000), packets: [Number(s.packetsForward), Number(s.packetsReply)], bytes: [Number(s.bytesForward), Number(s.bytesReply)]
    }, 'session closed')
  }
}

/** For messages: every issue of a refused configuration, one line each. */
export function explain (error: unknown): string {
  if (error instanceof ConfigError) return error.issues.map(formatIssue).join('\n')
  return error instanceof Error ? error.message : String(error)
}
