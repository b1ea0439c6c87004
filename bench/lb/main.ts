/**
 * The load balancer: rings, health, and what puts the dataplane right.
 *
 *   maglev_build_ms           65 537 entries, 1000 reals; minimal_move_ms: when one of them goes, with the fewest moves
 *   extra_disruption          fraction of entries that move although their real stays
 *   fall_ms                   a server closes its port, until the ring that the dataplane picks from is without it: fall 3 at 100 ms; the longest of fall_count
 *   targets_10k_core_pct      of one core, for 10 000 TCP targets on loopback probed every second
 *   decision_jitter_p99_ms    distance of a probe of these from a second after the one before
 *   haproxy_core_pct          HAProxy with the same targets, one thread; vs_haproxy_checks: our checks per CPU second to its
 *   apply_1000_ms             1000 VIPs of ten reals from their text to the flip; noop_reconcile_ms: read back and found right;
 *   drift_repair_ms           found and put right after 100 random corruptions of rings and compiled configuration
 */
import { BenchError, buildPrograms, runProgram } from '../lib/programs.js'
import { figuresOf, median, medianOf, ratio, type SuiteResult } from '../lib/samples.js'
import { haproxyChecks, ourChecks, type CheckFigures } from './checks.js'
import { falls, ownAddress } from './fall.js'
import { many } from './many.js'

export interface LoadBalancerBenchOptions { readonly quick: boolean, readonly repeats: number, readonly progress: (text: string) => void, readonly signal: AbortSignal }

const TARGETS = 10_000
const VIPS = 1000
const REALS = 10

export async function bench ({ quick, repeats, progress, signal }: LoadBalancerBenchOptions): Promise<SuiteResult> {
  await buildPrograms(progress, signal)
  progress('Maglev rings')
  const maglev = await runProgram('maglev_bench', { repeats }, signal)
  progress(`${VIPS} VIPs of ${REALS} reals`)
  const { applyMs, noopMs, repairMs } = await many(VIPS, REALS, quick ? 2 : 5, signal)
  progress('servers that go')
  const address = ownAddress()
  const fallen = address === null ? [] : await falls(address, quick ? 4 : 20, signal)
  const seconds = quick ? 5 : 20
  progress(`${TARGETS} targets for ${seconds} s`)
  const ours = await ourChecks(TARGETS, seconds, signal)
  progress('HAProxy with the same targets')
  const theirs = await haproxyChecks(TARGETS, seconds, signal).catch((error: unknown): CheckFigures | string => {
    if (signal.aborted) throw error
    return error instanceof Error ? error.message : String(error)
  })
  if (ours.failed > TARGETS) throw new BenchError(`${ours.failed} of the probes failed: this host cannot make so many connections`)
  const ms = (name: string): number | null => ratio(medianOf(maglev, name), 1e6)
  return {
    suite: 'lb',
    figures: figuresOf({
      maglev_build_ms: ms('maglev_build_ns'), minimal_move_ms: ms('maglev_repair_ns'), extra_disruption: medianOf(maglev, 'maglev_extra_disruption'), rebuild_disruption: medianOf(maglev, 'maglev_rebuild_disruption'),
      fall_ms: fallen.length === 0 ? null : Math.max(...fallen), fall_ms_p50: fallen.length === 0 ? null : median(fallen), fall_count: fallen.length,
      targets_10k_core_pct: ours.corePct, decision_jitter_p99_ms: ours.jitterP99Ms, checks_per_s: ours.perS, checks_per_cpu_s: ours.perCpuS, checks_failed: ours.failed,
      haproxy_core_pct: typeof theirs === 'string' ? null : theirs.corePct, haproxy_checks_per_s: typeof theirs === 'string' ? null : theirs.perS, haproxy_checks_per_cpu_s: typeof theirs === 'string' ? null : theirs.perCpuS,
      vs_haproxy_checks: typeof theirs === 'string' ? null : ours.perCpuS / theirs.perCpuS,
      apply_1000_ms: median(applyMs), noop_reconcile_ms: median(noopMs), drift_repair_ms: median(repairMs)
    }),
    notes: { ...(address === null ? { fall_skipped: 'this host has no address of its own but loopback' } : {}), ...(typeof theirs === 'string' ? { haproxy_skipped: theirs } : {}), method: 'loopback; targets are addresses of 127.1.0.0/16 with one server behind them, in a process of its own' },
    spread: {}
  }
}
