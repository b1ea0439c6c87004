/** What the benches make of their samples: medians, figures, goals, arguments, reports. No measuring here. */
import t from 'tap'
import { htmlReport } from '../../../bench/reconcile/html.js'
import { exponent, reconcileFigures, type SweepRow } from '../../../bench/reconcile/main.js'
import { confirm, fill, reconcile, type MapTable } from '../../../bench/reconcile/map-peer.js'
import { barPlot, costPlot, perSessionPlot } from '../../../bench/reconcile/plots.js'
import { pipelineFigures } from '../../../bench/pipeline/main.js'
import { proofFigures } from '../../../bench/proof/main.js'
import { tableFigures } from '../../../bench/table/main.js'
import { parseOptions } from '../../../bench/lib/options.js'
import { requireClone } from '../../../bench/lib/programs.js'
import { goalText, jsonLine } from '../../../bench/lib/report.js'
import { merge, parseSamples, prefixed, quantile, spreadOf } from '../../../bench/lib/samples.js'

const samples = (values: Record<string, number[]>): ReturnType<typeof parseSamples> =>
  parseSamples(Object.entries(values).flatMap(([name, list]) => list.map((value) => JSON.stringify({ sample: name, value }))).join('\n'))

t.test('quantiles are interpolated; of nothing there is none', async (t) => {
  t.equal(quantile([3, 1, 2], 0.5), 2)
  t.equal(quantile([4, 1, 2, 3], 0.5), 2.5)
  t.equal(quantile([1, 2, 3, 4, 5], 0.25), 2)
  t.equal(quantile([7], 0.99), 7)
  t.ok(Number.isNaN(quantile([], 0.5)))
})

t.test('lines become samples and notes; anything else is an error', async (t) => {
  const both = merge([parseSamples('{"sample":"a","value":1}\n{"note":"pages","text":"x"}\n'), parseSamples('{"sample":"a","value":3}\n')])
  t.same(both.values.get('a'), [1, 3])
  t.same(both.notes, { pages: 'x' })
  t.same(spreadOf(both), { a: { n: 2, q1: 1.5, median: 2, q3: 2.5 } })
  t.throws(() => parseSamples('{"sample":"a"}'), /not a sample/)
  t.throws(() => parseSamples('oops'))
})

t.test('table: rates and ratios; without a peer the ratios are absent', async (t) => {
  const ours = { walk_ns: [8, 10, 12], install_ns: [100], drain_ns: [50], verify_ok: [1], fill_fail: [0] }
  const alone = tableFigures(samples(ours), 1024).figures
  t.equal(alone.walk_mps, 100)
  t.equal(alone.drain_mps, 20)
  t.notOk('walk_ratio' in alone || 'install_ratio' in alone || 'walk_bpf_mps' in alone)
  const beside = tableFigures(samples({ ...ours, walk_peer_ns: [400, 600, 480], install_peer_ns: [1000], install_peer_one_row_ns: [450] }), 1024).figures
  t.equal(beside.walk_ratio, 50, 'the median of 50, 60 and 40: samples of one repeat belong together')
  t.equal(beside.install_ratio, 10)
  t.equal(beside.install_ratio_one_row, 4.5)
})

t.test('reconcile: wall clock under the name of its size, ratios from CPU time', async (t) => {
  const s = samples({ reconcile_ns: [5e6], reconcile_cpu_ns: [4e6], reconcile_peer_cpu_ns: [80e6], reconcile_map_cpu_ns: [40e6], exact: [1] })
  const million = reconcileFigures(s, 1_000_000, 0.01).figures
  t.equal(million.reconcile_1m_ms, 5)
  t.equal(million.reconcile_ratio_bpf, 20)
  t.equal(million.reconcile_ratio_map, 10)
  t.equal(reconcileFigures(s, 2048, 0.01).figures.reconcile_ms, 5)
})

t.test('pipeline: nanoseconds stay, Maglev is in milliseconds', async (t) => {
  const { figures } = pipelineFigures(samples({ user_hit_hot_ns: [140], maglev_build_ns: [1.1e6], maglev_extra_disruption: [0] }), 1024)
  t.equal(figures.userspace_hit_ns, 140)
  t.equal(figures.maglev_build_ms, 1.1)
  t.equal(figures.maglev_extra_disruption, 0)
  t.notOk('xdp_hit_ratio' in figures, 'what was not measured is left out')
})

t.test('pipeline: XDP beside its peer; cold is the worse of the two sizes', async (t) => {
  const small = { hit_ns: [80], hit_peer_ns: [100], hit_cold_ns: [60], hit_cold_peer_ns: [100], new_flow_ns: [50], new_flow_peer_ns: [100] }
  const large = prefixed('16m_', samples({ hit_cold_ns: [70], hit_cold_peer_ns: [100] }))
  t.equal(pipelineFigures(samples(small), 1024).figures.xdp_hit_cold_ratio, 0.6)
  const { figures } = pipelineFigures(merge([samples(small), large]), 1024)
  t.match(figures, { xdp_hit_ns: 80, xdp_hit_ratio: 0.8, xdp_hit_cold_ratio: 0.7, xdp_new_flow_ratio: 0.5 })
  const drifting = { hit_ns: [80, 120, 160], hit_peer_ns: [100, 150, 160] }
  t.equal(pipelineFigures(samples(drifting), 1024).figures.xdp_hit_ratio, 0.8, 'each sample beside the one taken with it')
})

t.test('proof: overheads are means, the small one the worst of them; times are medians', async (t) => {
  const s = samples({ overhead_d2: [1, 2], overhead_d8: [1.8, 1.6], overhead_d256: [1.3, 1.5], bytes: [400_000, 480_000], decode_ns: [5e6, 6e6, 30e6], upkeep_ns: [100, 120, 500], build_ns: [2e8] })
  const { figures } = proofFigures(s, 1_000_000)
  t.match(figures, { overhead_small: 1.7, overhead_d256: 1.4, bytes_d10000: 440_000, decode_ms_d10000: 6, upkeep_ns: 120, build_1m_ms: 200 })
  t.notOk('overhead_d1024' in figures, 'what was not measured is left out')
  const few = proofFigures(s, 4096).figures
  t.equal(few.build_ms, 200)
  t.notOk('bytes_d10000' in few || 'decode_ms_d10000' in few, 'too few sessions to differ in 10 000')
})

t.test('goals are said beside figures that have one', async (t) => {
  const table: [string, number, string][] = [
    ['walk_ratio', 53, 'meets >= 40'], ['walk_ratio', 39, 'MISSES >= 40'], ['reconcile_1m_ms', 16, 'meets <= 100'],
    ['maglev_build_ms', 1.6, 'MISSES <= 1.5'], ['fill_fail', 1, 'MISSES 0'], ['verify_ok', 1, 'meets 1'], ['grace_ms', 1, '']
  ]
  for (const [name, value, text] of table) t.equal(goalText(name, value), text, `${name} ${value}`)
})

t.test('the JSON line is one object with suite, machine and figures', async (t) => {
  const line = jsonLine({ suite: 'table', figures: { walk_mps: 1 }, notes: {}, spread: {} })
  t.notMatch(line, /\n/)
  t.match(JSON.parse(line), { suite: 'table', machine: String, figures: { walk_mps: 1 } })
})

t.test('arguments', async (t) => {
  t.match(parseOptions(['reconcile', '--backend', 'userspace', '--sessions', '1M', '--stale', '1%', '--html', 'x.html', '--json']),
    { suite: 'reconcile', sessions: 1_000_000, stale: 0.01, html: 'x.html', json: true, quick: false })
  t.match(parseOptions(['table', '--quick']), { suite: 'table', quick: true, sessions: null, repeats: null })
  t.equal(parseOptions(['--help']), null)
  const wrong: [string[], RegExp][] = [
    [[], /name a suite/], [['tables'], /no suite named tables/], [['table', 'more'], /unexpected/], [['table', '--sessions', '10'], /--sessions/],
    [['table', '--sessions', '1e6'], /--sessions/], [['reconcile', '--stale', '0'], /--stale/], [['reconcile', '--stale', '101%'], /--stale/],
    [['reconcile', '--backend', 'vpp'], /backend vpp/], [['table', '--nope'], /nope/], [['pipeline', '--stale', '1%'], /--stale is of the suite reconcile/],
    [['api', '--html', 'x.html'], /--html is of/], [['table', '--sweep'], /--sweep is of/], [['switch', '--sessions', '2k'], /--sessions: switch/]
  ]
  for (const [argv, error] of wrong) t.throws(() => parseOptions(argv), error, argv.join(' '))
})

t.test('the suites run in a clone, and say so elsewhere', async (t) => {
  requireClone()
  t.throws(() => { requireClone(t.testdir({})) }, /in a clone of the repository/)
})

t.test('the Map peer removes exactly what was not confirmed, from both maps', async (t) => {
  const table: MapTable = { forward: new Map(), reply: new Map() }
  fill(table, 1000)
  t.equal(table.forward.size, 1000)
  t.equal(confirm(table, 1, 10), 100)
  t.equal(reconcile(table, 1, 0), 0, 'a group the peer does not own stays')
  t.equal(reconcile(table, 1, 1), 100)
  t.equal(table.forward.size, 900)
  t.equal(table.reply.size, 900)
  for (const [key, { reply }] of table.forward) t.equal(table.reply.get(reply), key)
  fill(table, 1000)
  t.equal(table.forward.size, 1000)
})

t.test('the exponent of a sweep: 1 is linear', async (t) => {
  const rows = (power: number): SweepRow[] => [1e4, 1e5, 1e6].map((sessions) => ({ sessions, cpuMs: 1e-6 * sessions ** power, wallMs: null, bpfMs: null, mapMs: null }))
  t.equal(exponent(rows(1)).toFixed(3), '1.000')
  t.equal(exponent(rows(2)).toFixed(3), '2.000')
})

t.test('plots are SVG text; the report holds them, its figures, and nothing unescaped', async (t) => {
  const rows: SweepRow[] = [1e4, 1e6].map((sessions) => ({ sessions, cpuMs: sessions / 1e6, wallMs: 1, bpfMs: sessions / 1e5, mapMs: null }))
  const plots = [costPlot(rows), perSessionPlot(rows), barPlot({ sessions: 1e6, reconcile_cpu_ms: 4, reconcile_bpf_cpu_ms: 300 })]
  for (const svg of plots) t.match(svg, /^<svg [\s\S]*<\/svg>$/)
  const html = htmlReport({ suite: 'reconcile', figures: { reconcile_1m_ms: 4.4 }, notes: { method: '<script>' }, spread: {} }, 'machine & co', new Date(0), plots)
  t.match(html, /reconcile_1m_ms<\/td><td class="n">4\.4/)
  t.match(html, /machine &#38; co/)
  t.notMatch(html, /<script/)
  t.equal(html.split('<svg').length - 1, 3)
})
