/** Programs of Prometheus that tests need. Why not, or null. */
import { spawnSync } from 'node:child_process'

const missing = (program: string): string | null => spawnSync(program, ['--version']).status === 0 ? null : `needs ${program} (Debian: prometheus)`

export const hasPromtool = (): string | null => missing('promtool')
export const hasPrometheus = (): string | null => missing('prometheus') ?? hasPromtool()
