/**
 * `lockstep doctor` on real conditions: each is made in namespaces of its own, found, and gone when the printed command has run. Interfaces:
 *
 *     lt-doctor-PID-rt (the router)          lt-doctor-PID-client
 *     rt0 10.77.1.1, fd77:1::1 ------------- eth0
 */
import t, { type Test } from 'tap'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { must, run, which, type RunResult } from './shell.js'
import { prefixOf, skipReason } from './support.js'
import { netnsOf } from './topology.js'


const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
const prefix = prefixOf('doctor')
const router = netnsOf(prefix, 'router')
const client = netnsOf(prefix, 'client')
const subject = `rt0@${router}`

interface Finding { readonly id: string, readonly subject: string, readonly severity: string, readonly finding: string, readonly command: string }

const config = (backend: string, vlan = ''): string => `agent:
  backend: ${backend}
  netns: ${router}
  table: {capacity: 1k}
interfaces:
  rt0: {zone: z}
${vlan}zones: {z: {}}
nat: {source: [{name: out, translate: interface}]}
`

const at = async (netns: string, ...argv: string[]): Promise<string> => await must({ netns, argv })
const sysctl = async (...settings: string[]): Promise<void> => { for (const s of settings) await at(router, 'sysctl', '-qw', s) }

/** Programs that let everything pass. */
const program = `
#define SEC(n) __attribute__((section(n), used))
SEC("xdp") int foreign_xdp(void *c) { return 2; }
SEC("tc") int foreign_tc(void *c) { return 0; }
char _license[] SEC("license") = "GPL";
`

t.test('conditions, findings, and the commands that end them', { skip: await skipReason('nft', 'ethtool', 'bpftool', 'sysctl', 'setpriv') }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-doctor-'))
  const pins = `/sys/fs/bpf/lockstep/${prefix}`
  const otherPins = `/sys/fs/bpf/${prefix}`
  t.teardown(async () => {
    rmSync(directory, { recursive: true, force: true })
    for (const ns of [router, client]) await run(['ip', 'netns', 'del', ns])
    for (const folder of [pins, otherPins]) rmSync(folder, { recursive: true, force: true })
    if (existsSync('/sys/fs/bpf/lockstep') && readdirSync('/sys/fs/bpf/lockstep').length === 0) rmdirSync('/sys/fs/bpf/lockstep')
  })
  for (const ns of [router, client]) await must({ netns: null, argv: ['ip', 'netns', 'add', ns] })
  await must({ netns: null, argv: ['ip', 'link', 'add', 'rt0', 'netns', router, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', client] })
  await at(router, 'ip', 'addr', 'add', '10.77.1.1/24', 'dev', 'rt0')
  await at(router, 'ip', 'addr', 'add', 'fd77:1::1/64', 'dev', 'rt0', 'nodad')
  await at(router, 'ip', 'link', 'set', 'rt0', 'up')
  await at(client, 'ip', 'link', 'set', 'eth0', 'up')
  await at(client, 'ethtool', '-K', 'eth0', 'tx', 'off', 'gro', 'on')
  await sysctl('net.ipv4.ip_forward=0', 'net.ipv6.conf.all.forwarding=0', 'net.ipv4.conf.all.rp_filter=0', 'net.ipv4.conf.rt0.rp_filter=0')

  const file = join(directory, 'edge.yaml')
  const doctor = async (text: string, ...argv: string[]): Promise<RunResult> => {
    writeFileSync(file, text)
    return await run([process.execPath, main, 'doctor', file, ...argv], { timeoutMs: 30_000 })
  }
  const found = async (text: string): Promise<Finding[]> => {
    const { stdout, stderr } = await doctor(text, '--json')
    if (stdout === '') throw new Error(stderr)
    return (JSON.parse(stdout) as { findings: Finding[] }).findings
  }
  const here = (f: Finding): boolean => f.subject.includes(router)
  const faults = async (text = config('ebpf')): Promise<Finding[]> => (await found(text)).filter((f) => here(f) && f.severity !== 'ok')

  /** What one check finds; then its command runs in a shell, and the check is content. */
  const mends = async (t: Test, id: string, severity: string, finding: RegExp, text = config('ebpf')): Promise<void> => {
    const [fault, ...more] = (await found(text)).filter((f) => here(f) && f.id === id && f.severity !== 'ok')
    t.same(more, [], 'one finding')
    t.equal(fault?.severity, severity)
    t.match(fault?.finding, finding)
    const { code, stderr } = await run(['sh', '-c', fault?.command ?? 'false'], { timeoutMs: 20_000 })
    t.equal(code, 0, `${fault?.command ?? 'no command'}: ${stderr}`)
    t.same((await found(text)).filter((f) => here(f) && f.id === id && f.severity !== 'ok'), [], 'gone')
  }

  await t.test('a namespace in order has one remark: the second queue of the veth', async (t) => {
    t.same((await faults()).map((f) => `${f.severity} ${f.subject} ${f.id}`), [`note ${subject} queues`])
    await mends(t, 'queues', 'note', /1 of 2 queues/)
  })

  await t.test('strict reverse path filtering, on the interface or on all', async (t) => {
    await sysctl('net.ipv4.conf.rt0.rp_filter=1')
    await mends(t, 'rp-filter', 'note', /strict \(rp_filter 1, all 0\)/)
    await sysctl('net.ipv4.conf.rt0.rp_filter=0', 'net.ipv4.conf.all.rp_filter=1')
    await mends(t, 'rp-filter', 'note', /strict \(rp_filter 0, all 1\)/)
    await sysctl('net.ipv4.conf.all.rp_filter=0')
  })

  await t.test('a kernel that forwards', async (t) => {
    await sysctl('net.ipv4.conf.rt0.forwarding=1')
    await mends(t, 'forwarding', 'note', /IPv4/)
    await sysctl('net.ipv6.conf.rt0.forwarding=1')
    await mends(t, 'forwarding', 'note', /IPv6/)
  })

  await t.test('the other end: unfinished checksums, no GRO; errors end with 2', async (t) => {
    await at(client, 'ethtool', '-K', 'eth0', 'tx', 'on')
    t.equal((await doctor(config('ebpf'))).code, 2)
    await mends(t, 'peer-checksums', 'error', /other end eth0@.*-client sends unfinished checksums/)
    await at(client, 'ethtool', '-K', 'eth0', 'gro', 'off')
    await mends(t, 'redirect', 'error', /neither GRO nor an XDP program/)
  })

  await t.test('what the driver declares: GRO of the other end counts, its own does not, nor do queues that it lacks', async (t) => {
    const declared = async (): Promise<string> => (await found(config('ebpf'))).find((f) => here(f) && f.id === 'driver')?.finding ?? ''
    if (/by a list/.test(await declared())) return t.pass('this kernel does not tell')
    t.equal(await declared(), 'driver veth declares basic, redirect, ndo-xmit, rx-sg, ndo-xmit-sg')
    await at(client, 'ethtool', '-K', 'eth0', 'gro', 'off')
    await at(router, 'ethtool', '-K', 'rt0', 'gro', 'on')
    t.equal(await declared(), 'driver veth declares basic, redirect, rx-sg')
    await at(router, 'ethtool', '-K', 'rt0', 'gro', 'off')
    await mends(t, 'redirect', 'error', /neither GRO nor an XDP program/)
    const [, most = '1', now = '1'] = /^TX:\s+(\d+)[^]*^TX:\s+(\d+)/m.exec(await at(client, 'ethtool', '-l', 'eth0')) ?? []
    const [rx] = /(?<=settings:\nRX:\s+)\d+/.exec(await at(router, 'ethtool', '-l', 'rt0')) ?? ['1']
    if (Number(most) === 1) return
    await at(client, 'ethtool', '-L', 'eth0', 'tx', most)
    await at(router, 'ethtool', '-L', 'rt0', 'rx', '1')
    await mends(t, 'driver', 'error', /other end eth0@.*-client sends by more queues than it receives by \(1\)/)
    await at(router, 'ethtool', '-L', 'rt0', 'rx', rx ?? '1')
    await at(client, 'ethtool', '-L', 'eth0', 'tx', now)
  })

  await t.test('VLAN tags that leave the frame', async (t) => {
    const tagged = config('ebpf', '  tagged: {port: rt0, vlan: 7, zone: z}\n')
    await mends(t, 'vlan-offload', 'error', /other end .* \(tx-vlan-offload\)/, tagged)
    t.same((await found(config('ebpf'))).filter((f) => f.id === 'vlan-offload'), [], 'without VLANs nobody asks')
  })

  await t.test('a link that is down, ports of the host that source NAT uses', async (t) => {
    await at(router, 'ip', 'link', 'set', 'rt0', 'down')
    t.equal((await doctor(config('ebpf'))).code, 0)
    t.equal((await doctor(config('ebpf'), '--strict')).code, 1, 'warnings count with --strict')
    await mends(t, 'link', 'warning', /is down/)
    await at(router, 'ip', 'addr', 'replace', 'fd77:1::1/64', 'dev', 'rt0', 'nodad')
    await sysctl('net.ipv4.ip_local_port_range=1024 65535')
    await mends(t, 'port-ranges', 'error', /1024-65535/)
  })

  await t.test('nftables: a forward chain that drops, translation, connection tracking', async (t) => {
    await at(router, 'nft', 'add table inet host; add chain inet host forward { type filter hook forward priority 0; policy drop; }; add rule inet host forward iifname "lan*" accept')
    await mends(t, 'nft-forward', 'warning', /chain inet host forward drops packets of rt0 by its policy/)
    await at(router, 'nft', 'flush chain inet host forward; chain inet host forward { policy accept; }; add rule inet host forward ip daddr 10.0.0.0/8 reject')
    await mends(t, 'nft-forward', 'note', /may drop packets of rt0/)
    await at(router, 'nft', 'add chain inet host post { type nat hook postrouting priority 100; }; add rule inet host post masquerade')
    await mends(t, 'nft-nat', 'warning', /may meet packets of rt0: masquerade in chain inet host post \(handle \d+\)/)
    await at(router, 'nft', 'flush ruleset; add table inet host; add chain inet host in { type filter hook input priority 0; }; add rule inet host in ct state established accept')
    await mends(t, 'conntrack', 'warning', /nothing keeps packets of rt0/)
    await at(router, 'nft', 'flush ruleset')
    await at(router, 'nft', 'add table netdev host; add chain netdev host in { type filter hook ingress device "rt0" priority 0; }')
    t.match((await faults()).filter((f) => f.id === 'nft-ingress'), [{ severity: 'note', finding: /netdev host in/ }])
    await at(router, 'nft', 'flush ruleset')
  })

  await t.test('programs of others, and ours', { skip: which('clang') === null ? 'needs clang' : false }, async (t) => {
    writeFileSync(join(directory, 'x.c'), program)
    const object = join(directory, 'x.o')
    await must({ netns: null, argv: ['clang', '-g', '-O2', '-target', 'bpf', '-c', join(directory, 'x.c'), '-o', object] })
    // iproute2 would load an object, too, but leaves folders of its own in the BPF file system.
    await must({ netns: null, argv: ['bpftool', 'prog', 'loadall', object, otherPins] })

    await t.test('XDP, in the driver or generic', async (t) => {
      for (const mode of ['xdpdrv', 'xdpgeneric']) {
        await at(router, 'ip', 'link', 'set', 'rt0', mode, 'pinned', join(otherPins, 'foreign_xdp'))
        await mends(t, 'xdp-programs', 'error', /XDP program foreign_xdp \(id \d+, (driver|generic) mode\) of somebody else/)
      }
      await at(client, 'ethtool', '-K', 'eth0', 'gro', 'off')
      const deaf = async (): Promise<boolean> => (await faults()).some((f) => f.id === 'redirect')
      await at(client, 'ip', 'link', 'set', 'eth0', 'xdpdrv', 'pinned', join(otherPins, 'foreign_xdp'))
      t.notOk(await deaf(), 'a program in the driver of the other end polls')
      await at(client, 'ip', 'link', 'set', 'eth0', 'xdpdrv', 'off')
      await at(client, 'ip', 'link', 'set', 'eth0', 'xdpgeneric', 'pinned', join(otherPins, 'foreign_xdp'))
      t.ok(await deaf(), 'a generic one does not')
      await at(client, 'ip', 'link', 'set', 'eth0', 'xdpgeneric', 'off')
      await at(client, 'ethtool', '-K', 'eth0', 'gro', 'on')
    })

    await t.test('tc', async (t) => {
      await at(router, 'tc', 'qdisc', 'add', 'dev', 'rt0', 'clsact')
      await at(router, 'tc', 'filter', 'add', 'dev', 'rt0', 'ingress', 'bpf', 'da', 'object-pinned', join(otherPins, 'foreign_tc'))
      t.match((await faults()).filter((f) => f.id === 'tc-programs'), [{ severity: 'note', finding: /foreign_tc.* \(id \d+, clsact\/ingress\)/ }])
      await at(router, 'tc', 'qdisc', 'del', 'dev', 'rt0', 'clsact')
    })

    await t.test('a program pinned where ours are is ours', async (t) => {
      mkdirSync('/sys/fs/bpf/lockstep', { recursive: true })
      await must({ netns: null, argv: ['bpftool', 'prog', 'loadall', object, pins] })
      await at(router, 'ip', 'link', 'set', 'rt0', 'xdpdrv', 'pinned', join(pins, 'foreign_xdp'))
      const own = (await found(config('ebpf'))).filter((f) => f.id === 'xdp-programs')
      t.match(own, [{ severity: 'ok', finding: /foreign_xdp .* is Lockstep's/ }])
      rmSync(pins, { recursive: true })
      t.match((await faults()).filter((f) => f.id === 'xdp-programs'), [{ severity: 'error' }], 'without the pin it is somebody\'s')
      await at(router, 'ip', 'link', 'set', 'rt0', 'xdp', 'off')
    })
  })

  await t.test('userspace: long frames from the other end, and a kernel that forwards', async (t) => {
    await at(client, 'ethtool', '-K', 'eth0', 'tx', 'on', 'tso', 'on', 'gso', 'on')
    await mends(t, 'peer-segments', 'warning', /tcp-segmentation-offload/, config('userspace'))
    await sysctl('net.ipv4.conf.rt0.forwarding=1', 'net.ipv6.conf.rt0.forwarding=1')
    const forwards = (await faults(config('userspace'))).filter((f) => f.id === 'forwarding')
    t.same(forwards.map((f) => f.severity), ['note', 'note'], 'both families')
    for (const f of forwards) await must({ netns: null, argv: ['sh', '-c', f.command] })
    t.same((await faults(config('userspace'))).filter((f) => f.id === 'forwarding'), [])
  })

  await t.test('without root: no crash, and what was not seen is named', async (t) => {
    const { code, stdout, stderr } = await run(['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', '--', 'env', 'NODE_OPTIONS=', process.execPath, main, 'doctor', '-', '--json'], { timeoutMs: 30_000, input: config('ebpf') })
    t.equal(stderr, '')
    t.equal(code, 0, 'what nobody saw is no error')
    const { findings, root } = JSON.parse(stdout) as { findings: Finding[], root: boolean }
    t.notOk(root)
    const blind = findings.find((f) => f.id === 'cannot-tell' && f.command === 'sudo lockstep doctor')
    for (const id of ['nft-forward', 'xdp-programs', 'rp-filter', 'lro']) t.match(blind?.finding, id)
    t.notOk(findings.some((f) => f.id === 'rp-filter'), 'and nothing is claimed about it')
  })

  await t.test('looking changes nothing', async (t) => {
    const state = async (): Promise<string> => (await Promise.all([
      at(router, 'nft', 'list', 'ruleset'), at(router, 'sysctl', '-a', '--pattern', '^net\\.ipv[46]\\.conf\\.(all|rt0)\\.'), at(router, 'ethtool', '-k', 'rt0'), at(router, 'ip', '-d', 'link')
    ])).join('\n')
    const before = await state()
    for (const backend of ['ebpf', 'userspace']) await doctor(config(backend))
    t.equal(await state(), before)
  })
})
