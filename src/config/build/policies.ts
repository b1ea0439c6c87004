/** `policies`. */
import type { Policy, Schedule, SyncMode, Zone } from '../../contract/desired.js'
import { limits } from '../../generated/layout.js'
import { pointer } from '../issues.js'
import type { Many, RawConfig } from '../raw.js'
import { parseDuration } from '../units.js'
import type { AddressBook } from './addresses.js'
import type { ApplicationBook } from './applications.js'
import type { Build } from './context.js'

export interface RuleBooks { readonly addresses: AddressBook, readonly applications: ApplicationBook, readonly zones: readonly Zone[] }

export function buildPolicies (b: Build, raw: RawConfig['policies'], books: RuleBooks, schedules: readonly Schedule[]): Policy[] {
  const unique = b.unique('policies')
  const known = new Map(schedules.map(s => [s.name, s]))
  const list = b.each('/policies', raw)
  b.limit('/policies', 'policies', list.length, limits.LS_POLICIES_MAX - 1, 'LS_POLICIES_MAX')
  const out: Policy[] = []
  for (const [path, policy] of list) {
    unique(pointer(path, 'name'), policy.name)
    const log = b.each(pointer(path, 'log'), policy.log).map(([, event]) => event)
    const built: Policy = {
      name: policy.name,
      from: zoneList(b, pointer(path, 'from'), policy.from, books.zones),
      to: zoneList(b, pointer(path, 'to'), policy.to, books.zones),
      source: books.addresses.resolve(pointer(path, 'source'), policy.source),
      destination: books.addresses.resolve(pointer(path, 'destination'), policy.destination),
      applications: books.applications.resolve(pointer(path, 'applications'), policy.applications),
      action: policy.action,
      schedule: policy.schedule !== undefined && b.refers(pointer(path, 'schedule'), 'schedule', '/schedules', policy.schedule, known) ? policy.schedule : null,
      log: { open: log.includes('open'), close: log.includes('close'), deny: log.includes('deny') },
      sync: syncMode(b, pointer(path, 'sync'), policy.sync),
    }
    if (policy.action === 'permit' ? built.log.deny : built.log.open || built.log.close) b.warn(pointer(path, 'log'), `a policy that says ${policy.action} has nothing to log at ${policy.action === 'permit' ? 'deny' : 'open and close'}`)
    if (policy.enabled ?? true) out.push(built)
  }
  return out
}

/** Names; empty = any. */
export function zoneList (b: Build, path: string, value: Many<string> | undefined, zones: readonly Zone[]): string[] {
  const known = new Map(zones.map(zone => [zone.name, zone]))
  const out = new Set<string>()
  let any = false
  for (const [place, name] of b.each(path, value)) {
    if (name === 'any') any = true
    else if (b.refers(place, 'zone', '/zones', name, known)) out.add(name)
  }
  if (any && out.size > 0) b.issue(path, 'LS_C_CONFLICT', 'any makes the other zones meaningless', value, 'any alone, or zones')
  return any ? [] : [...out]
}

function syncMode (b: Build, path: string, value: string | undefined): SyncMode {
  if (value === undefined || value === 'now') return { mode: 'now' }
  if (value === 'never' || value === 'before-forward') return { mode: value }
  const delayMs = parseDuration(value)
  if (delayMs === null || delayMs < 1000 || delayMs > 3_600_000 || delayMs % 1000 !== 0) b.issue(path, 'LS_C_VALUE', 'not a way to sync', value, 'now, never, before-forward, or whole seconds up to 1h like 5s')
  return { mode: 'after', delayMs: delayMs ?? 0 }
}
