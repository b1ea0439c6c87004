/**
 * The packet path: in user space, as the XDP program, and Maglev rings.
 *
 *   userspace_hit_ns         a packet of a known session, the same 32 sessions again and again
 *   userspace_hit_cold_ns    the same, sessions at random among a million
 *   userspace_new_ns         a packet that opens a session
 *   userspace_new_vip_ns     the same through a VIP with 1000 reals: Maglev pick, DNAT, checksums
 *   xdp_hit_ns               a TCP segment of a known session through the XDP program, 32 sessions
 *   xdp_hit_ratio            to the same program with kernel hash maps for index and records
 *   xdp_hit_once_ns          one run a call, what the test run itself costs included
 *   xdp_hit_cold_ratio       sessions at random among 1M and 16M, replies on another CPU meanwhile: the worse of the two
 *   xdp_new_flow_ns          a packet that opens a session
 *   xdp_new_flow_ratio       to the same program with two map updates
 *   xdp_maglev_ns            parse, VIP, pick from its ring, rewrite; no session
 *   parse_ns                 the part of xdp_hit_ns up to the hash of the tuple
 *   dpdk_hit_ns              a packet of a known session: received from net_null, worked on, sent to net_null; 32 sessions
 *   dpdk_new_ns              a packet that opens a session, likewise
 *   dpdk_testpmd_ns          dpdk-testpmd, forward mode macswap, on the same driver in the same run
 *   dpdk_vs_testpmd          dpdk_hit_ns to that; with _2: two lcores, the mean of both
 *   maglev_build_ms          65 537 entries, 1000 reals
 *   maglev_extra_disruption  fraction of entries that move although their real stays, when one real goes; repair
 */
import { buildPrograms, isBuilt, runProgram } from '../lib/programs.js'
import { figuresOf, medianOf, merge, noSamples, pairedRatio, prefixed, ratio, spreadOf, type Samples, type SuiteResult } from '../lib/samples.js'

export interface PipelineBenchOptions {
  readonly sessions?: number
  readonly repeats?: number
  /** Leaves the table of 16 million sessions out. */
  readonly quick?: boolean
  readonly progress?: (text: string) => void
  readonly signal?: AbortSignal
}

const large = 2 ** 24
/** Where the kernel puts the programs, and where the table's key puts 32 sessions, is worth several per cent of a hit: it is drawn anew for each. */
const loads = 3

export async function bench ({ sessions = 2 ** 20, repeats = 9, quick = false, progress = () => {}, signal }: PipelineBenchOptions = {}): Promise<SuiteResult> {
  await buildPrograms(progress, signal)
  progress(`${sessions} sessions, ${repeats} repeats of hits and new flows; Maglev rings`)
  const parts = [await runProgram('pipeline_bench', { sessions, repeats }, signal), await runProgram('maglev_bench', { repeats }, signal)]
  if (isBuilt('xdp_bench')) {
    progress('the same as XDP, beside kernel hash maps')
    for (let n = 0; n < (quick ? 1 : loads); n++) parts.push(await runProgram('xdp_bench', { sessions, repeats: quick ? repeats : Math.ceil(repeats / loads) }, signal))
    if (!quick && sessions >= 2 ** 20 && parts[1]?.notes['xdp_skipped'] === undefined) {
      progress(`cold hits among ${large} sessions`)
      parts.push(prefixed('16m_', await runProgram('xdp_bench', { sessions: large, repeats: Math.min(repeats, 5), warm: 0 }, signal)))
    }
  } else parts.push({ ...noSamples, notes: { xdp_skipped: 'clang and libbpf-dev were not installed when the bench was built' } })
  if (isBuilt('dpdk_bench')) {
    const { testpmdSamples } = await import('./testpmd.js')
    for (const lcores of [1, 2]) {
      progress(`DPDK over net_null with ${lcores} lcores, and testpmd`)
      parts.push(await runProgram('dpdk_bench', { sessions, repeats, lcores }, signal), await testpmdSamples(lcores, quick ? 2 : 5, signal))
    }
  } else parts.push({ ...noSamples, notes: { dpdk_skipped: 'libdpdk-dev was not installed when the bench was built' } })
  return pipelineFigures(merge(parts), sessions)
}

export function pipelineFigures (samples: Samples, sessions: number): SuiteResult {
  const over = (ours: string, peer: string): number | null => pairedRatio(samples, ours, peer)
  const cold = [over('hit_cold_ns', 'hit_cold_peer_ns'), over('16m_hit_cold_ns', '16m_hit_cold_peer_ns')]
  const ms = (name: string): number | null => ratio(medianOf(samples, name), 1e6)
  return {
    suite: 'pipeline',
    figures: figuresOf({
      sessions,
      userspace_hit_ns: medianOf(samples, 'user_hit_hot_ns'),
      userspace_hit_cold_ns: medianOf(samples, 'user_hit_cold_ns'),
      userspace_new_ns: medianOf(samples, 'new_ns'),
      userspace_new_vip_ns: medianOf(samples, 'new_vip_ns'),
      xdp_hit_ns: medianOf(samples, 'hit_ns'),
      xdp_hit_ratio: over('hit_ns', 'hit_peer_ns'),
      xdp_hit_once_ns: medianOf(samples, 'once_hit_ns'),
      xdp_empty_once_ns: medianOf(samples, 'once_empty_ns'),
      xdp_hit_cold_ns: medianOf(samples, 'hit_cold_ns'),
      xdp_hit_cold_ratio_1m: cold[0] ?? null,
      xdp_hit_cold_ratio_16m: cold[1] ?? null,
      xdp_hit_cold_ratio: cold[0] === null || cold[0] === undefined ? null : Math.max(cold[0], cold[1] ?? 0),
      xdp_new_flow_ns: medianOf(samples, 'new_flow_ns'),
      xdp_new_flow_ratio: over('new_flow_ns', 'new_flow_peer_ns'),
      xdp_maglev_ns: medianOf(samples, 'maglev_ns'),
      parse_ns: medianOf(samples, 'parse_ns'),
      dpdk_hit_ns: medianOf(samples, 'dpdk_hit_1_ns'),
      dpdk_hit_2_ns: medianOf(samples, 'dpdk_hit_2_ns'),
      dpdk_new_ns: medianOf(samples, 'dpdk_new_ns'),
      dpdk_testpmd_ns: medianOf(samples, 'testpmd_1_ns'),
      dpdk_testpmd_2_ns: medianOf(samples, 'testpmd_2_ns'),
      dpdk_vs_testpmd: ratio(medianOf(samples, 'dpdk_hit_1_ns'), medianOf(samples, 'testpmd_1_ns')),
      dpdk_vs_testpmd_2: ratio(medianOf(samples, 'dpdk_hit_2_ns'), medianOf(samples, 'testpmd_2_ns')),
      maglev_build_ms: ms('maglev_build_ns'),
      maglev_build_weighted_ms: ms('maglev_build_weighted_ns'),
      maglev_repair_ms: ms('maglev_repair_ns'),
      maglev_extra_disruption: medianOf(samples, 'maglev_extra_disruption'),
      maglev_rebuild_disruption: medianOf(samples, 'maglev_rebuild_disruption'),
      verify_ok: medianOf(samples, 'verify_ok')
    }),
    notes: { ...samples.notes, method: 'medians; CPU time of the measuring thread; 64-byte frames; user space: in bursts of 32, the copy into the buffer measured and taken off; XDP: BPF_PROG_TEST_RUN, a program that only writes the frame anew measured and taken off' },
    spread: spreadOf(samples)
  }
}
