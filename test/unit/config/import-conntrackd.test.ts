/** `lockstep import conntrackd`: the ends of the pair, the size of the table, and what has no equivalent. */
import t from 'tap'
import { join } from 'node:path'
import { importConfig } from '../../../src/config/import/index.js'
import { parseConfig } from '../../../src/config/parse.js'
import { runCli } from '../cli/run-cli.js'
import { brokenTexts, deafBlocks, faultOf, issuesOf, placed, silentLines, sourceOf } from './import-support.js'
import { options, root } from './support.js'

const udp = sourceOf('conntrackd-udp.conf')
const multicast = sourceOf('conntrackd-multicast.conf')

t.test('dedicated links by UDP become paths with both ends, the default one first', async t => {
  const { yaml } = importConfig('conntrackd', udp, { node: 'fw-1', peer: 'fw-2' })
  const { desired, issues } = parseConfig(yaml, { ...options, node: 'fw-1' })
  t.same(issues, [])
  t.match(desired?.cluster?.nodes, [
    { name: 'fw-1', index: 1, sync: [{ host: 'fd00:77::2', port: 7946 }, { host: '192.0.2.2', port: 7946 }], heartbeats: [{ host: 'fd00:77::2', port: 7945 }, { host: '192.0.2.2', port: 7945 }] },
    { name: 'fw-2', index: 2, sync: [{ host: 'fd00:77::3' }, { host: '192.0.2.3' }] },
  ])
  t.equal(desired?.agent.table.capacity, 131072)
})

t.test('what is not carried is listed, with its line', async t => {
  t.same(placed(importConfig('conntrackd', udp)), [
    [3, 'ResendQueueSize 131072'], [4, 'DisableExternalCache On'], [5, 'CommitTimeout 180'],
    [10, 'Port 3780'], [11, 'Interface eth2'], [12, 'SndSocketBuffer 1249280'], [13, 'Checksum on'],
    [18, 'Port 3781'], [19, 'Interface eth3'],
    [22, 'TCPWindowTracking Off'], [23, 'ExpectationSync {...}'],
    [27, 'Nice -20'], [28, 'HashSize 32768'], [29, 'HashLimit 131000'], [30, 'LogFile on'], [31, 'LockFile /var/lock/conntrack.lock'],
    [32, 'UNIX {...} to line 35'], [36, 'NetlinkBufferSize 2097152'], [37, 'Filter From Userspace {...} to line 42'],
    [null, 'cluster.nodes node-1, node-2'], [null, 'cluster.key-file'], [null, 'redundancy-groups, interfaces, zones'],
  ])
  t.match(importConfig('conntrackd', udp).notes.filter(({ line }) => line === 4 || line === 29), [{ reason: /the copy of the standby is its live table/ }, { reason: /capacity 131072, a power of two/ }])
})

t.test('by multicast the other node is not known: its ends are missing, and nothing else', async t => {
  const { yaml, notes } = importConfig('conntrackd', multicast, { node: 'fw-1', peer: 'fw-2' })
  t.match(yaml, /capacity: 128k/)
  t.match(issuesOf(yaml, 'fw-1'), [/\/cluster\/nodes\/fw-2.*sync/, /\/cluster\/nodes\/fw-2.*heartbeat/])
  t.equal(issuesOf(yaml, 'fw-1').length, 2)
  t.match(notes.find(({ text }) => text === 'cluster.nodes.fw-2'), { line: null, reason: /TCP 7946 and UDP 7945/ })
  t.match(placed({ yaml, notes }).slice(0, 3), [[2, 'Mode NOTRACK'], [3, 'DisableInternalCache Off'], [5, 'Multicast']])
})

t.test('every line is carried or listed', async t => {
  for (const source of [udp, multicast]) {
    t.same(silentLines('conntrackd', source), [])
    t.same(deafBlocks('conntrackd', source), [])
  }
})

t.test('what cannot be read is refused with file and line', async t => {
  for (const [source, expected] of [
    ['Sync {\n Mode FTFW {\n }\n', /^LS_C_IMPORT: f:1: a block does not end/],
    ['}\n', /f:1: a block ends that did not begin/],
    ['vrrp_instance A {\n}\n', /f:1: nothing of conntrackd is in it: found "vrrp_instance", expected Sync, General/],
    ['', /f: nothing of conntrackd/],
  ] as const) t.throws(() => importConfig('conntrackd', source, { file: 'f' }), { code: 'LS_C_IMPORT', message: expected }, JSON.stringify(source))
})

t.test('addresses that no path can have, and numbers that are none, are listed', async t => {
  const { notes, yaml } = importConfig('conntrackd', 'Sync {\nUDP {\nIPv6_address fe80::1\nIPv6_Destination_Address nonsense\n}\n}\nGeneral {\nHashLimit many\n}\n')
  t.match(notes.slice(0, 3), [{ line: 3, reason: /link-local/ }, { line: 4, reason: /not an address/ }, { line: 8, reason: /not a whole number/ }])
  t.notMatch(yaml, /fe80|nonsense|many/)
})

t.test('cut, shuffled and broken texts give YAML or our own error', async t => {
  const seed = Date.now() % 2 ** 32
  for (const source of [udp, multicast]) t.equal(faultOf('conntrackd', brokenTexts(source, seed, 300)), null, `seed ${seed}`)
})

t.test('on the command line', async t => {
  const file = join(root, 'test/fixtures/import/conntrackd-udp.conf')
  const { code, out, err } = await runCli(['import', 'conntrackd', file])
  t.equal(code, 0)
  t.match(out, /^# From the configuration of conntrackd/)
  t.match(err, `${file}:23: ExpectationSync {...}: no equivalent`)
})
