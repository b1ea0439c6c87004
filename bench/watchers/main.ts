/**
 * Many that look on at a pair under traffic: browsers at the gateway's stream, watchers at the agent's socket and through the gateway, while sessions come and go.
 *
 *   sync_lag_p50_ms, p99  from a change to the peer's acknowledgement, interpolated in the histogram of the metrics page; sync_lag_alone_*: before the first client came
 *   changes_per_s         changes of sessions at the owner
 *   events_per_s          what all clients together are told: messages with an id, changes of sessions
 *   events_lost           told as lost; events_lost_share: of all that was told and lost; events_uncounted: missing without a word
 *   resyncs, broken       told everything anew; connections that ended by themselves
 *   agent_*, gateway_*    of the whole process: CPU in cores, resident memory before the first client, at the begin and at the end of the measurement
 *   rpc_loop_delay_p99_ms of the thread that serves gRPC, since it began
 */
import { fork, type ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { call } from '../../src/cli/client.js'
import { RgRole } from '../../src/generated/proto/lockstep/v1/cluster.js'
import { figuresOf, type SuiteResult } from '../lib/samples.js'
import { BenchError } from '../lib/programs.js'
import { lagQuantile, readLag } from './lag.js'
import type { ClientReport, ToClients } from './report.js'
import { CHANGES_A_FLOW, openRig, REAL, until, VIP, type Rig } from './rig.js'

export interface WatchersBenchOptions {
  readonly seconds: number
  readonly browsers: number
  readonly watchers: number
  readonly changesPerS: number
  readonly progress: (text: string) => void
  readonly signal: AbortSignal
}

/** An operator's change, whose objects and events everybody is told. */
const OPERATE_MS = 200
/** After a change of the configuration, which the peer follows: flows come and go by then. Longer ones warm up longer, before the first look at memory. */
const SETTLE_MS = 3000
const WARM_MS_MAX = 30_000
const QUIET_S = 30
/** Of the pair before the first client. */
const ALONE_S = 60

class Clients {
  private readonly child: ChildProcess
  private over = false
  constructor (private readonly program: string, args: readonly string[]) {
    this.child = fork(fileURLToPath(new URL(`./${program}.js`, import.meta.url)), [...args], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.child.on('exit', () => { this.over = true })
  }

  async report (): Promise<ClientReport> {
    return await new Promise((resolve, reject) => {
      const gone = (): void => { reject(new BenchError(`${this.program} ended`)) }
      if (this.over) { gone(); return }
      this.child.once('exit', gone)
      this.child.once('message', (answer) => {
        this.child.off('exit', gone)
        resolve(answer as ClientReport)
      })
      this.child.send('report' satisfies ToClients)
    })
  }

  async stop (): Promise<void> {
    if (this.over) return
    const ended = new Promise<void>(resolve => { this.child.once('exit', () => { resolve() }) })
    this.child.send('stop' satisfies ToClients)
    await ended
  }
}

/** Changes of sessions that the agent has told itself of: what created and changed one, and each end. Of a table that is empty both times. */
async function changesMade ({ owner: { telemetry } }: Rig): Promise<number> {
  const { blocks } = await call(telemetry, telemetry.snapshot, { blocks: ['global'], zeros: true })
  const rows = new Map(blocks.flatMap(({ rows }) => rows.map(({ name, values }) => [name, Number(values[0] ?? 0)] as const)))
  return (rows.get('notices') ?? NaN) + (rows.get('sessions_created') ?? NaN)
}

/** An operator who changes a weight again and again, until told to stop; how often. */
function operating ({ owner: { loadBalancer } }: Rig): { readonly stop: () => Promise<number> } {
  const over = new AbortController()
  let done = 0
  const running = (async () => {
    while (!over.signal.aborted) {
      await call(loadBalancer, loadBalancer.adjustReal, { vip: VIP, real: REAL, weight: done++ % 2 === 0 ? 50 : 80, drain: false, terms: { owner: 'bench', reason: '', ttlMs: 0n }, mutation: undefined })
      await sleep(OPERATE_MS, undefined, { signal: over.signal }).catch(() => undefined)
    }
  })()
  running.catch(() => undefined)
  return { stop: async () => { over.abort(); await running; return done } }
}

const sum = (reports: readonly ClientReport[], of: (report: ClientReport) => number): number => reports.reduce((all, report) => all + of(report), 0)

export async function bench ({ seconds, browsers, watchers, changesPerS, progress, signal }: WatchersBenchOptions): Promise<SuiteResult> {
  progress('a pair of agents and a gateway')
  const rig = await openRig(signal)
  const clients: Clients[] = []
  const reports = async (): Promise<ClientReport[]> => await Promise.all(clients.map(async (of) => await of.report()))
  const usages = (): ReadonlyArray<ReturnType<Rig['gateway']['usage']>> => [rig.agents.a, rig.gateway, rig.agents.b].map(program => program.usage())
  const flowsPerS = Math.round(changesPerS / CHANGES_A_FLOW)
  const lagFor = async (s: number): Promise<{ readonly p50: number, readonly p99: number }> => {
    const from = await readLag(rig.owner)
    await sleep(s * 1000, undefined, { signal })
    const to = await readLag(rig.owner)
    return { p50: lagQuantile(from, to, 0.5), p99: lagQuantile(from, to, 0.99) }
  }
  try {
    progress('the pair alone')
    await rig.traffic(flowsPerS)
    await sleep(SETTLE_MS, undefined, { signal })
    const alone = await lagFor(Math.min(ALONE_S, seconds / 3))
    await rig.traffic(0)
    await until('the table to be empty', QUIET_S, signal, async () => (await call(rig.owner.agent, rig.owner.agent.getInfo, {})).tableLive === 0n)
    const idle = usages()
    progress(`${browsers} browsers and ${watchers} watchers`)
    const connecting = performance.now()
    clients.push(new Clients('sse-clients', [String(rig.http), String(browsers)]), new Clients('grpc-clients', [rig.socketPath, String(rig.grpc), String(watchers)]))
    await until('all clients to be told what is there', 60, signal, async () => {
      const now = await reports()
      const problem = now.find(report => report.problem !== '')?.problem
      if (problem !== undefined) throw new BenchError(`a client: ${problem}`)
      return sum(now, ({ whole }) => whole) === browsers + watchers
    })
    const connectMs = performance.now() - connecting
    const [made0, told0] = [await changesMade(rig), await reports()]
    await rig.traffic(flowsPerS)
    const operator = operating(rig)
    progress(`${changesPerS} changes of sessions a second for ${seconds} s`)
    await sleep(Math.max(SETTLE_MS, Math.min(WARM_MS_MAX, seconds * 100)), undefined, { signal })
    const [from, used, toldFrom, madeFrom] = [performance.now(), usages(), await reports(), await changesMade(rig)]
    const lag = await lagFor(seconds)
    const [to, usedTo, toldTo, madeTo] = [performance.now(), usages(), await reports(), await changesMade(rig)]
    const { groups } = await call(rig.owner.cluster, rig.owner.cluster.getStatus, {})
    const info = await call(rig.owner.agent, rig.owner.agent.getInfo, {})
    const operated = await operator.stop()
    await rig.traffic(0)
    let before = NaN
    await until('the clients to be told of the last changes', QUIET_S, signal, async () => {
      const [told, { tableLive }] = [sum(await reports(), r => r.told + r.lost), await call(rig.owner.agent, rig.owner.agent.getInfo, {})]
      const quiet = told === before && tableLive === 0n
      before = told
      if (!quiet) await sleep(1000, undefined, { signal })
      return quiet
    })
    const [made, told] = [await changesMade(rig) - made0, await reports()]
    const missing = told.flatMap(({ sessions }, i) => sessions.map((n, k) => made - (n - (told0[i]?.sessions[k] ?? 0))))
    const between = (to - from) / 1000
    const cores = (i: number): number => ((usedTo[i]?.cpuMs ?? NaN) - (used[i]?.cpuMs ?? NaN)) / (to - from)
    const grown = (i: number): number => (usedTo[i]?.rssMb ?? NaN) - (used[i]?.rssMb ?? NaN)
    return {
      suite: 'watchers',
      figures: figuresOf({
        seconds: Math.round(between), sse_clients: browsers, grpc_watchers: watchers, changes_per_s: Math.round((madeTo - madeFrom) / between), sync_lag_p50_ms: lag.p50, sync_lag_p99_ms: lag.p99, sync_lag_alone_p50_ms: alone.p50, sync_lag_alone_p99_ms: alone.p99,
        events_per_s: Math.round((sum(toldTo, r => r.told) - sum(toldFrom, r => r.told)) / between), sse_per_s: Math.round(((toldTo[0]?.told ?? NaN) - (toldFrom[0]?.told ?? NaN)) / between),
        events_lost: sum(told, r => r.lost), events_lost_share: sum(told, r => r.lost) / (sum(told, r => r.lost) + sum(told, r => r.told)), events_uncounted: sum(told, r => r.gaps) + missing.reduce((all, n) => all + Math.abs(n), 0), resyncs: sum(told, r => r.resyncs), broken: sum(told, r => r.broken),
        rpc_loop_delay_p99_ms: info.rpcLoopDelayP99Ms, connect_ms: Math.round(connectMs),
        agent_cores: cores(0), gateway_cores: cores(1), standby_cores: cores(2), clients_cores: (sum(toldTo, r => r.cpuMs) - sum(toldFrom, r => r.cpuMs)) / (to - from),
        agent_rss_mb_idle: Math.round(idle[0]?.rssMb ?? NaN), agent_rss_mb_begin: Math.round(used[0]?.rssMb ?? NaN), agent_rss_mb_end: Math.round(usedTo[0]?.rssMb ?? NaN), rss_growth_mb: Math.round(grown(0)),
        gateway_rss_mb_idle: Math.round(idle[1]?.rssMb ?? NaN), gateway_rss_mb_begin: Math.round(used[1]?.rssMb ?? NaN), gateway_rss_mb_end: Math.round(usedTo[1]?.rssMb ?? NaN), gateway_rss_growth_mb: Math.round(grown(1))
      }),
      notes: {
        method: `two agents and a gateway on the loopback, userspace backend, flows of the in-process source; ${operated} changes of a weight meanwhile; watchers of sessions, objects and events in turn, half of them through the gateway`,
        ...groups.some(({ role }) => role !== RgRole.RG_ROLE_OWNER) ? { moved: 'the owner is not the one that it was' } : {},
        ...told.some(({ problem }) => problem !== '') ? { problem: told.map(({ problem }) => problem).filter(Boolean).join('; ') } : {}
      },
      spread: {}
    }
  } finally {
    for (const of of clients) await of.stop()
    await rig.close()
  }
}
