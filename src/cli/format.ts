/** Numbers, times and addresses as people read them, and durations as they write them. */
import { usageError } from './exit-codes.js'

export { printable } from '../lib/printable.js'

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** The longest that a timer of this process can wait. */
const TIMER_MS_MAX = 2 ** 31 - 1
const DURATION_MS_MAX = 10_000 * 86_400_000

/** `90s`, `5m`, `1h30m`, `250ms` -> milliseconds, up to 10 000 days. */
export function parseDuration (text: string): number {
  if (!/^(\d+(ms|s|m|h|d))+$/.test(text)) throw usageError('not a duration', text, 'for example 30s, 5m or 1h30m')
  let ms = 0
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g)) ms += Number(count) * (unitMs[unit ?? ''] ?? 0)
  if (ms > DURATION_MS_MAX) throw usageError('too long', text, 'at most 10000d')
  return ms
}

/** A duration that this process itself waits for. */
export function parseWait (text: string): number {
  const ms = parseDuration(text)
  if (ms > TIMER_MS_MAX) throw usageError('too long to wait', text, 'at most 24d')
  return ms
}

export function parseCount (text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw usageError('not a number', text, 'a whole number')
  return Number(text)
}

/** What travels as 32 bits: ports, groups, limits of lists. The agent knows the narrower bound. */
export function parseSmall (text: string): number {
  const value = parseCount(text)
  if (value > 0xffff_ffff) throw usageError('the number is too large', text, 'less than 2^32')
  return value
}

/** 1536 -> `1.5K`, binary steps. */
export function bytes (value: number | bigint): string {
  return scaled(Number(value), 1024, ['', 'K', 'M', 'G', 'T', 'P'])
}

/** 1500 -> `1.5k`, decimal steps. */
export function count (value: number | bigint): string {
  return scaled(Number(value), 1000, ['', 'k', 'M', 'G', 'T', 'P'])
}

function scaled (value: number, step: number, units: readonly string[]): string {
  let unit = 0
  while (value >= step && unit < units.length - 1) {
    value /= step
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)}${units[unit] ?? ''}`
}

/** 500 -> `0.5s`, 90 000 -> `1m30s`, 3 700 000 -> `1h01m`. */
export function duration (ms: number): string {
  const s = ms / 1000
  if (s < 10) return `${s.toFixed(1)}s`
  if (s < 60) return `${Math.floor(s)}s`
  const pad = (n: number): string => String(Math.floor(n)).padStart(2, '0')
  if (s < 3600) return `${Math.floor(s / 60)}m${pad(s % 60)}s`
  if (s < 86_400) return `${Math.floor(s / 3600)}h${pad((s % 3600) / 60)}m`
  return `${Math.floor(s / 86_400)}d${pad((s % 86_400) / 3600)}h`
}

/** Local time to the second. */
export function time (unixMs: number | bigint): string {
  const d = new Date(Number(unixMs))
  const two = (n: number): string => String(n).padStart(2, '0')
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`
}

const protocolNames: Readonly<Record<number, string>> = {
  1: 'icmp', 2: 'igmp', 4: 'ipip', 6: 'tcp', 17: 'udp', 47: 'gre', 50: 'esp', 51: 'ah', 58: 'icmp6', 89: 'ospf', 112: 'vrrp', 132: 'sctp'
}
export const protocolName = (number: number): string => protocolNames[number] ?? String(number)
