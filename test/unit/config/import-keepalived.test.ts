/** `lockstep import keepalived`: virtual servers, VRRP, and the syntax of keepalived.conf(5). */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { importConfig } from '../../../src/config/import/index.js'
import { prefixesOf } from '../../../src/config/import/keepalived-addresses.js'
import { readKeepalived } from '../../../src/config/import/keepalived-text.js'
import { textOf } from '../../../src/config/import/blocks.js'
import { Notes } from '../../../src/config/import/notes.js'
import { withoutComment, wordsOf } from '../../../src/config/import/words.js'
import { parseConfig } from '../../../src/config/parse.js'
import { runCli } from '../cli/run-cli.js'
import { brokenTexts, deafBlocks, faultOf, issuesOf, placed, silentLines, sourceOf } from './import-support.js'
import { desired, options, root } from './support.js'

const services = sourceOf('keepalived-services.conf')
const pair = sourceOf('keepalived-pair.conf')
const text = sourceOf('keepalived-text.conf')

t.test('virtual servers become VIPs and health checks that our own parser takes', async t => {
  const { yaml } = importConfig('keepalived', services)
  const d = desired(yaml)
  t.equal(d.agent.netns, 'lbns')
  t.match(d.healthChecks.map(({ name, type, port, intervalMs, fastIntervalMs, timeoutMs, rise, fall }) => ({ name, type, port, intervalMs, fastIntervalMs, timeoutMs, rise, fall })), [
    { name: 'check-dns', type: 'exec', intervalMs: 60_000, timeoutMs: 4000, rise: 1, fall: 1 },
    { name: 'dns', type: 'dns', intervalMs: 60_000, fastIntervalMs: 60_000, timeoutMs: 5000, fall: 4 },
    { name: 'http', type: 'http', intervalMs: 60_000, fastIntervalMs: 3000, timeoutMs: 5000, fall: 2 },
    { name: 'https', type: 'http', port: 0, intervalMs: 10_000, fastIntervalMs: 2000, timeoutMs: 2500, fall: 4 },
    { name: 'icmp', type: 'icmp', fall: 3 },
    { name: 'tcp', type: 'tcp', port: 8444, fall: 2 },
    { name: 'tcp-2', type: 'tcp', port: 0 },
  ])
  t.match(d.healthChecks[0]?.argv, ['/usr/local/bin/check-dns', '203.0.113.54', 'two words'])
  t.match(d.healthChecks[2]?.http, { path: '/', body: '^well$', statuses: [{ from: 200, to: 299 }] })
  t.match(d.healthChecks[3], { http: { path: '/healthz', host: 'www.example.org', statuses: [{ from: 200, to: 204 }, { from: 301, to: 301 }] }, tls: { serverName: 'www.example.org', verify: 'none' } })
  t.match(d.vips.map(({ name, address, port, protocol, mode, quorum, sourceIpSticky, flushOnDown }) => ({ name, address, port, protocol, mode, quorum, sourceIpSticky, flushOnDown })), [
    { name: '198.51.100.10-443', address: '198.51.100.10/32', port: 443, protocol: 6, mode: 'nat', quorum: 75, sourceIpSticky: true, flushOnDown: false },
    { name: '198.51.100.53-53-udp', port: 53, protocol: 17, mode: 'l2', quorum: 1, sourceIpSticky: false, flushOnDown: true },
    { name: 'edge-198.51.100.20-80', mode: 'gre', port: 80 },
    { name: 'edge-198.51.100.24-31-80', address: '198.51.100.24/31' },
    { name: 'edge-198.51.100.26-80', address: '198.51.100.26/32' },
  ])
  t.match(d.vips[0]?.pools, [
    { name: 'main', reals: [{ address: '203.0.113.11', port: 8443, weight: 100, check: 'https' }, { address: '203.0.113.12', port: 8443, weight: 25, check: 'tcp' }] },
    { name: 'sorry', reals: [{ address: '203.0.113.99', port: 8443, weight: 100, check: null }] },
  ])
  t.match(d.vips[1]?.pools[0]?.reals.map(real => [real.address, real.check]), [['203.0.113.53', 'dns'], ['203.0.113.54', 'check-dns'], ['203.0.113.55', 'icmp'], ['203.0.113.56', null]])
})

t.test('what of the virtual servers is not carried is listed, with its line', async t => {
  t.same(placed(importConfig('keepalived', services)), [
    [3, 'router_id lb-1'],
    [4, 'notification_email {...} to line 6'],
    [12, '198.51.100.24-26 80'],
    [13, 'fwmark 7'],
    [16, 'virtual_server 198.51.100.10 443'],
    [18, 'lb_algo wlc'],
    [20, 'persistence_timeout 300'],
    [22, 'ha_suspend'],
    [25, 'hysteresis 1'],
    [26, 'quorum_up "/usr/local/bin/quorum up"'],
    [29, 'real_server 203.0.113.11 8443'],
    [29, 'real_server 203.0.113.11 8443'],
    [36, 'digest 0123456789abcdef0123456789abcdef'],
    [38, 'url {...}'],
    [44, 'notify_down /usr/local/bin/down.sh'],
    [46, 'real_server 203.0.113.12 8443'],
    [51, 'warmup 3'],
    [53, 'TCP_CHECK'],
    [67, 'real_server 203.0.113.54 5353'],
    [71, 'misc_dynamic'],
    [81, 'UDP_CHECK {...} to line 83'],
    [99, 'SMTP_CHECK'],
    [100, 'helo_name lb.example.org'],
    [105, 'virtual_server 198.51.100.60 5060 {...} to line 108'],
    [null, 'programs'],
    [null, 'policies'],
  ])
})

t.test('a pair that names its peer: redundancy groups, floating addresses and monitors that our own parser takes', async t => {
  const { yaml } = importConfig('keepalived', pair, { node: 'edge-1', peer: 'edge-2' })
  const { desired: d, issues } = parseConfig(yaml, { ...options, node: 'edge-1' })
  t.same(issues, [])
  t.match(d?.cluster, {
    keyFile: '/etc/lockstep/cluster.key',
    nodes: [{ name: 'edge-1', index: 1, sync: [{ host: '192.0.2.2', port: 7946 }], heartbeats: [{ host: '192.0.2.2', port: 7945 }] }, { name: 'edge-2', index: 2, sync: [{ host: '192.0.2.3', port: 7946 }] }],
    groups: [{ rg: 0 }, { rg: 1, priority: { 'edge-1': 150, 'edge-2': 100 }, preempt: false }, { rg: 2, priority: { 'edge-1': 90 }, preempt: true }],
  })
  t.match(d?.cluster?.groups[1]?.monitors, [
    { kind: 'interface', interface: 'eth0', weight: 255 },
    { kind: 'script', name: 'chk_upstream', argv: ['/usr/local/bin/check', 'upstream'], intervalMs: 2000, timeoutMs: 1000, weight: 20 },
    { kind: 'script', name: 'chk_sshd', argv: ['/bin/sh', '-c', 'killall -0 sshd'], intervalMs: 1000, weight: 5 },
    { kind: 'interface', interface: 'eth1', weight: 255 },
    { kind: 'interface', interface: 'eth2', weight: 30 },
  ])
  t.match(d?.interfaces.map(({ name, redundancyGroup, zone, floating }) => [name, redundancyGroup, zone, floating]), [
    ['eth0', 1, 'eth0', ['198.51.100.1/24', '198.51.100.10/32']],
    ['eth1', 1, 'eth1', ['10.0.0.1/24']],
    ['eth2', 1, 'eth2', []],
    ['eth3', 1, 'eth3', ['10.0.1.1/24']],
    ['eth4', 2, 'eth4', ['10.9.0.1/24', '2001:db8:9::1/64']],
  ])
  t.match(d?.vips, [{ name: '10.9.0.1-80', redundancyGroup: 2, mode: 'nat', pools: [{ reals: [{ address: '10.0.0.80', port: 8080, check: 'tcp' }] }] }])
})

t.test('a script that nothing tracks, and one that is tracked but not carried, are listed', async t => {
  const { notes } = importConfig('keepalived', 'vrrp_script a {\n script "/bin/true"\n}\nvrrp_script b {\n}\nvrrp_instance V {\n interface eth0\n track_script {\n b\n }\n}\n')
  t.match(notes.slice(0, 3), [{ line: 1, reason: /nothing tracks it/ }, { line: 4, reason: /no script that can be run/ }, { line: 9, reason: /not carried/ }])
})

t.test('instances that share an interface, or a sync group through others, are one redundancy group', async t => {
  const instance = (name: string, device: string, address: string): string => `vrrp_instance ${name} {\n interface ${device}\n virtual_ipaddress {\n ${address}\n }\n}\n`
  const { yaml, notes } = importConfig('keepalived', `vrrp_sync_group G {\n group {\n A\n C\n }\n}\n${instance('A', 'eth0', '10.0.0.1/24')}${instance('B', 'eth1', '10.1.0.1/24')}${instance('C', 'eth1', '10.2.0.1/24')}${instance('D', 'eth2', '10.3.0.1/24')}`)
  t.match(yaml, /\n {2}1:\n {4}description: A, B, C\n[^]*\n {2}2:\n {4}description: D\n/)
  t.match(notes.filter(({ reason }) => reason.includes('they share an interface')), [{ text: /vrrp_instance C/ }])
})

t.test('more instances than redundancy groups: the last group takes the rest, and it is said', async t => {
  const many = Array.from({ length: 17 }, (_, i) => `vrrp_instance V${i} {\n interface eth${i}\n virtual_ipaddress {\n 10.${i}.0.1/24\n }\n}\n`).join('')
  const { yaml, notes } = importConfig('keepalived', many, { node: 'a', peer: 'b' })
  t.match(yaml, /description: V14, V15, V16/)
  t.equal(notes.filter(({ reason }) => reason.includes('put into the last one')).length, 2)
  t.equal(issuesOf(yaml, 'a').length, 4)
})

t.test('defaults of checks that no check has are listed', async t => {
  const { notes } = importConfig('keepalived', 'virtual_server 192.0.2.1 53 {\n delay_loop 6\n virtualhost a\n real_server 192.0.2.2 53 {\n retry 2\n UDP_CHECK\n }\n}\n')
  t.match(notes.filter(({ reason }) => reason.includes('no check is carried')), [{ line: 2 }, { line: 3 }, { line: 5 }])
})

t.test('no password is in what an import says', async t => {
  const { yaml, notes } = importConfig('keepalived', pair)
  t.notMatch(JSON.stringify({ yaml, notes }), /hunter2/)
})

t.test('a pair without unicast addresses lacks the ends of both nodes, and nothing else', async t => {
  const { yaml, notes } = importConfig('keepalived', 'vrrp_instance A {\n interface eth0\n virtual_ipaddress {\n 10.0.0.1/24\n }\n}\n', { node: 'a', peer: 'b' })
  t.match(issuesOf(yaml, 'a').map(issue => issue.replace(/^line \d+: /, '')), [/^\/cluster\/nodes\/a.*sync/, /^\/cluster\/nodes\/a.*heartbeat/, /^\/cluster\/nodes\/b.*sync/, /^\/cluster\/nodes\/b.*heartbeat/])
  t.equal(issuesOf(yaml, 'a').length, 4)
  t.ok(notes.some(note => note.text === 'cluster.nodes.b'))
})

t.test('parameters, conditions, quoted words; what is not filled in is listed', async t => {
  const { yaml, notes } = importConfig('keepalived', text, { configId: 'main' })
  const d = desired(yaml)
  t.match(d.vips, [{ name: 'shop-UNKNOWN-', address: '10.2.0.100/32', quorum: 2, pools: [{ reals: [{ address: '10.3.0.1', weight: 1 }, { address: '10.3.0.2', weight: 2 }] }] }])
  t.match(notes.map(({ line, reason }) => [line, reason]).slice(0, 5), [
    [9, /other files are not read/],
    [13, 'not for config-id main'],
    [14, 'not for config-id main'],
    [19, /not unrolled/],
    [20, /\$\{UNKNOWN\} has no value here/],
  ])
  t.match(importConfig('keepalived', text).notes.filter(({ text: at }) => at.startsWith('@')), [{ line: 12, reason: /no --config-id/ }, { line: 13 }, { line: 14 }])
})

t.test('words and comments', async t => {
  const words = (line: string): string[] => wordsOf(withoutComment(line, '#!')).words.map(word => word.text)
  for (const [line, expected] of [
    ['a b  c', ['a', 'b', 'c']],
    ['path /x # rest', ['path', '/x']],
    ['path "/x # no" !rest', ['path', '/x # no']],
    ['abcd" efg h jkl "mnop', ['abcd efg h jkl mnop']],
    ['abcd "efg h jkl" mnop', ['abcd', 'efg h jkl', 'mnop']],
    ['say "a\\"b\\\\c\\x41\\101"', ['say', 'a"b\\cAA']],
    ['url {path /}', ['url', '{', 'path', '/', '}']],
    ['real_server 192.0.2.1 80{', ['real_server', '192.0.2.1', '80', '{']],
    ['x ${A}', ['x', '${A}']],
    ["''", ['']],
    ['!all', []],
  ] as const) t.same(words(line), expected, line)
  t.equal(wordsOf('a "b').open, true)
})

t.test('ranges of a virtual_server_group as the fewest prefixes', async t => {
  for (const [range, expected] of [
    ['192.0.2.1', ['192.0.2.1']], ['192.0.2.1-4', ['192.0.2.1', '192.0.2.2/31', '192.0.2.4']], ['192.0.2.8/29', ['192.0.2.8/29']], ['192.0.2.9/29', ['192.0.2.8/29']],
    ['192.0.2.254-192.0.3.1', ['192.0.2.254/31', '192.0.3.0/31']], ['2001:db8::2-9', ['2001:db8::2/127', '2001:db8::4/126', '2001:db8::8/127']], ['192.0.2.9-1', []], ['x', []], ['-', []],
  ] as const) t.same(prefixesOf(range), expected, range)
})

t.test('every line is carried or listed: one that is taken away changes something, unless it says what is so anyway', async t => {
  t.same(silentLines('keepalived', services), ['lb_kind NAT', 'protocol TCP', 'lvs_sched mh', 'protocol TCP', 'path /'])
  t.same(silentLines('keepalived', pair), ['state BACKUP'])
  for (const source of [services, pair, text]) t.same(deafBlocks('keepalived', source), [])
})

t.test('braces that do not match, and what is no keepalived.conf, are refused with file and line', async t => {
  for (const [source, expected] of [
    ['vrrp_instance A {\n', /^LS_C_IMPORT: f:1: a block does not end: found "vrrp_instance A \{", expected \} before the end/],
    ['vrrp_instance A {\n}\n}\n', /f:3: a block ends that did not begin/],
    ['\n{\n}\n', /f:2: a block without a name/],
    ['server {\n listen 80;\n}\n', /f:1: nothing of keepalived is in it: found "server", expected virtual_server/],
    ['', /f: nothing of keepalived is in it/],
    ['a\u0001', /f:1: not a text/],
    ['$A=${A}${A}\nvrrp_instance ${A} {\n}\n', /f:2: parameters fill in to too much/],
    [`virtual_server_group g {\n${Array.from({ length: 300 }, (_, i) => `10.0.${i % 200}.${i} 80\n`).join('')}}\n${'virtual_server group g {\nreal_server 192.0.2.1 80\n}\n'.repeat(8)}`, /f:\d+: too many virtual servers: found "one more", expected at most 2047/],
    [`${'a {\n'.repeat(40)}`, /f:17: blocks are nested too deeply/],
  ] as const) t.throws(() => importConfig('keepalived', source, { file: 'f' }), { code: 'LS_C_IMPORT', message: expected }, JSON.stringify(source.slice(0, 40)))
  t.throws(() => importConfig('keepalived', Buffer.from([0x76, 0xff, 0x0a]), { file: 'f' }), { message: /f:1: not a text: found "U\+fffd"/ })
})

t.test('cut, shuffled and broken texts give YAML or our own error', async t => {
  const seed = Date.now() % 2 ** 32
  for (const source of [services, pair, text]) t.equal(faultOf('keepalived', brokenTexts(source, seed, 200)), null, `seed ${seed}`)
})

const samples = '/usr/share/doc/keepalived/samples'
t.test('the samples of the package on this host', { skip: existsSync(samples) ? false : `no ${samples}: keepalived is not installed` }, async t => {
  for (const name of readdirSync(samples).filter(entry => entry.startsWith('keepalived.conf'))) {
    const source = readFileSync(join(samples, name), 'utf8')
    const { yaml } = importConfig('keepalived', source, { node: 'a', peer: 'b', configId: 'high' })
    t.same(issuesOf(yaml, 'a').filter(issue => !/\/cluster\/nodes\/[ab](\/(sync|heartbeat))?: /.test(issue)), [], name)
    t.same(deafBlocks('keepalived', source), [], name)
  }
})

t.test('on the command line', async t => {
  const file = join(root, 'test/fixtures/import/keepalived-pair.conf')
  const { code, out, err } = await runCli(['import', 'keepalived', file, '--node', 'edge-1', '--peer', 'edge-2'])
  t.equal(code, 0)
  t.match(out, /\n {2}nodes:\n {4}edge-1:/)
  t.match(err, `${file}:3: vrrp_strict: there is no VRRP on the wire`)
})

t.test('the example of docs/operations/import.md is true', async t => {
  const example = /\$ cat keepalived\.conf\n([^]*?)\$ lockstep import [^\n]*\n([^]*?)\$ cat lb\.yaml\n([^]*?)```/.exec(readFileSync(join(root, 'docs/operations/import.md'), 'utf8'))
  const [, source = '', notes, yaml] = example ?? []
  const found = importConfig('keepalived', source, { file: 'keepalived.conf' })
  t.equal(found.yaml, yaml)
  t.equal(found.notes.map(({ line, text: at, reason }) => `keepalived.conf:${line === null ? '' : `${line}:`} ${at}: ${reason}\n`).join(''), notes)
})

t.test('a VIP that is at no floating address is of group 0, and that is said', async t => {
  const { yaml, notes } = importConfig('keepalived', `${pair}\nvirtual_server 192.0.2.80 80 {\n real_server 10.0.0.81 80\n}\n`, { node: 'edge-1', peer: 'edge-2' })
  t.same(issuesOf(yaml, 'edge-1'), [])
  t.match(notes.filter(({ reason }) => reason.includes('none of the floating')), [{ text: 'virtual_server 192.0.2.80 80' }])
})

t.test('a directive as a note shows it', async t => {
  const items = readKeepalived('a "b c" {\n x\n}\nauth_pass secret\n', { file: 'f', configId: null }, new Notes())
  t.same(items.map(textOf), ['a "b c" {...} to line 3', 'auth_pass (not shown)'])
})
