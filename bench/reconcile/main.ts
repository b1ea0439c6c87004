/**
 * Reconciliation at the end of a bulk: N sessions of a peer, of which a fraction was not sent again, through the real ls_reconcile.
 *
 *   reconcile_ms         from bulkEnd to the last stale session's two index entries cleared, wall clock, graces apart (at 1M sessions: reconcile_1m_ms)
 *   reconcile_cpu_ms     the same, CPU time of the thread: what it takes when no other work shares the cores
 *   grace_ms             waiting for the packet workers to pass a quiescent point
 *   reconcile_ratio_bpf  CPU time of the same algorithm over kernel hash maps with batch calls, divided by ours
 *   reconcile_ratio_map  CPU time of the same algorithm over JavaScript Maps, divided by ours
 *   exact                1: every stale session gone with its two entries, no other touched, table verified
 *
 * With `peer` two nodes that differ beside it: peer.ts.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { freemem } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describeMachine } from '../lib/machine.js'
import { buildPrograms, collect, root, runProgram } from '../lib/programs.js'
import { figuresOf, medianOf, merge, ratio, spreadOf, type Samples, type SuiteResult } from '../lib/samples.js'
import { htmlReport } from './html.js'
import { peerFigures, measurePeer, peerNotes, peerRows, type PeerRow } from './peer.js'
import { barPlot, costPlot, peerPlot, perSessionPlot } from './plots.js'

export interface ReconcileBenchOptions {
  readonly sessions?: number
  readonly stale?: number
  readonly repeats?: number
  readonly sweep?: boolean
  /** Two nodes that differ, repaired each way; `quick`: smaller ones, fewer rounds. */
  readonly peer?: boolean
  readonly quick?: boolean
  readonly html?: string | null
  /** Write the plots of a sweep into docs/plots. */
  readonly savePlots?: boolean
  readonly progress?: (text: string) => void
  readonly signal?: AbortSignal
}

/** One size of a sweep; null: not measured. */
export interface SweepRow {
  readonly sessions: number
  readonly cpuMs: number | null
  readonly wallMs: number | null
  readonly bpfMs: number | null
  readonly mapMs: number | null
}

const MAP_SESSIONS_MAX = 3_000_000 // beyond, the heap alone takes more than 4 GiB
const BPF_SESSIONS_MAX = 4_000_000 // rows of both maps and the prepared batches stay below 4 GiB
const sweepSizes = [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 16_777_216]
const mapPeer = fileURLToPath(new URL('./map-peer.js', import.meta.url))

export async function bench (options: ReconcileBenchOptions = {}): Promise<SuiteResult & { readonly sweep: readonly SweepRow[] }> {
  const { sessions = 1_000_000, stale = 0.01, repeats = 9, progress = () => {}, signal } = options
  await buildPrograms(progress, signal)
  const samples = await measure(sessions, stale, repeats, progress, signal)
  const result = reconcileFigures(samples, sessions, stale)
  const sweep: SweepRow[] = []
  if (options.sweep === true) {
    for (const size of sweepSizes) {
      if (size * 640 > freemem()) { // table, records and the part sent again
        progress(`${size} sessions: skipped, less than ${Math.round(size * 640 / 2 ** 30)} GiB free`)
        continue
      }
      sweep.push(sweepRow(await measure(size, stale, size > 1e6 ? 3 : 5, progress, signal), size))
    }
  }
  const peer = options.peer === true ? await measurePair(options, sessions) : null
  const complete = {
    ...result, sweep, figures: { ...result.figures, ...peer?.figures }, spread: { ...result.spread, ...peer?.spread }, notes: { ...result.notes, ...sweepNote(sweep), ...peer?.notes }
  }
  if (options.savePlots === true && sweep.length > 1) writePlots(sweep, progress)
  if (options.html !== null && options.html !== undefined) {
    mkdirSync(dirname(options.html), { recursive: true })
    const plots = [barPlot(result.figures), ...(sweep.length > 1 ? [costPlot(sweep), perSessionPlot(sweep)] : [])]
    const pairs = peer === null ? [] : (['wallMs', 'cpuMs', 'bytes'] as const).map((what) => peerPlot(peer.rows, what))
    writeFileSync(options.html, htmlReport(complete, describeMachine(), new Date(), plots, peer === null ? null : { rows: peer.rows, picked: peer.picked, svgs: pairs }))
    progress(`report: ${options.html}`)
  }
  return complete
}

interface PairResult { readonly figures: Readonly<Record<string, number>>, readonly spread: SuiteResult['spread'], readonly notes: Readonly<Record<string, string>>, readonly rows: readonly PeerRow[], readonly picked: ReadonlyMap<number, boolean> }

async function measurePair ({ quick = false, progress = () => {}, signal }: ReconcileBenchOptions, asked: number): Promise<PairResult> {
  const sessions = quick ? Math.min(asked, 100_000) : asked
  const differences = [0, 100, ...(quick ? [] : [10_000]), Math.min(500_000, sessions / 2)]
  const samples = await measurePeer({ sessions, differences, rounds: quick ? 1 : 3, progress, ...(signal === undefined ? {} : { signal }) })
  const figures = peerFigures(samples, differences)
  return {
    figures: figuresOf({ peer_sessions: sessions, ...figures }), spread: spreadOf(samples), notes: peerNotes(sessions, differences), rows: peerRows(samples, differences),
    picked: new Map(differences.map((d) => [d, figures[`peer_picked_d${d}`] === 0]))
  }
}

/** Ours with the kernel's, then the Map's, twice over unless few repeats are asked for, so that a drifting machine hits all of them. */
async function measure (sessions: number, stale: number, repeats: number, progress: (text: string) => void, signal?: AbortSignal): Promise<Samples> {
  const parts: Samples[] = []
  const rounds = repeats > 3 ? 2 : 1
  for (let round = 0; round < rounds; round++) {
    const each = Math.ceil(repeats / rounds)
    progress(`${sessions} sessions, ${stale * 100} % stale: round ${round + 1} of ${rounds}, shared table${sessions <= BPF_SESSIONS_MAX ? ' and kernel hash maps' : ''}`)
    parts.push(await runProgram('reconcile_bench', { sessions, stale, repeats: each, peer: sessions <= BPF_SESSIONS_MAX ? 1 : 0 }, signal))
    if (sessions > MAP_SESSIONS_MAX) continue
    progress(`${sessions} sessions, ${stale * 100} % stale: round ${round + 1} of ${rounds}, JavaScript Map`)
    parts.push(await collect(process.execPath, ['--max-old-space-size=8192', mapPeer, String(sessions), String(stale), String(each)], signal))
  }
  return merge(parts)
}

const ms = (samples: Samples, name: string): number | null => ratio(medianOf(samples, name), 1e6)

export function reconcileFigures (samples: Samples, sessions: number, stale: number): SuiteResult {
  const cpu = medianOf(samples, 'reconcile_cpu_ns')
  const wall = ms(samples, 'reconcile_ns')
  return {
    suite: 'reconcile',
    figures: figuresOf({
      sessions,
      stale_fraction: stale,
      stale: medianOf(samples, 'stale'),
      [sessions === 1_000_000 ? 'reconcile_1m_ms' : 'reconcile_ms']: wall,
      reconcile_cpu_ms: ms(samples, 'reconcile_cpu_ns'),
      grace_ms: ms(samples, 'reconcile_grace_ns'),
      walk_ms: ms(samples, 'reconcile_walk_ns'),
      clear_ms: ms(samples, 'reconcile_clear_ns'),
      reconcile_bpf_cpu_ms: ms(samples, 'reconcile_peer_cpu_ns'),
      reconcile_map_cpu_ms: ms(samples, 'reconcile_map_cpu_ns'),
      reconcile_ratio_bpf: ratio(medianOf(samples, 'reconcile_peer_cpu_ns'), cpu),
      reconcile_ratio_map: ratio(medianOf(samples, 'reconcile_map_cpu_ns'), cpu),
      reconcile_ratio_bpf_wall: ratio(ms(samples, 'reconcile_peer_ns'), wall),
      reconcile_ratio_map_wall: ratio(ms(samples, 'reconcile_map_ns'), wall),
      bulk_install_ms: ms(samples, 'bulk_ns'),
      exact: medianOf(samples, 'exact')
    }),
    notes: { ...samples.notes, method: 'medians; the three variants alternate; ratios from CPU time, so that other work on shared cores does not count' },
    spread: spreadOf(samples)
  }
}

function sweepRow (samples: Samples, sessions: number): SweepRow {
  return {
    sessions,
    cpuMs: ms(samples, 'reconcile_cpu_ns'),
    wallMs: ms(samples, 'reconcile_ns'),
    bpfMs: ms(samples, 'reconcile_peer_cpu_ns'),
    mapMs: ms(samples, 'reconcile_map_cpu_ns')
  }
}

/** Slope of log(cost) over log(sessions): 1 is linear. */
export function exponent (rows: readonly SweepRow[]): number {
  const points = rows.flatMap(({ sessions, cpuMs }) => (cpuMs === null ? [] : [[Math.log(sessions), Math.log(cpuMs)] as const]))
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length
  return points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
}

const sweepNote = (rows: readonly SweepRow[]): Record<string, string> =>
  (rows.length > 1 ? { sweep: `${rows[0]?.sessions} to ${rows.at(-1)?.sessions} sessions: cost grows with the power ${exponent(rows).toFixed(2)} of the size (1 is linear)` } : {})

function writePlots (sweep: readonly SweepRow[], progress: (text: string) => void): void {
  mkdirSync(join(root, 'docs/plots'), { recursive: true })
  for (const [name, svg] of [['reconcile', costPlot(sweep)], ['reconcile-per-session', perSessionPlot(sweep)]] as const) {
    writeFileSync(join(root, `docs/plots/${name}.svg`), `${svg}\n`)
    progress(`docs/plots/${name}.svg`)
  }
}
