/**
 * The session table: walk, install, drain and fill, beside kernel hash maps of the same key and record.
 *
 *   walk_mps              million sessions per second, all three lines of each record read
 *   walk_ratio            time of a batch walk over the kernel's map divided by ours
 *   install_mps           packed records checked, indexed twice and made live
 *   install_ratio         kernel: two rows a session (tuple -> record, reply tuple -> tuple), as real systems keep them
 *   install_ratio_one_row kernel: the first row alone
 *   drain_mps             notices in random order to packed records
 *   bpf_walk_ratio        the walk over pinned BPF maps, to a batch walk of the kernel's map
 *   bpf_install_ratio     the install into them
 *   churn_missed          sessions that were there all the time and that a walk did not meet, while others came and went
 *   churn_twice           sessions that a walk met twice
 *   adopt_ms              the holder of a table in pinned maps is killed: time until its successor has adopted it and drained once (R6)
 *   adopt_ok              1: every session was there and the table sound
 *   rte_hash_walk_ratio   time of an iteration over DPDK's rte_hash with the same key and record divided by ours
 *   rte_hash_insert_ratio rte_hash: two rows a session, as the install of the kernel's
 *   rte_hash_lookup_ratio tuples at random in bursts of 32, its bulk lookup to our index with prefetch
 *   fill_fail             inserts refused below capacity, of 2^20 at 100 %
 *   verify_ok             1: full, filled again and empty tables passed every invariant
 */
import { buildPrograms, isBuilt, runProgram } from '../lib/programs.js'
import { figuresOf, medianOf, merge, noSamples, pairedRatio, ratio, spreadOf, type Samples, type SuiteResult } from '../lib/samples.js'

export interface TableBenchOptions {
  readonly sessions?: number
  readonly repeats?: number
  readonly progress?: (text: string) => void
  readonly signal?: AbortSignal
}

export async function bench ({ sessions = 2 ** 20, repeats = 9, progress = () => {}, signal }: TableBenchOptions = {}): Promise<SuiteResult> {
  await buildPrograms(progress, signal)
  progress(`${sessions} sessions, ${repeats} repeats of install, walk, drain; ours and the kernel's in turn`)
  const memory = await runProgram('table_bench', { sessions, repeats }, signal)
  progress('rte_hash of DPDK beside it')
  const rte = isBuilt('rte_hash_bench') ? await runProgram('rte_hash_bench', { sessions, repeats }, signal) : { ...noSamples, notes: { rte_hash_skipped: 'libdpdk-dev was not installed when the bench was built' } }
  const { adoptSamples } = await import('./adopt.js')
  progress('a table in pinned maps, whose holder is killed')
  const adopted = await adoptSamples(sessions, Math.min(repeats, 5), signal) ?? { ...noSamples, notes: { adopt_skipped: 'the ebpf backend cannot run here' } }
  if (!isBuilt('maps_bench')) return tableFigures(merge([memory, rte, adopted, { ...noSamples, notes: { bpf_skipped: 'clang and libbpf-dev were not installed when the bench was built' } }]), sessions)
  progress('the same over pinned BPF maps; a walk while sessions come and go')
  return tableFigures(merge([memory, rte, adopted, await runProgram('maps_bench', { sessions, repeats }, signal)]), sessions)
}

export function tableFigures (samples: Samples, sessions: number): SuiteResult {
  const perSecond = (name: string): number | null => ratio(1e3, medianOf(samples, name))
  return {
    suite: 'table',
    figures: figuresOf({
      sessions,
      walk_mps: perSecond('walk_ns'),
      walk_bpf_mps: perSecond('walk_peer_ns'),
      walk_ratio: pairedRatio(samples, 'walk_peer_ns', 'walk_ns'),
      install_mps: perSecond('install_ns'),
      install_bpf_mps: perSecond('install_peer_ns'),
      install_ratio: pairedRatio(samples, 'install_peer_ns', 'install_ns'),
      install_ratio_one_row: pairedRatio(samples, 'install_peer_one_row_ns', 'install_ns'),
      rte_hash_walk_ratio: pairedRatio(samples, 'rte_walk_ns', 'rte_walk_ours_ns'),
      rte_hash_insert_ratio: pairedRatio(samples, 'rte_insert_ns', 'rte_insert_ours_ns'),
      rte_hash_insert_ratio_one_row: pairedRatio(samples, 'rte_insert_one_row_ns', 'rte_insert_ours_ns'),
      rte_hash_lookup_ratio: pairedRatio(samples, 'rte_lookup_ns', 'rte_lookup_ours_ns'),
      bpf_walk_mps: perSecond('bpf_walk_ns'),
      bpf_walk_ratio: pairedRatio(samples, 'bpf_walk_peer_ns', 'bpf_walk_ns'),
      bpf_install_mps: perSecond('bpf_install_ns'),
      bpf_install_ratio: pairedRatio(samples, 'bpf_install_peer_ns', 'bpf_install_ns'),
      churn_per_s: medianOf(samples, 'churn_per_s'),
      churn_missed: medianOf(samples, 'churn_missed'),
      churn_twice: medianOf(samples, 'churn_twice'),
      bpf_verify_ok: medianOf(samples, 'bpf_verify_ok'),
      adopt_ms: medianOf(samples, 'adopt_ms'),
      adopt_ok: medianOf(samples, 'adopt_ok'),
      drain_mps: perSecond('drain_ns'),
      verify_ok: medianOf(samples, 'verify_ok'),
      fill_fail: medianOf(samples, 'fill_fail')
    }),
    notes: { ...samples.notes, method: 'medians, ratios of samples taken together; CPU time of the measuring thread; ours and the kernel\'s alternate within one run; shared cores: ratios count, not scaling' },
    spread: spreadOf(samples)
  }
}
