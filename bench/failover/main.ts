/**
 * A pair under new flows and live downloads: planned moves, and the death of the owner (agent and keeper killed, programs detached).
 *
 *   changes_per_s     session changes that the owner told its standby, at planned moves; changes_per_s_deaths: at deaths
 *   lost_planned      sessions established before a planned move that the new owner does not have after it, and downloads that broke
 *   moves_refused     by a standby that was not ready; nothing moves then
 *   move_ms_p50       `cluster switchover`, as its caller waits; planned_gap_ms_max: longest silence of a probe at 10 kHz around a move
 *   detect_ms_p50     last heartbeat to "peer lost" at 100 ms x 3; detect_ms_fast_p50 at 10 ms x 5
 *   takeover_ms_p50   "peer lost" to the first answer of the same probe, both timings together; role_ms_p50: to the role in the table
 *   survived_ratio    of the sessions that were older than lag_p99_ms when the owner died, those that the new owner has
 *   tcp_broken        downloads that broke, at moves and deaths, but those begun within 500 ms before a takeover, which nobody promises: tcp_young_broken
 *   contested         deaths not counted: a busy host had kept the owner silent for too long before
 *   unplanned         changes of the owner that nobody asked for, for the same reason
 *   commit_ms         entries that a takeover has to install before packets pass: none; conntrackd_commit_ms: what its commit of conntrackd_committed takes
 *   flow_gap_ms_*     longest silence of each of flow_count flows at flow_rate datagrams a second through a death, IPv4; flow6_gap_ms_*: IPv6
 */
import { setPriority } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { probeBackends } from '../../src/backend/registry.js'
import { probing, type ProbeFigures } from '../../test/lab/load.js'
import { churning, establishedIds, fineProbe, keepDownloading, killOwner, missingOf, peerOf, probePort, probeServer, takeovers, tooYoung, type Death } from '../../test/lab/pair-failover.js'
import { PairLab } from '../../test/lab/pair-lab.js'
import { pairConfig, routers, type PairConfig, type RouterName } from '../../test/lab/pair-topology.js'
import { addresses } from '../../test/lab/topology.js'
import { BenchError } from '../lib/programs.js'
import { figuresOf, median, quantile, type SuiteResult } from '../lib/samples.js'
import { measureConntrackd } from '../peers/conntrackd.js'

export interface FailoverBenchOptions {
  readonly backend: 'userspace' | 'ebpf'
  readonly moves: number
  /** Of each timing. */
  readonly kills: number
  readonly timings: ReadonlyArray<keyof typeof timings>
  /** Of downloads and new flows, before anything is done to them. */
  readonly warmMs: number
  /** Deaths under many flows, of each address family. */
  readonly flowKills: number
  /** Find the rate of new flows that this host carries; else a low one. */
  readonly calibrate: boolean
  /** conntrackd beside it. */
  readonly peer: boolean
  readonly progress: (text: string) => void
  readonly signal: AbortSignal
}

const DOWNLOADS = 16
const SETTLE_MS = 90_000
/** Between planned moves: who takes a group over lets its sessions live for their whole timeout (R8), so moves that follow one another faster fill the table. */
const REST_MS = 4000
/** New flows a second, each created and ended: two changes. Tried one after the other until the pair falls behind. */
const FLOWS_PER_S = [1000, 2500, 5000, 10_000, 20_000, 35_000, 50_000]
const timings = { slow: { interval: '100ms', count: 3, silentMs: 300 }, fast: { interval: '10ms', count: 5, silentMs: 50 } } as const
const flows = { count: 1000, rate: 100, seconds: 30 } as const
const timeouts = 'timeouts: {udp-new: 2s}'

interface Moved { readonly ms: number, readonly gapMs: number, readonly lost: number }
interface Killed extends Death { readonly established: number, readonly missing: number }
interface Sent { readonly rows: number, readonly atMs: number }

class Bench {
  readonly moves: Moved[] = []
  readonly deaths: Record<keyof typeof timings, Killed[]> = { slow: [], fast: [] }
  readonly gaps: Record<'v4' | 'v6', ProbeFigures[]> = { v4: [], v6: [] }
  readonly rates: Record<'moves' | 'deaths', number[]> = { moves: [], deaths: [] }
  readonly lags: number[] = []
  broken = 0
  youngBroken = 0
  contested = 0
  refused = 0
  unplanned = 0
  /** New flows a second; half of them at moves, a quarter at deaths, which need room. */
  carried = 4000
  entries = 0
  silentMs = 0
  owner: RouterName = 'r1'

  constructor (readonly lab: PairLab, readonly o: FailoverBenchOptions) {}

  config (timing: keyof typeof timings): Omit<PairConfig, 'keyFile'> { return { backend: this.o.backend, heartbeat: { interval: timings[timing].interval, count: timings[timing].count }, capacity: '256k', more: timeouts } }

  async restart (timing: keyof typeof timings): Promise<void> {
    this.silentMs = timings[timing].silentMs
    const config = pairConfig({ ...this.config(timing), keyFile: this.lab.keyFile })
    for (const agent of this.lab.agents.values()) await agent.stop()
    for (const agent of this.lab.agents.values()) await agent.teardown()
    await Promise.all([this.lab.start('r1', config), this.lab.start('r2', config)])
    this.owner = await this.settled()
  }

  /** One owns and the other is ready: of a standby that is not, nothing is promised. Who owns may have changed, where the host left heartbeats waiting. */
  async settle (): Promise<void> {
    const owner = await this.settled()
    if (this.owner !== owner) this.unplanned++
    this.owner = owner
  }

  /** Who owns, when the other is ready. */
  async settled (): Promise<RouterName> {
    let owner: RouterName | undefined
    await this.lab.until(async () => {
      const groups = await Promise.all(routers.map(async (r) => await this.lab.group(r)))
      owner = routers.find((_, i) => groups[i]?.role === 'owner')
      return owner !== undefined && groups.some((g) => g.role === 'standby' && g.ready) ? null : groups.map((g, i) => `${routers[i] ?? ''} is ${g.role}: ${g.reasons.join(', ')}`).join('; ')
    }, SETTLE_MS)
    return owner ?? 'r1'
  }

  async sent (): Promise<Sent> {
    const { sync } = await this.lab.status(this.owner)
    return { rows: Number(sync.sent['rows'] ?? 0), atMs: performance.now() }
  }

  /** The new flows that the pair takes beside downloads and probe without falling behind. */
  async calibrate (): Promise<void> {
    const downloads = keepDownloading(this.lab, DOWNLOADS)
    const probe = await fineProbe(this.lab)
    for (const rate of FLOWS_PER_S) {
      const churn = await churning(this.lab, rate)
      await sleep(5000) // the first flows end after two seconds
      const { ready } = await this.lab.group(peerOf(this.owner))
      const { sync } = await this.lab.status(this.owner)
      await churn.stop()
      if (!ready || (sync.lagMs ?? Infinity) > 50) break
      this.carried = rate
    }
    await probe.stop()
    await downloads.end()
    this.o.progress(`this host carries ${this.carried} new flows/s now`)
    await this.restart(this.o.timings[0] ?? 'slow')
  }

  async underChurn (flowsPerS: number, act: () => Promise<void>): Promise<void> {
    const churn = await churning(this.lab, flowsPerS)
    try {
      await sleep(this.o.warmMs)
      await act()
    } finally {
      await churn.stop()
    }
  }

  /** Rows told, and the lag, while something is measured; asked of the owner, which has to live. */
  async noteRate (at: 'moves' | 'deaths', before: Sent): Promise<void> {
    const { rows, atMs } = await this.sent()
    const { sync } = await this.lab.status(this.owner)
    this.rates[at].push((rows - before.rows) / (atMs - before.atMs) * 1000)
    this.lags.push(sync.lag?.p99Ms ?? NaN)
  }

  async move (): Promise<void> {
    await this.settle()
    const { lab, owner } = this
    const heir = peerOf(owner)
    const probe = await fineProbe(lab)
    const before = await this.sent()
    const established = await establishedIds(lab.agent(owner))
    await this.noteRate('moves', before)
    const began = performance.now()
    const moved = await lab.agent(owner).cli(['cluster', 'switchover', '--to', heir, '--all'])
    const ms = performance.now() - began
    if (moved.code !== 0) {
      await probe.stop()
      this.refused++
      this.o.progress(`a planned move was refused: ${moved.stdout.trim()}${moved.stderr.trim()}`)
      return
    }
    this.owner = heir
    const lost = await missingOf(established, lab.agent(heir))
    const { silences } = await probe.stop()
    this.moves.push({ ms, gapMs: Math.max(0, ...silences.map((s) => s.to - s.from)), lost })
  }

  async kill (timing: keyof typeof timings): Promise<void> {
    await this.settle()
    const { lab, owner } = this
    const probe = await fineProbe(lab)
    const before = await this.sent()
    const established = await establishedIds(lab.agent(owner))
    await this.noteRate('deaths', before)
    this.entries = Math.max(this.entries, (await lab.group(owner)).sessions)
    const death = await killOwner(lab, owner, probe)
    this.owner = peerOf(owner)
    if (death === null) {
      await lab.killNode(owner)
      await probe.stop()
      this.contested++
      return
    }
    const missing = await missingOf(established, lab.agent(this.owner))
    await probe.stop()
    this.deaths[timing].push({ ...death, established: established.size, missing })
    this.o.progress(`${timing}: ${established.size} sessions, ${missing} missing; detected after ${death.detectMs} ms, role ${death.roleMs}, first packet ${death.takeoverMs.toFixed(1)}`)
  }

  /** Whoever died comes back as the standby. */
  async revive (timing: keyof typeof timings): Promise<void> {
    await this.lab.start(peerOf(this.owner), pairConfig({ ...this.config(timing), keyFile: this.lab.keyFile }))
    await this.settle()
  }

  async flowGap (family: 'v4' | 'v6'): Promise<void> {
    const { lab, owner } = this
    const [many, fine] = [await probing(lab.topology, { to: addresses.s1[family], port: probePort, flows: flows.count, rate: flows.rate, seconds: flows.seconds }), await fineProbe(lab, addresses.s1[family])]
    await sleep(2000)
    if (await killOwner(lab, owner, fine) === null) await lab.killNode(owner)
    this.owner = peerOf(owner)
    await sleep(1000)
    await fine.stop()
    this.gaps[family].push(await many.stop())
  }

  async withDownloads (act: () => Promise<void>): Promise<void> {
    const downloads = keepDownloading(this.lab, DOWNLOADS)
    try {
      await act()
    } finally {
      for (const broken of (await downloads.end()).broken) {
        const young = tooYoung(broken, takeovers(this.lab), this.silentMs)
        if (young) this.youngBroken++
        else this.broken++
        this.o.progress(`a download broke${young ? ', too young to be known elsewhere' : ''}, begun ${Math.round(Math.min(...takeovers(this.lab).filter((at) => at > broken.begunAt)) - broken.begunAt)} ms before the next takeover: ${broken.why}`)
      }
    }
  }
}

export async function bench (o: FailoverBenchOptions): Promise<SuiteResult> {
  const ebpf = probeBackends().find(p => p.backend === 'ebpf')
  if (process.getuid?.() !== 0) throw new BenchError('the failover bench needs root: it makes network namespaces')
  if (o.backend === 'ebpf' && ebpf?.available !== true) throw new BenchError(`the ebpf backend cannot run here: ${ebpf?.reason ?? 'unknown'}; --backend userspace can`)
  setPriority(-10) // and with it all it starts: the host's other work is not what is measured
  const lab = await PairLab.open(`bf-${process.pid}`, { backend: o.backend })
  const b = new Bench(lab, o)
  const go = (): void => { o.signal.throwIfAborted() }
  try {
    const server = await probeServer(lab)
    await b.restart(o.timings[0] ?? 'slow')
    if (o.calibrate) await b.calibrate()
    o.progress(`${o.moves} planned moves under ${DOWNLOADS} downloads`)
    await b.withDownloads(async () => {
      await b.underChurn(b.carried / 2, async () => { for (let i = 0; i < o.moves; i++, go()) { await b.move(); await sleep(REST_MS) } })
    })
    for (const timing of o.timings) {
      if (timing !== o.timings[0]) await b.restart(timing)
      o.progress(`${o.kills} deaths at ${timings[timing].interval} x ${timings[timing].count}, ${b.carried / 4} new flows/s`)
      for (let i = 0; i < o.kills; i++, go()) {
        await b.withDownloads(async () => { await b.underChurn(b.carried / 4, async () => { await b.kill(timing) }) })
        if (timing !== o.timings.at(-1) || i + 1 < o.kills || o.flowKills > 0) await b.revive(timing)
      }
    }
    for (const family of ['v4', 'v6'] as const) {
      for (let i = 0; i < o.flowKills; i++, go()) {
        await b.flowGap(family)
        await b.revive('fast')
      }
    }
    await server.stop()
  } finally {
    await lab.close()
  }
  const theirs = o.peer ? await conntrackd(b.entries, o) : { skipped: 'not asked for (--quick)' }
  return resultOf(b, theirs)
}

async function conntrackd (entries: number, { progress, signal }: FailoverBenchOptions): ReturnType<typeof measureConntrackd> {
  const flowsPerS = 10_000
  return await measureConntrackd({ seconds: Math.max(1, Math.round(entries / flowsPerS) - 1), flowsPerS, externalCache: true, progress, signal })
}

function resultOf (b: Bench, theirs: Awaited<ReturnType<typeof measureConntrackd>>): SuiteResult {
  const deaths = [...b.deaths.slow, ...b.deaths.fast]
  const of = (list: readonly Killed[], what: (d: Killed) => number, p = 0.5): number => quantile(list.map(what), p)
  const sum = (numbers: readonly number[]): number => numbers.reduce((all, n) => all + n, 0)
  const established = sum(deaths.map((d) => d.established))
  const gapsOf = (family: 'v4' | 'v6', what: keyof ProbeFigures['longestMs']): number => median(b.gaps[family].map((g) => g.longestMs[what]))
  const worstOf = (family: 'v4' | 'v6'): number => b.gaps[family].length === 0 ? NaN : Math.max(...b.gaps[family].map((g) => g.longestMs.max))
  return {
    suite: 'failover',
    figures: figuresOf({
      moves: b.moves.length, moves_refused: b.refused, lost_planned: sum(b.moves.map((m) => m.lost)), move_ms_p50: median(b.moves.map((m) => m.ms)), planned_gap_ms_max: Math.max(...b.moves.map((m) => m.gapMs)),
      deaths: deaths.length, detect_ms_p50: of(b.deaths.slow, (d) => d.detectMs), detect_ms_fast_p50: of(b.deaths.fast, (d) => d.detectMs), role_ms_p50: of(deaths, (d) => d.roleMs),
      takeover_ms_p50: of(deaths, (d) => d.takeoverMs), takeover_ms_p99: of(deaths, (d) => d.takeoverMs, 0.99), gap_ms_p50: of(b.deaths.slow, (d) => d.gapMs), gap_fast_ms_p50: of(b.deaths.fast, (d) => d.gapMs),
      established, survived_ratio: (established - sum(deaths.map((d) => d.missing))) / established, tcp_broken: b.broken, tcp_young_broken: b.youngBroken, contested: b.contested, unplanned: b.unplanned,
      changes_per_s: median(b.rates.moves), changes_per_s_deaths: median(b.rates.deaths), lag_p99_ms: median(b.lags.filter(Number.isFinite)), table_sessions: b.entries, commit_ms: 0,
      conntrackd_commit_ms: 'skipped' in theirs ? null : theirs.commitMs, conntrackd_committed: 'skipped' in theirs ? null : theirs.committed,
      flow_count: b.gaps.v4.length === 0 ? null : flows.count, flow_rate: b.gaps.v4.length === 0 ? null : flows.rate,
      flow_gap_ms_p50: gapsOf('v4', 'p50'), flow_gap_ms_p99: gapsOf('v4', 'p99'), flow_gap_ms_max: worstOf('v4'),
      flow6_gap_ms_p50: gapsOf('v6', 'p50'), flow6_gap_ms_p99: gapsOf('v6', 'p99'), flow6_gap_ms_max: worstOf('v6')
    }),
    notes: {
      backend: b.o.backend, ...('skipped' in theirs ? { conntrackd_skipped: theirs.skipped } : { conntrackd: `${theirs.version}; without its external cache entries go to the kernel as they come, and there is no commit either` }),
      method: 'two agents, client and servers in network namespaces of one host; a death is kill -9 of agent and keeper, programs detached; downloads of 1 MiB, four seconds each'
    },
    spread: {}
  }
}
