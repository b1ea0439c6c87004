/** `healthchecks`. Files and programs are named, not opened: a check that cannot run fails, and says why. */
import type { HealthCheck, HttpSettings } from '../../contract/health.js'
import { healthDefaults as usual, healthLimits as max } from '../../contract/health-limits.js'
import { familyOf, formatAddress } from '../../lib/address.js'
import { pointer } from '../issues.js'
import type { RawConfig, RawHealthCheck, Scalar } from '../raw.js'
import { formatDuration, parseDuration, patternFault } from '../units.js'
import { singleAddress } from './addresses.js'
import { absolute } from './agent.js'
import { entries, type Build } from './context.js'

export function buildHealthChecks (b: Build, raw: RawConfig['healthchecks']): HealthCheck[] {
  const list = entries(raw)
  b.limit('/healthchecks', 'health checks', list.length, max.checksMax, 'checksMax')
  return list.map(([name, check]) => buildCheck(b, pointer('/healthchecks', name), name, check)).sort((x, y) => x.name < y.name ? -1 : 1)
}

const parts = ['tls', 'http', 'dns', 'grpc', 'exec'] as const
/** Parts that a type may have. */
const has: Readonly<Record<HealthCheck['type'], readonly string[]>> = {
  icmp: [], tcp: [], tls: ['tls'], http: ['http', 'tls'], grpc: ['grpc', 'tls'], dns: ['dns'], exec: ['exec']
}

function buildCheck (b: Build, path: string, name: string, raw: RawHealthCheck): HealthCheck {
  const at = (...keys: string[]): string => pointer(path, ...keys)
  for (const part of parts) if (raw[part] !== undefined && !has[raw.type].includes(part)) b.issue(at(part), 'LS_C_CONFLICT', `type ${raw.type} has no ${part}`, part, has[raw.type].join(' or ') || `no ${part}`)
  for (const part of ['dns', 'exec'] as const) if (raw.type === part && raw[part] === undefined) b.issue(path, 'LS_C_REQUIRED', `type ${part} without ${part}`, b.raw(path), part)
  if (raw.type === 'icmp' && raw.port !== undefined) b.issue(at('port'), 'LS_C_CONFLICT', 'an echo has no port', raw.port, 'no port')
  const span = (key: string, value: Scalar | undefined, fallback: number, from: number, to: number): number => {
    const ms = value === undefined ? fallback : parseDuration(value)
    if (ms !== null && ms >= from && ms <= to) return ms
    b.issue(at(key), 'LS_C_VALUE', 'not a usable duration', value, `${formatDuration(from)} to ${formatDuration(to)}`)
    return fallback
  }
  const interval = (key: 'interval' | 'fast-interval' | 'down-interval', fallback: number): number => span(key, raw[key], fallback, max.intervalMsMin, max.intervalMsMax)
  const intervalMs = interval('interval', usual.intervalMs)
  return {
    name, type: raw.type, port: raw.port ?? 0, intervalMs,
    fastIntervalMs: interval('fast-interval', intervalMs), downIntervalMs: interval('down-interval', intervalMs),
    timeoutMs: span('timeout', raw.timeout, usual.timeoutMs, max.timeoutMsMin, max.timeoutMsMax),
    rise: raw.rise ?? usual.rise, fall: raw.fall ?? usual.fall, jitterPct: raw.jitter ?? usual.jitterPct,
    netns: raw.netns ?? null, source: sources(b, at('source'), raw.source),
    tls: raw.type === 'tls' || raw.tls !== undefined
      ? { serverName: raw.tls?.['server-name'] ?? null, verify: raw.tls?.verify ?? 'none', authority: raw.tls?.authority === undefined ? null : absolute(b, at('tls', 'authority'), raw.tls.authority), minDays: raw.tls?.['min-days'] ?? 0 }
      : null,
    http: raw.type === 'http' ? buildHttp(b, at('http'), raw.http ?? {}) : null,
    dns: raw.dns === undefined ? null : { name: raw.dns.name, type: raw.dns.type ?? 'A', answer: raw.dns.answer ?? null },
    grpcService: raw.type === 'grpc' ? raw.grpc?.service ?? '' : null,
    argv: raw.exec === undefined ? null : [absolute(b, at('exec', '0'), raw.exec[0] ?? ''), ...raw.exec.slice(1)],
    agent: raw.agent === undefined ? null : { port: raw.agent.port, send: raw.agent.send ?? '' },
    passive: raw.passive ?? 0
  }
}

function sources (b: Build, path: string, raw: RawHealthCheck['source']): HealthCheck['source'] {
  const found: { v4: string | null, v6: string | null } = { v4: null, v6: null }
  for (const [place, text] of b.each(path, raw)) {
    const value = singleAddress(b, place, text)
    if (value === null) continue
    const family = familyOf(value) === 4 ? 'v4' : 'v6'
    if (found[family] !== null) b.issue(place, 'LS_C_DUPLICATE', 'two source addresses of one family', text, 'one of each family')
    found[family] = formatAddress(value)
  }
  return found
}

function buildHttp (b: Build, path: string, raw: NonNullable<RawHealthCheck['http']>): HttpSettings {
  const statuses = b.each(pointer(path, 'status'), raw.status ?? '200-399').flatMap(([place, value]) => {
    const match = /^(\d{3})(?:-(\d{3}))?$/.exec(String(value))
    const [from, to] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])]
    if (match !== null && from >= 100 && from <= to && to <= 599) return [{ from, to }]
    b.issue(place, 'LS_C_VALUE', 'not a status code or range', value, '100 to 599, like 200 or 200-299')
    return []
  })
  const { body } = raw
  const fault = body === undefined ? null : patternFault(body)
  if (fault !== null) b.issue(pointer(path, 'body'), 'LS_C_VALUE', 'not a regular expression', body, fault)
  return { method: raw.method ?? 'GET', path: raw.path ?? '/', host: raw.host ?? null, headers: raw.headers ?? {}, statuses, body: body ?? null }
}
