/**
 * A VPP that runs: its API and its statistics, from where the agent uses them. LOCKSTEP_VPP names its program; the bench starts one of its own.
 *
 *   ping_per_s              requests one at a time, by the API socket, from JavaScript; pipelined_per_s: a thousand on their way
 *   shm_ping_per_s, shm_pipelined_per_s: the same by shared memory, with VPP's own library
 *   weights_per_s           changes of a real's weight, ring of 1024, ten reals, a thousand on their way: VPP builds the ring each time, with its workers stopped
 *   apply_100x10_ms         100 VIPs of ten reals from nothing; noop_100x10_ms: read and found right; dump_rows_per_s: reals
 *   stats_walk_us           all entries of the stats segment with their counters; vs_client_walk: the time of VPP's own client for the same segment to ours
 *   nat_dump_per_s          sessions of NAT44-EI read by its API, 256 of each user; nat_inject_per_s: put in through its listener and acknowledged
 *   counter_ns              one cached counter; js_counters_us: two of them from JavaScript
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LiveVpp, vppLibrary, vppSkip } from '../../test/vpp/live-vpp.js'
import { must } from '../../test/lab/shell.js'
import { measureNat, measureShared, measureVpp, type NatFigures } from '../../test/vpp/measure.js'
import { BenchError, buildPrograms, runProgram } from '../lib/programs.js'
import { figuresOf, medianOf, ratio, type SuiteResult } from '../lib/samples.js'

export interface VppBenchOptions { readonly quick: boolean, readonly repeats: number, readonly progress: (text: string) => void, readonly signal: AbortSignal }

export async function bench ({ quick, repeats, progress, signal }: VppBenchOptions): Promise<SuiteResult> {
  const skip = await vppSkip()
  if (skip !== false) throw new BenchError(skip)
  await buildPrograms(progress, signal)
  const prefix = `lsb${process.pid}`
  const vpp = new LiveVpp({ directory: mkdtempSync(join(tmpdir(), 'lockstep-bench-vpp-')), netns: null, prefix, plugins: ['lb', 'ping'], perNode: true })
  try {
    progress('starting VPP')
    await vpp.start()
    progress('requests')
    const f = await measureVpp(vpp.apiSocket, vpp.statsSocket, quick)
    const library = vppLibrary()
    progress('requests by shared memory')
    const shared = library === null ? null : await measureShared(library, prefix, quick)
    progress('statistics')
    const samples = await runProgram('stats_bench', { repeats, socket: vpp.statsSocket, ...library === null ? {} : { library } }, signal)
    await vpp.remove()
    progress('sessions of NAT')
    const nat = await natFigures(prefix, quick)
    return {
      suite: 'vpp',
      figures: figuresOf({
        ping_per_s: f.pingPerS, pipelined_per_s: f.pipelinedPerS, shm_ping_per_s: shared?.pingPerS ?? null, shm_pipelined_per_s: shared?.pipelinedPerS ?? null, shm_vs_socket: ratio(shared?.pipelinedPerS ?? null, f.pipelinedPerS), weights_per_s: f.weightsPerS, apply_100x10_ms: f.applyMs, noop_100x10_ms: f.noopMs, dump_rows_per_s: f.dumpRowsPerS, nat_sessions: nat.sessions, nat_dump_per_s: nat.dumpPerS, nat_inject_per_s: nat.injectPerS,
        stats_entries: medianOf(samples, 'stats_entries'), stats_walk_us: medianOf(samples, 'stats_walk_us'), counter_ns: medianOf(samples, 'stats_counter_ns'), batch_of_16_ns: medianOf(samples, 'stats_batch_of_16_ns'), js_counters_us: f.countersUs,
        client_walk_us: medianOf(samples, 'peer_walk_us'), vs_client_walk: ratio(medianOf(samples, 'peer_walk_us'), medianOf(samples, 'stats_walk_us'))
      }),
      notes: { vpp: vpp.version, ...library === null ? { client_skipped: 'libvppapiclient is not beside VPP' } : {} },
      spread: {}
    }
  } finally {
    await vpp.remove()
  }
}

/** In a namespace, as VPP takes sessions through an interface. */
async function natFigures (prefix: string, quick: boolean): Promise<NatFigures> {
  const netns = `${prefix}-nat`
  const at = async (line: string): Promise<string> => await must({ netns, argv: line.split(' ') })
  const vpp = new LiveVpp({ directory: mkdtempSync(join(tmpdir(), 'lockstep-bench-vpp-')), netns, prefix: netns, plugins: ['af_packet', 'nat44_ei', 'ping'] })
  await must({ netns: null, argv: ['ip', 'netns', 'add', netns] })
  try {
    for (const line of ['ip link add va type veth peer name vb', 'ethtool -K vb tx off tso off', 'ip addr add 10.99.9.2/24 dev vb', 'ip link set va up', 'ip link set vb up']) await at(line)
    await vpp.start()
    return await measureNat(vpp, netns, quick ? 20 : 100, 256)
  } finally {
    await vpp.remove()
    await must({ netns: null, argv: ['ip', 'netns', 'del', netns] })
  }
}
