/** `vips` with their pools of reals, and `routes`. */
import type { HealthCheck } from '../../contract/health.js'
import { healthLimits } from '../../contract/health-limits.js'
import type { Interface, NatPool, Real, RedundancyGroup, Route, Vip } from '../../contract/desired.js'
import { limits } from '../../generated/layout.js'
import { familyOf, formatAddress, formatEndpoint, formatNetwork, hasHostBits, parseAddress, parsePrefix, prefixSpan, type PrefixValue } from '../../lib/address.js'
import { pointer } from '../issues.js'
import { many, type RawConfig, type RawReal, type RawVip } from '../raw.js'
import { formatDuration, isPrime, parseDuration } from '../units.js'
import { addressHint, singleAddress } from './addresses.js'
import type { ApplicationBook } from './applications.js'
import { entries, type Build } from './context.js'
import { unusable } from './interfaces.js'
import { groupOf } from './zones.js'

export interface VipBooks { readonly applications: ApplicationBook, readonly pools: readonly NatPool[], readonly groups: readonly RedundancyGroup[], readonly checks: readonly HealthCheck[] }

export function buildVips (b: Build, raw: RawConfig['vips'], books: VipBooks): Vip[] {
  const list = entries(raw)
  b.limit('/vips', 'VIPs', list.length, limits.LS_VIPS_MAX - 1, 'LS_VIPS_MAX')
  const out = list.flatMap(([name, vip]) => buildVip(b, pointer('/vips', name), name, vip, books) ?? []).sort((x, y) => x.name < y.name ? -1 : 1)
  b.limit('/vips', 'reals', out.reduce((n, vip) => n + vip.pools.reduce((m, pool) => m + pool.reals.length, 0), 0), limits.LS_REALS_MAX - 1, 'LS_REALS_MAX')
  const taken = new Map<string, string>()
  for (const vip of out) {
    const key = `${vip.domain} ${vip.address} ${vip.port}/${vip.protocol}`
    const other = taken.get(key)
    if (other !== undefined) b.issue(pointer('/vips', vip.name), 'LS_C_DUPLICATE', 'two VIPs are the same service', `${vip.address} port ${vip.port === 0 ? 'any' : vip.port}`, `another address, port or protocol than VIP ${other}`)
    taken.set(key, vip.name)
  }
  b.limit('/vips', 'different prefix lengths among VIPs', new Set(out.map(vip => vip.address.slice(vip.address.indexOf('/')) + (vip.address.includes(':') ? '' : 'v4'))).size, limits.LS_VIP_PLENS_MAX, 'LS_VIP_PLENS_MAX')
  return out
}

function buildVip (b: Build, path: string, name: string, raw: RawVip, books: VipBooks): Vip | null {
  const mode = raw.mode ?? 'nat'
  const at = (...keys: string[]): string => pointer(path, ...keys)
  const prefix = parsePrefix(raw.address)
  if (prefix === null) b.issue(at('address'), 'LS_C_VALUE', 'not an address or prefix', raw.address, addressHint(raw.address))
  else if (hasHostBits(prefix)) b.issue(at('address'), 'LS_C_VALUE', 'the prefix has host bits', raw.address, formatNetwork(prefix))
  else if (prefix.length > 0 && unusable({ ...prefix, length: prefix.family === 4 ? 32 : 128 }) !== null) b.issue(at('address'), 'LS_C_VALUE', 'not a unicast address', raw.address, 'an address that clients can reach')
  const ringSize = raw['ring-size'] ?? 65537
  if (!isPrime(ringSize)) b.issue(at('ring-size'), 'LS_C_VALUE', 'not a prime', ringSize, `a prime up to ${limits.LS_RING_MAX} like 65537, 16381 or 4093`)
  const redundancyGroup = groupOf(b, at('redundancy-group'), raw['redundancy-group'], books.groups)
  const port = raw.port === undefined || raw.port === 'any' ? 0 : raw.port
  const reals = new Set<string>()
  const checks = new Map(books.checks.map(check => [check.name, check]))
  const usual = checkOf(b, at('healthcheck'), raw.healthcheck, checks)
  const poolNames = b.unique('pools of one VIP')
  const pools = b.each(at('pools'), raw.pools).map(([place, pool], i) => {
    const poolName = pool.name ?? `pool-${i + 1}`
    poolNames(place, poolName)
    return { name: poolName, reals: b.each(pointer(place, 'reals'), pool.reals).flatMap(([where, real]) => buildReal(b, where, real, { mode, port, prefix, reals, checks, usual }) ?? []) }
  })
  const weights = many(raw.pools).flatMap(pool => pool.reals.map(real => real.weight ?? 100))
  if (weights.length > 0 && weights.every(weight => weight === 0)) b.warn(path, 'every real has weight 0: the VIP serves nobody')
  const count = pools.reduce((n, pool) => Math.max(n, pool.reals.length), 0)
  if (count > 0 && ringSize < count * 10 && isPrime(ringSize)) b.issue(at('ring-size'), 'LS_C_VALUE', 'the ring is too small for its reals', ringSize, `a prime of at least ${count * 10}, better ${count * 100}`)
  return prefix === null
    ? null
    : {
        name, mode, port, redundancyGroup, ringSize, pools,
        address: formatNetwork(prefix),
        protocol: { tcp: 6, udp: 17, any: 0 }[raw.protocol ?? 'tcp'],
        domain: raw.domain ?? 'default',
        sourceIpSticky: raw['source-ip-sticky'] ?? false,
        snatPool: snatPool(b, at('snat-pool'), raw['snat-pool'], prefix, mode, redundancyGroup, books.pools),
        quorum: raw.quorum ?? 1,
        panicPct: raw['panic-threshold'] ?? 0,
        flushOnDown: raw['flush-on-down'] ?? true,
        slowStartMs: slowStart(b, at('slow-start'), raw['slow-start']),
        application: raw.application === undefined ? null : books.applications.one(at('application'), raw.application)?.name ?? null,
      }
}

interface Around { readonly mode: Vip['mode'], readonly port: number, readonly prefix: PrefixValue | null, readonly reals: Set<string>, readonly checks: ReadonlyMap<string, HealthCheck>, readonly usual: string | null }

function buildReal (b: Build, path: string, raw: RawReal, vip: Around): Real | null {
  const value = singleAddress(b, pointer(path, 'address'), raw.address)
  if (value === null) return null
  const address = formatAddress(value)
  const port = raw.port ?? 0
  const name = raw.name ?? (vip.port === 0 && port === 0 ? address : formatEndpoint(address, port === 0 ? vip.port : port))
  if (vip.reals.has(name)) b.issue(path, 'LS_C_DUPLICATE', 'two reals of one VIP have one name or address', name, 'each real once per VIP')
  vip.reals.add(name)
  if (unusable({ family: familyOf(value), address: value, length: familyOf(value) === 4 ? 32 : 128 }) !== null) b.issue(pointer(path, 'address'), 'LS_C_VALUE', 'not a unicast address', raw.address, 'the address of a server')
  const family = vip.prefix?.family
  if (family !== undefined && family !== familyOf(value) && (vip.mode === 'nat' || vip.mode === 'l2')) {
    b.issue(pointer(path, 'address'), 'LS_C_CONFLICT', `mode ${vip.mode} needs one address family`, raw.address, `IPv${family}, as the VIP`)
  }
  if (vip.mode !== 'nat' && raw.port !== undefined && raw.port !== vip.port) b.issue(pointer(path, 'port'), 'LS_C_CONFLICT', `mode ${vip.mode} does not change ports`, raw.port, vip.port === 0 ? 'no port' : `${vip.port} or no port`)
  if (vip.port === 0 && raw.port !== undefined && vip.mode === 'nat') b.issue(pointer(path, 'port'), 'LS_C_CONFLICT', 'the VIP takes any port', raw.port, 'no port: each keeps its own')
  const check = raw.healthcheck === undefined ? vip.usual : checkOf(b, pointer(path, 'healthcheck'), raw.healthcheck, vip.checks)
  const probed = check === null ? undefined : vip.checks.get(check)
  if (probed !== undefined && probed.type !== 'icmp' && probed.type !== 'exec' && probed.port === 0 && port === 0 && vip.port === 0) b.issue(path, 'LS_C_REQUIRED', `check ${probed.name} has no port, and neither have the real and the VIP`, name, 'a port in the check')
  return { name, address, port: vip.mode === 'nat' && port !== vip.port ? port : 0, weight: raw.weight ?? 100, check }
}

/** `none` is no check, said aloud. */
function checkOf (b: Build, path: string, name: string | undefined, known: ReadonlyMap<string, HealthCheck>): string | null {
  if (name === undefined || name === 'none') return null
  return b.refers(path, 'health check', '/healthchecks', name, known) ? name : null
}

function slowStart (b: Build, path: string, value: string | number | undefined): number {
  const ms = value === undefined ? 0 : parseDuration(value)
  if (ms !== null && ms <= healthLimits.slowStartMsMax) return ms
  b.issue(path, 'LS_C_VALUE', 'not a usable duration', value, `0s to ${formatDuration(healthLimits.slowStartMsMax)}`)
  return 0
}

function snatPool (b: Build, path: string, name: string | undefined, prefix: PrefixValue, mode: Vip['mode'], group: number, pools: readonly NatPool[]): string | null {
  if (name === undefined) return null
  if (mode !== 'nat') b.issue(path, 'LS_C_CONFLICT', `mode ${mode} leaves the source alone`, name, 'no snat-pool, or mode nat')
  if (!b.refers(path, 'NAT pool', '/nat/pools', name, new Map(pools.map(pool => [pool.name, pool])))) return null
  const pool = pools.find(p => p.name === name)
  if (pool !== undefined && pool.family !== prefix.family) b.issue(path, 'LS_C_CONFLICT', 'the pool is of the other address family', name, `an IPv${prefix.family} pool`)
  if (pool !== undefined && !pool.ranges.some(range => range.redundancyGroup === group)) b.issue(path, 'LS_C_CONFLICT', 'the pool has no ports for the VIP’s redundancy group', name, `a pool of group ${group} (R15)`)
  return name
}

export function buildRoutes (b: Build, raw: RawConfig['routes'], interfaces: readonly Interface[]): Route[] {
  const known = new Map(interfaces.map(i => [i.name, i]))
  const unique = b.unique('routes')
  const list = b.each('/routes', raw)
  b.limit('/routes', 'routes', list.length, limits.LS_ROUTES_MAX / 2, 'half of LS_ROUTES_MAX')
  return list.flatMap(([path, route]): Route[] => {
    const prefix = parsePrefix(route.prefix)
    if (prefix === null) b.issue(pointer(path, 'prefix'), 'LS_C_VALUE', 'not a prefix', route.prefix, addressHint(route.prefix))
    else if (hasHostBits(prefix)) b.issue(pointer(path, 'prefix'), 'LS_C_VALUE', 'the prefix has host bits', route.prefix, formatNetwork(prefix))
    else unique(pointer(path, 'prefix'), formatNetwork(prefix))
    const via = route.via === undefined ? null : singleAddress(b, pointer(path, 'via'), route.via)
    const named = route.interface !== undefined && b.refers(pointer(path, 'interface'), 'interface', '/interfaces', route.interface, known) ? route.interface : null
    if (route.blackhole === true) {
      if (route.via !== undefined || route.interface !== undefined) b.issue(path, 'LS_C_CONFLICT', 'a blackhole leads nowhere', route.via ?? route.interface, 'blackhole alone')
      return prefix === null ? [] : [{ prefix: formatNetwork(prefix), nextHop: null, interface: null, kind: 'blackhole' }]
    }
    if (route.via === undefined && route.interface === undefined) b.issue(path, 'LS_C_REQUIRED', 'via is missing', b.raw(path), 'via, interface or blackhole')
    if (prefix !== null && via !== null && familyOf(via) !== prefix.family) b.issue(pointer(path, 'via'), 'LS_C_CONFLICT', 'the next hop is of the other address family', route.via, `IPv${prefix.family}`)
    const egress = named ?? (via === null ? null : holder(via, interfaces))
    if (via !== null && egress === null && route.interface === undefined) b.issue(pointer(path, 'via'), 'LS_C_REFERENCE', 'no interface has the next hop in its subnet', route.via, 'an address next to this host, or interface')
    return prefix === null ? [] : [{ prefix: formatNetwork(prefix), nextHop: via === null ? null : formatAddress(via), interface: egress, kind: via === null ? 'connected' : 'gateway' }]
  })
}

function holder (address: bigint, interfaces: readonly Interface[]): string | null {
  const inside = (text: string): boolean => {
    const prefix = parsePrefix(text)
    if (prefix === null || parseAddress(text.slice(0, text.indexOf('/'))) === null) return false
    const span = prefixSpan(prefix)
    return address >= span.from && address <= span.to
  }
  return interfaces.find(i => [...i.addresses, ...i.floating].some(inside))?.name ?? null
}
