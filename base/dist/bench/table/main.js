/**
 * The session table: walk, install, drain and fill, beside kernel hash maps of the same key and record.
 *
 *   walk_mps              million sessions per second, all three lines of each record read
 *   walk_ratio            time of a batch walk over the kernel's map divided by ours
 *   install_mps           packed records checked, indexed twice and made live
 *   install_ratio         kernel: two rows a session (tuple -> record, reply tuple -> tuple), as real systems keep them
 *   install_ratio_one_row kernel: the first row alone
 *   drain_mps             notices in random order to packed records
 *   fill_fail             inserts refused below capacity, of 2^20 at 100 %
 *   verify_ok             1: full, filled again and empty tables passed every invariant
 */
import { buildPrograms, runProgram } from '../lib/programs.js';
import { figuresOf, medianOf, ratio, spreadOf } from '../lib/samples.js';
export async function bench({ sessions = 2 ** 20, repeats = 9, progress = () => { }, signal } = {}) {
    await buildPrograms(progress, signal);
    progress(`${sessions} sessions, ${repeats} repeats of install, walk, drain; ours and the kernel's in turn`);
    return tableFigures(await runProgram('table_bench', { sessions, repeats }, signal), sessions);
}
export function tableFigures(samples, sessions) {
    const perSecond = (name) => ratio(1e3, medianOf(samples, name));
    const walk = medianOf(samples, 'walk_ns');
    const install = medianOf(samples, 'install_ns');
    return {
        suite: 'table',
        figures: figuresOf({
            sessions,
            walk_mps: perSecond('walk_ns'),
            walk_bpf_mps: perSecond('walk_peer_ns'),
            walk_ratio: ratio(medianOf(samples, 'walk_peer_ns'), walk),
            install_mps: perSecond('install_ns'),
            install_bpf_mps: perSecond('install_peer_ns'),
            install_ratio: ratio(medianOf(samples, 'install_peer_ns'), install),
            install_ratio_one_row: ratio(medianOf(samples, 'install_peer_one_row_ns'), install),
            drain_mps: perSecond('drain_ns'),
            verify_ok: medianOf(samples, 'verify_ok'),
            fill_fail: medianOf(samples, 'fill_fail')
        }),
        notes: { ...samples.notes, method: 'medians; CPU time of the measuring thread; ours and the kernel\'s alternate within one run; shared cores: ratios count, not scaling' },
        spread: spreadOf(samples)
    };
}
//# sourceMappingURL=main.js.map