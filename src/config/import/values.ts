/** Numbers, times and addresses of a directive. What cannot be read, or is out of our bounds, is noted; then the caller has `null` or the bound. */
import { formatAddress, parseAddress } from '../../lib/address.js'
import { formatDuration } from '../units.js'
import { noteOn, remarkOn, type Directive } from './blocks.js'
import type { Notes } from './notes.js'

export const onWords = new Set(['on', 'true', 'yes'])
export const offWords = new Set(['off', 'false', 'no'])

/** A keyword alone means yes. */
export const isOn = (d: Directive | null): boolean => d !== null && !offWords.has((d.words[1] ?? 'on').toLowerCase())

/** The second word as a whole number. */
export function numberOf (notes: Notes, d: Directive | null, from: number, to: number): number | null {
  if (d === null) return null
  const text = d.words[1] ?? ''
  const value = Number(text)
  if (!/^[+-]?\d{1,15}$/.test(text)) {
    noteOn(notes, d, 'not a whole number; left out')
    return null
  }
  if (value >= from && value <= to) return value
  const nearest = Math.min(Math.max(value, from), to)
  noteOn(notes, d, `ours is ${from} to ${to}; ${nearest} is taken`)
  return nearest
}

/** Seconds with a fraction, in milliseconds. */
export function msOf (notes: Notes, d: Directive | null): number | null {
  if (d === null) return null
  const text = d.words[1] ?? ''
  if (/^\d{1,9}(\.\d{1,9})?$/.test(text)) return Math.round(Number(text) * 1000)
  noteOn(notes, d, 'not a number of seconds; left out')
  return null
}

/** `ms` within our bounds, as written in YAML. */
export function boundedDuration (notes: Notes, d: Directive, what: string, ms: number, from: number, to: number): string {
  const value = Math.min(Math.max(ms, from), to)
  if (value !== ms) remarkOn(notes, d, `${what} of ${formatDuration(ms)}: ours is ${formatDuration(from)} to ${formatDuration(to)}; ${formatDuration(value)} is taken`)
  return formatDuration(value)
}

/** Canonical text, or `null`. */
export function addressText (text: string | undefined): string | null {
  const value = parseAddress(text ?? '')
  return value === null ? null : formatAddress(value)
}

/** `80`; `null` when it is no port. */
export function portNumber (text: string | undefined): number | null {
  return text !== undefined && /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65535 ? Number(text) : null
}
