/** `address-book` and the address lists of rules: everything ends as canonical spans. */
import { canonicalSpan, hasHostBits, parseAddress, parsePrefix, parseSpans } from '../../lib/address.js'
import { pointer } from '../issues.js'
import type { Many, RawConfig } from '../raw.js'
import type { Build } from './context.js'

const spansMax = 1024
const words: Readonly<Record<string, string>> = { 'any-ipv4': '0.0.0.0/0', 'any-ipv6': '::/0' }

export class AddressBook {
  private readonly raw: Readonly<Record<string, Many<string>>>
  /** `null` while being resolved: a list that contains itself. */
  private readonly done = new Map<string, readonly string[] | null>()

  constructor (private readonly b: Build, raw: RawConfig['address-book']) {
    this.raw = raw ?? {}
    for (const name of Object.keys(this.raw)) {
      const path = pointer('/address-book', name)
      if (name === 'any' || Object.hasOwn(words, name)) b.issue(path, 'LS_C_CONFLICT', 'the name has a meaning of its own', name, 'another name')
      else if (parseSpans(name) !== null) b.issue(path, 'LS_C_CONFLICT', 'the name reads as an address', name, 'a name with a letter')
      else this.named(name)
    }
  }

  /** Spans of one rule; empty = any. */
  resolve (path: string, value: Many<string> | undefined): readonly string[] {
    const out = new Set<string>()
    let any = false
    for (const [place, item] of this.b.each(path, value)) {
      if (item === 'any') any = true
      else for (const span of this.spans(place, item)) out.add(span)
    }
    if (any && out.size > 0) this.b.issue(path, 'LS_C_CONFLICT', 'any makes the other addresses meaningless', value, 'any alone, or addresses')
    if (out.size > spansMax) this.b.issue(path, 'LS_C_LIMIT', 'too many addresses in one rule', out.size, `at most ${spansMax}`)
    return any ? [] : [...out]
  }

  private spans (path: string, item: string): readonly string[] {
    const word = Object.hasOwn(words, item) ? words[item] : undefined
    if (word !== undefined) return [word]
    const span = canonicalSpan(item)
    if (span !== null) {
      const prefix = parsePrefix(item)
      if (prefix !== null && hasHostBits(prefix)) this.b.warn(path, `${item} has host bits; ${span} is meant`)
      return [span]
    }
    if (Object.hasOwn(this.raw, item)) return this.named(item, path)
    if (/^[\d.:/a-fA-F]*[.:/][\d.:/a-fA-F-]*$/.test(item) && /\d/.test(item)) this.b.issue(path, 'LS_C_VALUE', 'not an address', item, addressHint(item))
    else this.b.refers(path, 'entry of the address book', '/address-book', item, new Map(Object.entries(this.raw)))
    return []
  }

  private named (name: string, from?: string): readonly string[] {
    const known = this.done.get(name)
    if (known === null) {
      this.b.issue(from ?? pointer('/address-book', name), 'LS_C_CONFLICT', 'the list contains itself', name, 'lists without a circle')
      return []
    }
    if (known !== undefined) return known
    this.done.set(name, null)
    const out = new Set<string>()
    for (const [place, item] of this.b.each(pointer('/address-book', name), this.raw[name])) {
      if (item === 'any') this.b.issue(place, 'LS_C_CONFLICT', 'any does not belong in a list', item, 'addresses, any-ipv4 or any-ipv6')
      else if (out.size <= spansMax) for (const span of this.spans(place, item)) out.add(span)
    }
    const spans = [...out]
    this.done.set(name, spans)
    return spans
  }
}

export function addressHint (text: string): string {
  if (/^::ffff:\d+\.\d+\.\d+\.\d+/i.test(text)) return 'IPv4 as IPv4, like 192.0.2.1'
  return text.includes(':') ? 'IPv6 like 2001:db8::1 or 2001:db8::/32' : 'IPv4 like 192.0.2.1, 192.0.2.0/24 or 192.0.2.1-192.0.2.9'
}

/** One address, canonical, or an issue. */
export function singleAddress (b: Build, path: string, text: string): bigint | null {
  const value = parseAddress(text)
  if (value === null) b.issue(path, 'LS_C_VALUE', 'not an address', text, addressHint(text))
  return value
}
