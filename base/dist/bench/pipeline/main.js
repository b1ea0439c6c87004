/**
 * The packet path in user space, and Maglev rings.
 *
 *   userspace_hit_ns         a packet of a known session, the same 32 sessions again and again
 *   userspace_hit_cold_ns    the same, sessions at random among a million
 *   userspace_new_ns         a packet that opens a session
 *   userspace_new_vip_ns     the same through a VIP with 1000 reals: Maglev pick, DNAT, checksums
 *   maglev_build_ms          65 537 entries, 1000 reals
 *   maglev_extra_disruption  fraction of entries that move although their real stays, when one real goes; repair
 */
import { buildPrograms, runProgram } from '../lib/programs.js';
import { figuresOf, medianOf, ratio, spreadOf } from '../lib/samples.js';
export async function bench({ sessions = 2 ** 20, repeats = 9, progress = () => { }, signal } = {}) {
    await buildPrograms(progress, signal);
    progress(`${sessions} sessions, ${repeats} repeats of hits and new flows; Maglev rings`);
    return pipelineFigures(await runProgram('pipeline_bench', { sessions, repeats }, signal), sessions);
}
export function pipelineFigures(samples, sessions) {
    const ms = (name) => ratio(medianOf(samples, name), 1e6);
    return {
        suite: 'pipeline',
        figures: figuresOf({
            sessions,
            userspace_hit_ns: medianOf(samples, 'hit_hot_ns'),
            userspace_hit_cold_ns: medianOf(samples, 'hit_cold_ns'),
            userspace_new_ns: medianOf(samples, 'new_ns'),
            userspace_new_vip_ns: medianOf(samples, 'new_vip_ns'),
            maglev_build_ms: ms('maglev_build_ns'),
            maglev_build_weighted_ms: ms('maglev_build_weighted_ns'),
            maglev_repair_ms: ms('maglev_repair_ns'),
            maglev_extra_disruption: medianOf(samples, 'maglev_extra_disruption'),
            maglev_rebuild_disruption: medianOf(samples, 'maglev_rebuild_disruption'),
            verify_ok: medianOf(samples, 'verify_ok')
        }),
        notes: { ...samples.notes, method: 'medians; CPU time of the measuring thread; 64-byte frames in bursts of 32, the copy into the buffer measured and taken off' },
        spread: spreadOf(samples)
    };
}
//# sourceMappingURL=main.js.map