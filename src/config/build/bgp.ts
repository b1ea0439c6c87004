/** `bgp`. Sockets are named, not opened: a source that cannot be read fails, and says why. */
import type { BgpSettings, BgpSourceSettings } from '../../contract/bgp.js'
import { bgpDefaults as usual, bgpLimits as max } from '../../contract/bgp-limits.js'
import { formatEndpoint, formatAddress, parseEndpoint } from '../../lib/address.js'
import { pointer } from '../issues.js'
import type { RawBgp, RawBgpSource, Scalar } from '../raw.js'
import { formatDuration, parseDuration } from '../units.js'
import { absolute } from './agent.js'
import { buildBgpAnnounce } from './bgp-announce.js'
import { buildBgpReport } from './bgp-report.js'
import { entries, type Build } from './context.js'

const PATH = '/bgp'
const socketPathMax = 107 // sun_path, with its zero

export function buildBgp (b: Build, raw: RawBgp | undefined): BgpSettings | null {
  if (raw === undefined) return null
  const span = (key: 'interval' | 'timeout' | 'max-age', value: Scalar | undefined, fallback: number, from: number, to: number): number => {
    const ms = value === undefined ? fallback : parseDuration(value)
    if (ms !== null && ms >= from && ms <= to) return ms
    b.issue(pointer(PATH, key), 'LS_C_VALUE', 'not a usable duration', value, `${formatDuration(from)} to ${formatDuration(to)}`)
    return fallback
  }
  const list = entries(raw.sources)
  b.limit(pointer(PATH, 'sources'), 'sources', list.length, max.sourcesMax, 'sourcesMax')
  const intervalMs = span('interval', raw.interval, usual.intervalMs, max.intervalMsMin, max.intervalMsMax)
  const timeoutMs = span('timeout', raw.timeout, usual.timeoutMs, max.timeoutMsMin, max.timeoutMsMax)
  const maxAgeMs = span('max-age', raw['max-age'], Math.max(usual.maxAgeMs, 3 * intervalMs + timeoutMs), max.maxAgeMsMin, max.maxAgeMsMax)
  if (maxAgeMs <= intervalMs + timeoutMs) b.issue(pointer(PATH, 'max-age'), 'LS_C_CONFLICT', 'a session would be unknown between two readings', formatDuration(maxAgeMs), `more than interval and timeout together, ${formatDuration(intervalMs + timeoutMs)}`)
  const sources = list.map(([name, source]) => buildSource(b, pointer(PATH, 'sources', name), name, source)).sort((x, y) => x.name < y.name ? -1 : 1)
  const places = new Map<string, string>()
  for (const source of sources) {
    const place = placeOf(source)
    const other = places.get(place)
    if (other !== undefined) b.issue(pointer(PATH, 'sources', source.name), 'LS_C_DUPLICATE', 'two sources are one place', place, `another one than that of ${other}`)
    places.set(place, source.name)
  }
  const report = buildBgpReport(b, raw.report)
  if (report !== null && sources.length === 0) b.issue('/bgp/report', 'LS_C_CONFLICT', 'nothing is read that could be told', 'no sources', 'bgp.sources')
  return { sources, intervalMs, timeoutMs, maxAgeMs, report, announce: buildBgpAnnounce(b, raw.announce) }
}

export const gobgpAddress = (b: Build, path: string, text: string): string =>
  text.startsWith('unix://') ? `unix://${absolute(b, path, text.slice(7), socketPathMax)}` : loopback(b, path, text, 'address:port like 127.0.0.1:50051, or unix:///path')

function loopback (b: Build, path: string, text: string, expected: string): string {
  const endpoint = parseEndpoint(text)
  const host = endpoint === null ? '' : formatAddress(endpoint.address)
  if (endpoint !== null && endpoint.port > 0 && (host === '::1' || host.startsWith('127.'))) return formatEndpoint(host, endpoint.port)
  b.issue(path, 'LS_C_VALUE', 'not an address of loopback and a port', text, expected)
  return text
}

const placeOf = (s: BgpSourceSettings): string => s.type === 'gobgp' ? s.address : s.type === 'bmp' ? s.listen : s.type === 'kernel' ? 'kernel' : s.socket

/** Keys that a type may have, beside `vrf`. */
const has: Readonly<Record<RawBgpSource['type'], ReadonlyArray<keyof RawBgpSource>>> = { frr: ['socket', 'pathspace'], bird: ['socket'], gobgp: ['address'], bmp: ['listen'], kernel: ['namespaces'] }
const keys = ['socket', 'pathspace', 'address', 'listen', 'namespaces'] as const

function buildSource (b: Build, path: string, name: string, raw: RawBgpSource): BgpSourceSettings {
  const { type } = raw
  for (const key of keys) if (raw[key] !== undefined && !has[type].includes(key)) b.issue(pointer(path, key), 'LS_C_CONFLICT', `type ${type} has no ${key}`, key, has[type].join(' or '))
  if (raw.socket !== undefined && raw.pathspace !== undefined) b.issue(pointer(path, 'pathspace'), 'LS_C_CONFLICT', 'a pathspace names the socket', raw.pathspace, 'socket or pathspace')
  const of = { name, vrf: raw.vrf ?? null }
  const socket = (fallback: string): string => absolute(b, pointer(path, 'socket'), raw.socket ?? fallback, socketPathMax)
  switch (type) {
    case 'frr': return { ...of, type, socket: socket(raw.pathspace === undefined ? usual.frr : usual.frr.replace(/[^/]*$/, `${raw.pathspace}/$&`)) }
    case 'bird': return { ...of, type, socket: socket(usual.bird) }
    case 'gobgp': return { ...of, type, address: gobgpAddress(b, pointer(path, 'address'), raw.address ?? usual.gobgp) }
    case 'bmp': return { ...of, type, listen: loopback(b, pointer(path, 'listen'), raw.listen ?? usual.bmp, 'address:port like 127.0.0.1:11019: nobody else may tell') }
    case 'kernel': return { ...of, type, namespaces: raw.namespaces ?? null }
  }
}
