/** real_server and sorry_server. */
import type { RawHealthCheck } from '../raw.js'
import { noteOn, remarkOn, Section, type Directive } from './blocks.js'
import { checkDefaults, checkerKeys, checkOf, type CheckDefaults } from './keepalived-checks.js'
import { modeOf, type Mode } from './keepalived-mode.js'
import { reasonsOf, type Notes } from './notes.js'
import { addressText, isOn, numberOf, portNumber } from './values.js'

export interface FoundReal {
  readonly at: Directive
  readonly address: string
  readonly port: number | null
  readonly weight: number
  readonly check: RawHealthCheck | null
  /** inhibit_on_failure, of itself or of its virtual server. */
  readonly inhibit: boolean
}

const reasons = reasonsOf([
  ['notify_up notify_down', 'no scripts are run; each change is logged, and the metrics of health checks have the state'],
  ['uthreshold lthreshold', 'reals have no bound of connections'],
  ['smtp_alert', 'no mail is sent; alarm on the metrics of health checks'],
  ['snmp_name', 'there is no SNMP; a real is named by its address'],
  ['warmup', 'first probes are spread by themselves, then by `jitter`'],
  ['alpha', 'the first probe of a real decides at once'],
])

export function realOf (notes: Notes, d: Directive, outer: CheckDefaults, service: { readonly mode: Mode, readonly inhibit: boolean }): FoundReal | null {
  const section = Section.of(notes, d)
  const place = endpoint(notes, d)
  if (place === null) return null
  const weight = numberOf(notes, section.last('weight'), 0, 65535) ?? 1
  const inhibit = section.last('inhibit_on_failure')
  const method = section.last('lvs_method', 'lb_kind')
  if (method !== null && modeOf(notes, method) !== service.mode) noteOn(notes, method, `the reals of a VIP have one mode, here ${service.mode}`)
  const defaults = checkDefaults(section, outer)
  const [first, ...more] = section.all(...checkerKeys)
  for (const checker of more) noteOn(notes, checker, 'a real has one check, the first one; type exec can run several')
  const check = first === undefined ? null : checkOf(notes, first, defaults)
  section.rest(reasons)
  return { ...place, at: d, weight, check, inhibit: inhibit === null ? service.inhibit : isOn(inhibit) }
}

/** The second and third word: an address, perhaps a port. */
export function endpoint (notes: Notes, d: Directive): Pick<FoundReal, 'address' | 'port'> | null {
  const address = addressText(d.words[1])
  const port = portNumber(d.words[2])
  if (address === null) noteOn(notes, d, 'not an address; left out with all that belongs to it')
  else if (d.words[2] !== undefined && d.words[2] !== '0' && port === null) noteOn(notes, d, 'not a port; left out')
  return address === null ? null : { address, port }
}

/** Weights are 0 to 100 here: larger ones are scaled, and the quorum with them. `null`: all alike, the default will do. */
export function scaled (notes: Notes, at: Directive, reals: readonly FoundReal[], quorum: number): { readonly weights: readonly number[] | null, readonly quorum: number } {
  const largest = Math.max(0, ...reals.map(real => real.weight))
  if (quorum === 1 && largest > 0 && reals.every(real => real.weight === largest)) return { weights: null, quorum }
  if (largest <= 100) return { weights: reals.map(real => real.weight), quorum }
  const scale = (weight: number): number => weight === 0 ? 0 : Math.max(1, Math.round(weight * 100 / largest))
  for (const real of reals) remarkOn(notes, real.at, `weight ${real.weight} becomes ${scale(real.weight)}: ours are 0 to 100, and all of them are scaled alike`)
  if (quorum > 1) remarkOn(notes, at, `quorum ${quorum} is scaled with the weights`)
  return { weights: reals.map(real => scale(real.weight)), quorum: Math.max(1, Math.round(quorum * 100 / largest)) }
}
