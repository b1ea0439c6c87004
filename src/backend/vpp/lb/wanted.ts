/**
 * The VIPs of a configuration as VPP's load balancer can have them, and what it cannot have, by name and with the reason: VPP itself takes much of it without
 * an error and does something else. Pure.
 */
import type { Desired, Real, Vip } from '../../../contract/desired.js'
import { formatNetwork, parsePrefix } from '../../../lib/address.js'
import { ANY_PROTOCOL, type Encap, type LbSettings, type Wanted, type WantedVip } from './state.js'

export interface Refused { /** `vips.NAME.key` */ readonly object: string, readonly found: string, readonly reason: string }

export type WeightOf = (vip: Vip, real: Real) => number

const TABLE_LEAST = 1024
const TABLE_MOST = 65536
const UDP = 17

/** The largest power of two that is not more, within what the API can tell back. */
export const tableLength = (ringSize: number): number => Math.min(TABLE_MOST, Math.max(TABLE_LEAST, 2 ** Math.floor(Math.log2(ringSize))))

const isIp6 = (address: string): boolean => address.includes(':')
const realsOf = ({ pools }: Vip): Real[] => pools.flatMap(({ reals }) => [...reals])

function encapOf ({ mode, address }: Vip, real6: boolean): Encap | string {
  if (mode === 'gre') return real6 ? 'gre6' : 'gre4'
  if (mode === 'nat') {
    if (isIp6(address) !== real6) return 'it does not translate between IPv4 and IPv6'
    return real6 ? 'nat6' : 'nat4'
  }
  return mode === 'l2' ? 'it does not rewrite MAC addresses' : 'it has no IP-in-IP'
}

const isEncap = (text: string): text is Encap => /^(gre|nat)[46]$/.test(text)

function refusalsOf (vip: Vip, settings: LbSettings): Refused[] {
  const refused: Refused[] = []
  const refuse = (key: string, found: string, reason: string): void => { refused.push({ object: `vips.${vip.name}.${key}`, found, reason }) }
  const reals = realsOf(vip)
  const six = new Set(reals.map(({ address }) => isIp6(address)))
  const addresses = reals.map(({ address }) => address)
  if (six.size > 1) refuse('pools', 'IPv4 and IPv6', 'its reals have one address family')
  const encap = encapOf(vip, six.has(true))
  if (!isEncap(encap)) refuse('mode', vip.mode, encap)
  if (vip.port === 0 && vip.protocol !== 0 && vip.mode !== 'nat') refuse('port', 'any', 'a VIP of all ports takes all protocols there: write protocol: any')
  if (vip.domain !== 'default') refuse('domain', vip.domain, 'it balances in table 0 only')
  if (vip.snatPool !== null) refuse('snat-pool', vip.snatPool, 'it does not hide clients')
  if (new Set(addresses).size < addresses.length) refuse('pools', addresses.find((address, i) => addresses.indexOf(address) !== i) ?? '', 'an address can be a real of a VIP once')
  const ports = new Set(reals.map(({ port }) => port === 0 ? vip.port : port))
  if (vip.mode === 'nat') {
    if (vip.port === 0) refuse('port', 'any', 'it translates VIPs of one port only')
    if (vip.protocol !== UDP) refuse('protocol', vip.protocol === 0 ? 'any' : String(vip.protocol), 'its translation drops everything but UDP')
    if (vip.port !== 0 && [...ports].some(port => port !== vip.port)) refuse('pools', [...ports].join(' and '), 'it does not correct UDP checksums for another port, so translated packets keep the port of the VIP')
  } else if ([...ports].some(port => port !== vip.port)) refuse('pools', [...ports].join(' and '), 'what is encapsulated keeps the port of the VIP')
  if (encap === 'gre4' && settings.source4 === NO_SOURCE4) refuse('mode', vip.mode, 'the outer packets need a source: set vpp.load-balancer.source4')
  if (encap === 'gre6' && settings.source6 === NO_SOURCE6) refuse('mode', vip.mode, 'the outer packets need a source: set vpp.load-balancer.source6')
  return refused
}

/** What VPP has when nothing was set. */
export const NO_SOURCE4 = '255.255.255.255'
export const NO_SOURCE6 = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'

function wantedVips (vip: Vip, weight: WeightOf): WantedVip[] {
  const prefix = parsePrefix(vip.address)
  const reals = realsOf(vip)
  const encap = encapOf(vip, reals.some(({ address }) => isIp6(address)))
  if (prefix === null || !isEncap(encap)) return []
  const [first] = reals
  const one: Omit<WantedVip, 'protocol'> = {
    name: vip.name, prefix: formatNetwork(prefix), port: vip.port, encap, targetPort: vip.mode === 'nat' ? first === undefined || first.port === 0 ? vip.port : first.port : 0,
    tableLength: tableLength(vip.ringSize), sourceIpSticky: vip.sourceIpSticky, reals: new Map(reals.map(real => [real.address, weight(vip, real)]))
  }
  if (vip.port === 0) return [{ ...one, protocol: ANY_PROTOCOL }]
  return (vip.protocol === 0 ? [6, 17] : [vip.protocol]).map(protocol => ({ ...one, protocol }))
}

/** VIPs of one prefix that VPP takes only together with others than these. */
function clashes (vips: readonly WantedVip[]): Refused[] {
  const before = new Map<string, WantedVip[]>()
  return vips.flatMap((vip) => {
    const shared = before.get(vip.prefix) ?? []
    const other = shared.find(({ encap, port, name }) => name !== vip.name && (encap !== vip.encap || (port === 0) !== (vip.port === 0)))
    before.set(vip.prefix, shared)
    shared.push(vip)
    if (other === undefined) return []
    return [{ object: `vips.${vip.name}`, found: vip.prefix, reason: other.encap === vip.encap ? `a VIP of all ports and one of a single port (${other.name}) cannot share a prefix` : `VIPs of one prefix have one encapsulation, and ${other.name} has ${other.encap}` }]
  })
}

const swapped = (port: number): number => (port & 0xff) << 8 | port >> 8

/** What VPP does that nothing here can change. */
function warningsOf ({ name, mode, port }: Vip): string[] {
  return mode === 'nat' && swapped(port) !== port ? [`vips.${name}: VPP sends answers of translated reals from port ${swapped(port)}, the bytes of ${port} swapped: use a port with two equal bytes, or mode gre, if clients wait for answers`] : []
}

export function wantedOf (d: Pick<Desired, 'vips'>, settings: LbSettings, weight: WeightOf): { readonly wanted: Wanted, readonly refused: readonly Refused[], readonly warnings: readonly string[] } {
  const vips = d.vips.flatMap(vip => wantedVips(vip, weight))
  return { wanted: { settings, vips }, refused: [...d.vips.flatMap(vip => refusalsOf(vip, settings)), ...clashes(vips)], warnings: d.vips.flatMap(warningsOf) }
}
