/**
 * Desired and the facts of the host -> one bank of the shared table (struct ls_config). Pure: same input, same bytes, on every node.
 * One file per table beside this one; compile order follows who needs whom.
 */
import type { Desired, IdTable } from '../../contract/desired.js'
import type { ConfigIssue } from '../../contract/services.js'
import { layout, limits } from '../../generated/layout.js'
import { realIdName } from '../ids.js'
import { ConfigError, nearest, oneOf, pointer } from '../issues.js'
import { activeAt } from '../schedule.js'
import { announcements, packAnnouncements } from './announcements.js'
import { at, Bank, config } from './bank.js'
import { rowOf, writeClassifier } from './classifier.js'
import { writeFabric } from './fabric.js'
import type { CompiledConfig, HostFacts, Rings } from './facts.js'
import { chooseSeed } from './hash.js'
import { bindInterfaces, interfaceTable, writeInterfaceHash, writeInterfaces, type BoundInterface } from './interfaces.js'
import { compileLocals, localTable, writeLocals } from './locals.js'
import { compilePools, writePools } from './pools.js'
import { packNeighbours, packRoutes } from './routes.js'
import { compileRules, type CompiledRules } from './rules.js'
import { compileStatics, staticTable, writeStatics } from './statics.js'
import { vipTable, writeVipHash, writeVips } from './vips.js'
import { writeHost, writeTimeouts, writeZones } from './zones.js'

export type { CompiledConfig, HostFacts, PortFacts, RingFacts, Rings } from './facts.js'

/**
 * Throws ConfigError: `invalid` when a port of the configuration is unknown to the host, `exhausted` when a table does not fit.
 * `now` decides which schedules are in force; rewrite the row with policyActiveRow() at nextScheduleEdge().
 */
export function compile (desired: Desired, facts: HostFacts, ids: IdTable, rings: Rings, now: Date, generation = 0): CompiledConfig {
  const d: Desired = { ...desired, ids }
  requirePorts(d, facts)
  const warnings: string[] = []
  const bank = new Bank()
  const bound = bindInterfaces(d, facts)
  const rules = compileRules(d)
  const pools = compilePools(d, bound, warnings)
  const statics = compileStatics(d)
  const locals = compileLocals(d, bound, pools, statics)

  const tables = [interfaceTable(bound), localTable(locals), vipTable(d), staticTable(statics, 'outside'), staticTable(statics, 'inside')]
  const chosen = chooseSeed(tables)
  const [ifacePlaces, localPlaces, vipPlaces, outPlaces, inPlaces] = chosen?.places ?? []
  if (chosen === null || ifacePlaces === undefined || localPlaces === undefined || vipPlaces === undefined || outPlaces === undefined || inPlaces === undefined) throw tooDense(tables)

  bank.u64(config.generation.offset, BigInt(generation))
  bank.u32(config.hash_seed.offset, chosen.seed)
  writeTimeouts(bank, d)
  writeHost(bank, d, facts, warnings)
  writeZones(bank, d)
  writeInterfaces(bank, d, bound, new Map(pools.map(pool => [pool.name, pool.id])))
  writeInterfaceHash(bank, bound, ifacePlaces)
  writeFabric(bank, bound, warnings)
  writeLocals(bank, locals, localPlaces)
  writeVips(bank, d, rings)
  writeVipHash(bank, d, vipPlaces)
  writePools(bank, pools)
  writeStatics(bank, config.static_out, statics, outPlaces)
  writeStatics(bank, config.static_in, statics, inPlaces)
  writeRules(bank, d, rules, now)
  const said = packAnnouncements(announcements(locals, bound, d.ids.domain), warnings)
  return { bank: bank.bytes, routes: packRoutes(d, bound), neighbours: packNeighbours(bound), announcements: said, result: resultOf(d, bound, rules, warnings), warnings }
}

function requirePorts (d: Desired, facts: HostFacts): void {
  const issues: ConfigIssue[] = d.interfaces.filter(i => !Object.hasOwn(facts.ports, i.port)).map(i => {
    const near = nearest(i.port, Object.keys(facts.ports))
    return {
      path: pointer('/interfaces', i.name, 'port'), line: null, column: null, code: 'LS_C_PORT', found: JSON.stringify(i.port),
      message: near === null ? 'no such port on this host' : `no such port on this host; did you mean ${near}?`, expected: oneOf(Object.keys(facts.ports)),
    }
  })
  if (issues.length > 0) throw new ConfigError(issues, 'invalid', 'LS_C_PORT')
}

function tooDense (tables: ReadonlyArray<{ readonly name: string, readonly keys: readonly unknown[], readonly size: number }>): ConfigError {
  const fullest = [...tables].sort((x, y) => y.keys.length / y.size - x.keys.length / x.size)[0]
  return new ConfigError([{
    path: '', line: null, column: null, code: 'LS_C_LIMIT', message: `the table of ${fullest?.name ?? 'addresses'} is too full`,
    found: `${fullest?.keys.length ?? 0} entries in ${fullest?.size ?? 0} places`, expected: `entries that ${limits.LS_HASH_PROBES} probes find (LS_HASH_PROBES)`,
  }], 'exhausted', 'LS_C_LIMIT')
}

const actions = { deny: limits.LS_ACT_DENY, permit: limits.LS_ACT_PERMIT, reject: limits.LS_ACT_REJECT }
const snatActions = { none: limits.LS_SNAT_NONE, pool: limits.LS_SNAT_POOL, interface: limits.LS_SNAT_INTERFACE }

function writeRules (bank: Bank, d: Desired, rules: CompiledRules, now: Date): void {
  const rule = layout.ls_rule
  rules.policies.rules.forEach(({ policy, app }, i) => {
    const base = at(config.rule, i)
    bank.u16(base + rule.policy.offset, d.ids.policy[policy.name] ?? 0)
    bank.u8(base + rule.action.offset, actions[policy.action])
    bank.u8(base + rule.app.offset, app)
    bank.u16(base + rule.flags.offset, (policy.log.open ? limits.LS_RF_LOG_OPEN : 0) | (policy.log.close ? limits.LS_RF_LOG_CLOSE : 0) |
      (policy.sync.mode === 'never' ? limits.LS_RF_NO_SYNC : 0) | (policy.log.deny ? limits.LS_RF_LOG_DENY : 0))
    bank.u16(base + rule.sync_after.offset, policy.sync.mode === 'after' ? policy.sync.delayMs / 1000 : 0)
  })
  const nat = layout.ls_nat_rule
  rules.source.rules.forEach(({ name, action, pool }, i) => {
    const base = at(config.snat_rule, i)
    bank.u8(base + nat.action.offset, snatActions[action])
    bank.u16(base + nat.pool.offset, pool === null ? 0 : d.ids.pool[pool] ?? 0)
    bank.u16(base + nat.id.offset, d.ids.nat[name] ?? 0)
  })
  rules.destination.rules.forEach(({ name, address, port }, i) => {
    const base = at(config.dnat_rule, i)
    bank.u8(base + nat.action.offset, address === null ? 0 : 1)
    bank.u16(base + nat.id.offset, d.ids.nat[name] ?? 0)
    bank.be16(base + nat.port_be.offset, port)
    if (address !== null) bank.addr(base + nat.addr.offset, address)
  })
  writeClassifier(bank, config.policy.offset, rules.policies.classifier, policyActiveRow(d, rules.spans, now))
  writeClassifier(bank, config.snat.offset, rules.source.classifier, rowOf(rules.source.rules.keys()))
  writeClassifier(bank, config.dnat.offset, rules.destination.classifier, rowOf(rules.destination.rules.keys()))
}

/** struct ls_row of ls_config.policy.active: the rules whose schedule is in force, or that have none. `spans` = ApplyResult.filterSpans. */
export function policyActiveRow (d: Desired, spans: CompiledRules['spans'], now: Date): Uint8Array {
  const schedules = new Map(d.schedules.map(s => [s.name, activeAt(s, now)]))
  const on: number[] = []
  for (const policy of d.policies) {
    if (policy.schedule !== null && schedules.get(policy.schedule) !== true) continue
    const span = spans[policy.name]
    for (let i = 0; i < (span?.count ?? 0); i++) on.push((span?.first ?? 0) + i)
  }
  return rowOf(on)
}

function resultOf (d: Desired, bound: readonly BoundInterface[], rules: CompiledRules, warnings: readonly string[]): CompiledConfig['result'] {
  const pick = (table: Readonly<Record<string, number>>, names: Iterable<string>): Record<string, number> => Object.fromEntries([...names].map(name => [name, table[name] ?? 0]))
  const invert = (table: Readonly<Record<string, number>>, zero: string): Record<number, string> => ({ 0: zero, ...Object.fromEntries(Object.entries(table).map(([name, id]) => [id, name])) })
  const slots = (name: string): number[] => Array.from({ length: rules.spans[name]?.count ?? 0 }, (_, i) => (rules.spans[name]?.first ?? 0) + i)
  return {
    zoneIds: pick(d.ids.zone, d.zones.map(z => z.name)),
    managedInterfaces: bound.map(b => ({ name: b.wanted.name, id: b.id, device: b.port.device, port: b.wanted.port, mac: b.port.mac, addresses: [...b.addresses, ...b.wanted.floating] })),
    filterIds: pick(d.ids.policy, d.policies.map(p => p.name)),
    filterSpans: { ...rules.spans },
    natCounterIds: pick(d.ids.nat, [...d.nat.source, ...d.nat.destination, ...d.nat.static].map(rule => rule.name)),
    poolIds: { ...d.ids.pool },
    policyNames: invert(d.ids.policy, 'default'),
    appNames: invert(d.ids.app, 'any'),
    policyScheduleRuleSlots: Object.fromEntries(d.policies.filter(p => p.schedule !== null).map(p => [p.name, slots(p.name)])),
    vips: Object.fromEntries(d.vips.map(vip => [vip.name, { id: d.ids.vip[vip.name] ?? 0, reals: Object.fromEntries(vip.pools.flatMap(pool => pool.reals.map(real => [real.name, d.ids.real[realIdName(vip.name, real.name)] ?? 0]))) }])),
    warnings: [...warnings],
  }
}
