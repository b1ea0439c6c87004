/** virtual_server -> VIPs and the health checks of their reals. */
import { limits } from '../../generated/layout.js'
import type { RawHealthCheck, RawReal, RawVip } from '../raw.js'
import { noteOn, remarkOn, Section, type Directive } from './blocks.js'
import type { CheckBook } from './check-book.js'
import { familyOfText, placesOf, unusedGroups, type Place } from './keepalived-addresses.js'
import { checkDefaults, noDefaults, noteIdle } from './keepalived-checks.js'
import { modeOf, type Mode } from './keepalived-mode.js'
import { endpoint, realOf, scaled, type FoundReal } from './keepalived-reals.js'
import type { Names } from './names.js'
import { reasonsOf, unreadable, type Notes } from './notes.js'
import { isOn, numberOf } from './values.js'

export interface Services {
  readonly file: string
  readonly notes: Notes
  readonly names: Names
  readonly checks: CheckBook
  /** The redundancy group that an address moves with, or 0. */
  readonly groupOf: (address: string) => number
  /** There are instances, so that groups have owners. */
  readonly pair: boolean
}

const reasons = reasonsOf([
  ['ha_suspend', 'probes go on at both nodes: a standby knows the state of its reals when it takes over'],
  ['quorum_up quorum_down', 'no scripts are run; a VIP below its quorum is logged as degraded, and so do its metrics say'],
  ['hysteresis', 'the quorum is one number; `rise` and `fall` of the check keep reals from flapping'],
  ['alpha', 'the first probe of a real decides at once'],
  ['omega', 'nothing is run at the end of the agent'],
  ['persistence_granularity', 'stickiness is by the whole client address'],
  ['persistence_engine', 'stickiness is by client address'],
  ['flag-1 flag-2 flag-3 sh-port sh-fallback mh-port mh-fallback', 'options of an IPVS scheduler; without source-ip-sticky the hash has the ports in it, and another real takes over for one that is down'],
  ['ops', 'UDP has sessions here; shorten timeouts.udp-new for one question and answer'],
  ['smtp_alert', 'no mail is sent; alarm on the metrics of health checks'],
  ['sorry_server_inhibit', 'the sorry server has no check'],
  ['warmup', 'first probes are spread by themselves, then by `jitter`'],
  ['ip_family', 'the family is that of the address'],
])

/** A virtual server before it is put at its addresses. */
interface Service {
  readonly at: Directive
  readonly label: string | null
  readonly protocol: 'tcp' | 'udp'
  readonly mode: Mode
  readonly sticky: boolean
  readonly quorum: number
  readonly reals: readonly FoundReal[]
  readonly sorry: FoundReal | null
}

export function importServices (top: Section, s: Services): Record<string, RawVip> {
  const groups = new Map(top.all('virtual_server_group').map(d => [d.words[1] ?? '', d]))
  const used = new Set<string>()
  const vips: Record<string, RawVip> = {}
  for (const d of top.all('virtual_server')) {
    if (d.words[1] === 'group') used.add(d.words[2] ?? '')
    const places = placesOf(s.notes, d, groups)
    if (places.length === 0) continue
    const service = serviceOf(s.notes, d)
    if (service === null) continue
    for (const place of places) {
      if (Object.keys(vips).length >= limits.LS_VIPS_MAX - 1) throw unreadable(s.file, d.line, 'too many virtual servers', 'one more', `at most ${limits.LS_VIPS_MAX - 1}, each address of a group counted`)
      const vip = vipAt(s, service, place)
      const group = d.words[1] === 'group' ? `${d.words[2] ?? ''}-` : ''
      if (vip !== null) vips[s.names.make(service.label ?? `${group}${place.address}-${place.port ?? 'any'}${service.protocol === 'udp' ? '-udp' : ''}`)] = vip
    }
  }
  unusedGroups(s.notes, groups, used)
  return vips
}

function serviceOf (notes: Notes, d: Directive): Service | null {
  const section = Section.of(notes, d)
  const protocolAt = section.last('protocol')
  const protocol = (protocolAt?.words[1] ?? 'TCP').toLowerCase()
  if (protocol !== 'tcp' && protocol !== 'udp') {
    noteOn(notes, d, `a VIP is TCP, UDP or both, not ${protocol}: nothing of it is carried`)
    return null
  }
  const mode = modeOf(notes, section.last('lb_kind', 'lvs_method'))
  scheduler(section)
  const persistence = section.last('persistence_timeout')
  if (persistence !== null) noteOn(notes, persistence, 'carried as source-ip-sticky: a client address stays with its real by the hash, without a time; a change of the reals moves few of them')
  const inhibit = isOn(section.last('inhibit_on_failure'))
  const quorum = numberOf(notes, section.last('quorum'), 1, 65535) ?? 1
  const defaults = checkDefaults(section, noDefaults())
  const reals = section.all('real_server').flatMap(real => realOf(notes, real, defaults, { mode, inhibit }) ?? [])
  noteIdle(notes, defaults)
  const sorry = sorryOf(section, mode)
  const label = section.last('snmp_name')?.words[1] ?? null
  section.rest(reasons)
  if (reals.length === 0 && sorry === null) {
    noteOn(notes, d, 'no real server that can be carried: a VIP needs one')
    return null
  }
  return { at: d, label, protocol, mode, sticky: persistence !== null, quorum, reals, sorry }
}

function scheduler (section: Section): void {
  const d = section.last('lb_algo', 'lb_sched', 'lvs_sched')
  const name = d?.words[1] ?? ''
  if (d !== null && name !== 'mh' && name !== 'sh') noteOn(section.notes, d, 'reals are chosen by Maglev hashing, always; weights are shares of new sessions')
}

function sorryOf (section: Section, mode: Mode): FoundReal | null {
  const d = section.last('sorry_server')
  const method = section.last('sorry_server_lvs_method')
  if (method !== null && modeOf(section.notes, method) !== mode) noteOn(section.notes, method, `the reals of a VIP have one mode, here ${mode}`)
  const place = d === null ? null : endpoint(section.notes, d)
  return d === null || place === null ? null : { ...place, at: d, weight: 1, check: null, inhibit: false }
}

/** `null`, with notes, when no real is left. */
function vipAt (s: Services, service: Service, place: Place): RawVip | null {
  const { notes } = s
  const { at, mode } = service
  const fits = (real: FoundReal): boolean => {
    if ((mode !== 'nat' && mode !== 'l2') || familyOfText(real.address) === familyOfText(place.address)) return true
    remarkOn(notes, real.at, `not of the address family of ${place.address}, which mode ${mode} needs; left out there`)
    return false
  }
  const reals = service.reals.filter(fits)
  const sorry = service.sorry !== null && fits(service.sorry) ? service.sorry : null
  if (reals.length === 0 && sorry === null) {
    noteOn(notes, place.at, 'no real server that can be carried: a VIP needs one')
    return null
  }
  const { weights, quorum } = scaled(notes, at, reals, service.quorum)
  if (sorry !== null && quorum > 100) noteOn(notes, sorry.at, `its weight is 100, less than the quorum of ${quorum}: below the quorum the pool with more weight serves, which may be the other one`)
  const inhibited = service.reals.filter(real => real.inhibit)
  if (inhibited.length > 0 && inhibited.length < service.reals.length) for (const real of inhibited) remarkOn(notes, real.at, 'inhibit_on_failure of one real is flush-on-down: false for the whole VIP')
  const names = reals.map(real => checkName(s, service, place, real))
  const common = names.length > 0 && names[0] != null && names.every(name => name === names[0]) ? names[0] : null
  const real = (found: FoundReal, weight: number | undefined, check: string | null | undefined): RawReal => ({
    address: found.address, ...portOf(notes, mode, place, found), ...(weight === undefined ? {} : { weight }), ...(check == null ? {} : { healthcheck: check })
  })
  const rg = s.groupOf(place.address)
  if (s.pair && rg === 0) remarkOn(notes, place.at, `${place.address} is none of the floating addresses: the VIP is of redundancy group 0; say which group it is of`)
  return {
    address: place.address,
    ...(place.port === null ? {} : { port: place.port }),
    protocol: service.protocol,
    mode,
    ...(rg === 0 ? {} : { 'redundancy-group': rg }),
    ...(service.sticky ? { 'source-ip-sticky': true } : {}),
    ...(common === null ? {} : { healthcheck: common }),
    ...(quorum === 1 ? {} : { quorum }),
    ...(inhibited.length > 0 ? { 'flush-on-down': false } : {}),
    pools: [
      ...(reals.length === 0 ? [] : [{ name: 'main', reals: reals.map((found, i) => real(found, weights?.[i], common === null ? names[i] : null)) }]),
      ...(sorry === null ? [] : [{ name: 'sorry', reals: [real(sorry, undefined, common === null ? null : 'none')] }]),
    ],
  }
}

/** The port of a real, where it may have one of its own. */
function portOf (notes: Notes, mode: Mode, place: Place, real: FoundReal): { readonly port?: number } {
  if (real.port === null || real.port === place.port) return {}
  if (mode === 'nat' && place.port !== null) return { port: real.port }
  remarkOn(notes, real.at, place.port === null ? 'a VIP of any port keeps the port that clients use' : `mode ${mode} does not change ports: ${place.port} holds`)
  return {}
}

/** keepalived probes the port of the real server; where ours has none of its own, the check says it. */
function checkName (s: Services, service: Service, place: Place, real: FoundReal): string | null {
  const { check } = real
  if (check === null) return null
  if (check.type === 'icmp' || check.type === 'exec' || check.port !== undefined) return s.checks.name(check)
  const own = service.mode === 'nat' && place.port !== null ? real.port : null
  const probed = own ?? place.port
  if (real.port !== null && real.port !== probed) return s.checks.name(withPort(check, real.port))
  if (probed !== null) return s.checks.name(check)
  remarkOn(s.notes, real.at, 'neither the check nor the real nor the VIP has a port: no check; give it connect_port')
  return null
}

/** Keys in the order in which people read them. */
function withPort (check: RawHealthCheck, port: number): RawHealthCheck {
  const { type, ...rest } = check
  return { type, port, ...rest }
}
