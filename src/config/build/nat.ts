/** `nat`. */
import type { DestinationNatRule, Nat, NatPool, PortRange, RedundancyGroup, SourceNatRule, StaticNat } from '../../contract/desired.js'
import { limits } from '../../generated/layout.js'
import { canonicalSpan, familyOf, formatAddress, formatNetwork, hasHostBits, parsePrefix, parseSpans, prefixSpan, spansOverlap } from '../../lib/address.js'
import { pointer } from '../issues.js'
import type { RawDestinationRule, RawNat, RawPool, RawSourceRule, RawStatic } from '../raw.js'
import { addressHint, singleAddress } from './addresses.js'
import { portRange } from './agent.js'
import { entries, type Build } from './context.js'
import { zoneList, type RuleBooks } from './policies.js'
import { groupOf } from './zones.js'

const staticMax = limits.LS_STATIC_HASH * 3 / 4

export function buildNat (b: Build, raw: RawNat | undefined, books: RuleBooks, groups: readonly RedundancyGroup[]): Nat {
  const pools = entries(raw?.pools).flatMap(([name, pool]) => buildPool(b, pointer('/nat/pools', name), name, pool, groups) ?? []).sort((x, y) => x.name < y.name ? -1 : 1)
  b.limit('/nat/pools', 'NAT pools', pools.reduce((n, pool) => n + pool.ranges.length, 0), limits.LS_POOLS_MAX - 1, 'LS_POOLS_MAX')
  b.limit('/nat/pools', 'addresses in NAT pools', pools.reduce((n, pool) => n + pool.addresses.length, 0), limits.LS_POOL_ADDRS_MAX, 'LS_POOL_ADDRS_MAX')
  const unique = b.unique('NAT rules')
  const known = new Map(pools.map(pool => [pool.name, pool]))
  const source = b.each('/nat/source', raw?.source).map(([path, rule]) => {
    unique(pointer(path, 'name'), rule.name)
    return sourceRule(b, path, rule, books, known)
  })
  const destination = b.each('/nat/destination', raw?.destination).map(([path, rule]) => {
    unique(pointer(path, 'name'), rule.name)
    return destinationRule(b, path, rule, books)
  })
  const mappings = b.each('/nat/static', raw?.static).flatMap(([path, mapping]) => {
    unique(pointer(path, 'name'), mapping.name)
    return staticNat(b, path, mapping, groups) ?? []
  })
  b.limit('/nat/static', 'addresses under static NAT', mappings.reduce((n, m) => n + sizeOf(m.outside), 0), staticMax, 'three quarters of LS_STATIC_HASH')
  return { pools, source, destination, static: mappings, interfacePorts: portRange(b, '/nat/interface-ports', raw?.['interface-ports'] ?? '1024-32767', 1) }
}

const sizeOf = (prefix: string): number => {
  const p = parsePrefix(prefix)
  return p === null ? 0 : 2 ** Math.min((p.family === 4 ? 32 : 128) - p.length, 30)
}

function buildPool (b: Build, path: string, name: string, raw: RawPool, groups: readonly RedundancyGroup[]): NatPool | null {
  const addresses = new Set<string>()
  let family: 4 | 6 | null = null
  for (const [place, text] of b.each(pointer(path, 'addresses'), raw.addresses)) {
    const [span, more] = parseSpans(text) ?? []
    if (span === undefined || more !== undefined) {
      b.issue(place, 'LS_C_VALUE', 'not an address', text, addressHint(text))
      continue
    }
    const own = familyOf(span.from)
    if (family !== null && family !== own) b.issue(place, 'LS_C_CONFLICT', 'a pool has one address family', text, `IPv${family}, as the addresses before it; put the others into a pool of their own`)
    family ??= own
    const count = span.to - span.from + 1n
    if (count + BigInt(addresses.size) > BigInt(limits.LS_POOL_ADDRS_MAX)) {
      b.issue(place, 'LS_C_LIMIT', 'too many addresses in a NAT pool', text, `at most ${limits.LS_POOL_ADDRS_MAX} in all pools (LS_POOL_ADDRS_MAX)`)
      continue
    }
    for (let a = span.from; a <= span.to; a++) addresses.add(formatAddress(a))
  }
  const ranges = poolRanges(b, path, raw, groups)
  return family === null ? null : { name, family, addresses: [...addresses], ranges, keepPort: raw['keep-port'] ?? false, domain: raw.domain ?? 'default' }
}

function poolRanges (b: Build, path: string, raw: RawPool, groups: readonly RedundancyGroup[]): NatPool['ranges'] {
  const perGroup = raw['port-ranges']
  if (perGroup === undefined) {
    return [{ redundancyGroup: groupOf(b, pointer(path, 'redundancy-group'), raw['redundancy-group'], groups), ports: portRange(b, pointer(path, 'ports'), raw.ports ?? '1024-65535', 1) }]
  }
  for (const key of ['ports', 'redundancy-group'] as const) {
    if (raw[key] !== undefined) b.issue(pointer(path, key), 'LS_C_CONFLICT', `${key} and port-ranges exclude each other`, raw[key], 'one of them')
  }
  const out: Array<{ redundancyGroup: number, ports: PortRange }> = []
  for (const [group, value] of entries(perGroup)) {
    const place = pointer(path, 'port-ranges', group)
    const ports = portRange(b, place, value, 1)
    const clash = out.find(other => other.ports.from <= ports.to && ports.from <= other.ports.to)
    if (clash !== undefined) b.issue(place, 'LS_C_OVERLAP', 'port ranges of two redundancy groups overlap', value, `ports outside ${clash.ports.from}-${clash.ports.to} of group ${clash.redundancyGroup} (R18)`)
    out.push({ redundancyGroup: groupOf(b, place, Number(group), groups), ports })
  }
  return out
}

function sourceRule (b: Build, path: string, raw: RawSourceRule, books: RuleBooks, pools: ReadonlyMap<string, NatPool>): SourceNatRule {
  let translate: SourceNatRule['translate'] = raw.translate === 'interface' ? { kind: 'interface' } : { kind: 'off' }
  if (raw.translate === 'pool') {
    if (raw.pool === undefined) b.issue(path, 'LS_C_REQUIRED', 'pool is missing', 'translate: pool', 'pool: the name of a NAT pool')
    else if (b.refers(pointer(path, 'pool'), 'NAT pool', '/nat/pools', raw.pool, pools)) translate = { kind: 'pool', pool: raw.pool }
  } else if (raw.pool !== undefined) b.issue(pointer(path, 'pool'), 'LS_C_CONFLICT', 'a pool without translate: pool', raw.pool, 'translate: pool')
  return {
    name: raw.name,
    from: zoneList(b, pointer(path, 'from'), raw.from, books.zones),
    to: zoneList(b, pointer(path, 'to'), raw.to, books.zones),
    source: books.addresses.resolve(pointer(path, 'source'), raw.source),
    destination: books.addresses.resolve(pointer(path, 'destination'), raw.destination),
    applications: books.applications.resolve(pointer(path, 'applications'), raw.applications),
    translate,
  }
}

function destinationRule (b: Build, path: string, raw: RawDestinationRule, books: RuleBooks): DestinationNatRule {
  const destination = books.addresses.resolve(pointer(path, 'destination'), raw.destination)
  const applications = books.applications.resolve(pointer(path, 'applications'), raw.applications)
  let translate: DestinationNatRule['translate'] = null
  if (raw.translate !== 'off') {
    const place = pointer(path, 'translate')
    const address = singleAddress(b, pointer(place, 'address'), raw.translate.address)
    if (address !== null) translate = { address: formatAddress(address), port: raw.translate.port ?? 0 }
    const span = destination.flatMap(text => parseSpans(text) ?? []).find(s => address !== null && familyOf(s.from) !== familyOf(address))
    if (address !== null && span !== undefined) b.issue(pointer(place, 'address'), 'LS_C_CONFLICT', 'the real address is of the other family', raw.translate.address, `IPv${familyOf(span.from)}, as the destination`)
    const terms = applications.flatMap(name => books.applications.get(name)?.terms ?? [])
    if (raw.translate.port !== undefined && (terms.length === 0 || terms.some(term => term.protocols.length === 0 || term.protocols.some(p => ![6, 17, 132].includes(p))))) {
      b.issue(pointer(place, 'port'), 'LS_C_CONFLICT', 'a port is translated for protocols without ports', raw.translate.port, 'applications of tcp, udp or sctp only')
    }
  }
  return {
    name: raw.name, destination, applications, translate,
    from: zoneList(b, pointer(path, 'from'), raw.from, books.zones),
    source: books.addresses.resolve(pointer(path, 'source'), raw.source),
  }
}

function staticNat (b: Build, path: string, raw: RawStatic, groups: readonly RedundancyGroup[]): StaticNat | null {
  const sides = (['outside', 'inside'] as const).map(key => {
    const prefix = parsePrefix(raw[key])
    if (prefix === null) b.issue(pointer(path, key), 'LS_C_VALUE', 'not an address or prefix', raw[key], addressHint(raw[key]))
    else if (hasHostBits(prefix)) b.issue(pointer(path, key), 'LS_C_VALUE', 'the prefix has host bits', raw[key], canonicalSpan(raw[key]) ?? 'a prefix')
    return prefix
  })
  const [outside = null, inside = null] = sides
  if (outside === null || inside === null) return null
  if (outside.family !== inside.family || outside.length !== inside.length) b.issue(path, 'LS_C_CONFLICT', 'outside and inside differ in family or length', `${raw.outside} and ${raw.inside}`, 'prefixes of one family and length')
  else if (spansOverlap(prefixSpan(outside), prefixSpan(inside))) b.issue(path, 'LS_C_OVERLAP', 'outside and inside overlap', `${raw.outside} and ${raw.inside}`, 'different addresses')
  return {
    name: raw.name, outside: formatNetwork(outside), inside: formatNetwork(inside),
    redundancyGroup: groupOf(b, pointer(path, 'redundancy-group'), raw['redundancy-group'], groups), domain: raw.domain ?? 'default',
  }
}
