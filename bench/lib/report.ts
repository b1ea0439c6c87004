/** Results for people and for files. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fields } from '../../src/cli/table.js'
import { describeMachine, load } from './machine.js'
import { root } from './programs.js'
import type { SuiteResult } from './samples.js'

/** What the project promises: [least, most]. */
export const goals: Readonly<Record<string, readonly [number | null, number | null]>> = {
  walk_ratio: [40, null],
  install_ratio: [8, null],
  bpf_walk_ratio: [40, null],
  bpf_install_ratio: [8, null],
  churn_missed: [0, 0],
  churn_twice: [0, 0],
  drain_mps: [5, null],
  verify_ok: [1, 1],
  bpf_verify_ok: [1, 1],
  adopt_ms: [null, 500],
  adopt_ok: [1, 1],
  fill_fail: [0, 0],
  reconcile_1m_ms: [null, 100],
  reconcile_ratio_bpf: [10, null],
  reconcile_ratio_map: [10, null],
  exact: [1, 1],
  overhead_small: [null, 1.8],
  overhead_d256: [null, 1.4],
  overhead_d1024: [null, 1.4],
  overhead_d10000: [null, 1.4],
  bytes_d10000: [null, 500_000],
  deltas_per_s_core: [500_000, null],
  lag_p50_ms: [null, 1],
  lag_p99_ms: [null, 10],
  sync_lag_p50_ms: [null, 1],
  sync_lag_p99_ms: [null, 10],
  events_uncounted: [0, 0],
  full_resync_1m_s: [null, 1],
  vs_conntrackd_rate: [10, null],
  vs_conntrackd_cpu: [10, null],
  decode_ms_d10000: [null, 20],
  upkeep_ns: [null, 300],
  xdp_hit_ratio: [null, 0.85],
  xdp_hit_cold_ratio: [null, 0.85],
  xdp_new_flow_ratio: [null, 1],
  xdp_maglev_ns: [null, 110],
  maglev_build_ms: [null, 1.5],
  maglev_extra_disruption: [0, 0],
  lost_planned: [0, 0],
  takeover_ms_p99: [null, 60],
  survived_ratio: [1, 1],
  tcp_broken: [0, 0],
  commit_ms: [0, 0],
  rows_per_s: [1_000_000, null],
  loop_delay_p99_ms: [null, 20]
}

export function goalText (name: string, value: number): string {
  const goal = goals[name]
  if (goal === undefined) return ''
  const [least, most] = goal
  const met = (least === null || value >= least) && (most === null || value <= most)
  const bound = least === most ? `${least}` : least === null ? `<= ${most}` : `>= ${least}`
  return `${met ? 'meets' : 'MISSES'} ${bound}`
}

export function humanTable (result: SuiteResult): string {
  const rows = Object.entries(result.figures).map(([name, value]) => [name, `${String(value).padStart(12)}  ${goalText(name, value)}`.trimEnd()] as const)
  const notes = Object.entries(result.notes).map(([name, text]) => `  ${name}: ${text}\n`).join('')
  return `${result.suite}: ${describeMachine()}; load ${load()}\n${fields(rows)}${notes}`
}

export const jsonLine = (result: SuiteResult): string => JSON.stringify({ suite: result.suite, machine: describeMachine(), figures: result.figures, notes: result.notes })

/** bench/results/<suite>-<date>.json; the path below the root. */
export function save (result: SuiteResult, extra: Readonly<Record<string, unknown>> = {}): string {
  const date = new Date().toISOString()
  const file = `bench/results/${result.suite}-${date.slice(0, 10)}.json`
  mkdirSync(join(root, 'bench/results'), { recursive: true })
  writeFileSync(join(root, file), `${JSON.stringify({ suite: result.suite, date, machine: describeMachine(), load: load(), figures: result.figures, spread: result.spread, notes: result.notes, ...extra }, null, 2)}\n`)
  return file
}
