/** Where a virtual server is: an address, a group of addresses and ranges, or a firewall mark, which has no equivalent. */
import { familyOf, formatNetwork, formatPrefix, mergeSpans, parseAddress, parsePrefix, parseSpans, type Span } from '../../lib/address.js'
import { noteOn, type Directive } from './blocks.js'
import type { Notes } from './notes.js'
import { portNumber } from './values.js'

export interface Place {
  /** Address or prefix. */
  readonly address: string
  readonly port: number | null
  readonly at: Directive
}

const markReason = 'firewall marks have no equivalent: give the VIP its address and port; `port: any` and a prefix take more at once'

/** `groups`: virtual_server_group by name. */
export function placesOf (notes: Notes, d: Directive, groups: ReadonlyMap<string, Directive>): Place[] {
  const [, first = '', second] = d.words
  if (first === 'fwmark') {
    noteOn(notes, d, markReason)
    return []
  }
  if (first !== 'group') return oneEntry(notes, d, first, second)
  const group = groups.get(second ?? '')
  const places = (group?.block ?? []).flatMap(entry => oneEntry(notes, entry, entry.words[0] ?? '', entry.words[1]))
  if (places.length === 0) noteOn(notes, d, group === undefined ? 'no such virtual_server_group' : 'its group has no address that can be carried; nothing of it is carried')
  return places
}

function oneEntry (notes: Notes, at: Directive, text: string, portText: string | undefined): Place[] {
  if (text === 'fwmark') {
    noteOn(notes, at, markReason)
    return []
  }
  const port = portNumber(portText)
  if (portText !== undefined && portText !== '0' && port === null) {
    noteOn(notes, at, 'not a port; nothing of it is carried')
    return []
  }
  const prefixes = prefixesOf(text)
  if (prefixes.length === 0) noteOn(notes, at, 'not an address, range or prefix; nothing of it is carried')
  if (prefixes.length > 1) noteOn(notes, at, `a range is ${prefixes.length} prefixes, and each is a VIP`)
  return prefixes.map(address => ({ address, port, at }))
}

/** `192.0.2.1`, `192.0.2.1-9`, `192.0.2.1-192.0.3.9`, `192.0.2.0/29`; IPv6 the same, its last group hexadecimal. */
export function prefixesOf (text: string): string[] {
  const short = /^(.*[.:])([0-9a-fA-F]{1,4})-([0-9a-fA-F]{1,4})$/.exec(text)
  const whole = short !== null && !/[.:]/.test(short[3] ?? '') ? `${short[1]}${short[2]}-${short[1]}${short[3]}` : text
  if (whole.includes('-')) return mergeSpans(parseSpans(whole) ?? []).flatMap(cut)
  const prefix = parsePrefix(whole)
  if (prefix === null) return []
  return [whole.includes('/') ? formatNetwork(prefix) : formatPrefix(prefix).replace(/\/\d+$/, '')]
}

/** The fewest prefixes that are the span together. */
function cut (span: Span): string[] {
  const out: string[] = []
  const family = familyOf(span.from)
  for (let from = span.from; from <= span.to;) {
    let bits = 0
    while (bits < (family === 4 ? 32 : 128) && (from & ((2n << BigInt(bits)) - 1n)) === 0n && from + (2n << BigInt(bits)) - 1n <= span.to) bits++
    const length = (family === 4 ? 32 : 128) - bits
    const text = formatPrefix({ family, address: from, length })
    out.push(bits === 0 ? text.replace(/\/\d+$/, '') : text)
    from += 1n << BigInt(bits)
  }
  return out
}

/** 4, 6, or `null` for what is no address. */
export function familyOfText (text: string): 4 | 6 | null {
  const value = parseAddress(text.replace(/\/\d+$/, ''))
  return value === null ? null : familyOf(value)
}

/** Lines of groups that no virtual server uses. */
export function unusedGroups (notes: Notes, groups: ReadonlyMap<string, Directive>, used: ReadonlySet<string>): void {
  for (const [name, group] of groups) if (!used.has(name)) noteOn(notes, group, `no virtual_server is of group ${name}`)
}
