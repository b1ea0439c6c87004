/** The pure parts: commands as data, configurations, and what tools print. These need no privileges. */
import t from 'tap'
import { checkText } from '../../src/config/check.js'
import { countsOf, grown } from './agent.js'
import { changed, denyAllConfig, quickstartConfig, shortTimeouts } from './config.js'
import { quantiles, shares, tally } from './figures.js'
import { parseOptions } from './main.js'
import { nginxConfig } from './servers.js'
import { commandLine, inNetns } from './shell.js'
import { addresses, hostsOf, moreClientAddresses, netnsOf, setupCommands, startOf } from './topology.js'
import { httpUrl, parseCurl, parseIperf, parsePing, parseTraceroute } from './traffic.js'

t.test('two prefixes share no name', async (t) => {
  const names = (prefix: string) => setupCommands({ prefix, attacker: true }).flatMap((c) => [c.netns, ...c.argv.filter((_, i) => c.argv[1] === 'netns' ? i === 3 : c.argv[i - 1] === 'netns')]).filter((n) => n !== null)
  const [a, b] = [new Set(names('one')), new Set(names('two'))]
  t.ok(a.size >= 6)
  t.same([...a].filter((n) => b.has(n)), [])
  t.same(hostsOf({ prefix: 'x', attacker: true }).map((h) => netnsOf('x', h)), ['x-rt', 'x-client', 'x-lan', 'x-s1', 'x-s2', 'x-attacker'])
})

t.test('the router does not forward, its ports have no offloads, the ends finish checksums and take GRO', async (t) => {
  const lines = setupCommands({ prefix: 'x', serverMtu: 1400, moreClients: 2 }).map(commandLine)
  const settings = setupCommands({ prefix: 'x' }).filter((c) => c.netns === 'x-rt' && c.argv[0] === 'sh').map((c) => c.argv[2] ?? '').join(' && ').split(' && ')
  for (const key of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding', 'ipv6/conf/default/forwarding']) t.ok(settings.includes(`echo '0' > /proc/sys/net/${key}`), key)
  for (const dev of ['rt-client', 'rt-server']) t.ok(lines.includes(`nsenter --net=/run/netns/x-rt -- ethtool -K ${dev} gro off lro off tso off gso off tx off`), dev)
  for (const end of ['client', 's1', 's2']) t.ok(lines.includes(`nsenter --net=/run/netns/x-${end} -- ethtool -K eth0 tx off tso off gro on`), end)
  t.ok(lines.every((l) => !/ip addr add \S+:\S+ dev \S+$/.test(l)), 'no IPv6 address waits for duplicate address detection')
  t.ok(lines.some((l) => l.includes('rt-server netns x-rt') && l.includes('mtu 1400')))
  t.ok(lines.some((l) => l.includes(`addr add ${moreClientAddresses(2)[1]?.v6 ?? '?'}/64`) && l.endsWith('nodad preferred_lft 0')))
})

t.test('commands are shown as a shell takes them', async (t) => {
  t.equal(commandLine({ netns: 'a', argv: ['sh', '-c', "echo 'x'"] }), "nsenter --net=/run/netns/a -- sh -c 'echo '\\''x'\\'''")
  t.same(inNetns(null, ['ip', 'link']), ['ip', 'link'])
})

t.test('a process is known by its start, and a dead one is not', async (t) => {
  t.match(startOf(process.pid), /^\d+$/)
  t.equal(startOf(2 ** 22 + 1), null)
})

t.test('the configurations are valid', async (t) => {
  for (const text of [quickstartConfig('abc'), quickstartConfig('abc', [shortTimeouts, [['policies', 0, 'action'], 'deny'], [['vips', 'web6'], undefined]]), denyAllConfig('abc')]) {
    const r = checkText(text)
    t.same(r.issues, [])
  }
  t.match(quickstartConfig('abc'), /netns: abc-rt/)
  t.match(quickstartConfig('abc'), /# The first match decides/, 'comments stay')
  t.equal(changed('a: {b: 1, c: 2}\n', [[['a', 'b'], 5], [['a', 'c'], undefined]]), 'a: { b: 5 }\n')
})

t.test('an HTTP server names itself', async (t) => {
  const text = nginxConfig('one', '/d', '/f')
  for (const part of ['listen 80 ', 'listen [::]:8080 ', 'X-Server one', 'root /f;', 'pid /d/nginx.pid']) t.match(text, part)
})

t.test('figures', async (t) => {
  t.same(quantiles([]), { p50: 0, p90: 0, p99: 0, max: 0 })
  t.same(quantiles(Array.from({ length: 100 }, (_, i) => 100 - i)), { p50: 50, p90: 90, p99: 99, max: 100 })
  t.same(tally(['a', 'b', 'a']), { a: 2, b: 1 })
  t.same(shares({ one: 3, two: 1 }), { one: 0.75, two: 0.25 })
  t.same(shares({}), {})
})

t.test('what curl writes', async (t) => {
  const line = (exit: number, status: string, error = '') => `noise\n{"exit":${exit},"status":"${status}","server":"one","client":"::ffff:10.0.0.1","connect":0.001,"total":0.5,"error":"${error}"}\n`
  t.match(parseCurl(line(0, '200'), 5, 'aa', 'aa'), { failure: null, server: 'one', client: '10.0.0.1', connectMs: 1, totalMs: 500, bytes: 5 })
  t.equal(parseCurl(line(0, '200'), 5, 'aa', 'bb').failure, 'wrong checksum')
  t.equal(parseCurl(line(0, '404'), 5, 'aa', null).failure, 'status 404')
  t.equal(parseCurl(line(7, '000', 'Failed to connect after 12 ms'), 0, '', null).failure, 'curl 7: Failed to connect after N ms')
  t.match(parseCurl('curl: option unknown', 0, '', null).failure, /curl said: curl: option unknown/)
  t.equal(httpUrl('fd77::10', 'who'), 'http://[fd77::10]/who')
  t.equal(httpUrl(addresses.s1.v4, 'who', 8080), 'http://10.77.2.11:8080/who')
})

t.test('what ping, traceroute and iperf3 write', async (t) => {
  t.match(parsePing('3 packets transmitted, 2 received, 33% packet loss\nrtt min/avg/max/mdev = 0.070/0.101/0.334/0.077 ms'), { sent: 3, received: 2, rttMs: { min: 0.07, avg: 0.101, max: 0.334 }, tooBig: null })
  t.same(parsePing('From 10.77.1.1 icmp_seq=1 Frag needed and DF set (mtu = 1400)').tooBig, { from: '10.77.1.1', mtu: 1400 })
  t.same(parsePing('From fd77:1::1 icmp_seq=1 Packet too big: mtu=1400').tooBig, { from: 'fd77:1::1', mtu: 1400 })
  t.same(parseTraceroute('traceroute to 10.77.2.11 (10.77.2.11), 4 hops max\n 1  10.77.1.1  0.2 ms  0.1 ms\n 2  * 10.77.2.11  0.5 ms\n 3  fd77::1  0.4 ms *\n 4  * *\n'), [
    { ttl: 1, addresses: ['10.77.1.1'], answers: 2 }, { ttl: 2, addresses: ['10.77.2.11'], answers: 1 }, { ttl: 3, addresses: ['fd77::1'], answers: 1 }, { ttl: 4, addresses: [], answers: 0 }
  ])
  t.same(parseIperf('{"end":{"sum_sent":{"retransmits":3},"sum_received":{"bits_per_second":1.5e9,"bytes":7}}}'), { gbitPerS: 1.5, retransmits: 3, bytes: 7, error: null })
  t.match(parseIperf('{"error":"the server is busy"}'), { error: 'the server is busy' })
  t.match(parseIperf(''), { error: 'no output' })
})

t.test('counters by name, and what grew', async (t) => {
  const at = (n: number) => countsOf({ blocks: [{ name: 'drops', rows: [{ name: 'no_route', values: [n] }, { name: 'martian', values: ['9007199254740993'] }] }] })
  t.equal(at(1)['drops']?.['no_route'], 1)
  t.same(grown(at(1), at(4), 'drops'), { no_route: 3 })
})

t.test('options of the demonstration', async (t) => {
  t.match(parseOptions(['--quick', '--json', '--prefix', 'abc']), { size: 'quick', json: true, prefix: 'abc', keep: false })
  t.match(parseOptions(['--full', '--keep', '--prefix=abc']), { size: 'full', keep: true, prefix: 'abc' })
  t.match(parseOptions(['ha', '--quick']), { pair: true, size: 'quick' })
  t.throws(() => parseOptions(['--fast']), { code: 'LS_U_USAGE' })
})
