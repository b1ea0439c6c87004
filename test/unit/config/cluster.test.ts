/** A pair in the file: what is taken, what is refused and where, that both nodes mean the same by it, and what of it waits for a restart. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { checkText } from '../../../src/config/check.js'
import { clusterHash } from '../../../src/config/cluster-hash.js'
import { clusterRestarts } from '../../../src/config/cluster-restarts.js'
import { bindInterfaces } from '../../../src/config/compile/interfaces.js'
import { IdBook, withIds } from '../../../src/config/ids.js'
import { parseConfig, type ParseResult } from '../../../src/config/parse.js'
import { planConfig } from '../../../src/config/plan.js'
import type { Desired } from '../../../src/contract/desired.js'
import { layout } from '../../../src/generated/layout.js'
import { checkTiming } from '../../../src/ha/lease.js'
import { defaultTimers } from '../../../src/ha/limits.js'
import { parseAddress } from '../../../src/lib/address.js'
import { BankReader } from './bank-reader.js'
import { compiled, factsFor, options, root } from './support.js'

const pair = `
agent: {management: {interfaces: [mgmt]}}
cluster:
  key-file: /etc/lockstep/cluster.key
  nodes:
    a: {index: 1, sync: "169.254.77.1:7946", heartbeat: ["169.254.77.1:7945", "192.168.10.1:7945"]}
    b: {index: 2, sync: "169.254.77.2:7946", heartbeat: ["169.254.77.2:7945", "192.168.10.2:7945"]}
redundancy-groups:
  1: {}
interfaces:
  mgmt: {zone: management}
  lan: {zone: lan, floating-addresses: 10.1.0.1/24}
  wan: {zone: wan, floating-addresses: [192.0.2.1/24, "2001:db8::1/64"]}
zones:
  management: {host-inbound: udp/7945}
  lan: {redundancy-group: 1}
  wan: {redundancy-group: 1}
nodes:
  a: {interfaces: {mgmt: {addresses: 192.168.10.1/24}, lan: {addresses: 10.1.0.2/24}, wan: {addresses: [192.0.2.2/24, "2001:db8::2/64"]}}}
  b: {interfaces: {mgmt: {addresses: 192.168.10.2/24}, lan: {addresses: 10.1.0.3/24}, wan: {addresses: [192.0.2.3/24, "2001:db8::3/64"]}}}
`
/** The pair with one thing changed. */
function changed (from: string, to: string): string {
  if (!pair.includes(from)) throw new Error(`not in the pair: ${from}`)
  return pair.replace(from, to)
}
const group = (settings: string): string => changed('  1: {}', `  1: {${settings}}`)
const setting = (text: string): string => changed('  key-file', `  ${text}\n  key-file`)
const monitor = (text: string): string => group(`monitors: [${text}]`)

const readAs = (node: string, text = pair): ParseResult => parseConfig(text, { ...options, node })
function of (node: string, text = pair): Desired {
  const { desired, issues } = readAs(node, text)
  if (desired === null) throw new Error(JSON.stringify(issues))
  return withIds(desired, IdBook.empty().assign(desired))
}

t.test('a pair as written, and its defaults', async t => {
  const text = changed('key-file: /etc/lockstep/cluster.key', `key-file: /k
  certificates: {certificate: /c.crt, key: /c.key, authority: /ca.crt}
  heartbeat: {interval: 10ms, count: 5}
  restart-hold: 1m
  move-timeout: 3s
  degraded-after: 4m
  monitor: {worse-after: 1s, better-after: 0s}`).replace('  1: {}', `  1:
    priority: {a: 200}
    preempt: true
    monitors:
      - {interface: wan, weight: 255}
      - {neighbour: "2001:DB8::FF", weight: 50}
      - {script: [/usr/local/bin/check, arg], weight: 20}
      - {script: [/usr/local/bin/check], interval: 1s, weight: 1, name: again}`)
  const { cluster } = of('a', text)
  t.match(cluster, {
    keyFile: '/k', certificates: { certificate: '/c.crt', key: '/c.key', authority: '/ca.crt' }, timing: { intervalMs: 10, count: 5 },
    timers: { restartHoldMs: 60_000, moveTimeoutMs: 3000, degradedAfterMs: 240_000, worseAfterMs: 1000, betterAfterMs: 0 },
  })
  t.same(cluster?.nodes[1], { name: 'b', index: 2, sync: [{ host: '169.254.77.2', port: 7946 }], heartbeats: [{ host: '169.254.77.2', port: 7945 }, { host: '192.168.10.2', port: 7945 }] })
  t.same(cluster?.groups, [
    { rg: 0, priority: { a: 100, b: 100 }, preempt: false, monitors: [] },
    {
      rg: 1, priority: { a: 200, b: 100 }, preempt: true, monitors: [
        { kind: 'interface', interface: 'wan', name: 'wan', weight: 255 },
        { kind: 'neighbour', address: '2001:db8::ff', name: '2001:db8::ff', weight: 50 },
        { kind: 'script', argv: ['/usr/local/bin/check', 'arg'], intervalMs: 5000, timeoutMs: 2000, name: 'check', weight: 20 },
        { kind: 'script', argv: ['/usr/local/bin/check'], intervalMs: 1000, timeoutMs: 1000, name: 'again', weight: 1 },
      ],
    },
  ])
  const plain = of('a').cluster
  t.match(plain, { certificates: null, timing: { intervalMs: 100, count: 3 } })
  t.match(defaultTimers, plain?.timers ?? {}, 'the defaults of ownership')
  t.same(readAs('a').warnings, [])
  t.equal(parseConfig('zones: {}\n', options).desired?.cluster, null, 'standalone')
})

t.test('the stream has as many paths as are given, the preferred one first', async t => {
  const two = pair.replaceAll(/sync: "169\.254\.77\.(\d):7946"/g, 'sync: ["169.254.77.$1:7946", "192.168.10.$1:7946"]')
  t.same(of('a', two).cluster?.nodes.map(n => n.sync.map(s => s.host)), [['169.254.77.1', '192.168.10.1'], ['169.254.77.2', '192.168.10.2']])
  t.match(readAs('a', two).warnings, [/nodes.a.sync.1: .*add tcp.7946 to its host-inbound/, /nodes.b.sync.1: /], 'the zone accepts heartbeats only')
  t.same(clusterRestarts(of('a'), of('a', two)), ['cluster.nodes.a.sync', 'cluster.nodes.b.sync'])
})

t.test('what the configuration takes is a timing that ownership takes', async t => {
  for (const interval of ['10ms', '1s']) for (const count of [3, 10]) checkTiming(of('a', setting(`heartbeat: {interval: ${interval}, count: ${count}}`)).cluster?.timing ?? { intervalMs: 0, count: 0 })
  t.pass()
})

t.test('IPv6 endpoints are canonical; two agents of one host may use loopback', async t => {
  const six = pair.replaceAll(/169\.254\.77\.(\d)/g, '[FD77:0::$1]')
  t.same(of('b', six).cluster?.nodes[0]?.sync, [{ host: 'fd77::1', port: 7946 }])
  t.same(readAs('b', pair.replaceAll(/(169\.254\.77|192\.168\.10)\.(\d):/g, '127.0.0.$2:').replace('127.0.0.1:7945"]', '127.0.0.1:7944"]').replace('127.0.0.2:7945"]', '127.0.0.2:7944"]')).issues, [])
})

interface Case { readonly what: string, readonly yaml: string, readonly path: string, readonly code: string, readonly says?: RegExp }
const nodeB = '/cluster/nodes/b'
const cases: readonly Case[] = [
  // nodes
  { what: 'one node', yaml: pair.replace(/ {4}b: \{index.*\n/, '').replace(/ {2}b: \{interf.*\n/, ''), path: '/cluster/nodes', code: 'LS_C_LIMIT', says: /found 1, expected 2 nodes/ },
  { what: 'a third node', yaml: changed('    b: {', '    c: {index: 3, sync: "169.254.77.3:7946", heartbeat: ["169.254.77.3:7945", "192.168.10.3:7945"]}\n    b: {'), path: '/cluster/nodes', code: 'LS_C_LIMIT' },
  { what: 'an overlay of a node that is not in the cluster', yaml: `${pair}  c: {}\n`, path: '/nodes/c', code: 'LS_C_REFERENCE', says: /found "c", expected one of a, b/ },
  { what: 'one index twice', yaml: changed('index: 2', 'index: 1'), path: `${nodeB}/index`, code: 'LS_C_DUPLICATE', says: /another one than a/ },
  { what: 'an index beyond the byte of an epoch', yaml: changed('index: 2', 'index: 256'), path: `${nodeB}/index`, code: 'LS_C_VALUE', says: /0 to 255/ },
  { what: 'a node without index', yaml: changed('index: 2, ', ''), path: nodeB, code: 'LS_C_REQUIRED', says: /index is missing/ },
  { what: 'no key file', yaml: changed('  key-file: /etc/lockstep/cluster.key\n', ''), path: '/cluster', code: 'LS_C_REQUIRED', says: /key-file is missing/ },
  { what: 'a relative key file', yaml: changed('/etc/lockstep/cluster.key', 'cluster.key'), path: '/cluster/key-file', code: 'LS_C_VALUE', says: /absolute/ },
  { what: 'a certificate without authority', yaml: setting('certificates: {certificate: /a, key: /b}'), path: '/cluster/certificates', code: 'LS_C_REQUIRED', says: /authority is missing/ },
  { what: 'a relative certificate', yaml: setting('certificates: {certificate: a, key: /b, authority: /c}'), path: '/cluster/certificates/certificate', code: 'LS_C_VALUE' },
  // endpoints
  { what: 'an endpoint without port', yaml: changed('169.254.77.2:7946', '169.254.77.2'), path: `${nodeB}/sync`, code: 'LS_C_VALUE', says: /like 192\.0\.2\.1:7946/ },
  { what: 'port 0', yaml: changed('169.254.77.2:7946', '169.254.77.2:0'), path: `${nodeB}/sync`, code: 'LS_C_VALUE' },
  { what: 'a port beyond 65535', yaml: changed('169.254.77.2:7946', '169.254.77.2:65536'), path: `${nodeB}/sync`, code: 'LS_C_VALUE' },
  { what: 'a host name', yaml: changed('169.254.77.2:7946', 'edge-2:7946'), path: `${nodeB}/sync`, code: 'LS_C_VALUE' },
  { what: 'IPv6 without brackets', yaml: changed('169.254.77.2:7946', 'fd77::2:7946'), path: `${nodeB}/sync`, code: 'LS_C_VALUE' },
  { what: 'IPv4 in brackets', yaml: changed('169.254.77.2:7946', '[169.254.77.2]:7946'), path: `${nodeB}/sync`, code: 'LS_C_VALUE' },
  { what: 'a wildcard address', yaml: changed('"192.168.10.2:7945"', '"0.0.0.0:7945"'), path: `${nodeB}/heartbeat/1`, code: 'LS_C_VALUE', says: /wildcard/ },
  { what: 'a multicast address', yaml: changed('"192.168.10.2:7945"', '"224.0.0.1:7945"'), path: `${nodeB}/heartbeat/1`, code: 'LS_C_VALUE' },
  { what: 'a link-local address', yaml: pair.replaceAll(/169\.254\.77\.1/g, '[fd77::1]').replaceAll(/169\.254\.77\.2:7945/g, '[fd77::2]:7945').replace('169.254.77.2:', '[fe80::2]:'), path: `${nodeB}/sync`, code: 'LS_C_VALUE', says: /link-local/ },
  { what: 'a loopback address beside others', yaml: changed('"192.168.10.2:7945"', '"127.0.0.1:7945"'), path: `${nodeB}/heartbeat/1`, code: 'LS_C_CONFLICT', says: /loopback/ },
  { what: 'two families at the ends of a path', yaml: changed('"192.168.10.2:7945"', '"[fd10::2]:7945"'), path: `${nodeB}/heartbeat/1`, code: 'LS_C_CONFLICT', says: /IPv4, as 192\.168\.10\.1:7945 of a/ },
  { what: 'two families at the ends of the stream', yaml: changed('"169.254.77.2:7946"', '"[fd10::2]:7946"'), path: `${nodeB}/sync`, code: 'LS_C_CONFLICT' },
  { what: 'one endpoint at both nodes', yaml: changed('192.168.10.2:7945', '192.168.10.1:7945'), path: `${nodeB}/heartbeat/1`, code: 'LS_C_DUPLICATE', says: /\/cluster\/nodes\/a\/heartbeat\/1/ },
  { what: 'one endpoint for two things', yaml: changed('169.254.77.2:7946', '169.254.77.2:7945'), path: `${nodeB}/heartbeat/0`, code: 'LS_C_DUPLICATE' },
  { what: 'a path with one end', yaml: changed(', "192.168.10.2:7945"', ''), path: `${nodeB}/heartbeat`, code: 'LS_C_CONFLICT', says: /found 1, expected 2, as a/ },
  { what: 'no path', yaml: changed('heartbeat: ["169.254.77.2:7945", "192.168.10.2:7945"]', 'heartbeat: []'), path: `${nodeB}/heartbeat`, code: 'LS_C_LIMIT', says: /1 to 4/ },
  { what: 'five paths', yaml: changed('heartbeat: ["169.254.77.2:7945",', 'heartbeat: ["169.254.77.2:7945", "169.254.77.2:1", "169.254.77.2:2", "169.254.77.2:3",'), path: `${nodeB}/heartbeat`, code: 'LS_C_LIMIT', says: /found 5/ },
  { what: 'a floating address to listen on', yaml: changed('192.168.10.2:7945', '10.1.0.1:7945'), path: `${nodeB}/heartbeat/1`, code: 'LS_C_CONFLICT', says: /floating address of interface lan/ },
  { what: 'a stream path with one end', yaml: changed('sync: "169.254.77.2:7946"', 'sync: ["169.254.77.2:7946", "192.168.10.2:7946"]'), path: `${nodeB}/sync`, code: 'LS_C_CONFLICT', says: /found 2, expected 1, as a/ },
  { what: 'no path for the stream', yaml: changed('sync: "169.254.77.2:7946"', 'sync: []'), path: `${nodeB}/sync`, code: 'LS_C_LIMIT', says: /1 to 4/ },
  { what: 'the second path of the stream on a floating address', yaml: changed('sync: "169.254.77.1:7946"', 'sync: ["169.254.77.1:7946", "192.168.10.1:7946"]').replace('sync: "169.254.77.2:7946"', 'sync: ["169.254.77.2:7946", "10.1.0.1:7946"]'), path: `${nodeB}/sync/1`, code: 'LS_C_CONFLICT', says: /floating address of interface lan/ },
  // times
  { what: 'an interval below 10 ms', yaml: setting('heartbeat: {interval: 9ms}'), path: '/cluster/heartbeat/interval', code: 'LS_C_VALUE', says: /10ms to 1s/ },
  { what: 'an interval in bare seconds', yaml: setting('heartbeat: {interval: 100}'), path: '/cluster/heartbeat/interval', code: 'LS_C_VALUE' },
  { what: 'two missed heartbeats', yaml: setting('heartbeat: {count: 2}'), path: '/cluster/heartbeat/count', code: 'LS_C_VALUE', says: /3 to 10/ },
  { what: 'a restart hold beyond 5 minutes', yaml: setting('restart-hold: 301s'), path: '/cluster/restart-hold', code: 'LS_C_VALUE', says: /0s to 5m/ },
  { what: 'a restart hold within the detection', yaml: setting('restart-hold: 300ms'), path: '/cluster/restart-hold', code: 'LS_C_CONFLICT', says: /more than 300ms/ },
  { what: 'a degraded start within the detection', yaml: setting('heartbeat: {interval: 1s, count: 10}\n  degraded-after: 10s'), path: '/cluster/degraded-after', code: 'LS_C_CONFLICT', says: /more than 10s/ },
  { what: 'a move without time', yaml: setting('move-timeout: 0s'), path: '/cluster/move-timeout', code: 'LS_C_VALUE', says: /500ms to 1m/ },
  { what: 'a damping that is no duration', yaml: setting('monitor: {worse-after: soon}'), path: '/cluster/monitor/worse-after', code: 'LS_C_VALUE' },
  { what: 'a damping of days', yaml: setting('monitor: {better-after: 1d}'), path: '/cluster/monitor/better-after', code: 'LS_C_VALUE' },
  // groups
  { what: 'a priority of an unknown node', yaml: group('priority: {aa: 1}'), path: '/redundancy-groups/1/priority/aa', code: 'LS_C_REFERENCE', says: /did you mean a\?/ },
  { what: 'a priority of 0', yaml: group('priority: {a: 0}'), path: '/redundancy-groups/1/priority/a', code: 'LS_C_VALUE', says: /1 to 255/ },
  { what: 'a monitor of an unknown interface', yaml: monitor('{interface: wam, weight: 1}'), path: '/redundancy-groups/1/monitors/0/interface', code: 'LS_C_REFERENCE', says: /did you mean wan\?/ },
  { what: 'a monitor without weight', yaml: monitor('{interface: wan}'), path: '/redundancy-groups/1/monitors/0', code: 'LS_C_REQUIRED', says: /weight is missing/ },
  { what: 'a weight of 0', yaml: monitor('{interface: wan, weight: 0}'), path: '/redundancy-groups/1/monitors/0/weight', code: 'LS_C_VALUE', says: /1 to 255/ },
  { what: 'a weight of 256', yaml: monitor('{interface: wan, weight: 256}'), path: '/redundancy-groups/1/monitors/0/weight', code: 'LS_C_VALUE' },
  { what: 'a monitor of nothing', yaml: monitor('{weight: 5}'), path: '/redundancy-groups/1/monitors/0', code: 'LS_C_REQUIRED', says: /interface, neighbour, script/ },
  { what: 'a monitor of two things', yaml: monitor('{interface: wan, neighbour: 10.1.0.9, weight: 5}'), path: '/redundancy-groups/1/monitors/0', code: 'LS_C_CONFLICT', says: /found "interface, neighbour"/ },
  { what: 'a neighbour that is no address', yaml: monitor('{neighbour: 10.1.0.256, weight: 5}'), path: '/redundancy-groups/1/monitors/0/neighbour', code: 'LS_C_VALUE' },
  { what: 'a neighbour on every link', yaml: monitor('{neighbour: "fe80::1", weight: 5}'), path: '/redundancy-groups/1/monitors/0/neighbour', code: 'LS_C_VALUE' },
  { what: 'a script with a relative path', yaml: monitor('{script: [check], weight: 5}'), path: '/redundancy-groups/1/monitors/0/script/0', code: 'LS_C_VALUE', says: /absolute/ },
  { what: 'a script as one text', yaml: monitor('{script: /bin/check arg, weight: 5}'), path: '/redundancy-groups/1/monitors/0/script', code: 'LS_C_TYPE' },
  { what: 'an argument with U+0000', yaml: monitor('{script: [/bin/check, "a\\0b"], weight: 5}'), path: '/redundancy-groups/1/monitors/0/script/1', code: 'LS_C_VALUE' },
  { what: 'a script without time', yaml: monitor('{script: [/bin/check], timeout: 0, weight: 5}'), path: '/redundancy-groups/1/monitors/0/timeout', code: 'LS_C_VALUE' },
  { what: 'a script that may outlast its interval', yaml: monitor('{script: [/bin/check], interval: 1s, timeout: 2s, weight: 5}'), path: '/redundancy-groups/1/monitors/0/timeout', code: 'LS_C_CONFLICT', says: /at most 1s/ },
  { what: 'an interval of an interface', yaml: monitor('{interface: wan, interval: 1s, weight: 5}'), path: '/redundancy-groups/1/monitors/0/interval', code: 'LS_C_CONFLICT', says: /only a script/ },
  { what: 'two monitors of one name', yaml: monitor('{interface: wan, weight: 5}, {script: [/bin/check], weight: 5, name: wan}'), path: '/redundancy-groups/1/monitors/1/name', code: 'LS_C_DUPLICATE' },
  ...['priority: {a: 1}', 'preempt: true', 'monitors: [{interface: wan, weight: 1}]'].map((text): Case => ({
    what: `${text} without a cluster`, yaml: group(text).replace(/cluster:[^]*?(?=redundancy-groups)/, ''), path: `/redundancy-groups/1/${text.split(':')[0] ?? ''}`, code: 'LS_C_REQUIRED', says: /expected cluster/,
  })),
  // what the rest owes a pair
  { what: 'hiding behind an address that does not follow (R18)', yaml: `${changed('wan: {zone: wan, floating-addresses: [192.0.2.1/24, "2001:db8::1/64"]}', 'wan: {zone: wan}')}nat: {source: [{name: out, from: lan, to: wan, translate: interface}]}\n`, path: '/interfaces/wan/floating-addresses', code: 'LS_C_REQUIRED', says: /found "wan", expected floating-addresses.*R18/ },
  { what: 'an interface of one node only', yaml: changed('  b: {interfaces: {', '  b: {interfaces: {dmz: {zone: lan, floating-addresses: 10.2.0.1/24}, '), path: '/nodes/b/interfaces/dmz', code: 'LS_C_CONFLICT', says: /dmz at b only/ },
  { what: 'another zone at one node', yaml: changed('  a: {interfaces: {mgmt: {', '  a: {interfaces: {mgmt: {zone: lan, '), path: '/nodes/a/interfaces/mgmt/zone', code: 'LS_C_CONFLICT', says: /found "lan", expected "management", as at b/ },
  { what: 'another floating address at one node', yaml: changed('lan: {addresses: 10.1.0.3/24', 'lan: {floating-addresses: 10.1.0.4/24, addresses: 10.1.0.3/24'), path: '/nodes/b/interfaces/lan/floating-addresses', code: 'LS_C_CONFLICT' },
]

for (const c of cases) {
  t.test(`${c.what} is refused with its place`, async t => {
    const { desired, issues } = readAs('a', c.yaml)
    t.equal(desired, null)
    t.match(issues, [{ path: c.path, code: c.code, line: Number, column: Number }], JSON.stringify(issues))
    t.equal(issues.length, 1, `nothing else is reported: ${JSON.stringify(issues.map(i => `${i.path} ${i.message}`))}`)
    t.not(issues[0]?.expected, '')
    if (c.says !== undefined) t.match(issues.map(i => `${i.message}: found ${i.found}, expected ${i.expected}`)[0], c.says)
  })
}

t.test('a node that is not of the cluster is told which are, where the file or the caller names it', async t => {
  t.match(readAs('c').issues, [{ path: '/cluster/nodes', code: 'LS_C_REFERENCE', found: '"c"', expected: /one of a, b; --node, agent\.node/ }])
  t.match(parseConfig(changed('agent: {', 'agent: {node: c, '), options).issues, [{ path: '/agent/node', line: 2, found: '"c"' }])
  t.match(parseConfig(pair, options).issues, [{ found: '"n1"' }], 'the host name')
  t.equal(parseConfig(changed('agent: {', 'agent: {node: c, '), { ...options, node: 'b' }).desired?.agent.node, 'b', '--node wins over the file')
  t.match(parseConfig('nodes: {a: {}}\n', { ...options, node: 'b' }).issues, [{ path: '/nodes', code: 'LS_C_REFERENCE', found: '"b"', expected: 'one of a' }], 'without a cluster, too')
  t.match(parseConfig('zones: {}\n', { ...options, node: 'a b' }).issues, [{ path: '/agent/node', code: 'LS_C_VALUE' }])
  t.match(parseConfig('nodes: {a: {agent: {node: c}}}\n', options).issues, [{ path: '/nodes/a/agent/node', code: 'LS_C_UNKNOWN_KEY' }], 'an entry does not rename its node')
})

t.test('a check away from the pair judges both nodes', async t => {
  t.match(checkText(pair), { ok: true, issues: [] })
  t.match(checkText(pair, { node: 'b' }).plan.find(step => step.kind === 'cluster-node' && step.name === 'b'), { detail: 'index 2, sync 169.254.77.2:7946, heartbeat 169.254.77.2:7945, 192.168.10.2:7945' })
  t.match(checkText(pair, { node: 'c' }), { ok: false })
  t.match(checkText(changed('10.1.0.3/24', '10.1.0.300/24')), { ok: false, issues: [{ path: '/nodes/b/interfaces/lan/addresses' }] })
})

t.test('what is allowed but not wise is a warning', async t => {
  const warnings = (text: string): readonly string[] => { const { issues, warnings } = readAs('a', text); t.same(issues, []); return warnings }
  t.match(warnings(pair.replaceAll(/heartbeat: \["(.*?)", .*\]/g, 'heartbeat: "$1"')), [/^\/cluster\/nodes: there is one heartbeat path/])
  t.match(warnings(changed(', floating-addresses: 10.1.0.1/24', '')), [/^\/interfaces\/lan\/floating-addresses: no floating address: .* redundancy group 1 /], 'but not of an interface for management')
  t.match(warnings(changed('10.1.0.3/24', '10.1.0.2/24')), [/both nodes have 10\.1\.0\.2/])
  t.match(warnings(changed('{host-inbound: udp/7945}', '{host-inbound: tcp/7945}')), [/^\/cluster\/nodes\/a\/heartbeat\/1: zone management .* add udp\/7945/, /nodes\/b/])
  t.same(warnings(changed('{host-inbound: udp/7945}', '{host-inbound: any}')), [])
  const hiding = 'nat: {source: [{name: out, from: lan, to: wan, translate: interface}]}\n'
  t.match(warnings(pair + hiding), [/udp\/7945 is one of nat\.interface-ports 1024-32767/, /nodes\/b/])
  t.match(warnings(changed(', "2001:db8::1/64"', '') + hiding.replace('{source', '{interface-ports: 8000-32000, source')), [/no IPv6 floating address/])
})

t.test('in a pair sources hide behind the floating address alone (R18)', async t => {
  const nat = 'nat: {interface-ports: 8000-32000, source: [{name: out, from: lan, to: wan, translate: interface}]}\n'
  const pools = (d: Desired): ReadonlyArray<readonly bigint[]> => {
    const bank = new BankReader(compiled(d).bank)
    const wan = layout.ls_config.iface.offset + layout.ls_config.iface.stride * (d.ids.interface['wan'] ?? 0)
    return [layout.ls_iface.pool4, layout.ls_iface.pool6].map(field => bank.u16(wan + field.offset)).map(id => id === 0 ? [] : bank.pool(id).addresses)
  }
  t.same(pools(of('a', pair + nat)), [[parseAddress('192.0.2.1')], [parseAddress('2001:db8::1')]])
  t.same(pools(of('b', pair + nat)), pools(of('a', pair + nat)), 'the same at both')
  const four = of('a', changed(', "2001:db8::1/64"', '') + nat)
  t.same(pools(four), [[parseAddress('192.0.2.1')], []], 'not behind 2001:db8::2, which stays at its node')
  t.same(pools({ ...four, cluster: null }), [[parseAddress('192.0.2.1')], [parseAddress('2001:db8::2')]], 'a node that stands alone uses its own')
  const none: Desired = { ...four, interfaces: four.interfaces.map(i => ({ ...i, floating: [] })) }
  t.match(compiled(none).warnings, [/interface wan has no floating address to hide sources behind/])
  t.match(bindInterfaces(none, factsFor(none)).find(b => b.wanted.name === 'wan'), { nat4: null, nat6: null })
})

t.test('both nodes of a file have one hash; whatever they share in it changes it', async t => {
  const hex = (d: Desired): string => Buffer.from(clusterHash(d)).toString('hex')
  const example = readFileSync(join(root, 'examples/edge-pair.yaml'), 'utf8')
  for (const text of [pair, example]) {
    const names = text === pair ? ['a', 'b'] : ['edge-1', 'edge-2']
    const [one, two] = names.map(name => of(name, text))
    if (one === undefined || two === undefined) return t.fail()
    t.equal(clusterHash(one).length, 32)
    t.equal(hex(one), hex(two))
    t.same(one.ids, two.ids)
    t.not(JSON.stringify(one.interfaces), JSON.stringify(two.interfaces), 'although they differ')
  }
  const whole = hex(of('edge-1', example))
  for (const [from, to] of [['name: office-to-erp\n    from: office', 'name: office-to-erp\n    from: guests'], ['198.51.100.4/29', '198.51.100.5/29'], ['weight: 50', 'weight: 51'], ['zone: guests\n', 'zone: office\n'], ['udp-stream: 3m', 'udp-stream: 4m'], ['priority: {edge-1: 200, edge-2: 100}', 'priority: {edge-1: 201, edge-2: 100}'], ['interval: 100ms', 'interval: 50ms']] as const) {
    t.not(hex(of('edge-1', example.replace(from, to))), whole, from)
  }
  for (const [from, to] of [['log-level: info', 'log-level: warn'], ['port: eno2', 'port: eno9'], ['mtu: 9000', 'mtu: 8000'], ['198.51.100.2/29', '198.51.100.6/29']] as const) {
    t.ok(example.includes(from))
    t.equal(hex(of('edge-1', example.replace(from, to))), whole, `${from}: of one node`)
  }
  const d = of('a')
  t.not(hex({ ...d, ids: { ...d.ids, zone: { ...d.ids.zone, lan: 99 } } }), hex(d), 'another id')
  t.equal(hex({ ...d, ids: { ...d.ids, zone: { ...d.ids.zone, gone: 99 } } }), hex(d), 'but not of a name that is gone')
  t.equal(hex({ ...d, adjustments: [{ vip: 'web', real: 'one', weight: 50, drained: true }] }), hex(d), 'nor what is changed while it runs: sessions cross while the peer follows')
  t.equal(hex(JSON.parse(JSON.stringify({ ...d, ids: Object.fromEntries(Object.entries(d.ids).reverse()), timeouts: Object.fromEntries(Object.entries(d.timeouts).reverse()) })) as Desired), hex(d), 'order of keys')
})

t.test('a plan has lines for the cluster, and says what waits for the next start', async t => {
  const lines = (from: Desired | null, to: Desired): string[] => planConfig(from, to).filter(s => /cluster|redundancy/.test(s.kind)).map(s => `${s.action} ${s.kind} ${s.name}: ${s.detail}`)
  const alone = of('a', pair.replace(/cluster:[^]*?(?=redundancy-groups)/, ''))
  t.match(lines(alone, of('a')), ['add cluster cluster: a, b; heartbeat 100ms x 3 (at the next start)', /^add cluster-node a: index 1/, /^add cluster-node b/, /^change redundancy-group 0: priority none -> /, /^change redundancy-group 1: /])
  t.match(lines(of('a'), alone).slice(-1), ['remove cluster cluster: a, b; heartbeat 100ms x 3 (at the next start)'])
  t.same(lines(of('a'), of('a', setting('heartbeat: {interval: 200ms}').replace('  1: {}', '  1: {preempt: true, priority: {b: 150}}'))), [
    'change cluster cluster: timing.intervalMs 100 -> 200 (at the next start)', 'change redundancy-group 1: priority.b 100 -> 150; preempt false -> true',
  ])
  t.same(lines(of('a'), of('a', changed('169.254.77.2:7946', '169.254.77.2:8946'))), ['change cluster-node b: sync +169.254.77.2:8946 -169.254.77.2:7946 (at the next start)'])
  t.same(lines(of('a'), of('a', changed('192.168.10.2:7945', '192.168.10.2:8945').replace('udp/7945', '[udp/7945, udp/8945]'))), ['change cluster-node b: heartbeats +192.168.10.2:8945 -192.168.10.2:7945 (at the next start)'])
})

t.test('settings that hold from the next start are named', async t => {
  const alone = of('a', pair.replace(/cluster:[^]*?(?=redundancy-groups)/, ''))
  t.same(clusterRestarts(alone, alone), [])
  t.same(clusterRestarts(of('a'), of('a')), [])
  t.same(clusterRestarts(alone, of('a')), ['cluster'])
  t.same(clusterRestarts(of('a'), alone), ['cluster'])
  t.same(clusterRestarts(of('a'), of('a', changed('index: 1', 'index: 7').replace('169.254.77.2:7946', '169.254.77.2:8946'))), ['cluster.nodes.a.index', 'cluster.nodes.b.sync'])
  t.same(clusterRestarts(of('a'), of('a', pair.replaceAll('  b: {', '  c: {'))), ['cluster.nodes.b', 'cluster.nodes.c'])
  t.same(clusterRestarts(of('a'), of('a', setting('heartbeat: {interval: 1s}').replace('  1: {}', '  1: {preempt: true}'))), ['cluster.heartbeat'], 'groups hold at once')
})

t.test('labels of one node laid over those of both', async t => {
  const text = changed('agent: {', 'agent: {labels: {site: fra, rack: none}, ').replace('nodes:\n  a: {interfaces', 'nodes:\n  a: {agent: {labels: {rack: b12}}, interfaces')
  t.same(of('a', text).agent.labels, { site: 'fra', rack: 'b12' })
  t.same(of('b', text).agent.labels, { site: 'fra', rack: 'none' })
  t.match(parseConfig('agent: {labels: {rack: 12}}\n', options).issues, [{ path: '/agent/labels/rack' }])
})

t.test('BGP of one node laid over that of both: sources and sinks by name, all else key by key', async t => {
  const text = pair.replace('nodes:\n  a: {', `bgp: {interval: 2s, sources: {edge: {type: frr}, core: {type: bird}}, announce: {kernel-table: 179, withdraw-after: 1s}, report: {grace: 3s, sinks: {log: {type: file, path: /a}}}}
nodes:
  a: {bgp: {sources: {edge: {type: gobgp}}, announce: {kernel-table: 180}, report: {sinks: {more: {type: file, path: /b}}}}, `)
  t.not(text, pair)
  t.match(of('a', text).bgp, { intervalMs: 2000, sources: [{ name: 'core', type: 'bird' }, { name: 'edge', type: 'gobgp' }], announce: { kernelTable: 180, withdrawAfterMs: 1000 }, report: { graceMs: 3000, sinks: [{ name: 'log' }, { name: 'more', path: '/b' }] } })
  t.match(of('b', text).bgp, { sources: [{ name: 'core' }, { name: 'edge', type: 'frr' }], announce: { kernelTable: 179 }, report: { sinks: [{ name: 'log' }] } })
  t.match(readAs('b', text.replace('{type: gobgp}', '{type: gobgp, socket: /x}')).issues, [{ path: '/nodes/a/bgp/sources/edge/socket', code: 'LS_C_CONFLICT' }], 'a mistake is told where it stands, at either node')
  t.match(of('a', pair.replace('nodes:\n  a: {', 'nodes:\n  a: {bgp: {sources: {edge: {type: frr}}}, ')).bgp, { sources: [{ name: 'edge' }], report: null, announce: null })
})
