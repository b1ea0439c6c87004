/**
 * The filter of the API -> SessionFilter. Every value is checked here, so that a mistyped filter is refused and never means
 * "every session". Names are those of the running configuration; `#7` is the id 7.
 */
import { isIP } from 'node:net'
import { LockstepError } from '../contract/errors.js'
import type { NameBook } from '../contract/services.js'
import type { SessionFilter, SessionTuple } from '../contract/session.js'
import { phase } from '../generated/codes.js'
import type { SessionFilter as FilterMessage, SessionTuple as TupleMessage } from '../generated/proto/lockstep/v1/session.js'
import { resolveNamedFilter } from './resolve-filter.js'

/** IANA numbers by the names people use. */
export const protocolNumbers: Readonly<Record<string, number>> = {
  icmp: 1, igmp: 2, ipip: 4, tcp: 6, udp: 17, gre: 47, esp: 50, ah: 51, icmp6: 58, icmpv6: 58, ospf: 89, vrrp: 112, sctp: 132
}

type NamedField = 'domain' | 'zoneIn' | 'zoneOut' | 'policy' | 'vip' | 'real' | 'app'
const namedFields: ReadonlyArray<readonly [NamedField, number]> = [
  ['domain', 0xffff], ['zoneIn', 0xffff], ['zoneOut', 0xffff], ['policy', 0xffff], ['vip', 0xffff], ['real', 0xffff], ['app', 0xff]
]

export function filterOf (message: FilterMessage | undefined, names: NameBook): SessionFilter {
  if (message === undefined) return {}
  const out: { -readonly [K in keyof SessionFilter]: SessionFilter[K] } = {}
  if (message.source !== '') out.source = prefix('source', message.source)
  if (message.destination !== '') out.destination = prefix('destination', message.destination)
  if (message.address !== '') out.address = prefix('address', message.address)
  if (message.sourcePort !== undefined) out.sourcePort = bounded('source_port', message.sourcePort, 0xffff)
  if (message.destinationPort !== undefined) out.destinationPort = bounded('destination_port', message.destinationPort, 0xffff)
  if (message.port !== undefined) out.port = bounded('port', message.port, 0xffff)
  if (message.protocol !== '') out.protocol = protocol(message.protocol)
  if (message.family !== 0) out.family = family(message.family)
  if (message.rg !== undefined) out.rg = bounded('rg', message.rg, 255)
  if (message.phases.length > 0) out.phases = [...new Set(message.phases)].map(phaseName)
  if (message.snat !== undefined) out.snat = message.snat
  if (message.dnat !== undefined) out.dnat = message.dnat
  if (message.fromPeer !== undefined) out.fromPeer = message.fromPeer
  if (message.minIdleMs !== undefined) out.minIdleMs = milliseconds('min_idle_ms', message.minIdleMs)
  if (message.minAgeMs !== undefined) out.minAgeMs = milliseconds('min_age_ms', message.minAgeMs)
  if (message.maxAgeMs !== undefined) out.maxAgeMs = milliseconds('max_age_ms', message.maxAgeMs)
  if (message.id !== '') out.id = sessionId(message.id)
  return { ...idsOf(message, names), ...out }
}

/** `#7` or a name -> the id; empty: nothing is asked of the field. */
export function idsOf (values: Readonly<Partial<Record<NamedField, string>>>, names: NameBook): SessionFilter {
  const ids: { -readonly [K in NamedField]?: number } = {}
  const named: Record<string, string> = {}
  for (const [field, max] of namedFields) {
    const value = values[field] ?? ''
    if (value === '') continue
    if (value.startsWith('#')) ids[field] = hashId(field, value, max)
    else named[field] = value
  }
  return { ...resolveNamedFilter(named, names), ...ids }
}

export function tupleOf (message: TupleMessage, names: NameBook): SessionTuple {
  for (const field of ['source', 'destination'] as const) {
    if (isIP(message[field]) === 0 || message[field].includes('%')) throw refused(field, message[field], 'an address')
  }
  return {
    source: message.source,
    sourcePort: bounded('source_port', message.sourcePort, 0xffff),
    destination: message.destination,
    destinationPort: bounded('destination_port', message.destinationPort, 0xffff),
    protocol: protocol(message.protocol),
    domain: idsOf({ domain: message.domain }, names).domain ?? 0
  }
}

export const isEmptyFilter = (filter: SessionFilter): boolean => Object.keys(filter).length === 0

/** 32 hexadecimal digits, in lower case. */
export function sessionId (value: string): string {
  if (!/^[0-9a-fA-F]{32}$/.test(value)) throw refused('id', value, '32 hexadecimal digits')
  return value.toLowerCase()
}

function refused (field: string, found: string, expected: string): LockstepError {
  return new LockstepError('invalid', 'LS_R_FILTER', 'the filter cannot be used', { object: `filter.${field}`, found, expected })
}

function prefix (field: string, value: string): string {
  const [address = '', length, more] = value.split('/')
  const kind = isIP(address)
  const bits = kind === 4 ? 32 : 128
  const lengthOk = length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= bits)
  if (kind === 0 || !lengthOk || more !== undefined || address.includes('%')) {
    throw refused(field, value, 'an address or a prefix such as 192.0.2.0/24 or 2001:db8::/32')
  }
  return value
}

function bounded (field: string, value: number, max: number): number {
  if (value > max) throw refused(field, String(value), `0 to ${max}`)
  return value
}

function protocol (value: string): number {
  const number = protocolNumbers[value.toLowerCase()] ?? (/^\d{1,3}$/.test(value) ? Number(value) : 256)
  if (number > 255) throw refused('protocol', value, `0 to 255 or one of ${Object.keys(protocolNumbers).join(' ')}`)
  return number
}

function family (value: number): 4 | 6 {
  if (value !== 4 && value !== 6) throw refused('family', String(value), '4 or 6')
  return value
}

export function phaseName (value: string): string {
  const lower = value.toLowerCase()
  if (!phase.some((p) => p.name === lower)) throw refused('phases', value, `one of ${phase.map((p) => p.name.toUpperCase()).join(' ')}`)
  return lower.toUpperCase()
}

function milliseconds (field: string, value: bigint): number {
  if (value > 0xffff_ffff_ffffn) throw refused(field, String(value), 'less than 2^48')
  return Number(value)
}

function hashId (field: string, value: string, max: number): number {
  const id = /^#\d{1,5}$/.test(value) ? Number(value.slice(1)) : max + 1
  if (id > max) throw refused(field, value, `a name, or # and a number up to ${max}`)
  return id
}
