/** Each check of `lockstep doctor`: silent or content on a good host, and on a bad one the finding, its severity and the command that ends it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { xdpFeatureNames, type XdpFeature } from '../../../src/native/xdp-features.js'
import { hostChecks, interfaceChecks, namespaceChecks } from '../../../src/operator/doctor/checks/index.js'
import { examine } from '../../../src/operator/doctor/examine.js'
import type { InterfaceFacts } from '../../../src/operator/doctor/facts.js'
import type { Chain } from '../../../src/operator/doctor/ruleset.js'
import type { Scope } from '../../../src/operator/doctor/scope.js'
import { unseen } from '../../../src/operator/doctor/seen.js'
import { desired, root } from '../config/support.js'
import { bare, config, dpdk, ebpf, findings, goodHost, goodInterface, goodNamespace, rule, seen, spoiled, userspace, type Change } from './facts.js'

t.test('a good host has no finding but "ok", for either backend, with and without a configuration', async (t) => {
  for (const scope of [ebpf, bare, { ...ebpf, running: true }]) t.same(examine(goodHost, scope).filter((f) => f.severity !== 'ok'), [], scope.backend)
  t.same(examine(goodHost, userspace).filter((f) => f.severity !== 'ok'), [])
})

t.test('what is not ok says what follows, and every finding names where its fact was read', async (t) => {
  const all = bad.flatMap(([id, change, scope]) => findings(id, change, scope))
  for (const f of all) {
    t.not(f.source, '', `${f.id}: source`)
    if (f.severity !== 'ok') t.not(f.consequence, '', `${f.id}: consequence`)
  }
})

const sysctl = (change: object): Change => ({ interface: { sysctl: seen({ forwarding4: 0, forwarding6: 0, rpFilter: 2, rpFilterAll: 0, ...change }) } })
const features = (on: Record<string, boolean>): Change => ({ interface: { features: seen(on) } })
const chain = (hook: string, rules: Chain['rules'], policy = 'accept', type = 'filter'): Chain => ({ family: 'inet', table: 'filter', name: hook, base: { type, hook, policy, devices: [] }, rules })
const chains = (...all: Chain[]): Change => ({ namespace: { ruleset: seen({ chains: all }) } })
const iptables: Chain = { ...chain('forward', [], 'drop'), family: 'ip', name: 'FORWARD' }
const peer = (f: Record<string, boolean>, place: { mtu?: number, xdp?: boolean } = {}): Change => ({
  link: { kind: 'veth' },
  interface: { driver: seen('veth'), channels: seen(null), rss: seen(null), peer: { place: seen({ device: 'eth0', netns: '/run/netns/c', mtu: 1500, xdp: false, ...place }), features: seen(f) } }
})
/** As the kernel tells; a port beside it runs XDP in its driver when `beside`. */
const declares = (driver: string, f: readonly XdpFeature[] | null, more: Change = {}, beside = false): Change => {
  const link = seen({ index: 2, kind: '', mtu: 1500, up: true, carrier: true, rxQueues: 4, addresses: [], xdp: [], ...more.link })
  const own = { ...goodInterface, link, ...more.interface, driver: seen(driver), xdpFeatures: seen(f) }
  return { host: { interfaces: [own, ...beside ? [{ ...goodInterface, device: 'lan', xdpFeatures: seen(all) }] : []] } }
}
const all: readonly XdpFeature[] = ['basic', 'redirect', 'ndo-xmit', 'rx-sg', 'ndo-xmit-sg']
const deaf = all.filter((f) => !f.startsWith('ndo'))
const afar = (change: Change): Change => ({ ...change, interface: { ...change.interface, peer: { place: unseen('in a namespace without a name', 'ip'), features: unseen('in a namespace without a name', 'ip') } } })
const xdp = (name: string, more: Change['host'] = {}, mode: 'driver' | 'generic' = 'driver'): Change => ({ link: { xdp: [{ id: 7, name, mode }] }, host: more })
const inNamespace: Change = { host: { namespaces: [{ ...goodNamespace, netns: '/run/netns/edge' }], interfaces: [{ ...goodInterface, netns: '/run/netns/edge', ...sysctl({ rpFilterAll: 1, rpFilter: 0 }).interface }] } }
const small = { cgroup: (path: string, version: 1 | 2): Change => ({ host: { cgroup: seen({ path, version, limitBytes: 200 * 2 ** 20, usedBytes: 2 ** 20 }) } }) }

const notrack = `nft 'add table inet lockstep_notrack; add chain inet lockstep_notrack prerouting { type filter hook prerouting priority -300; }; add rule inet lockstep_notrack prerouting iifname { "wan" } fib daddr type != local notrack'`

type Case = readonly [id: string, change: Change, scope: Scope, severity: string, finding: RegExp, command: string]

/** Every check with what it finds. */
const bad: readonly Case[] = [
  ['kernel', { host: { kernel: { release: '5.10.0', version: '' } } }, ebpf, 'error', /5\.10\.0 is older than 6\.1/, ''],
  ['kernel', { host: { kernel: { release: '5.11.4', version: '' } } }, userspace, 'error', /older than 5\.12/, ''],
  ['preempt-rt', { host: { kernel: { release: '6.1.0', version: '#1 SMP PREEMPT_RT Debian' } } }, ebpf, 'error', /PREEMPT_RT/, ''],
  ['nohz-full', { host: { nohzFull: seen('2-3') } }, ebpf, 'error', /CPUs 2-3/, ''],
  ['bpffs', { host: { bpffs: seen(false) } }, ebpf, 'note', /no BPF file system/, 'mount -t bpf bpf /sys/fs/bpf'],
  ['bpf-jit', { host: { jit: seen({ enable: 0, harden: 0 }) } }, ebpf, 'warning', /interpreted/, 'sysctl -w net.core.bpf_jit_enable=1'],
  ['bpf-jit', { host: { jit: seen({ enable: 1, harden: 2 }) } }, ebpf, 'note', /blinded/, 'sysctl -w net.core.bpf_jit_harden=1'],
  ['memlock', { host: { kernel: { release: '5.10.0', version: '' } } }, ebpf, 'error', /8 MiB .* locked/, 'ulimit -l unlimited'],
  ['memory', { host: { memory: seen({ totalBytes: 2 ** 30, availableBytes: 2 ** 28 }) } }, ebpf, 'error', /1048576 sessions takes about 290 MiB; 256 MiB of 1024 MiB/, ''],
  ['memory', { host: { memory: seen({ totalBytes: 2 ** 30, availableBytes: 300 * 2 ** 20 }) } }, ebpf, 'warning', /300 MiB/, ''],
  ['cgroup', small.cgroup('/system.slice/ssh.service', 2), ebpf, 'error', /allows 200 MiB/, 'systemctl set-property --runtime ssh.service MemoryMax=infinity'],
  ['cgroup', small.cgroup('/a b', 2), ebpf, 'error', /allows 200 MiB/, "echo max > '/sys/fs/cgroup/a b/memory.max'"],
  ['cgroup', small.cgroup('/a', 1), ebpf, 'error', /allows 200 MiB/, 'echo -1 > /sys/fs/cgroup/memory/a/memory.limit_in_bytes'],
  ['hugepages', { host: { hugepages: seen({ total: 30, free: 10 }) } }, userspace, 'error', /10 huge pages .* about 145/, 'sysctl -w vm.nr_hugepages=165'],
  ['hugepages', { host: { hugepages: seen({ total: 0, free: 0 }) } }, { ...userspace, desired: desired(config().replace('hugepages: on', 'hugepages: auto')) }, 'note', /0 huge pages/, 'sysctl -w vm.nr_hugepages=145'],
  ['dpdk-program', { host: { dpdk: seen('lockstep-dpdk was not built') } }, dpdk(), 'error', /was not built/, ''],
  ['dpdk-memory', { host: { hugepages: seen({ total: 30, free: 10 }) } }, dpdk('on'), 'error', /10 huge pages .* take 64/, 'sysctl -w vm.nr_hugepages=84'],
  ['dpdk-memory', { host: { hugepages: seen({ total: 0, free: 0 }) } }, dpdk(), 'note', /0 huge pages .* take 64/, 'sysctl -w vm.nr_hugepages=64'],
  ['dpdk-memory', { host: { memory: seen({ totalBytes: 2 ** 30, availableBytes: 2 ** 25 }) } }, dpdk('off'), 'error', /32 MiB are free; packet buffers take 128 MiB/, ''],
  ['dpdk-devices', { host: { pci: seen({ '0000:03:00.0': null }) } }, dpdk(), 'error', /no PCI device 0000:03:00\.0/, 'dpdk-devbind.py --status'],
  ['dpdk-devices', { host: { pci: seen({ '0000:03:00.0': 'ixgbe' }) } }, dpdk(), 'error', /kernel driver ixgbe/, 'dpdk-devbind.py -b vfio-pci 0000:03:00.0'],
  ['dpdk-devices', { host: { pci: seen({ '0000:03:00.0': '' }) } }, dpdk(), 'error', /nobody/, 'dpdk-devbind.py -b vfio-pci 0000:03:00.0'],
  ['clocksource', { host: { clock: seen({ current: 'hpet', available: ['hpet', 'tsc'] }) } }, ebpf, 'warning', /clock is hpet/, 'echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource'],
  ['clocksource', { host: { clock: seen({ current: 'acpi_pm', available: ['acpi_pm'] }) } }, ebpf, 'warning', /acpi_pm/, ''],
  ['ntp', { host: { ntp: seen(false) } }, ebpf, 'warning', /no time source/, 'timedatectl set-ntp true'],
  ['tcx', { host: { kernel: { release: '6.6.1', version: '' }, bpftoolVersion: seen([7, 1] as const) } }, ebpf, 'note', /bpftool 7\.1 does not show/, ''],
  ['nft-forward', chains(chain('forward', [], 'drop')), ebpf, 'warning', /inet filter forward drops packets of wan by its policy/, `nft 'insert rule inet filter forward iifname { "wan" } accept'`],
  ['nft-forward', chains(chain('forward', [rule({ input: ['wa*'], other: true, actions: ['drop'] })])), ebpf, 'note', /may drop packets of wan/, `nft 'insert rule inet filter forward iifname { "wan" } accept'`],
  ['nft-forward', chains(iptables), ebpf, 'warning', /ip filter FORWARD/, 'iptables -I FORWARD -i wan -j ACCEPT'],
  ['nft-ingress', chains({ ...chain('ingress', []), family: 'netdev' }), ebpf, 'note', /does not tell/, ''],
  ['nft-ingress', chains({ ...chain('ingress', []), base: { type: 'filter', hook: 'ingress', policy: 'accept', devices: ['wan'] } }), userspace, 'note', /inet filter ingress on wan/, ''],
  ['nft-nat', chains(chain('postrouting', [rule({ handle: 9, actions: ['masquerade'] })], 'accept', 'nat')), ebpf, 'warning', /may meet packets of wan: masquerade in chain inet filter postrouting \(handle 9\)/, notrack],
  ['nft-nat', chains(chain('prerouting', [rule({ handle: 4, input: ['wan'], actions: ['dnat'] })], 'accept', 'nat')), ebpf, 'warning', /dnat in chain/, notrack],
  ['iptables-legacy', { namespace: { legacyTables: seen(['ip filter']) } }, ebpf, 'note', /ip filter/, ''],
  ['conntrack', { namespace: { conntrack: seen({ count: 3, max: 10 }) } }, ebpf, 'warning', /3 of 10 now/, notrack],
  ['conntrack', chains(chain('input', [rule({ conntrack: true, other: true, actions: ['accept'] })])), ebpf, 'warning', /nothing keeps packets of wan/, notrack],
  ['conntrack-full', { namespace: { conntrack: seen({ count: 8, max: 10 }) } }, userspace, 'warning', /8 of 10/, 'sysctl -w net.netfilter.nf_conntrack_max=20'],
  ['conntrack-full', { namespace: { conntrack: seen({ count: 10, max: 10 }) } }, userspace, 'error', /10 of 10/, 'sysctl -w net.netfilter.nf_conntrack_max=20'],
  ['port-ranges', { namespace: { localPorts: seen({ from: 1024, to: 65535 }) } }, ebpf, 'error', /1024-65535/, "sysctl -w net.ipv4.ip_local_port_range='32768 60999'"],
  ['port-ranges', { namespace: { localPorts: seen({ from: 20000, to: 30000 }) } }, { ...userspace, desired: desired(config().replace(/nat: .*/, '')) }, 'warning', /20000-30000, agent\.host-ports says 32768-60999/, "sysctl -w net.ipv4.ip_local_port_range='32768 60999'"],
  ['link', { interface: { link: seen(null) } }, bare, 'error', /no such interface/, ''],
  ['link', { link: { up: false } }, ebpf, 'warning', /is down/, 'ip link set dev wan up'],
  ['link', { link: { carrier: false } }, ebpf, 'warning', /no carrier/, ''],
  ['forwarding', sysctl({ forwarding4: 1 }), ebpf, 'note', /forwards IPv4/, 'sysctl -w net.ipv4.conf.wan.forwarding=0'],
  ['forwarding', sysctl({ forwarding6: 1 }), ebpf, 'note', /forwards IPv6/, 'sysctl -w net.ipv6.conf.wan.forwarding=0'],
  ['forwarding', sysctl({ forwarding4: 1 }), userspace, 'note', /forwards IPv4/, 'sysctl -w net.ipv4.conf.wan.forwarding=0'],
  ['rp-filter', sysctl({ rpFilter: 1 }), ebpf, 'note', /strict \(rp_filter 1, all 0\)/, 'sysctl -w net.ipv4.conf.wan.rp_filter=2'],
  ['rp-filter', sysctl({ rpFilter: 0, rpFilterAll: 1 }), userspace, 'note', /strict \(rp_filter 0, all 1\)/, 'sysctl -w net.ipv4.conf.wan.rp_filter=2'],
  ['rp-filter', { interface: { device: 'eth0.10', ...sysctl({ rpFilter: 1 }).interface } }, ebpf, 'note', /strict/, 'sysctl -w net/ipv4/conf/eth0.10/rp_filter=2'],
  ['rp-filter', inNamespace, ebpf, 'note', /strict/, 'nsenter --net=/run/netns/edge sysctl -w net.ipv4.conf.wan.rp_filter=2'],
  ['lro', features({ 'large-receive-offload': true, 'rx-gro-hw': true }), ebpf, 'warning', /large-receive-offload and rx-gro-hw/, 'ethtool -K wan lro off && ethtool -K wan rx-gro-hw off'],
  ['peer-checksums', peer({ 'tx-checksumming': true, 'generic-receive-offload': true }), ebpf, 'error', /other end eth0@c sends unfinished/, 'nsenter --net=/run/netns/c ethtool -K eth0 tx off'],
  ['redirect', peer({ 'generic-receive-offload': false }), ebpf, 'error', /eth0@c has neither GRO nor an XDP program/, 'nsenter --net=/run/netns/c ethtool -K eth0 gro on'],
  ['redirect', declares('veth', deaf, peer({})), ebpf, 'error', /eth0@c has neither GRO nor an XDP program/, 'nsenter --net=/run/netns/c ethtool -K eth0 gro on'],
  ['redirect', declares('veth', deaf, afar(peer({}))), ebpf, 'error', /other end, which is not seen from here, has neither/, ''],
  ['redirect', declares('ixgbevf', deaf), ebpf, 'error', /ixgbevf takes no redirected frames/, ''],
  ['redirect', { interface: { driver: seen('ixgbevf') } }, ebpf, 'error', /ixgbevf takes no redirected frames/, ''],
  ['redirect', declares('ice', deaf, { link: { xdp: [{ id: 7, name: 'ls', mode: 'driver' }] } }), ebpf, 'error', /ice takes no redirected frames/, ''],
  ['redirect', declares('novelty', deaf), ebpf, 'note', /novelty takes no redirected frames now/, ''],
  ['redirect', declares('bridge', [], {}, true), ebpf, 'warning', /bridge takes no redirected frames/, ''],
  ['peer-segments', peer({ 'tcp-segmentation-offload': true }), userspace, 'warning', /tcp-segmentation-offload/, 'nsenter --net=/run/netns/c ethtool -K eth0 tso off gso off'],
  ['vlan-offload', features({ 'rx-vlan-offload': true }), ebpf, 'error', /rx-vlan-offload/, 'ethtool -K wan rxvlan off'],
  ['vlan-offload', peer({ 'tx-vlan-offload': true }), ebpf, 'error', /other end eth0@c leaves VLAN tags out/, 'nsenter --net=/run/netns/c ethtool -K eth0 txvlan off'],
  ['queues', { interface: { channels: seen({ current: 1, max: 8, kind: 'combined' as const }) } }, ebpf, 'note', /1 of 8 queues receive, with 4 CPUs/, 'ethtool -L wan combined 4'],
  ['rss', { interface: { rss: seen({ key: ['01', '02', '03', '04'], symmetric: false }) } }, ebpf, 'note', /depends on the direction/, 'ethtool -X wan hkey 6d:5a:6d:5a'],
  ['xdp-programs', xdp('other'), ebpf, 'error', /XDP program other \(id 7, driver mode\) of somebody else/, 'ip link set dev wan xdpdrv off'],
  ['xdp-programs', xdp('other', {}, 'generic'), userspace, 'warning', /id 7, generic mode/, 'ip link set dev wan xdpgeneric off'],
  ['xdp-programs', xdp('other', { bpfLinks: seen([{ id: 31, programId: 7, pinned: ['/sys/fs/bpf/else/link'] }]) }), ebpf, 'error', /somebody else/, 'bpftool link detach id 31'],
  ['xdp-programs', xdp('xdp_dispatcher', { programs: seen([{ id: 7, name: 'xdp_dispatcher', type: 'xdp', pinned: [] }]) }), ebpf, 'error', /xdp_dispatcher/, 'xdp-loader unload wan --all'],
  ['xdp-programs', xdp('other', { programs: unseen('bpftool is not installed', 'bpftool', 'apt install bpftool') }), ebpf, 'warning', /id 7, driver mode\); whose it is cannot be told: bpftool is not installed/, 'apt install bpftool'],
  ['tc-programs', { interface: { tc: seen([{ id: 5, name: 'x.o:[tc]', hook: 'clsact/ingress' }]) } }, ebpf, 'note', /x\.o:\[tc\] \(id 5, clsact\/ingress\)/, ''],
  ['driver', declares('bridge', []), ebpf, 'warning', /no XDP of its own/, ''],
  ['driver', declares('novelty', ['basic']), ebpf, 'error', /redirects nothing \(it declares basic\)/, ''],
  ['driver', declares('veth', [], { interface: { ...peer({}).interface, channels: seen({ current: 1, max: 2, kind: 'rx' as const }) } }), ebpf, 'error', /eth0@c sends by more queues than it receives by \(1\)/, 'nsenter --net=/run/netns/c ethtool -L eth0 tx 1'],
  ['driver', { interface: { driver: seen('bridge') } }, ebpf, 'warning', /no XDP of its own/, ''],
  ['driver', { interface: { driver: seen('novelty') } }, ebpf, 'note', /cannot tell whether driver novelty/, ''],
  ['mtu', { link: { mtu: 9000 }, interface: { driver: seen('ixgbe') } }, ebpf, 'note', /driver ixgbe may be smaller/, ''],
  ['mtu', declares('ice', ['basic', 'redirect', 'ndo-xmit'], { link: { mtu: 9000 } }), ebpf, 'note', /no frames in several \(rx-sg\)/, ''],
  ['mtu', declares('ice', all.slice(0, 4), { link: { mtu: 9000 } }), ebpf, 'warning', /no redirected frames in several \(ndo-xmit-sg\)/, '']
]

for (const [id, change, scope, severity, finding, command] of bad) {
  t.test(`${id} (${scope.backend}): ${severity}, ${finding.source}`, async (t) => {
    const found = findings(id, change, scope).filter((f) => f.severity !== 'ok')
    t.equal(found.length, 1)
    t.equal(found[0]?.severity, severity)
    t.match(found[0]?.finding, finding)
    t.equal(found[0]?.command, command)
  })
}

t.test('every check has a bad case here', async (t) => {
  const ids = [...hostChecks, ...namespaceChecks, ...interfaceChecks].map((c) => c.id)
  t.equal(new Set(ids).size, ids.length, 'no two checks have one name')
  t.same(ids.filter((id) => !bad.some(([tested]) => tested === id)), [])
})

t.test('docs/operations/doctor.md has a row for every check', async (t) => {
  const ids = [...hostChecks, ...namespaceChecks, ...interfaceChecks].map((c) => c.id)
  const rows = [...readFileSync(join(root, 'docs/operations/doctor.md'), 'utf8').matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map((m) => m[1])
  t.same(rows.sort(), [...ids, 'cannot-tell'].sort())
})

const good: ReadonlyArray<readonly [why: string, id: string, change: Change, scope: Scope]> = [
  ['the first kernel that is new enough', 'kernel', { host: { kernel: { release: '6.1', version: '' } } }, ebpf],
  ['maps count in the cgroup', 'memlock', {}, ebpf],
  ['enough locked memory on an old kernel', 'memlock', { host: { kernel: { release: '5.10.0', version: '' }, memlockBytes: seen(null) } }, ebpf],
  ['no forward chain is met by userspace', 'nft-forward', chains(chain('forward', [], 'drop')), userspace],
  ['the chain accepts all of the interface before its policy', 'nft-forward', chains(chain('forward', [rule({ input: ['wan', 'lan'], actions: ['accept'] }), rule({ actions: ['drop'] })], 'drop')), ebpf],
  ['rules of another interface', 'nft-forward', chains(chain('forward', [rule({ input: ['lan*'], actions: ['drop'] })])), ebpf],
  ['an ingress chain elsewhere', 'nft-ingress', chains({ ...chain('ingress', []), base: { type: 'filter', hook: 'ingress', policy: 'accept', devices: ['lan'] } }), ebpf],
  ['masquerading of another interface', 'nft-nat', chains(chain('postrouting', [rule({ input: ['lan'], actions: ['masquerade'] })], 'accept', 'nat')), ebpf],
  ['what is not tracked is not translated', 'nft-nat', chains(chain('postrouting', [rule({ actions: ['masquerade'] })], 'accept', 'nat'), chain('prerouting', [rule({ input: ['wan'], other: true, forwardedOnly: true, actions: ['notrack'] })])), ebpf],
  ['forwarded packets are not tracked', 'conntrack', { namespace: { conntrack: seen({ count: 3, max: 10 }), ruleset: seen({ chains: [chain('prerouting', [rule({ input: ['wan'], other: true, forwardedOnly: true, actions: ['notrack'] })])] }) } }, ebpf],
  ['no tracking in this kernel', 'conntrack', { namespace: { conntrack: seen(null) } }, ebpf],
  ['nothing is forwarded to the stack', 'conntrack', { namespace: { conntrack: seen({ count: 3, max: 10 }) } }, userspace],
  ['loose wins over strict', 'rp-filter', sysctl({ rpFilter: 2, rpFilterAll: 1 }), ebpf],
  ['no IPv6 at all', 'forwarding', { ...sysctl({ forwarding6: null }), link: { addresses: ['2001:db8::1/64'] } }, ebpf],
  ['the agent switches it off', 'lro', features({ 'large-receive-offload': true }), userspace],
  ['an XDP program polls as well as GRO', 'redirect', peer({ 'generic-receive-offload': false }, { xdp: true }), ebpf],
  ['the kernel says so', 'redirect', declares('veth', all, afar(peer({}))), ebpf],
  ['a driver that declares it while a program runs', 'redirect', declares('ice', deaf), ebpf],
  ['a driver of the list, where the kernel does not tell', 'redirect', {}, ebpf],
  ['the kernel names what it declares', 'driver', declares('novelty', all), ebpf],
  ['several buffers, both ways', 'mtu', declares('novelty', all, { link: { mtu: 9000 } }), ebpf],
  ['generic mode has no driver that could refuse', 'mtu', declares('bridge', [], { link: { mtu: 9000 } }), ebpf],
  ['checksums are finished', 'peer-checksums', peer({ 'tx-checksumming': false }), ebpf],
  ['the tag is in the frame, whatever a veth itself would do', 'vlan-offload', { ...peer({ 'tx-vlan-offload': false }), interface: { ...peer({ 'tx-vlan-offload': false }).interface, features: seen({ 'rx-vlan-offload': true }) } }, ebpf],
  ['one queue', 'rss', { interface: { channels: seen({ current: 1, max: 1, kind: 'combined' as const }), rss: seen({ key: ['01', '02', '03'], symmetric: false }) } }, ebpf],
  ['the driver sorts addresses', 'rss', { interface: { rss: seen({ key: ['01', '02', '03'], symmetric: true }) } }, ebpf],
  ['ours, by the program\'s pin', 'xdp-programs', xdp('ls', { programs: seen([{ id: 7, name: 'ls', type: 'xdp', pinned: ['/sys/fs/bpf/lockstep/default/program'] }]) }), ebpf],
  ['ours, by the link\'s pin', 'xdp-programs', xdp('ls', { bpfLinks: seen([{ id: 1, programId: 7, pinned: ['/sys/fs/bpf/lockstep/default/link.wan'] }]) }), ebpf],
  ['ours on tc', 'tc-programs', { interface: { tc: seen([{ id: 5, name: 'ls', hook: 'clsact/egress' }]) }, host: { programs: seen([{ id: 5, name: 'ls', type: 'sched_cls', pinned: ['/sys/fs/bpf/lockstep/default/egress'] }]) } }, ebpf],
  ['a driver of no list that runs a program now', 'driver', { link: { xdp: [{ id: 7, name: 'ls', mode: 'driver' }] }, interface: { driver: seen('novelty') } }, ebpf],
  ['a driver with several buffers', 'mtu', { link: { mtu: 9000 }, interface: { driver: seen('virtio_net') } }, ebpf],
  ['as many queues as CPUs', 'queues', { interface: { channels: seen({ current: 4, max: 8, kind: 'combined' as const }) } }, ebpf],
  ['ports apart', 'port-ranges', {}, ebpf],
  ['enough huge pages', 'hugepages', {}, userspace],
  ['it runs', 'dpdk-program', {}, dpdk()],
  ['enough huge pages', 'dpdk-memory', {}, dpdk('on')],
  ['enough memory', 'dpdk-memory', { host: { hugepages: seen({ total: 0, free: 0 }) } }, dpdk('off')],
  ['given to DPDK', 'dpdk-devices', {}, dpdk()],
  ['shared with the kernel', 'dpdk-devices', { host: { pci: seen({ '0000:03:00.0': 'mlx5_core' }) } }, dpdk()]
]

for (const [why, id, change, scope] of good) {
  t.test(`${id} (${scope.backend}) is content: ${why}`, async (t) => {
    const found = findings(id, change, scope)
    t.ok(found.length > 0, 'it says so')
    t.same(found.filter((f) => f.severity !== 'ok'), [])
  })
}

t.test('a running agent has its memory: nobody asks for it again', async (t) => {
  const poor = spoiled({ host: { memory: seen({ totalBytes: 1, availableBytes: 1 }), hugepages: seen({ total: 145, free: 0 }) } })
  t.same(examine(poor, { ...userspace, running: true }).filter((f) => ['memory', 'cgroup', 'hugepages'].includes(f.id)), [])
})

t.test('one way of a veth has one finding: too few queues, or no frames; generic ports among themselves have none', async (t) => {
  const veth = (f: readonly XdpFeature[]): string[] => examine(spoiled(declares('veth', f, peer({ 'generic-receive-offload': true }))), ebpf).filter((x) => x.severity !== 'ok').map((x) => x.id)
  t.same(veth([]), ['driver'])
  t.same(veth(deaf), ['redirect'])
  t.same(findings('redirect', declares('bridge', [])), [])
  t.match(findings('driver', declares('ice', all)), [{ finding: 'driver ice declares basic, redirect, ndo-xmit, rx-sg, ndo-xmit-sg' }])
  t.match(findings('driver'), [{ severity: 'ok', finding: /by a list \(this kernel cannot tell, it needs Linux 6\.3\)/ }])
})

t.test('bits of the kernel as names', async (t) => {
  t.same(xdpFeatureNames(0), [])
  t.same(xdpFeatureNames(7 + 32 + 64), all)
  t.same(xdpFeatureNames(2 ** 40 + 24), ['xsk-zerocopy', 'hw-offload'], 'bits of later kernels are left out')
})

t.test('what cannot be seen is said once for each reason, with the checks and interfaces left out', async (t) => {
  const blind: Partial<InterfaceFacts> = { features: unseen('ethtool is not installed', 'ethtool -k', 'apt install ethtool'), driver: unseen('ethtool is not installed', 'ethtool -i', 'apt install ethtool') }
  const facts = { ...goodHost, bpffs: unseen('only root may see it', '/sys/fs/bpf', 'sudo lockstep doctor'), interfaces: [{ ...goodInterface, ...blind }, { ...goodInterface, device: 'lan', ...blind }] }
  const found = examine(facts, bare).filter((f) => f.severity !== 'ok')
  t.same(found.map(({ id, subject, severity, finding, command }) => ({ id, subject, severity, finding, command })), [
    { id: 'cannot-tell', subject: 'host', severity: 'note', finding: 'cannot tell: only root may see it (bpffs)', command: 'sudo lockstep doctor' },
    { id: 'cannot-tell', subject: 'host', severity: 'note', finding: 'cannot tell: ethtool is not installed (driver, redirect, mtu, lro of wan, lan)', command: 'apt install ethtool' }
  ])
  t.notOk(examine(facts, bare).some((f) => f.id === 'lro'), 'nothing is claimed about what nobody saw')
})

t.test('of an interface that does not exist only that is said', async (t) => {
  const gone = examine(spoiled({ interface: { link: seen(null), features: unseen('there is no such interface', 'ip') } }), ebpf)
  t.same(gone.filter((f) => f.subject === 'wan').map((f) => f.id), ['link'])
})
