/** Durations, ports, counts and protocols as operators write them. Each returns `null` when it cannot be read. Pure. */
import type { PortRange } from '../contract/desired.js'
import { causeOf } from '../lib/cause-of.js'

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `1h30m`, `500ms`; a bare number is seconds. */
export function parseDuration (value: string | number): number | null {
  if (typeof value === 'number') return Number.isInteger(value) && value >= 0 && value <= 1e9 ? value * 1000 : null
  if (value.length > 32 || !/^(\d+(ms|s|m|h|d))+$/.test(value)) return null
  let total = 0
  for (const [, digits, unit] of value.matchAll(/(\d+)(ms|s|m|h|d)/g)) total += Number(digits) * (unitMs[unit ?? ''] ?? NaN)
  return Number.isSafeInteger(total) ? total : null
}

/** Shortest exact text: `1h30m`. */
export function formatDuration (ms: number): string {
  if (ms === 0) return '0s'
  let rest = ms
  let out = ''
  for (const unit of ['d', 'h', 'm', 's', 'ms']) {
    const size = unitMs[unit] ?? 1
    const n = Math.floor(rest / size)
    if (n > 0) out += `${n}${unit}`
    rest -= n * size
  }
  return out
}

/** `1048576`, `64k`, `16M`: binary multiples. */
export function parseCount (value: string | number): number | null {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : null
  const match = /^(\d{1,12})([kKmMgG]?)$/.exec(value)
  if (match === null) return null
  return Number(match[1]) * ({ '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }[(match[2] ?? '').toLowerCase()] ?? NaN)
}

/** `80`, `8000-8080`. */
export function parsePorts (value: string | number): PortRange | null {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(value))
  if (match === null) return null
  const from = Number(match[1])
  const to = match[2] === undefined ? from : Number(match[2])
  return from <= to && to <= 65535 ? { from, to } : null
}

export const formatPorts = (range: PortRange): string => range.from === range.to ? String(range.from) : `${range.from}-${range.to}`

/** IANA protocol numbers by the names in use. */
export const protocolNumbers: Readonly<Record<string, number>> = {
  icmp: 1, igmp: 2, ipip: 4, tcp: 6, udp: 17, rsvp: 46, gre: 47, esp: 50, ah: 51, icmp6: 58, icmpv6: 58, ospf: 89, pim: 103, vrrp: 112, sctp: 132
}

export function parseProtocol (value: string | number): number | null {
  if (typeof value === 'number') return Number.isInteger(value) && value >= 1 && value <= 255 ? value : null
  if (Object.hasOwn(protocolNumbers, value)) return protocolNumbers[value] ?? null
  return /^[1-9]\d{0,2}$/.test(value) && Number(value) <= 255 ? Number(value) : null
}

export function protocolName (number: number): string {
  return Object.entries(protocolNumbers).find(([, n]) => n === number)?.[0] ?? String(number)
}

/** Sorted, disjoint, adjacent ones joined. */
export function mergePorts (ranges: readonly PortRange[]): PortRange[] {
  const out: PortRange[] = []
  for (const range of [...ranges].sort((a, b) => a.from - b.from)) {
    const last = out.at(-1)
    if (last !== undefined && range.from <= last.to + 1) out[out.length - 1] = { from: last.from, to: Math.max(last.to, range.to) }
    else out.push(range)
  }
  return out
}

export const portsOverlap = (a: PortRange, b: PortRange): boolean => a.from <= b.to && b.from <= a.to

/** Deterministic and quick enough for ring sizes. */
export function isPrime (n: number): boolean {
  if (n < 2 || (n % 2 === 0 && n !== 2)) return false
  for (let i = 3; i * i <= n; i += 2) if (n % i === 0) return false
  return true
}

/** Why it is not a regular expression; `null`: it is one. */
export function patternFault (expression: string): string | null {
  try {
    RegExp(expression, 'u')
    return null
  } catch (error) {
    return causeOf(error)
  }
}
