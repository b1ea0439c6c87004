/** The compiled bank holds what the configuration says, where the packet path looks for it. */
import fc from 'fast-check'
import t from 'tap'
import { layout, limits } from '../../../src/generated/layout.js'
import { parseAddress } from '../../../src/lib/address.js'
import { compile, policyActiveRow } from '../../../src/config/compile/index.js'
import { chooseSeed, hashStep, hashWords, ifaceKey, localKey, placeAll, vipKey } from '../../../src/config/compile/hash.js'
import { neighbourBytes, routeBytes } from '../../../src/config/compile/routes.js'
import { ringInputs } from '../../../src/config/compile/vips.js'
import { IdBook, withIds } from '../../../src/config/ids.js'
import { parseConfig } from '../../../src/config/parse.js'
import { ConfigError } from '../../../src/config/issues.js'
import { BankReader } from './bank-reader.js'
import { base, compiled, desired, factsFor, options } from './support.js'

const ip = (text: string): bigint => parseAddress(text) ?? -1n

t.test('hash vectors of docs/design/0004', async t => {
  t.equal(hashStep(0, 0), 0)
  t.equal(hashStep(1, 0), 0x9e3645df, 'vector: h 1, word 0')
  t.equal(hashStep(0, 1), 0x9e3645df, 'the step is symmetric in its first xor')
  const seed = 0x85ebca6b
  t.same([ifaceKey(3, 100, 7), localKey(ip('192.0.2.1'), 0), localKey(ip('2001:db8::1'), 5), vipKey(ip('203.0.113.80'), 443, 6, 128, 0)].map(words => hashWords(seed, words)),
    [0x9e694193, 0xb2484b59, 0x8d9263c6, 0x71b634c2], 'computed by ls_config_hash_step of config.h')
  t.same(vipKey(ip('203.0.113.80'), 443, 6, 128, 0), [0, 0, 0xffff0000, 0x507100cb, 0x8006bb01, 0], 'words as little-endian loads')
})

t.test('every entry of a half-full table is found within the probes, whatever the keys', async t => {
  const size = limits.LS_LOCALS_HASH
  fc.assert(fc.property(fc.uniqueArray(fc.nat(0xffffff), { minLength: 1, maxLength: size / 2 }), fc.nat(), (hosts, first) => {
    const keys = hosts.map(h => localKey(ip('10.0.0.0') + BigInt(h), 0))
    const chosen = chooseSeed([{ name: 'x', keys, size }], first)
    if (chosen === null) return false
    const [places] = chosen.places
    return keys.every((key, entry) => {
      const at = hashWords(chosen.seed, key)
      for (let probe = 0; probe < limits.LS_HASH_PROBES; probe++) {
        const there = places?.[(at + probe) & (size - 1)]
        if (there === -1) return false
        if (there === entry) return true
      }
      return false
    })
  }), { numRuns: 60 })
  const dense = Array.from({ length: 1024 }, (_, i) => localKey(ip('10.77.0.0') + BigInt(i), 0))
  t.ok(chooseSeed([{ name: 'x', keys: dense, size }]), '1024 consecutive addresses')
  t.equal(placeAll(Array.from({ length: 9 }, () => [1]), 16, 1), null, 'nine equal hashes do not fit eight probes')
})

const full = `
agent: {management: {ports: [22, 2222], interfaces: [eth1]}, gateway: {grpc: "0.0.0.0:50461"}}
redundancy-groups: {1: {}}
interfaces:
  eth0: {zone: inside, addresses: [10.1.0.1/24, "2001:db8:1::1/64"], floating-addresses: 10.1.0.254/24}
  eth1: {zone: outside, addresses: [192.0.2.1/24, "2001:db8:2::1/64"], mtu: 1400}
  v10: {port: eth1, vlan: 10, inner-vlan: 20, zone: other, domain: blue, addresses: 10.1.0.1/24}
  ha: {role: fabric}
zones:
  inside: {host-inbound: [ping, ssh, {protocol: udp, ports: 5000-5010}], screen: s, fragments: drop, tcp-loose: true, multicast: true, icmp-errors: false}
  outside: {host-inbound: any, dhcp: true}
  other: {redundancy-group: 1}
screens: {s: {syn-flood: 1000, port-scan: 20, land: true}}
timeouts: {udp-new: 7s}
applications:
  slow: {protocol: tcp, destination-port: 9, timeouts: {tcp-established: 3h}}
policies:
  - {name: a, from: inside, to: outside, applications: [slow, dns], action: permit, log: [open, close], sync: never}
  - {name: b, action: reject, log: deny, schedule: night}
schedules: {night: {weekly: [{from: "22:00", to: "06:00"}]}}
nat:
  pools:
    one: {addresses: 198.51.100.10-198.51.100.12, ports: 2000-2999, keep-port: true}
    two: {addresses: [198.51.100.20, 198.51.100.21], port-ranges: {0: 1024-9999, 1: 10000-20000}}
    six: {addresses: "2001:db8:5::1"}
  source:
    - {name: off, from: inside, applications: tcp/25, translate: off}
    - {name: shared, from: [inside, other], to: any, destination: 203.0.113.0/24, translate: pool, pool: two}
    - {name: v6, from: inside, source: any, translate: pool, pool: six}
    - {name: masq, from: inside, to: outside, translate: interface}
  destination:
    - {name: web, from: outside, destination: 192.0.2.99, applications: tcp/80, translate: {address: 10.1.0.80, port: 8080}}
    - {name: not, destination: 198.51.100.0/24, translate: off}
  static:
    - {name: st, outside: 198.51.100.64/30, inside: 10.1.0.64/30}
vips:
  v: {address: 203.0.113.80, port: 443, source-ip-sticky: true, snat-pool: one, application: slow, pools: [{reals: [{name: r1, address: 10.1.0.11}, {name: r2, address: 10.1.0.12, port: 8443, weight: 0}]}, {reals: [{name: r3, address: 10.1.0.13, weight: 7}]}]}
  any: {address: 203.0.113.80, protocol: any, pools: [{reals: [{address: 10.1.0.20}]}]}
  net: {address: 203.0.113.128/25, port: 53, protocol: udp, mode: gre, pools: [{reals: [{address: "2001:db8::20"}]}]}
routes:
  - {prefix: 0.0.0.0/0, via: 192.0.2.254}
`
const d = desired(full)
const ids = IdBook.empty().assign(d).table()
const rings = { v: { element: 5, entries: 65537, down: new Set(['r1']) } }
const c = compile(d, factsFor(d), ids, rings, new Date('2026-06-01T23:00:00Z'), 42)
const r = new BankReader(c.bank)
const cfg = layout.ls_config

t.test('generation, timeouts, management ports', async t => {
  t.equal(r.u64(0), 42n)
  const timeout = (app: number, phase: string): bigint => r.u64(cfg.timeout_ns.offset + (app * limits.LS_PHASES_MAX + ['tcp_syn_sent', 'tcp_syn_recv', 'tcp_established', '', '', '', '', '', 'udp_new'].indexOf(phase)) * 8)
  t.equal(timeout(0, 'udp_new'), 7_000_000_000n)
  t.equal(timeout(0, 'tcp_established'), 3_600_000_000_000n)
  t.equal(timeout(ids.app['slow'] ?? 0, 'tcp_established'), 3n * 3_600_000_000_000n)
  t.equal(timeout(ids.app['slow'] ?? 0, 'udp_new'), 7_000_000_000n, 'an application inherits')
  t.equal(timeout(63, 'tcp_established'), 3_600_000_000_000n, 'rows without an application are filled too')
  t.same([0, 1, 2, 3].map(i => r.u16(cfg.mgmt_port.offset + 2 * i)), [22, 2222, 50461, 0], 'the gateway beyond loopback is added, loopback is not')
  t.same([r.u16(cfg.host_port_lo.offset), r.u16(cfg.host_port_hi.offset)], [32768, 60999])
})

t.test('zones', async t => {
  const zone = (name: string, member: 'flags' | 'screens' | 'services' | 'rg'): number => {
    const at = cfg.zone.offset + (ids.zone[name] ?? 0) * cfg.zone.stride + layout.ls_zone[member].offset
    return member === 'rg' ? r.u8(at) : member === 'services' ? r.u16(at) : r.u32(at)
  }
  t.equal(zone('inside', 'flags'), limits.LS_ZF_FRAGS_DROP | limits.LS_ZF_MULTICAST | limits.LS_ZF_TCP_LOOSE | limits.LS_ZF_PING | limits.LS_ZF_ICMP_ERRORS_OFF)
  t.equal(zone('outside', 'flags'), limits.LS_ZF_HOST_ANY | limits.LS_ZF_DHCP)
  t.equal(zone('inside', 'screens'), 1 << limits.LS_SCREEN_SYN_FLOOD | 1 << limits.LS_SCREEN_PORT_SCAN | 1 << limits.LS_SCREEN_LAND)
  t.equal(zone('inside', 'services'), 2)
  t.equal(zone('other', 'rg'), 1)
  const inside = cfg.zone.offset + (ids.zone['inside'] ?? 0) * cfg.zone.stride
  t.equal(r.u32(inside + layout.ls_zone.limit.offset + 4 * limits.LS_SCREEN_SYN_FLOOD), 1000)
  const services = [0, 1].map(i => inside + layout.ls_zone.service.offset + 8 * i).map(at => [r.u8(at), r.u16(at + 2), r.u16(at + 4)])
  t.same(services, [[6, 22, 22], [17, 5000, 5010]])
})

t.test('interfaces, own addresses and pools behind them', async t => {
  const iface = (name: string): number => cfg.iface.offset + (ids.interface[name] ?? 0) * cfg.iface.stride
  const f = layout.ls_iface
  const device = factsFor(d).ports['eth1']?.device ?? -1
  t.equal(r.iface(device, 0, 0), ids.interface['eth1'])
  t.equal(r.iface(device, 10, 20), ids.interface['v10'])
  t.equal(r.iface(device, 10, 0), 0, 'no such VLAN')
  t.equal(r.u16(iface('eth1') + f.mtu.offset), 1400)
  t.equal(r.u16(iface('eth0') + f.mtu.offset), 1500)
  t.equal(r.u32(iface('eth0') + f.flags.offset), limits.LS_IF_UP, 'management is declared elsewhere')
  t.equal(r.u32(iface('eth1') + f.flags.offset), limits.LS_IF_UP | limits.LS_IF_MANAGEMENT)
  t.equal(r.u32(cfg.fabric.offset), ids.interface['ha'])
  t.ok(c.warnings.includes('interface ha: MTU 1500 takes packets of 1488 bytes to the other node; eth0 has 1500, v10 has 1500: larger ones are dropped as fabric_mtu; give it 1512'), c.warnings.join('\n'))
  t.equal(r.u16(iface('v10') + f.domain.offset), ids.domain['blue'])
  t.equal(r.addr(iface('eth1') + f.addr4.offset), ip('192.0.2.1'))
  t.equal(r.addr(iface('eth1') + f.addr6.offset), ip('2001:db8:2::1'))
  const pool4 = r.pool(r.u16(iface('eth1') + f.pool4.offset))
  t.same(pool4.addresses, [ip('192.0.2.1')])
  t.same([pool4.lo, pool4.hi, pool4.flags], [1024, 32767, 1])
  t.same(r.pool(r.u16(iface('eth1') + f.pool6.offset)).addresses, [ip('2001:db8:2::1')])
  t.equal(r.u16(iface('eth0') + f.pool4.offset), 0, 'no rule leads out of eth0')
  const local = r.local(ip('192.0.2.1'), 0)
  t.match(local, { kind: limits.LS_LOCAL_HOST, iface: ids.interface['eth1'], poolAddr: pool4.first + 1 })
  t.match(r.local(ip('10.1.0.254'), 0), { kind: limits.LS_LOCAL_FLOAT, iface: ids.interface['eth0'] })
  t.match(r.local(ip('10.1.0.1'), ids.domain['blue'] ?? 0), { iface: ids.interface['v10'], rg: 1 })
  t.match(r.local(ip('10.1.0.1'), 0), { iface: ids.interface['eth0'], rg: 0 })
  t.match(r.local(ip('203.0.113.80'), 0), { kind: limits.LS_LOCAL_VIP })
  t.match(r.local(ip('198.51.100.11'), 0), { kind: limits.LS_LOCAL_POOL })
  t.match(r.local(ip('198.51.100.67'), 0), { kind: limits.LS_LOCAL_STATIC })
  t.match(r.local(ip('192.0.2.99'), 0), { kind: limits.LS_LOCAL_STATIC }, 'destination NAT on the subnet it is asked on')
  t.equal(r.local(ip('192.0.2.98'), 0), null)
})

t.test('VIPs and reals', async t => {
  t.equal(r.vip(ip('203.0.113.80'), 443, 6), ids.vip['v'])
  t.equal(r.vip(ip('203.0.113.80'), 443, 17), ids.vip['any'])
  t.equal(r.vip(ip('203.0.113.80'), 80, 6), ids.vip['any'])
  t.equal(r.vip(ip('203.0.113.200'), 53, 17), ids.vip['net'])
  t.equal(r.vip(ip('203.0.113.200'), 53, 6), 0)
  t.equal(r.vip(ip('203.0.113.1'), 53, 17), 0)
  const v = layout.ls_vip
  const at = cfg.vip.offset + (ids.vip['v'] ?? 0) * cfg.vip.stride
  t.same([r.u32(at + v.ring.offset), r.u32(at + v.ring_size.offset), r.u16(at + v.flags.offset), r.u16(at + v.snat_pool.offset), r.u8(at + v.app.offset), r.u8(at + v.prefix.offset)],
    [5, 65537, limits.LS_VF_SOURCE_STICKY | limits.LS_VF_SNAT, ids.pool['one'], ids.app['slow'], 128])
  const real = (name: string): number[] => {
    const x = layout.ls_real
    const a = cfg.real.offset + (ids.real[name] ?? 0) * cfg.real.stride
    return [r.be16(a + x.port_be.offset), r.u16(a + x.vip.offset), r.u8(a + x.up.offset), r.u8(a + x.used.offset)]
  }
  t.same(real('v/r1'), [0, ids.vip['v'], 0, 1], 'down by the ring builder')
  t.same(real('v/r2'), [8443, ids.vip['v'], 0, 1], 'weight 0')
  t.same(real('v/r3'), [0, ids.vip['v'], 1, 1])
  t.same(ringInputs(withIds(d, IdBook.empty().assign(d))).map(ring => [ring.vip, ring.size, ring.reals.map(x => `${x.name}=${x.weight}`)]),
    [['any', 65537, ['10.1.0.20=100']], ['net', 65537, ['[2001:db8::20]:53=100']], ['v', 65537, ['r1=100']]])
  const fallen = ringInputs(withIds(d, IdBook.empty().assign(d)), (_, x) => x.name === 'r1' ? 0 : x.weight)
  t.same(fallen.find(ring => ring.vip === 'v')?.reals.map(x => x.name), ['r3'], 'the next pool serves when the first has no weight')
})

t.test('NAT rules', async t => {
  const packet = { zoneIn: ids.zone['inside'] ?? 0, zoneOut: ids.zone['outside'] ?? 0, proto: 6, src: ip('10.1.0.5'), dst: ip('8.8.8.8'), sport: 1, dport: 443 }
  const snat = (change: object): ReturnType<BankReader['natRule']> | null => {
    const rule = r.classify('snat', { ...packet, ...change })
    return rule === null ? null : r.natRule('snat_rule', rule)
  }
  t.match(snat({}), { action: limits.LS_SNAT_INTERFACE, id: ids.nat['masq'] })
  t.match(snat({ dport: 25 }), { action: limits.LS_SNAT_NONE })
  t.match(snat({ dst: ip('203.0.113.9') }), { action: limits.LS_SNAT_POOL, pool: ids.pool['two@0'] })
  t.match(snat({ dst: ip('203.0.113.9'), zoneIn: ids.zone['other'] }), { action: limits.LS_SNAT_POOL, pool: ids.pool['two@1'] }, 'each redundancy group its own share')
  t.match(snat({ src: ip('2001:db8:1::5'), dst: ip('2001:db8:9::1') }), { action: limits.LS_SNAT_POOL, pool: ids.pool['six'] })
  t.equal(snat({ zoneIn: ids.zone['outside'], zoneOut: ids.zone['inside'] }), null)
  t.same(r.pool(ids.pool['two@0'] ?? 0).first, r.pool(ids.pool['two@1'] ?? 0).first, 'shares use the same addresses')
  t.match(r.pool(ids.pool['two@1'] ?? 0), { lo: 10000, hi: 20000, rg: 1 })
  t.match(r.pool(ids.pool['one'] ?? 0), { flags: 3, addresses: ['198.51.100.10', '198.51.100.11', '198.51.100.12'].map(ip) })
  const dnat = r.classify('dnat', { ...packet, zoneIn: ids.zone['outside'] ?? 0, zoneOut: 0, dst: ip('192.0.2.99'), dport: 80 })
  t.match(dnat === null ? null : r.natRule('dnat_rule', dnat), { action: 1, port: 8080, addr: ip('10.1.0.80') })
  t.match(r.natRule('dnat_rule', r.classify('dnat', { ...packet, zoneOut: 0, dst: ip('198.51.100.200') }) ?? 99), { action: 0 })
  t.match(r.static('outside', ip('198.51.100.66')), { other: ip('10.1.0.66'), id: ids.nat['st'] })
  t.match(r.static('inside', ip('10.1.0.64')), { other: ip('198.51.100.64') })
  t.equal(r.static('inside', ip('10.1.0.68')), null)
})

t.test('what a policy says about replication', async t => {
  const text = (sync: string): string => `${base}policies: [{name: p, action: permit, sync: ${sync}}]\n`
  const rule = (sync: string): unknown => {
    const { flags, syncAfter } = new BankReader(compiled(desired(text(sync))).bank).rule(0)
    return { never: (flags & limits.LS_RF_NO_SYNC) !== 0, syncAfter }
  }
  t.same(rule('now'), { never: false, syncAfter: 0 })
  t.same(rule('never'), { never: true, syncAfter: 0 })
  t.same(rule('90s'), { never: false, syncAfter: 90 })
  t.same(rule('1h'), { never: false, syncAfter: 3600 })
  t.same(compiled(desired(text('90s'))).warnings, [])
  for (const sync of ['soon', '0s', '500ms', '1500ms', '61m', 'after 5s']) t.match(parseConfig(text(sync), options).issues, [{ path: '/policies/0/sync', code: 'LS_C_VALUE', expected: /whole seconds up to 1h/ }], sync)
})

t.test('policies, flags, schedules', async t => {
  const packet = { zoneIn: ids.zone['inside'] ?? 0, zoneOut: ids.zone['outside'] ?? 0, proto: 6, src: 1n, dst: 1n, sport: 1, dport: 9 }
  t.match(r.rule(r.classify('policy', packet) ?? 99), { policy: ids.policy['a'], action: limits.LS_ACT_PERMIT, app: ids.app['slow'], flags: limits.LS_RF_LOG_OPEN | limits.LS_RF_LOG_CLOSE | limits.LS_RF_NO_SYNC })
  t.match(r.rule(r.classify('policy', { ...packet, dport: 53 }) ?? 99), { app: ids.app['dns'] })
  t.match(r.rule(r.classify('policy', { ...packet, dport: 1 }) ?? 99), { policy: ids.policy['b'], action: limits.LS_ACT_REJECT, flags: limits.LS_RF_LOG_DENY }, 'in force at 23:00')
  t.same(c.result.policyScheduleRuleSlots, { b: [2] })
  const day = policyActiveRow(d, c.result.filterSpans, new Date('2026-06-01T12:00:00Z'))
  t.equal(day[0], 0b011)
  const noon = new BankReader(compiled(d).bank)
  t.equal(noon.classify('policy', { ...packet, dport: 1 }), null, 'not in force at noon')
})

t.test('names and ids for readers', async t => {
  t.same(c.result.zoneIds, { inside: 1, other: 2, outside: 3 })
  t.equal(c.result.policyNames[0], 'default')
  t.equal(c.result.policyNames[ids.policy['a'] ?? 0], 'a')
  t.same(c.result.filterSpans, { a: { first: 0, count: 2 }, b: { first: 2, count: 1 } })
  t.same(Object.keys(c.result.vips['v']?.reals ?? {}), ['r1', 'r2', 'r3'])
  t.match(c.result.managedInterfaces.find(i => i.name === 'eth0'), { port: 'eth0', addresses: ['10.1.0.1/24', '2001:db8:1::1/64', '10.1.0.254/24'] })
})

t.test('routes and neighbours', async t => {
  const { routes } = c
  t.equal(routes.length % routeBytes, 0)
  const rows = Array.from({ length: routes.length / routeBytes }, (_, i) => new BankReader(routes.subarray(i * routeBytes))).map(x => ({ prefix: x.addr(0), via: x.addr(16), length: x.u8(32), kind: x.u8(33), iface: x.u16(34) }))
  t.same(rows.map(row => row.length), [...rows.map(row => row.length)].sort((x, y) => y - x), 'longest first')
  t.match(rows.find(row => row.length === 96), { prefix: ip('0.0.0.0'), length: 96, via: ip('192.0.2.254'), kind: limits.LS_NH_GATEWAY, iface: ids.interface['eth1'] })
  t.ok(rows.some(row => row.prefix === ip('192.0.2.0') && row.length === 120 && row.kind === limits.LS_NH_CONNECTED))
  t.ok(rows.some(row => row.prefix === ip('192.0.2.1') && row.length === 128 && row.kind === limits.LS_NH_LOCAL))
  const n = compiled(desired(`${base.replace('zone: inside,', 'zone: inside, neighbours: {10.1.0.9: "02:00:00:00:00:09"},')}`))
  t.equal(n.neighbours.length, neighbourBytes)
  t.same([...n.neighbours.subarray(20, 26)], [2, 0, 0, 0, 0, 9])
})

t.test('the same input gives the same bytes, on every node', async t => {
  const again = compile(desired(full), factsFor(d), ids, rings, new Date('2026-06-01T23:00:00Z'), 42)
  t.ok(Buffer.compare(again.bank, c.bank) === 0)
})

t.test('addresses of the kernel count as the interface\'s own', async t => {
  const plain = desired('interfaces: {eth0: {zone: a}}\nzones: {a: {host-inbound: ping}}\n')
  const facts = factsFor(plain)
  const port = facts.ports['eth0']
  if (port === undefined) return t.fail('no port')
  const bank = compile(plain, { ...facts, ports: { eth0: { ...port, addresses: ['fe80::1/64', '192.0.2.5/24', '2001:db8::5/64'] } } }, IdBook.empty().assign(plain).table(), {}, new Date(0)).bank
  const reader = new BankReader(bank)
  for (const address of ['192.0.2.5', '2001:db8::5', 'fe80::1']) t.match(reader.local(ip(address), 0), { kind: limits.LS_LOCAL_HOST }, address)
  t.equal(reader.addr(cfg.iface.offset + cfg.iface.stride + layout.ls_iface.addr6.offset), ip('2001:db8::5'), 'a link-local address is primary only when there is no other')
})

t.test('a port that does not exist is named, with the nearest that does', async t => {
  const facts = factsFor(desired(base))
  const wanted = desired(base.replace(/eth1/, 'eth11'))
  try {
    compile(wanted, facts, IdBook.empty().assign(wanted).table(), {}, new Date())
    t.fail('accepted')
  } catch (error) {
    t.ok(error instanceof ConfigError)
    if (error instanceof ConfigError) {
      t.equal(error.errorClass, 'invalid')
      t.match(error.issues, [{ code: 'LS_C_PORT', path: '/interfaces/eth11/port', message: /did you mean eth1\?/ }])
    }
  }
})

t.test('ephemeral ports of the kernel beyond agent.host-ports are a warning', async t => {
  const plain = desired(base)
  const { warnings } = compile(plain, factsFor(plain, { ephemeralPorts: { from: 1024, to: 60999 } }), IdBook.empty().assign(plain).table(), {}, new Date())
  t.match(warnings, [/ephemeral ports 1024-60999/])
})
