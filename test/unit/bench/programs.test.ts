/** The bench programs themselves, small: they build, their answers are right, their JSON is what tools read. */
import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { root } from '../../../bench/lib/programs.js'

const missing = spawnSync('cmake', ['--version']).status === 0 ? false : 'cmake is not installed'

function figures (...argv: string[]): Record<string, number> {
  const out = execFileSync(process.execPath, [join(root, 'dist/bench/main.js'), ...argv, '--json'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  return (JSON.parse(out.trimEnd().split('\n').at(-1) ?? '') as { figures: Record<string, number> }).figures
}

t.test('bench programs', { skip: missing }, async (t) => {
  t.test('table: everything fits at full capacity and verifies', async (t) => {
    const found = figures('table', '--sessions', '65536', '--repeats', '1')
    t.match(found, { sessions: 65536, fill_fail: 0, verify_ok: 1 })
    if (found.churn_per_s !== undefined) t.match(found, { churn_missed: 0, churn_twice: 0, bpf_verify_ok: 1 }, 'over BPF maps, under churn')
    if (found.adopt_ms !== undefined) t.equal(found.adopt_ok, 1, 'a table whose holder was killed is adopted whole')
  })
  t.test('reconcile: every stale session gone with its two entries, no other touched', async (t) => {
    t.match(figures('reconcile', '--sessions', '10000', '--stale', '0.05', '--repeats', '1'), { exact: 1, stale: 500 })
    t.match(figures('reconcile', '--sessions', '4096', '--stale', '1', '--repeats', '1'), { exact: 1, stale: 4096 })
  })
  t.test('proof: every difference is decoded, with about as few cells as published', async (t) => {
    const found = figures('proof', '--sessions', '20000', '--repeats', '2')
    t.match(found, { sessions: 20_000 })
    const most = { overhead_small: 1.9, overhead_d256: 1.45, overhead_d1024: 1.45, overhead_d10000: 1.45, bytes_d10000: 500_000 }
    for (const [name, bound] of Object.entries(most)) t.ok((found[name] ?? NaN) <= bound, `${name} ${found[name]}`)
  })
  t.test('pipeline: real frames, no table fault, no extra disruption', async (t) => {
    t.match(figures('pipeline', '--sessions', '16384', '--repeats', '1'), { verify_ok: 1, maglev_extra_disruption: 0 })
  })
})
