/** What the host can do, with a reason for each "no": from made-up findings, and as an ordinary user really sees it. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { capabilitiesOf as ebpfCapabilitiesOf } from '../../../src/backend/ebpf/capabilities.js'
import type { Found } from '../../../src/backend/table/probe.js'
import { capabilitiesOf } from '../../../src/backend/userspace/capabilities.js'
import { netnsPath } from '../../../src/backend/table/ports.js'
import { kernelAtLeast, probeHost } from '../../../src/backend/table/probe.js'
import type { Capability } from '../../../src/contract/dataplane.js'
import { capability } from '../../../src/generated/codes.js'
import { plain } from '../../agent/agent-process.js'

const all: Found = { packet: true, tap: true, nft: true, nftOwner: true, hugepages: true }
const reason = (list: readonly Capability[], name: string): string => list.find(c => c.name === name)?.reason ?? '?'

t.test('each finding decides its capability', async t => {
  const best = capabilitiesOf(all)
  t.same(best.map(c => c.name), capability.map(c => c.name))
  for (const c of best) t.equal(c.supported, c.reason === '')
  t.same(['ports_packet', 'ports_tap', 'hugepages'].map(name => reason(best, name)), ['', '', ''])
  t.match(reason(capabilitiesOf({ ...all, packet: false }), 'ports_packet'), /CAP_NET_RAW/)
  t.match(reason(capabilitiesOf({ ...all, nft: false }), 'ports_packet'), /nft is not installed/)
  t.match(reason(capabilitiesOf({ ...all, packet: false, nft: false }), 'ports_packet'), /CAP_NET_RAW/, 'the first that is missing')
  t.match(reason(capabilitiesOf({ ...all, nftOwner: false }), 'ports_packet'), /Linux 5\.12/)
  t.match(reason(capabilitiesOf({ ...all, tap: false }), 'ports_tap'), /CAP_NET_ADMIN/)
  t.match(reason(capabilitiesOf({ ...all, hugepages: false }), 'hugepages'), /vm\.nr_hugepages/)
  const least = capabilitiesOf({ packet: false, tap: false, nft: false, nftOwner: false, hugepages: false })
  for (const name of ['ports_pcap', 'ports_source', 'shared_table', 'session_install']) t.equal(reason(least, name), '', `${name} needs nothing`)
})

t.test('an ordinary user', { skip: process.getuid?.() === 0 && spawnSync('setpriv', ['--reuid=65534', '--clear-groups', process.execPath, '-e', `require('fs').readFileSync(${JSON.stringify(fileURLToPath(import.meta.url))})`]).status !== 0 ? 'needs setpriv and a tree that others may read' : false }, async t => {
  const module = new URL('../../../src/backend/table/probe.js', import.meta.url).href
  const script = `import(${JSON.stringify(module)}).then(m => console.log(JSON.stringify(m.probeHost())))`
  const drop = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all', '--'] : []
  const [command = '', ...args] = [...plain, ...drop, process.execPath, '-e', script]
  const run = spawnSync(command, args, { encoding: 'utf8' })
  t.equal(run.stderr, '')
  t.match(JSON.parse(run.stdout), { packet: false, tap: false })
})

t.test('versions of kernels', async t => {
  for (const [kernel, at] of [['5.12.0', true], ['6.1.0-13-amd64', true], ['5.4.0', false], ['4.19.0-27', false], ['10.0', true], ['5.9.16', false]] as const) t.equal(kernelAtLeast(kernel, 5, 12), at, kernel)
})

t.test('this process', async t => {
  const found = probeHost()
  if (process.getuid?.() === 0 && existsSync('/dev/net/tun')) t.equal(typeof found.tap, 'boolean')
  t.same(Object.values(found).map(v => typeof v), Array(5).fill('boolean'))
  t.same(probeHost(), found, 'looking changes nothing')
  process.env['PATH'] = ''
  t.doesNotThrow(probeHost)
})

t.test('namespaces by name and by path', async t => {
  t.same([null, 'blue', '/proc/1/ns/net'].map(netnsPath), ['', '/run/netns/blue', '/proc/1/ns/net'])
})

t.test('the eBPF backend records what the host opens where the kernel has a place for it, and names what is missing', async (t) => {
  const tracking = (tcx: string) => ebpfCapabilitiesOf(tcx).find(c => c.name === 'host_egress_tracking')
  t.match(tracking(''), { supported: true, reason: '' })
  t.match(tracking('needs Linux 6.6'), { supported: false, reason: /tcx: needs Linux 6\.6/ })
})
