/** Checkers of keepalived -> health checks. What a virtual server says holds for its real servers, what those say for their checkers. */
import { healthLimits as max } from '../../contract/health-limits.js'
import type { RawHealthCheck } from '../raw.js'
import { noteOn, remarkOn, Section, type Directive } from './blocks.js'
import { httpOf } from './keepalived-http.js'
import { commandOf } from './commands.js'
import { reasonsOf, type Notes } from './notes.js'
import { addressText, boundedDuration, msOf, numberOf, portNumber } from './values.js'

/** A value with the directive that gave it, so that a note finds its line. */
interface Given<T> { readonly value: T, readonly at: Directive }

export interface CheckDefaults {
  readonly delayLoop: Given<number> | null
  readonly retry: Given<number> | null
  readonly delayBeforeRetry: Given<number> | null
  readonly connectTimeout: Given<number> | null
  readonly virtualhost: Given<string> | null
  /** Of the whole virtual server: those that were given and not yet used. */
  readonly idle: Set<Directive>
}

export const noDefaults = (): CheckDefaults => ({ delayLoop: null, retry: null, delayBeforeRetry: null, connectTimeout: null, virtualhost: null, idle: new Set() })

/** After all checkers: defaults that no check has. */
export function noteIdle (notes: Notes, { idle }: CheckDefaults): void {
  for (const d of idle) noteOn(notes, d, 'no check is carried that it would be of')
}

function used<T> (times: CheckDefaults, given: Given<T>): Given<T> {
  times.idle.delete(given.at)
  return given
}

export function checkDefaults (section: Section, outer: CheckDefaults): CheckDefaults {
  const { notes } = section
  const given = <T>(at: Directive | null, value: T | null, otherwise: Given<T> | null): Given<T> | null => {
    if (at === null || value === null) return otherwise
    outer.idle.add(at)
    return { value, at }
  }
  const [loop, retry, before, timeout, host] = [section.last('delay_loop'), section.last('retry', 'nb_get_retry'), section.last('delay_before_retry'), section.last('connect_timeout'), section.last('virtualhost')]
  return {
    delayLoop: given(loop, msOf(notes, loop), outer.delayLoop),
    retry: given(retry, numberOf(notes, retry, 0, max.thresholdMax - 1), outer.retry),
    delayBeforeRetry: given(before, msOf(notes, before), outer.delayBeforeRetry),
    connectTimeout: given(timeout, msOf(notes, timeout), outer.connectTimeout),
    virtualhost: given(host, host?.words[1] ?? null, outer.virtualhost),
    idle: outer.idle,
  }
}

/** Of keepalived.conf(5): `retry` is how many more failures it takes, so that one more brings a real down. */
const retryDefault: Readonly<Record<string, number>> = { DNS_CHECK: 3, MISC_CHECK: 0 }
const beforeRetryDefault: Readonly<Record<string, number>> = { HTTP_GET: 3000, SSL_GET: 3000 }

export const checkerKeys = ['TCP_CHECK', 'HTTP_GET', 'SSL_GET', 'SMTP_CHECK', 'DNS_CHECK', 'MISC_CHECK', 'UDP_CHECK', 'PING_CHECK', 'BFD_CHECK', 'FILE_CHECK'] as const

const noEquivalent = reasonsOf([
  ['UDP_CHECK', 'no equivalent: an answer to any datagram proves little; use a check of type dns, icmp or exec. The real has no check now and counts as up'],
  ['BFD_CHECK', 'no equivalent: the real has no check now and counts as up; use one of type icmp with a short interval'],
  ['FILE_CHECK', 'no equivalent: the real has no check now and counts as up; use one of type exec that reads the file'],
])

const reasons = reasonsOf([
  ['connect_ip', 'a probe goes to the address of the real; for another one use a check of type exec'],
  ['bind_if', 'the kernel chooses the interface by the address; give `source` of the check'],
  ['bind_port', 'probes leave from a port that the kernel chooses'],
  ['fwmark', 'probes carry no mark'],
  ['warmup', 'first probes are spread by themselves, then by `jitter`'],
  ['alpha', 'the first probe of a real decides at once'],
  ['log_all_failures', 'each change of state is logged, with the reason of the last failure'],
  ['helo_name host', 'only the connection is probed, not the SMTP dialogue'],
  ['misc_dynamic', 'an exit code other than 0 is a failure; weights do not follow it'],
  ['user', 'programs run as nobody'],
  ['payload require_reply min_reply_length max_reply_length', 'no equivalent'],
  ['fast_recovery', 'one URL is asked, so there is nothing to speed up'],
  ['http_protocol', 'the probe speaks HTTP/1.1'],
])

/** `null`: nothing of ours probes this; then it is noted. */
export function checkOf (notes: Notes, d: Directive, outer: CheckDefaults): RawHealthCheck | null {
  const refused = noEquivalent.get(d.key)
  if (refused !== undefined) {
    noteOn(notes, d, refused)
    return null
  }
  const section = Section.of(notes, d)
  const times = checkDefaults(section, outer)
  const own = kindOf(section, d, times)
  section.rest(reasons)
  if (own === null) return null
  // In the order in which people read it.
  const { type, port, source, timeout, ...rest } = own
  return { type, ...(port === undefined ? {} : { port }), ...(source === undefined ? {} : { source }), ...timing(notes, d, times, timeout), ...rest }
}

function kindOf (section: Section, d: Directive, times: CheckDefaults): RawHealthCheck | null {
  const { notes } = section
  if (d.key === 'MISC_CHECK') return miscCheck(section, d)
  const connection = { ...portOf(section), ...sourceOf(section) }
  if (d.key === 'PING_CHECK') {
    const { source } = connection
    return { type: 'icmp', ...(source === undefined ? {} : { source }) }
  }
  if (d.key === 'DNS_CHECK') return dnsCheck(section, connection)
  if (d.key === 'HTTP_GET' || d.key === 'SSL_GET') return { type: 'http', ...connection, ...httpOf(section, d, times.virtualhost === null ? null : used(times, times.virtualhost).value) }
  if (d.key === 'SMTP_CHECK') remarkOn(notes, d, 'carried as type tcp: the connection is probed, not the SMTP dialogue; for that use type exec')
  return { type: 'tcp', ...connection }
}

function portOf (section: Section): Pick<RawHealthCheck, 'port'> {
  const d = section.last('connect_port')
  const port = portNumber(d?.words[1])
  if (d !== null && port === null) noteOn(section.notes, d, 'not a port; left out')
  return port === null ? {} : { port }
}

function sourceOf (section: Section): Pick<RawHealthCheck, 'source'> {
  const d = section.last('bindto', 'bind_to')
  const source = addressText(d?.words[1])
  if (d !== null && source === null) noteOn(section.notes, d, 'not an address; left out')
  return source === null ? {} : { source }
}

const recordTypes = ['A', 'AAAA', 'TXT', 'SOA', 'NS', 'MX', 'CNAME'] as const

function dnsCheck (section: Section, connection: Pick<RawHealthCheck, 'port' | 'source'>): RawHealthCheck {
  const at = section.last('type')
  const type = recordTypes.find(name => name === (at?.words[1] ?? 'SOA').toUpperCase())
  if (at !== null && type === undefined) noteOn(section.notes, at, `no such type here: ${recordTypes.join(', ')}; SOA is taken`)
  return { type: 'dns', ...connection, dns: { name: section.last('name')?.words[1] ?? '.', type: type ?? 'SOA' } }
}

function miscCheck (section: Section, d: Directive): RawHealthCheck | null {
  const path = section.last('misc_path')
  const timeout = section.last('misc_timeout')
  const exec = path === null ? null : commandOf(section.notes, path, path.words.slice(1).join(' '))
  if (exec === null) {
    noteOn(section.notes, d, 'no program that can be run: the real has no check now and counts as up')
    return null
  }
  const ms = msOf(section.notes, timeout)
  return { type: 'exec', exec, ...(timeout === null || ms === null ? {} : { timeout: boundedDuration(section.notes, timeout, 'a timeout', ms, max.timeoutMsMin, max.timeoutMsMax) }) }
}

function timing (notes: Notes, d: Directive, times: CheckDefaults, ownTimeout: RawHealthCheck['timeout']): Omit<RawHealthCheck, 'type'> {
  for (const given of [times.delayLoop, times.retry, times.delayBeforeRetry]) if (given !== null) used(times, given)
  const fall = (times.retry?.value ?? retryDefault[d.key] ?? 1) + 1
  const loop = times.delayLoop ?? { value: 60_000, at: d }
  const again = times.delayBeforeRetry ?? { value: d.key === 'DNS_CHECK' ? loop.value : beforeRetryDefault[d.key] ?? 1000, at: d }
  const timeout = d.key === 'MISC_CHECK' ? { value: Math.min(loop.value, max.timeoutMsMax), at: loop.at } : times.connectTimeout === null ? { value: 5000, at: d } : used(times, times.connectTimeout)
  return {
    interval: boundedDuration(notes, loop.at, 'an interval', loop.value, max.intervalMsMin, max.intervalMsMax),
    ...(fall > 1 && again.value !== loop.value ? { 'fast-interval': boundedDuration(notes, again.at, 'a retry', again.value, max.intervalMsMin, max.intervalMsMax) } : {}),
    timeout: ownTimeout ?? boundedDuration(notes, timeout.at, 'a timeout', timeout.value, max.timeoutMsMin, max.timeoutMsMax),
    rise: 1,
    fall,
  }
}
