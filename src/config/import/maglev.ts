/** /etc/vpp-maglev/maglev.yaml -> health checks and VIPs of mode gre. */
import { healthDefaults as usual } from '../../contract/health-limits.js'
import { parseAddress } from '../../lib/address.js'
import type { RawHealthCheck, RawReal, RawVip } from '../raw.js'
import { formatDuration } from '../units.js'
import { readYaml } from '../yaml.js'
import { Fields, isMap, type Field, type YamlSource } from './fields.js'
import { maglevCheck } from './maglev-checks.js'
import { Names } from './names.js'
import { reasonsOf, unreadable, type Notes } from './notes.js'
import type { Source } from './source.js'
import { sourceText } from './text.js'
import type { Draft } from './write.js'

interface Backend { readonly field: Field, readonly address: string, readonly check: string | null, readonly enabled: boolean }

const checkerReasons = reasonsOf([
  ['transition-history', 'the last changes of state are kept by the agent, so many as it keeps'],
])
const lbReasons = reasonsOf([
  ['sync-interval startup-min-delay startup-max-delay', 'the dataplane is the agent\'s own: nothing is pushed to another process and compared again and again, and a restart keeps states and sessions'],
  ['sticky-buckets-per-core', 'one table of sessions: agent.table.capacity'],
  ['flow-timeout', 'timeouts half-new, half-stream and half-closing are those of direct server return'],
  ['ipv4-src-address ipv6-src-address', 'the outer source is an address of the interface that the packet leaves from'],
])
const nothing: ReadonlyMap<string, string> = new Map()

export function importMaglev (input: string | Uint8Array, source: Source, notes: Notes): Draft {
  const yaml = readYaml(sourceText(input, source.file))
  const [issue] = yaml.issues.list()
  if (issue !== undefined) throw unreadable(source.file, issue.line, issue.message, issue.found, issue.expected)
  const root = isMap(yaml.value) ? yaml.value['maglev'] : undefined
  if (!isMap(root)) throw unreadable(source.file, 1, 'nothing of vpp-maglev is in it', isMap(yaml.value) ? Object.keys(yaml.value)[0] : yaml.value, 'maglev: with healthchecks, backends and frontends under it')
  const from: YamlSource = { notes, locate: yaml.locate }
  const whole = new Fields(from, '', yaml.value)
  const maglev = whole.map('maglev')
  whole.rest(nothing)

  const checker = maglev.map('healthchecker')
  const netns = checker.text('netns')
  checker.rest(checkerReasons)
  vpp(maglev)
  const names = new Names(['none'])
  const checkNames = new Map<string, string>()
  const healthchecks: Record<string, RawHealthCheck> = {}
  for (const field of maglev.entries('healthchecks', 'health-checks')) {
    const check = maglevCheck(from, field, netns)
    if (check === null) continue
    const name = names.make(field.key)
    checkNames.set(field.key, name)
    healthchecks[name] = check
  }
  const partial = Object.values(healthchecks).some(check => [check.interval, check.timeout, check.rise, check.fall].includes(undefined))
  if (partial) notes.add(null, 'healthchecks', `what a check leaves out is ours now: interval ${formatDuration(usual.intervalMs)}, timeout ${formatDuration(usual.timeoutMs)}, rise ${usual.rise}, fall ${usual.fall}, status 200-399`)
  const backends = backendsOf(from, maglev, checkNames)
  const vipNames = new Names()
  const used = new Set<string>()
  const vips: Record<string, RawVip> = {}
  for (const field of maglev.entries('frontends')) {
    const vip = frontend(from, field, backends, used, healthchecks)
    if (vip !== null) vips[vipNames.make(field.key)] = vip
  }
  for (const [name, { field }] of backends) if (!used.has(name)) maglev.note(field, 'no frontend has it: a real stands in the pool of a VIP')
  maglev.rest(nothing)
  wholes(notes, Object.keys(vips).length > 0)
  return { config: { healthchecks, vips }, comments: Object.keys(vips).length === 0 ? [] : [{ path: ['vips'], text: 'gre, as the lb plugin of VPP has it with gre4 and gre6: reals decapsulate, and answer clients directly' }] }
}

function wholes (notes: Notes, vips: boolean): void {
  if (!vips) return
  notes.add(null, 'mode: gre', 'maglevd lets VPP encapsulate in GRE (gre4, gre6), so every VIP is of mode gre; nat, l2 and ipip are the others')
  notes.add(null, 'policies', 'interfaces, zones, and policies that permit what the VIPs serve are not in this file: without a policy nothing passes between zones')
}

function vpp (maglev: Fields): void {
  const section = maglev.map('vpp')
  const lb = section.map('lb')
  lb.rest(lbReasons, 'how maglevd drives VPP; nothing of ours is like it')
  section.rest(nothing, 'how maglevd reaches VPP; nothing of ours is like it')
}

function backendsOf (from: YamlSource, maglev: Fields, checks: ReadonlyMap<string, string>): Map<string, Backend> {
  const out = new Map<string, Backend>()
  for (const field of maglev.entries('backends')) {
    const backend = new Fields(from, field.path, field.value)
    const address = backend.text('address', 'ip')
    const wanted = backend.field('healthcheck', 'health-check')
    const check = typeof wanted?.value === 'string' ? wanted.value : null
    const enabled = backend.flag('enabled')
    const disabled = backend.flag('disabled')
    backend.rest(nothing)
    if (check !== null && check !== '' && check !== 'none' && wanted !== null && !checks.has(check)) backend.note(wanted, 'no such health check is carried: the real has none, and counts as up')
    if (address === null || parseAddress(address) === null) backend.note(field, 'a backend needs an address; left out')
    else out.set(field.key, { field, address, check: checks.get(check ?? '') ?? null, enabled: enabled !== false && disabled !== true })
  }
  return out
}

function frontend (from: YamlSource, field: Field, backends: ReadonlyMap<string, Backend>, used: Set<string>, checks: Readonly<Record<string, RawHealthCheck>>): RawVip | null {
  const fields = new Fields(from, field.path, field.value)
  const address = fields.text('address', 'ip')
  const protocolText = fields.text('protocol')?.toLowerCase() ?? 'any'
  const protocol = (['tcp', 'udp', 'any'] as const).find(name => name === protocolText)
  const port = fields.text('port')
  const description = fields.text('description')
  const sticky = fields.flag('src-ip-sticky', 'source-ip-sticky')
  const flush = fields.flag('flush-on-down')
  const pools = poolsOf(from, fields, backends, used)
  fields.rest(nothing)
  if (address === null || parseAddress(address) === null || protocol === undefined || pools.length === 0) {
    fields.note(field, `${address === null || parseAddress(address) === null ? 'without an address' : protocol === undefined ? `a VIP is tcp, udp or any, not ${protocolText}` : 'without a pool that has backends'}; nothing of it is carried`)
    return null
  }
  const any = port === null || port === '0' || port === 'any'
  if (!any && !/^\d{1,5}$/.test(port)) fields.note(field, `port ${port} is not a port; any is taken`)
  const number = any || !/^\d{1,5}$/.test(port) ? null : Number(port)
  const reals = pools.flatMap(pool => pool.reals)
  const common = reals[0]?.check ?? null
  const same = common !== null && reals.every(real => real.check === common)
  if (number === null) for (const real of reals) portless(fields, field, real, checks)
  return {
    ...(description === null ? {} : { description }),
    address,
    port: number ?? 'any',
    protocol,
    mode: 'gre',
    ...(sticky === true ? { 'source-ip-sticky': true } : {}),
    ...(same ? { healthcheck: common } : {}),
    ...(flush === false ? { 'flush-on-down': false } : {}),
    pools: pools.map(({ name, reals: members }) => ({
      ...(name === null ? {} : { name }),
      reals: members.map(({ name: real, address: at, weight, check }): RawReal => ({ name: real, address: at, ...(weight === 100 ? {} : { weight }), ...(same || check === null ? {} : { healthcheck: check }) })),
    })),
  }
}

function portless (fields: Fields, field: Field, real: Member, checks: Readonly<Record<string, RawHealthCheck>>): void {
  const check = real.check === null ? undefined : checks[real.check]
  if (check !== undefined && check.type !== 'icmp' && check.port === undefined) fields.note(field, `the VIP is of any port, and check ${real.check ?? ''} has none: give it one`)
}

interface Member { readonly name: string, readonly address: string, readonly weight: number, readonly check: string | null }
interface FoundPool { readonly name: string | null, readonly reals: readonly Member[] }

function poolsOf (from: YamlSource, fields: Fields, backends: ReadonlyMap<string, Backend>, used: Set<string>): FoundPool[] {
  const poolNames = new Names()
  const realNames = new Names()
  return fields.items('pools').flatMap(item => {
    const pool = new Fields(from, item.path, item.value)
    const name = pool.text('name')
    const members = Array.isArray(pool.field('backends')?.value) ? pool.items('backends').map(entry => ({ ...entry, key: String(entry.value), value: null })) : pool.entries('backends')
    pool.rest(nothing)
    const reals = members.flatMap(entry => member(from, pool, entry, backends, used, realNames) ?? [])
    if (reals.length > 0) return [{ name: name === null ? null : poolNames.make(name), reals }]
    fields.note(item, 'a pool without backends that are carried; left out')
    return []
  })
}

function member (from: YamlSource, pool: Fields, entry: Field, backends: ReadonlyMap<string, Backend>, used: Set<string>, names: Names): Member | null {
  const backend = backends.get(entry.key)
  if (backend === undefined) {
    pool.note(entry, 'no such backend is carried; left out')
    return null
  }
  used.add(entry.key)
  const own = new Fields(from, entry.path, isMap(entry.value) ? entry.value : { weight: entry.value })
  const weight = own.integer(0, 100, 'weight') ?? 100
  own.rest(nothing)
  if (!backend.enabled) pool.note(backend.field, 'enabled: false is weight 0: it is probed, and takes no new sessions')
  return { name: names.make(entry.key), address: backend.address, weight: backend.enabled ? weight : 0, check: backend.check }
}
