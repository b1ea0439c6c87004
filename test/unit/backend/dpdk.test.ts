/** The dpdk backend's pure parts: what EAL is started with, what its refusals mean, the frames to its process and back. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ealArguments, hintFor, isMemory, logLevel, memoryText, packetDevargs, portHintFor, usesHugePages } from '../../../src/backend/dpdk/eal.js'
import { allowedCpus } from '../../../src/backend/dpdk/index.js'
import { removeRuntime, runtimeBase } from '../../../src/backend/dpdk/runtime.js'
import { portFrame, stopFrame, takeFrames, whichFrame, type Said } from '../../../src/backend/dpdk/wire.js'
import { hugeMountOf } from '../../../src/backend/dpdk/huge-pages.js'
import { capabilitiesOf } from '../../../src/backend/dpdk/capabilities.js'
import { layout, limits } from '../../../src/generated/layout.js'
import { deviceName, isOwnDeviceName } from '../../../src/lib/devargs.js'
import { desired } from '../config/support.js'

const settings = { cpus: [], hugepages: 'auto', memoryMib: 128, buffers: 16384, frameBytes: 2048, idle: 'sleep', eal: [] } as const

t.test('lcores: the first for the agent, one for each worker, on the CPUs that are named or on any', async (t) => {
  t.match(ealArguments(settings, 'one', 2, [0, 1, 3], 0), ['--lcores=0@(0,1,3),1@(0,1,3),2@(0,1,3)', '--file-prefix=lockstep-one', '--no-telemetry', '--iova-mode=va', '--no-huge', '-m', '128'])
  t.match(ealArguments({ ...settings, cpus: [2, 5], eal: ['--socket-limit=64'] }, 'one', 3, [0], 0), [/^--lcores=0@\(0\),1@2,2@5,3@2$/, String, String, String, '--no-huge', '-m', String, String, '--socket-limit=64'])
  t.match(ealArguments({ ...settings, buffers: 1 << 20 }, 'one', 1, [0], 0)[6], '3200', 'memory follows the buffers')
})

t.test('devices of others on this host are not taken, unless somebody names devices', async (t) => {
  t.ok(ealArguments(settings, 'one', 1, [0], 0).includes('--allow=ffff:ff:1f.7'))
  for (const eal of ['-a0000:03:00.0', '--allow=0000:03:00.0', '-b', '--block=0000:03:00.0', '--no-pci']) t.same(ealArguments({ ...settings, eal: [eal] }, 'one', 1, [0], 0).filter(option => option.includes('ffff')), [], eal)
})

t.test('huge pages: when there are enough, always, never', async (t) => {
  t.same([usesHugePages(settings, 64), usesHugePages(settings, 63)], [true, false])
  t.same([usesHugePages({ ...settings, hugepages: 'on' }, 0), usesHugePages({ ...settings, hugepages: 'off' }, 1000)], [true, false])
  t.ok(ealArguments(settings, 'one', 1, [0], 64).includes('--huge-unlink'), 'and no file of them stays')
})

t.test('memory: what is needed and what there is, for an error; much of it is no less', async (t) => {
  t.equal(memoryText({ ...settings, hugepages: 'off' }, 0, 900 << 20), '128 MiB for 16384 buffers of 2048 bytes (900 MiB of ordinary memory are free)')
  t.equal(memoryText({ ...settings, hugepages: 'on', buffers: 1 << 20 }, 3, 0), '3200 MiB for 1048576 buffers of 2048 bytes (3 huge pages of 2 MiB are free: 6 MiB)')
  t.same(['no memory for 16384 buffers', 'Cannot get hugepage information.', 'lcore 7 unavailable'].map(isMemory), [true, true, false])
  t.equal(ealArguments({ ...settings, memoryMib: 4096 }, 'one', 1, [0], 0)[6], '4096', 'beyond 31 bits too')
})

t.test('files of EAL: where it makes them, also under systemd; those of another that runs stay', async (t) => {
  t.same([runtimeBase({}, true), runtimeBase({}, false), runtimeBase({ XDG_RUNTIME_DIR: '/run/user/7' }, false), runtimeBase({ RUNTIME_DIRECTORY: '/run/lockstep:/run/other' }, true)], ['/var/run', '/tmp', '/run/user/7', '/run/lockstep'])
  const base = t.testdir({ dpdk: { 'lockstep-one': { config: '', fbarray_memzone: '' }, 'lockstep-one-more': { config: '' }, rte: { config: '' } } })
  removeRuntime('lockstep-one', base)
  removeRuntime('lockstep-none', base)
  t.same(readdirSync(join(base, 'dpdk')).sort(), ['lockstep-one-more', 'rte'])
})

t.test('huge pages count where they are mounted', async (t) => {
  t.ok(hugeMountOf('proc /proc proc rw 0 0\nhugetlbfs /dev/hugepages hugetlbfs rw,relatime,pagesize=2M 0 0\n'))
  t.ok(hugeMountOf('none /mnt/huge hugetlbfs rw,relatime 0 0\n'), 'of the default size')
  t.notOk(hugeMountOf('hugetlbfs /dev/hugepages1G hugetlbfs rw,relatime,pagesize=1024M 0 0\nhugetlbfs /x tmpfs rw,pagesize=2M 0 0\n'))
  t.notOk(hugeMountOf(''))
})

t.test('what a refusal of EAL means', async (t) => {
  t.match(hintFor("Cannot create lock on '/var/run/dpdk/x/config'. Is another primary process running?"), /agent\.instance/)
  t.match(hintFor('Cannot get hugepage information.'), /vm\.nr_hugepages/)
  t.match(hintFor('lcore 7 unavailable'), /agent\.dpdk\.cpus/)
  t.match(hintFor('socket: Operation not permitted'), /root/)
  t.match(hintFor('something new'), /log/)
  t.match(hintFor('No free 2048 kB hugepages reported on node 0; open /dev/vfio/vfio: Permission denied'), /root/, 'the last line that means something, not a remark before it')
  t.match(hintFor('net_tap0: Cannot allocate memory: Permission denied'), /agent\.dpdk\.buffers/, 'of one line the particular before what may stand beside it')
  t.match(portHintFor('port wan: TAP wan0: needs CAP_NET_ADMIN'), /root/)
  t.match(portHintFor('port wan: net_gone: No such device'), /devargs.*dpdk-devbind/)
  t.same([1, 4, 5, 6, 7, 8].map(logLevel), ['error', 'error', 'warn', 'info', 'debug', 'debug'])
})

t.test('a kernel interface by net_af_packet: one queue pair a worker, a name that DPDK takes', async (t) => {
  t.match(packetDevargs('eth0@blue', 'eth0', 2, 2048), /^net_af_packet_lockstep_eth0_blue_[0-9a-f]{12},iface=eth0,qpairs=2,framesz=2048,framecnt=2048,blocksz=262144,qdisc_bypass=1$/)
  const long = 'x'.repeat(60)
  const names = ['eth0@blue', 'eth0_blue', 'eth0-blue', 'eth0.blue', `eth0@${long}a`, `eth0@${long}b`].map(port => deviceName(packetDevargs(port, 'eth0', 2, 2048)))
  t.equal(new Set(names).size, names.length, 'ports that differ only in what DPDK takes in no name, or beyond its length, have names of their own')
  t.same(names.filter(name => name.length > 63 || !isOwnDeviceName(name)), [])
  t.same(allowedCpus('Name:\tx\nCpus_allowed_list:\t0-2,5\n'), [0, 1, 2, 5])
})

t.test('frames: cut anywhere they come out whole, and answers have their figures', async (t) => {
  const p = layout.ls_dpdk_port
  const add = portFrame(7, { name: 'wan', devargs: 'net_null_wan', netns: '', tap: 'tap0', shared: true, interface: 'wan' })
  t.equal(add.length, layout.ls_dpdk_head.size + p.size)
  t.equal(add.readUInt32LE(layout.ls_dpdk_head.size + p.shared.offset), 1)
  t.equal(whichFrame(limits.LS_DPDK_BIND, 8, 3, 4).readUInt32LE(layout.ls_dpdk_head.size + layout.ls_dpdk_which.device.offset), 4)
  t.equal(stopFrame().readUInt16LE(layout.ls_dpdk_head.kind.offset), limits.LS_DPDK_STOP)

  const head = (kind: number, seq: number, body: Buffer): Buffer => {
    const out = Buffer.alloc(layout.ls_dpdk_head.size)
    out.writeUInt32LE(out.length + body.length, 0)
    out.writeUInt16LE(kind, layout.ls_dpdk_head.kind.offset)
    out.writeUInt32LE(seq, layout.ls_dpdk_head.seq.offset)
    return Buffer.concat([out, body])
  }
  const { ls_dpdk_answer: a, ls_dpdk_stats: s, ls_dpdk_xstat: x, ls_dpdk_hello: h } = layout
  const hello = Buffer.alloc(h.size)
  hello.write('DPDK 22.11', h.version.offset)
  const answer = Buffer.alloc(a.size + s.size + x.size)
  answer.writeUInt32LE(1, a.count.offset)
  answer.write('net_null', a.driver.offset)
  answer.writeBigUInt64LE(5n, a.size + s.rx_packets.offset)
  answer.write('rx_q0_errors', a.size + s.size + x.name.offset)
  answer.writeBigUInt64LE(9n, a.size + s.size + x.value.offset)
  const all = Buffer.concat([head(limits.LS_DPDK_HELLO, 0, hello), head(99, 0, Buffer.alloc(8)), head(limits.LS_DPDK_ANSWER, 3, answer)])
  for (let cut = 0; cut <= all.length; cut++) {
    const said: Said[] = []
    const rest = takeFrames(all.subarray(0, cut), one => said.push(one))
    t.equal(takeFrames(Buffer.concat([rest, all.subarray(cut)]), one => said.push(one)).length, 0)
    if (said.length !== 2) t.fail(`cut at ${cut}: ${said.length}`)
    if (cut === 100) t.match(said, [{ kind: 'hello', version: 'DPDK 22.11' }, { kind: 'answer', seq: 3, answer: { driver: 'net_null', figures: { counters: { rx_packets: 5, rx_q0_errors: 9 } } } }])
  }
  const none: Said[] = []
  t.equal(takeFrames(Buffer.alloc(16), one => none.push(one)).length, 16, 'a frame shorter than its head is none')
})

t.test('what it can do, and why not the rest', async (t) => {
  const all = { packet: true, tap: true, nft: true, nftOwner: true, hugepages: true }
  const reason = (name: string, found = all): string | undefined => capabilitiesOf(found).find(c => c.name === name)?.reason
  t.same([reason('ports_packet'), reason('ports_dpdk'), reason('many_workers')], ['', '', ''])
  t.match(reason('ports_dpdk', { ...all, tap: false }), /CAP_NET_ADMIN/)
  t.match(reason('ports_packet', { ...all, nft: false }), /nft/)
  t.match(reason('survives_agent'), /ends with the agent/)
})

t.test('a port of DPDK in the configuration', async (t) => {
  const d = desired('interfaces: {wan: {port: "dpdk:wan0", devargs: "0000:03:00.0", zone: z}}\nzones: {z: {}}\n')
  t.match(d.ports, [{ kind: 'dpdk', device: 'wan0', devargs: '0000:03:00.0' }])
  t.match(desired('agent: {dpdk: {cpus: "2-3,6", idle: poll}}\n').agent.dpdk, { cpus: [2, 3, 6], idle: 'poll', hugepages: 'auto' })
  const two = (lan: string, wan: string): string => `interfaces: {lan: {port: "dpdk:lan0", devargs: ${lan}, zone: z}, wan: {port: "dpdk:wan0", devargs: ${wan}, zone: z}}\nzones: {z: {}}\n`
  t.equal(desired(two('net_null0', 'net_null1')).ports.length, 2)
  for (const [text, expected] of [
    ['interfaces: {wan: {port: "dpdk:wan0", zone: z}}\nzones: {z: {}}\n', /devargs is missing/],
    ['interfaces: {wan: {port: eth0, devargs: net_null0, zone: z}}\nzones: {z: {}}\n', /only a dpdk port has devargs/],
    [two('net_null0', 'net_null0'), /\/interfaces\/wan\/devargs.*port dpdk:lan0 has this device of DPDK.*found "net_null0", expected .*net_null0/],
    [two('net_null0', '"vdev:net_null0,size=64"'), /port dpdk:lan0 has this device of DPDK.*found "vdev:net_null0,size=64"/],
    [two('"0000:03:00.0"', '"pci:03:00.0"'), /port dpdk:lan0 has this device of DPDK/],
    [two('net_null0', '"net_af_packet_lockstep_x,iface=eth0"'), /named so by the agent/],
    ['agent: {dpdk: {cpus: "3-2"}}\n', /not a list of CPUs/]
  ] as const) t.throws(() => desired(text), expected)
})
