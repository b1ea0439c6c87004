/** What a group announces after a takeover: what the pipeline answers for, where hosts may have it in their neighbour tables. */
import t from 'tap'
import type { CompiledConfig } from '../../../src/config/compile/index.js'
import { announcementBytes, announcements, announcementsMax, packAnnouncements } from '../../../src/config/compile/announcements.js'
import { limits } from '../../../src/generated/layout.js'
import { addressOfBytes, formatAddress, parseAddress } from '../../../src/lib/address.js'
import { compiled, desired } from './support.js'

/** `address device vlan inner mac` for each row of a group. */
function rows (c: Pick<CompiledConfig, 'announcements'>, rg: number): string[] {
  const bytes = c.announcements[rg] ?? new Uint8Array(0)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: bytes.length / announcementBytes }, (_, i) => {
    const at = i * announcementBytes
    const mac = [...bytes.subarray(at + 24, at + 30)].map(b => b.toString(16).padStart(2, '0')).join(':')
    return `${formatAddress(addressOfBytes(bytes, at))} ${view.getUint32(at + 16, true)} ${view.getUint16(at + 20, true)} ${view.getUint16(at + 22, true)} ${mac}`
  })
}

const pair = `
redundancy-groups: {1: {}}
interfaces:
  eth0: {zone: inside, addresses: [10.1.0.1/24, "2001:db8:1::1/64"], floating-addresses: [10.1.0.254/24, "2001:db8:1::fe/64", "fe80::1/64"]}
  eth1: {zone: outside, addresses: [192.0.2.1/24, "2001:db8:2::1/64"], floating-addresses: [192.0.2.254/24, "fe80::1/64"]}
  v10: {port: eth1, vlan: 10, zone: other, addresses: 10.1.10.1/24, floating-addresses: 10.1.10.254/24}
  q: {port: eth1, vlan: 20, inner-vlan: 30, zone: inside, domain: blue, addresses: 10.1.0.1/24, floating-addresses: 10.1.0.254/24}
  ha: {role: fabric, mtu: 1512, addresses: 203.0.113.1/24}
zones: {inside: {}, outside: {}, other: {redundancy-group: 1}}
`
const [eth0, eth1] = ['02:00:00:00:00:01', '02:00:00:00:00:02']

t.test('floating addresses on their own interface, with its tags and the MAC of its port; fixed ones nowhere', async t => {
  const c = compiled(desired(pair))
  t.same(rows(c, 0), [
    `10.1.0.254 0 0 0 ${eth0}`, `2001:db8:1::fe 0 0 0 ${eth0}`, `fe80::1 0 0 0 ${eth0}`, `fe80::1 1 0 0 ${eth1}`, `192.0.2.254 1 0 0 ${eth1}`, `10.1.0.254 1 20 30 ${eth1}`
  ], 'one link-local address of two interfaces on both')
  t.same(rows(c, 1), [`10.1.10.254 1 10 0 ${eth1}`])
  t.same(c.warnings, [])
})

t.test('VIPs, pools and static NAT where a subnet holds them, else on every data interface of the domain', async t => {
  const real = 'pools: [{reals: [{address: 10.1.0.9}]}]'
  const c = compiled(desired(`${pair}
vips:
  held: {address: 192.0.2.80, port: 80, ${real}}
  other: {address: 192.0.2.81, port: 80, redundancy-group: 1, ${real}}
  routed: {address: 198.51.100.80, port: 80, ${real}}
  prefix: {address: 203.0.113.128/25, port: 80, ${real}}
nat:
  pools: {p: {addresses: 192.0.2.90-192.0.2.91}}
  source: [{name: s, from: inside, to: outside, translate: pool, pool: p}]
  static: [{name: st, outside: 192.0.2.64/31, inside: 10.1.0.64/31}]
  destination: [{name: web, from: outside, destination: 192.0.2.99, applications: tcp/80, translate: {address: 10.1.0.80}}]
`))
  const floating = rows(compiled(desired(pair)), 0).length
  t.same(rows(c, 0).slice(floating), [
    `192.0.2.80 1 0 0 ${eth1}`,
    `198.51.100.80 0 0 0 ${eth0}`, `198.51.100.80 1 0 0 ${eth1}`, `198.51.100.80 1 10 0 ${eth1}`,
    `192.0.2.90 1 0 0 ${eth1}`, `192.0.2.91 1 0 0 ${eth1}`, `192.0.2.64 1 0 0 ${eth1}`, `192.0.2.65 1 0 0 ${eth1}`, `192.0.2.99 1 0 0 ${eth1}`
  ], 'none for the VIP of a prefix, for which nobody answers, and none on the fabric')
  t.same(rows(c, 1).slice(1), [`192.0.2.81 1 0 0 ${eth1}`])
})

t.test('what a group has beyond the limit is left out, its last addresses first, and told', async t => {
  const first = parseAddress('198.18.0.0') ?? 0n
  const all = announcements(
    Array.from({ length: announcementsMax / 2 + 5 }, (_, i) => ({ address: first + BigInt(i), domain: 0, kind: limits.LS_LOCAL_VIP, iface: 0, redundancyGroup: 0, poolAddress: 0 })),
    desired(pair).interfaces.slice(0, 2).map((wanted, id) => ({ wanted: { ...wanted, role: 'data' as const }, id, port: { device: id, mac: eth0, mtu: 1500, ifindex: 1, addresses: [], up: true }, addresses: [], nat4: null, nat6: null })), { default: 0 })
  const warnings: string[] = []
  const packed = packAnnouncements(all, warnings)
  t.equal(all.length, announcementsMax + 10)
  t.equal(packed[0]?.length, announcementsMax * announcementBytes)
  t.equal(warnings.length, 1)
  t.match(warnings[0], /^redundancy group 0: 2058 announcements after a takeover, at most 2048 .* are made, those from 198\.18\.4\.0 on /)
})
