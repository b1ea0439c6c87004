/** Timeouts of a configuration as one array, in ms by application row and phase: what a thread needs to say when a session will end. */
import type { Desired } from '../contract/desired.js'
import { limits } from '../generated/layout.js'

export function timeoutTable (d: Desired | null): Float64Array {
  const out = new Float64Array(limits.LS_APPS_MAX * limits.LS_PHASES_MAX)
  if (d === null) return out
  const phases = Object.keys(d.timeouts)
  const fill = (app: number, own: Readonly<Record<string, number>>): void => {
    phases.forEach((phase, i) => { out[app * limits.LS_PHASES_MAX + i] = own[phase] ?? d.timeouts[phase] ?? 0 })
  }
  for (let app = 0; app < limits.LS_APPS_MAX; app++) fill(app, {})
  for (const a of d.applications) {
    const app = d.ids.app[a.name]
    if (app !== undefined) fill(app, a.timeouts)
  }
  return out
}

export const timeoutOf = (table: Float64Array, app: number, phase: number): number => table[app * limits.LS_PHASES_MAX + phase] ?? 0
