/** healthchecks of vpp-maglev -> ours. */
import { healthLimits as max } from '../../contract/health-limits.js'
import { parseAddress } from '../../lib/address.js'
import type { RawHealthCheck, Scalar } from '../raw.js'
import { formatDuration, parseDuration } from '../units.js'
import { Fields, isMap, type Field, type YamlSource } from './fields.js'
import { bodyFault, hostFault, pathFault } from './http-values.js'

type Mutable = { -readonly [Key in keyof RawHealthCheck]: RawHealthCheck[Key] }
type Http = NonNullable<RawHealthCheck['http']>

const nothing: ReadonlyMap<string, string> = new Map()
const types = ['http', 'https', 'tcp', 'icmp'] as const

/** `null`, noted: a type that we do not have. */
export function maglevCheck (source: YamlSource, field: Field, netns: string | null): RawHealthCheck | null {
  const check = new Fields(source, field.path, field.value)
  const typeText = check.text('type')
  const type = types.find(name => name === typeText?.toLowerCase())
  if (type === undefined) {
    check.note(field, `a check is of type http, tcp or icmp there, not ${typeText ?? 'nothing'}; it is left out, and its backends have none`)
    return null
  }
  const params = check.map('params')
  const tls = type === 'icmp' ? undefined : tlsOf(params, type === 'https')
  const out: Mutable = { type: type === 'https' || type === 'http' ? 'http' : type === 'tcp' && tls !== undefined ? 'tls' : type }
  const port = portOf(check)
  if (port !== null && type !== 'icmp') out.port = port
  else if (port !== null) check.note({ ...field, key: `${field.key}.port`, value: port }, 'an echo has no port; left out')
  for (const key of ['interval', 'fast-interval', 'down-interval'] as const) {
    const value = durationOf(check, key, max.intervalMsMin, max.intervalMsMax)
    if (value !== null) out[key] = value
  }
  const timeout = durationOf(check, 'timeout', max.timeoutMsMin, max.timeoutMsMax)
  if (timeout !== null) out.timeout = timeout
  for (const key of ['rise', 'fall'] as const) {
    const value = check.integer(1, max.thresholdMax, key)
    if (value !== null) out[key] = value
  }
  const inside = check.text('netns') ?? netns
  if (inside !== null) out.netns = inside
  const from = sources(check, params)
  if (from.length > 0) out.source = from.length === 1 ? from[0] ?? '' : from
  if (tls !== undefined) out.tls = tls
  if (out.type === 'http') out.http = httpOf(params)
  params.rest(nothing)
  check.rest(nothing)
  return out
}

/** 0 means that of the backend. */
function portOf (check: Fields): number | null {
  const port = check.integer(0, 65535, 'port')
  return port === 0 ? null : port
}

/** Go writes `1m30s`, `1.5s` and numbers of seconds. */
function durationOf (fields: Fields, key: string, from: number, to: number): Scalar | null {
  const field = fields.field(key)
  if (field === null) return null
  const fraction = /^(\d{1,6})\.(\d{1,3})(s|m|h)$/.exec(String(field.value))
  const ms = fraction === null ? (typeof field.value === 'string' || typeof field.value === 'number' ? parseDuration(field.value) : null) : Math.round(Number(`${fraction[1]}.${fraction[2]}`) * { s: 1000, m: 60_000, h: 3_600_000 }[fraction[3] as 's' | 'm' | 'h'])
  if (ms === null) return fields.odd(field, 'a duration like 2s or 500ms')
  const bounded = Math.min(Math.max(ms, from), to)
  if (bounded !== ms) fields.note(field, `ours is ${formatDuration(from)} to ${formatDuration(to)}; ${formatDuration(bounded)} is taken`)
  return formatDuration(bounded)
}

function sources (check: Fields, params: Fields): string[] {
  const found = [check, params].flatMap(fields => [
    ...['source', 'probe-source', 'source-address', 'src-address', 'ipv4-source', 'ipv6-source', 'probe-ipv4-src', 'probe-ipv6-src', 'ipv4-src-address', 'ipv6-src-address'].flatMap(key => {
      const text = fields.text(key)
      if (text === null) return []
      if (parseAddress(text) !== null) return [text]
      fields.note({ path: `${fields.path}/${key}`, key, value: text }, 'not an address; left out')
      return []
    }),
  ])
  return [...new Set(found)]
}

/** TLS when a switch says so, or a key that only TLS has. Go looks at certificates unless it is told not to. */
function tlsOf (params: Fields, always: boolean): RawHealthCheck['tls'] {
  const own = params.field('tls', 'ssl', 'https')
  const nested = own !== null && isMap(own.value)
  if (own !== null && !nested && typeof own.value !== 'boolean') params.odd(own, 'true, false or keys')
  const at = nested ? new Fields(params.source, own.path, own.value) : params
  const name = at.text('server-name', 'sni', 'tls-server-name')
  const lax = at.flag('insecure-skip-verify', 'skip-verify', 'insecure', 'tls-insecure-skip-verify')
  const authority = at.text('ca', 'ca-file', 'authority')
  if (nested) at.rest(new Map([['enabled', 'TLS is on when tls is there']]))
  if (!always && !nested && own?.value !== true && name === null && lax === null && authority === null) return undefined
  return { ...(name === null ? {} : { 'server-name': name }), verify: lax === true ? 'none' : 'full', ...(authority === null ? {} : { authority }) }
}

const methods = ['GET', 'HEAD', 'OPTIONS', 'POST'] as const

function httpOf (params: Fields): Http {
  const method = params.text('method')
  const known = methods.find(name => name === method?.toUpperCase())
  if (method !== null && known === undefined) params.note({ path: `${params.path}/method`, key: 'method', value: method }, `${methods.join(', ')} are the methods; GET is taken`)
  const path = sound(params, text => pathFault(slashed(text)), 'path', 'uri', 'url')
  const host = sound(params, hostFault, 'host', 'virtualhost')
  const status = statusOf(params)
  const body = sound(params, bodyFault, 'response-regexp', 'response-regex', 'response-match', 'body-match', 'body', 'match', 'regexp', 'regex')
  const headers = params.entries('headers')
  const usable = headers.filter(header => typeof header.value === 'string' || typeof header.value === 'number')
  for (const header of headers) if (!usable.includes(header)) params.note(header, 'not text; left out')
  return {
    ...(known === undefined || known === 'GET' ? {} : { method: known }),
    ...(path === null ? {} : { path: slashed(path) }),
    ...(host === null ? {} : { host }),
    ...(usable.length === 0 ? {} : { headers: Object.fromEntries(usable.map(header => [header.key, String(header.value)])) }),
    ...(status === null ? {} : { status }),
    ...(body === null ? {} : { body }),
  }
}

const slashed = (path: string): string => path.startsWith('/') ? path : `/${path}`

/** The text, unless `fault` says why not. */
function sound (params: Fields, fault: (text: string) => string | null, ...names: readonly string[]): string | null {
  const field = params.field(...names)
  const text = params.text(...names)
  const wrong = text === null ? null : fault(text)
  if (field === null || wrong === null) return text
  params.note(field, wrong)
  return null
}

/** `200`, `200-299`, a list of them, or with commas between. */
function statusOf (params: Fields): Scalar | Scalar[] | null {
  const field = params.field('response-code', 'response-codes', 'response-status', 'status', 'status-code', 'code', 'codes')
  if (field === null) return null
  const words = (Array.isArray(field.value) ? field.value as unknown[] : [field.value]).flatMap(value => String(value).split(/[\s,]+/)).filter(word => word !== '')
  const known = words.filter(word => /^[1-5]\d\d(-[1-5]\d\d)?$/.test(word)).map(word => /^\d+$/.test(word) ? Number(word) : word)
  if (known.length < words.length) params.note(field, 'not all of these are codes or ranges like 200-299; those are left out')
  return known.length === 0 ? null : known.length === 1 ? known[0] ?? null : known
}
