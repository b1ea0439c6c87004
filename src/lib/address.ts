/** IP addresses as 128-bit numbers (IPv4 at its v4-mapped place, RFC 4291 2.5.5.2) and as canonical text (RFC 5952). Pure. */

export interface Span { readonly from: bigint, readonly to: bigint }
export interface PrefixValue { readonly family: 4 | 6, readonly address: bigint, readonly length: number }

export const max128 = (1n << 128n) - 1n
const mapped = 0xffffn << 32n
export const all4: Span = { from: mapped, to: mapped | 0xffffffffn }
/** IPv6 without the v4-mapped block: `::/0` must not match IPv4. */
export const all6: readonly Span[] = [{ from: 0n, to: mapped - 1n }, { from: all4.to + 1n, to: max128 }]

export const familyOf = (value: bigint): 4 | 6 => value >= all4.from && value <= all4.to ? 4 : 6

function parse4 (text: string): bigint | null {
  const parts = text.split('.')
  if (parts.length !== 4) return null
  let value = 0n
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null
    value = value << 8n | BigInt(part)
  }
  return value
}

function parse6 (text: string): bigint | null {
  const halves = text.split('::')
  if (halves.length > 2) return null
  const groups = (half: string): number[] | null => {
    if (half === '') return []
    const out: number[] = []
    const parts = half.split(':')
    for (const [i, part] of parts.entries()) {
      if (i === parts.length - 1 && part.includes('.')) {
        const tail = parse4(part)
        if (tail === null) return null
        out.push(Number(tail >> 16n), Number(tail & 0xffffn))
      } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) out.push(parseInt(part, 16))
      else return null
    }
    return out
  }
  const head = groups(halves[0] ?? '')
  const tail = halves.length === 2 ? groups(halves[1] ?? '') : []
  if (head === null || tail === null) return null
  const gap = 8 - head.length - tail.length
  if (halves.length === 2 ? gap < 1 : gap !== 0) return null
  return [...head, ...Array<number>(gap).fill(0), ...tail].reduce((value, group) => value << 16n | BigInt(group), 0n)
}

/** `null` when the text is not an address. A v4-mapped IPv6 text is refused: IPv4 is written as IPv4. */
export function parseAddress (text: string): bigint | null {
  if (text.length > 45) return null
  if (!text.includes(':')) {
    const v4 = parse4(text)
    return v4 === null ? null : mapped | v4
  }
  const v6 = parse6(text)
  return v6 === null || familyOf(v6) === 4 ? null : v6
}

export function formatAddress (value: bigint): string {
  if (familyOf(value) === 4) return [24n, 16n, 8n, 0n].map(shift => String(value >> shift & 0xffn)).join('.')
  const groups = Array.from({ length: 8 }, (_, i) => Number(value >> BigInt(112 - 16 * i) & 0xffffn))
  let best = 0
  let bestAt = -1
  for (let i = 0; i < 8; i++) {
    let n = 0
    while (i + n < 8 && groups[i + n] === 0) n++
    if (n > best) [best, bestAt] = [n, i]
  }
  const hex = (part: number[]): string => part.map(group => group.toString(16)).join(':')
  return best < 2 ? hex(groups) : `${hex(groups.slice(0, bestAt))}::${hex(groups.slice(bestAt + best))}`
}

/** `192.0.2.7:80`, `[2001:db8::7]:80`; of a host name as well. */
export const formatEndpoint = (host: string, port: number): string => `${host.includes(':') ? `[${host}]` : host}:${port}`

/** The opposite, of addresses: an IPv6 one in brackets. `null`: it is none. */
export function parseEndpoint (text: string): { readonly address: bigint, readonly port: number } | null {
  const [, bracketed, plain = '', digits = ''] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const [address, port] = [parseAddress(bracketed ?? plain), Number(digits)]
  if (address === null || port > 65535 || (familyOf(address) === 6) !== (bracketed !== undefined)) return null
  return { address, port }
}

/** Address and prefix length; without a length, one address. Host bits stay. */
export function parsePrefix (text: string): PrefixValue | null {
  const slash = text.indexOf('/')
  const address = parseAddress(slash === -1 ? text : text.slice(0, slash))
  if (address === null) return null
  const family = familyOf(address)
  const bits = family === 4 ? 32 : 128
  if (slash === -1) return { family, address, length: bits }
  const digits = text.slice(slash + 1)
  if (!/^(0|[1-9]\d{0,2})$/.test(digits) || Number(digits) > bits) return null
  return { family, address, length: Number(digits) }
}

/** Length in the 128-bit space. */
export const mappedLength = (p: PrefixValue): number => p.family === 4 ? p.length + 96 : p.length
const hostMask = (p: PrefixValue): bigint => (1n << BigInt(128 - mappedLength(p))) - 1n
export const networkOf = (p: PrefixValue): bigint => p.address & ~hostMask(p)
export const prefixSpan = (p: PrefixValue): Span => ({ from: networkOf(p), to: networkOf(p) | hostMask(p) })
export const hasHostBits = (p: PrefixValue): boolean => networkOf(p) !== p.address
export const formatPrefix = (p: PrefixValue): string => `${formatAddress(p.address)}/${p.length}`
export const formatNetwork = (p: PrefixValue): string => formatPrefix({ ...p, address: networkOf(p) })

/** A prefix, an address or `from-to`. IPv6 prefixes that cover the v4-mapped block leave it out. Empty array never; `null` = malformed. */
export function parseSpans (text: string): readonly Span[] | null {
  const dash = text.indexOf('-')
  if (dash !== -1) {
    const from = parseAddress(text.slice(0, dash).trim())
    const to = parseAddress(text.slice(dash + 1).trim())
    if (from === null || to === null || from > to || familyOf(from) !== familyOf(to)) return null
    return withoutMapped({ from, to }, familyOf(from))
  }
  const prefix = parsePrefix(text)
  return prefix === null ? null : withoutMapped(prefixSpan(prefix), prefix.family)
}

function withoutMapped (span: Span, family: 4 | 6): readonly Span[] {
  if (family === 4 || span.to < all4.from || span.from > all4.to) return [span]
  return [{ from: span.from, to: all4.from - 1n }, { from: all4.to + 1n, to: span.to }].filter(part => part.from <= part.to)
}

/** Canonical text of a span as written: prefix with host bits cleared, single address, or range. */
export function canonicalSpan (text: string): string | null {
  if (text.includes('-')) {
    const [a = null, b = null] = text.split('-').map(part => parseAddress(part.trim()))
    if (parseSpans(text) === null || a === null || b === null) return null
    return a === b ? formatAddress(a) : `${formatAddress(a)}-${formatAddress(b)}`
  }
  const prefix = parsePrefix(text)
  if (prefix === null) return null
  return mappedLength(prefix) === 128 ? formatAddress(prefix.address) : formatNetwork(prefix)
}

/** Sorted, disjoint, adjacent ones joined. */
export function mergeSpans (spans: readonly Span[]): Span[] {
  const out: Span[] = []
  for (const span of [...spans].sort((a, b) => a.from < b.from ? -1 : a.from > b.from ? 1 : 0)) {
    const last = out.at(-1)
    if (last !== undefined && span.from <= last.to + 1n) {
      if (span.to > last.to) out[out.length - 1] = { from: last.from, to: span.to }
    } else out.push(span)
  }
  return out
}

export const spansOverlap = (a: Span, b: Span): boolean => a.from <= b.to && b.from <= a.to

/** 16 bytes, network order. */
export function addressBytes (value: bigint): Uint8Array {
  const out = new Uint8Array(16)
  const view = new DataView(out.buffer)
  view.setBigUint64(0, value >> 64n)
  view.setBigUint64(8, value & 0xffffffffffffffffn)
  return out
}

export function addressOfBytes (bytes: Uint8Array, offset = 0): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, 16)
  return view.getBigUint64(0) << 64n | view.getBigUint64(8)
}

/** Lower-case `aa:bb:cc:dd:ee:ff`, or `null`. */
export function parseMac (text: string): string | null {
  return /^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text) ? text.toLowerCase() : null
}
