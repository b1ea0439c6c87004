/** Values as daemons write them. */
import { formatAddress, parseAddress } from '../../lib/address.js'

const V4 = /^(?:\d{1,3}\.){3}\d{1,3}$/

/** Canonical text: an IPv4-mapped address as IPv4, the zone of a link-local one kept. What is no address (a session that is named by its interface) stays. */
export function peerText (text: string): string {
  if (V4.test(text)) return text
  const at = text.indexOf('%')
  const [address, zone] = at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at)]
  const mapped = /^(?:::|(?:0{1,4}:){5})ffff:(.+)$/i.exec(address)?.[1]
  if (mapped !== undefined) {
    if (V4.test(mapped)) return mapped
    const [, high, low] = /^([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(mapped) ?? []
    if (high !== undefined && low !== undefined) return formatAddress(0xffffn << 32n | BigInt(parseInt(high, 16)) << 16n | BigInt(parseInt(low, 16)))
  }
  const value = parseAddress(address)
  return value === null ? text : formatAddress(value) + zone
}

/** `null`: it is not told, or no address, or that of any. */
export const localText = (text: string | undefined): string | null => text === undefined || !/[.:]/.test(text) || text === '0.0.0.0' || text === '::' ? null : peerText(text)
