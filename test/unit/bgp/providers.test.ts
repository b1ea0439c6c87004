/** Providers against sockets of the test: what a daemon may do wrong is a reading that failed, never a session that is down. */
import t, { type Test } from 'tap'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { birdMoment, birdProvider } from '../../../src/bgp/providers/bird.js'
import { neighbour } from '../../../src/bgp/providers/provider.js'
import { bmpProvider } from '../../../src/bgp/providers/bmp.js'
import { FRR_BYTES_MAX, frrDetails, frrProvider, frrSummary } from '../../../src/bgp/providers/frr.js'
import { gobgpProvider } from '../../../src/bgp/providers/gobgp.js'
import { kernelNeighbours, kernelProvider } from '../../../src/bgp/providers/kernel.js'
import type { Provider } from '../../../src/bgp/providers/provider.js'
import { peerText } from '../../../src/bgp/providers/text.js'
import type { BgpReading } from '../../../src/contract/bgp.js'
import { LockstepError } from '../../../src/contract/errors.js'
import { GobgpApiService, type PeerEvent } from '../../../src/generated/proto/apipb/gobgp.js'
import { tcpEstablished } from '../../../src/native/tcp-rows.js'
import { gobgpPeer } from './gobgp-json.js'
import { answers, captured, line } from './support.js'
import { until } from '../../until.js'

const never = new AbortController().signal
const folder = (t: Test): string => {
  const path = mkdtempSync(join(tmpdir(), 'ls-bgp-'))
  t.teardown(() => { rmSync(path, { recursive: true, force: true }) })
  return path
}

/** A daemon that does with each connection as it is told; the path of its socket. */
async function daemon (t: Test, on: (socket: Socket) => void): Promise<string> {
  const path = join(folder(t), 's')
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    on(socket)
  })
  await new Promise<void>((resolve) => { server.listen(path, resolve) })
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return path
}
/** Answers questions that end with `end`. */
const answering = (end: string, answer: (question: string, socket: Socket) => void) => (socket: Socket): void => {
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8')
    for (let at = text.indexOf(end); at !== -1; at = text.indexOf(end)) {
      answer(text.slice(0, at), socket)
      text = text.slice(at + end.length)
    }
  })
}
const ended = (code: number): Buffer => Buffer.from([0, 0, 0, code])

// --- FRR ---

const bare = (name: string): string => captured(name).replace(/^\+.*\n/, '')
const sock: Readonly<Record<string, string>> = { 'show bgp vrf all summary json': bare('frr-bird/frr_vrf_all_summary_up.json'), 'show bgp vrf all neighbors json': bare('frr-bird/frr_vrf_all_neighbors_up.json') }
const readOnce = async (provider: Provider, signal = never): Promise<void> => { await provider.read?.(signal) }
const frrOf = async (t: Test, answer: (question: string, socket: Socket) => void): Promise<Provider> => frrProvider({ name: 'edge', socket: await daemon(t, answering('\0', answer)), vrf: null })
const lines = (reading: BgpReading | undefined): unknown => reading?.ok === true ? reading.neighbours.map(line) : reading

t.test('FRR: summary and details over one connection, byte by byte too', async (t) => {
  for (const size of [Infinity, 1]) {
    const asked: string[] = []
    const provider = await frrOf(t, (question, socket) => {
      asked.push(question)
      const bytes = Buffer.concat([Buffer.from(sock[question] ?? ''), ended(0)])
      for (let at = 0; at < bytes.length; at += size) socket.write(bytes.subarray(at, Math.min(bytes.length, at + size)))
    })
    const [reading] = await provider.read?.(never) ?? []
    t.same(asked, ['show bgp vrf all summary json', 'show bgp vrf all neighbors json'])
    t.same(lines(reading), [
      'default/169.254.0.1, as 65002, UP, established, since 11-21T00:13:10.000, local 169.254.0.0, drops 0, prefixes 1, rtt 1000000, user-1, Waiting for peer OPEN',
      'default/169.254.0.3, as 65003, UP, established, since 11-21T00:13:10.000, local 169.254.0.2, drops 0, prefixes 1, rtt 2000000, Waiting for peer OPEN',
      'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up, Waiting for NHT'
    ])
  }
})

t.test('FRR: readings that fail', async (t) => {
  const cases: Readonly<Record<string, readonly [RegExp, (question: string, socket: Socket) => void]>> = {
    'it hangs up in the middle': [/hung up: found 20 bytes/, (_, socket) => { socket.end('{"default":{"ipv4Uni') }],
    'an answer that was cut where the recorder cut it': [/did not answer with JSON/, (_, socket) => { socket.write(Buffer.concat([Buffer.from(answers(captured('daemon-down/frr_sock.txt')).get('show bgp vrf all summary json') ?? ''), ended(0)])) }],
    'it hangs up at once': [/hung up/, (_, socket) => { socket.destroy() }],
    'it knows no such command': [/refused the question.*Unknown command/, (_, socket) => { socket.write(Buffer.concat([Buffer.from('% [BGP] Unknown command: show'), ended(2)])) }],
    'what it says is no JSON': [/did not answer with JSON/, (_, socket) => { socket.write(Buffer.concat([Buffer.from('{"default":'), ended(0)])) }],
    'what it says is no object': [/did not answer with an object/, (_, socket) => { socket.write(Buffer.concat([Buffer.from('[]'), ended(0)])) }],
    'it never ends': [/answers too much/, (_, socket) => { for (let i = 0; i <= FRR_BYTES_MAX >> 20; i++) socket.write(Buffer.alloc(1 << 20, 0x20)) }]
  }
  for (const [what, [message, answer]] of Object.entries(cases)) await t.test(what, async (t) => { await t.rejects(readOnce(await frrOf(t, answer)), { code: /^LS_G_(SOCKET|REPLY)$/, message }) })
  await t.test('it takes the question and says nothing: the signal ends it', async (t) => {
    const late = new AbortController()
    await t.rejects(readOnce(await frrOf(t, () => { late.abort(new Error('no answer within 50 ms')) }), late.signal), { message: 'no answer within 50 ms' })
  })
  await t.test('nobody listens', async (t) => { await t.rejects(readOnce(frrProvider({ name: 'edge', socket: join(folder(t), 'none'), vrf: null })), { message: /no daemon listens: found ENOENT/ }) })
})

const peer = { remoteAs: 65002, localAs: 65001, peerUptimeMsec: 1000, peerUptimeEstablishedEpoch: 1000, pfxRcd: 2, state: 'Established', peerState: 'OK', connectionsDropped: 0 }
const block = (peers: object, vrfName = 'default'): object => ({ vrfName, peers })

t.test('FRR: two address families are one session', async (t) => {
  const found = frrSummary({ default: { ipv4Unicast: block({ '192.0.2.1': peer }), ipv6Unicast: block({ '192.0.2.1': { ...peer, pfxRcd: 5 }, '2001:DB8::1': peer }) } }, 0)
  t.same(found.map(line), ['default/192.0.2.1, as 65002, UP, established, since 01-01T00:16:40.000, drops 0, prefixes 7', 'default/2001:db8::1, as 65002, UP, established, since 01-01T00:16:40.000, drops 0, prefixes 2'])
})
t.test('FRR: an IPv4-mapped peer is the IPv4 one', async (t) => { t.same(frrSummary({ default: { ipv4Unicast: block({ '::ffff:192.0.2.1': peer }), ipv6Unicast: block({ '::ffff:c000:201': peer }) } }, 0).map(n => n.peer), ['192.0.2.1']) })
t.test('FRR: Idle (Admin) is shut down here, Idle (PfxCt) is not', async (t) => {
  const of = (state: string, peerState: string): unknown => { const [n] = frrSummary({ ipv4Unicast: block({ '192.0.2.1': { ...peer, state, peerState } }) }, 0); return [n?.established, n?.fsm, n?.adminDown] }
  t.same(of('Idle (Admin)', 'Admin'), [false, 'idle', true])
  t.same(of('Idle (PfxCt)', 'PfxCt'), [false, 'idle', false])
  t.same(of('Established', 'Policy'), [true, 'established', false])
  t.same(of('Something', 'OK'), [false, null, false], 'a state that is not known here is not up')
})
t.test('FRR: a session that is named by its interface keeps that name, whether its address is known or not', async (t) => {
  const rows = frrSummary({ ipv4Unicast: block({ swp1: peer }) }, 0)
  t.same(frrDetails(rows, { default: { vrfId: 0, vrfName: 'default', swp1: { hostForeign: 'fe80::1', hostLocal: 'fe80::2' } } }).map(n => [n.peer, n.local]), [['swp1', 'fe80::2']])
  t.same(frrDetails(rows, { default: { vrfId: 0, vrfName: 'default', swp1: { hostForeign: 'Unknown' } } }).map(n => n.peer), ['swp1'], 'as while it is down')
})
t.test('addresses as text', async (t) => {
  for (const [text, canonical] of Object.entries({ '192.0.2.1': '192.0.2.1', '::ffff:192.0.2.1': '192.0.2.1', '0:0:0:0:0:ffff:c000:0201': '192.0.2.1', '2001:DB8:0:0::1': '2001:db8::1', 'FE80::1%eth0': 'fe80::1%eth0', 'swp1': 'swp1' })) t.equal(peerText(text), canonical)
})

// --- BIRD ---

const birdAnswers = answers(captured('frr-bird/bird_raw_up.txt'))
const birdSocket = async (t: Test, more: Readonly<Record<string, string>> = {}): Promise<{ readonly path: string, readonly asked: string[] }> => {
  const asked: string[] = []
  const path = await daemon(t, (socket) => {
    socket.write('0001 BIRD 2.0.12 ready.\n')
    answering('\n', (question) => {
      asked.push(question)
      socket.write(`${more[question] ?? birdAnswers.get(question)?.trimEnd() ?? '9001 syntax error'}\n`)
    })(socket)
  })
  return { path, asked }
}

t.test('BIRD: restrict comes first, and sessions are there whatever else runs', async (t) => {
  const { path, asked } = await birdSocket(t, { 'show protocols all': `${(birdAnswers.get('show protocols all') ?? '').trimEnd()} ` })
  const [reading] = await birdProvider({ name: 'b', socket: path, vrf: 'blue' }).read?.(never) ?? []
  t.same(asked, ['restrict', 'show status', 'show protocols all'])
  t.same(reading?.ok === true && reading.neighbours.map(n => `${n.vrf}/${n.peer} ${n.established ? 'up' : 'no'}`), ['blue/169.254.0.0 up', 'blue/169.254.0.5 up', 'blue/169.254.0.99 no', 'blue/169.254.0.98 no'])
})
t.test('BIRD: an error is a reading that failed', async (t) => {
  for (const answer of ['9001 syntax error', '8007 Access denied']) {
    const { path } = await birdSocket(t, { 'show protocols all': answer })
    await t.rejects(readOnce(birdProvider({ name: 'b', socket: path, vrf: null })), { code: 'LS_G_REPLY', message: new RegExp(answer) })
  }
  const path = await daemon(t, (socket) => { socket.end('0001 BIRD 2.0.12 ready.\n') })
  await t.rejects(readOnce(birdProvider({ name: 'b', socket: path, vrf: null })), { message: /hung up/ })
})
t.test('BIRD: moments in every way that it writes them', async (t) => {
  const at = Date.parse('2026-11-21T10:00:00Z')
  const [server, moment] = ['2026-11-21 00:13:35.427', (since: string, now: string | null = server): string | null => { const ms = birdMoment(since, now, at); return ms === null ? null : new Date(ms).toISOString() }]
  t.equal(moment('00:13:05.427'), '2026-11-21T09:59:30.000Z', 'a time of day, in a zone that nobody tells')
  t.equal(moment('23:13:35.427'), '2026-11-21T09:00:00.000Z', 'of yesterday')
  t.equal(moment('00:13:35.500'), '2026-11-21T10:00:00.000Z', 'just now, and rounded')
  t.equal(moment('2026-11-20'), '2026-11-20T09:46:24.573Z', 'a day')
  t.equal(moment('2026-11-21 00:13:30.427'), '2026-11-21T09:59:55.000Z', 'both')
  t.equal(moment('1795220452.115559'), '2026-11-21T00:20:52.115Z', 'seconds since 1970')
  t.equal(moment('1795220452.115559', null), '2026-11-21T00:20:52.115Z')
  t.equal(moment('00:13:05.427', null), null, 'without the clock of the daemon a time of day is none')
  t.equal(moment('last tuesday'), null)
})

// --- GoBGP ---

const established = (address: string, state: number): ReturnType<typeof gobgpPeer> => gobgpPeer({ conf: { neighbor_address: address, peer_asn: 65001, local_asn: 65003 }, state: { neighbor_address: address, session_state: state }, timers: { state: { uptime: { seconds: 1000 }, downtime: { seconds: 2000 } } } })

async function gobgpd (t: Test, peers: () => ReadonlyArray<ReturnType<typeof gobgpPeer>>): Promise<{ readonly address: string, readonly event: (event: PeerEvent) => void, readonly stop: () => void }> {
  const address = `unix://${join(folder(t), 'g')}`
  const watchers = new Set<(event: PeerEvent) => void>()
  const server = new Server()
  server.addService(GobgpApiService, {
    listPeer: (call: { write: (m: object) => void, end: () => void }) => {
      for (const one of peers()) call.write({ peer: one })
      call.end()
    },
    watchEvent: (call: { write: (m: object) => void, on: (event: string, run: () => void) => void }) => {
      const watcher = (event: PeerEvent): void => { call.write({ peer: event }) }
      for (const one of peers()) watcher({ type: 1, peer: one })
      watcher({ type: 2, peer: undefined })
      watchers.add(watcher)
      call.on('cancelled', () => { watchers.delete(watcher) })
    }
  })
  await new Promise<void>((resolve, reject) => { server.bindAsync(address, ServerCredentials.createInsecure(), (error) => { if (error === null) resolve(); else reject(error) }) })
  t.teardown(() => { server.forceShutdown() })
  return { address, event: (event) => { for (const watcher of watchers) watcher(event) }, stop: () => { server.forceShutdown() } }
}

t.test('GoBGP: sessions are read; the beginning is told once it is whole, then each change, and the end', async (t) => {
  let state = 6
  const { address, event, stop } = await gobgpd(t, () => [established('192.0.2.1', state), established('192.0.2.2', 3)])
  const provider = gobgpProvider({ name: 'g', address, vrf: null })
  const read = async (): Promise<unknown> => { const [reading] = await provider.read?.(never) ?? []; return reading?.ok === true && reading.neighbours.map(line) }
  t.same(await read(), ['default/192.0.2.1, as 65001, UP, established, since 01-01T00:16:40.000', 'default/192.0.2.2, as 65001, no, active, since 01-01T00:33:20.000'])
  let told = 0
  const unfollow = provider.follow?.(() => { told++ }) ?? (() => undefined)
  t.teardown(unfollow)
  await until('the beginning is whole', () => told === 1)
  state = 1
  event({ type: 3, peer: established('192.0.2.1', 1) })
  await until('a change is told', () => told === 2)
  t.same(await read(), ['default/192.0.2.1, as 65001, no, idle, since 01-01T00:33:20.000', 'default/192.0.2.2, as 65001, no, active, since 01-01T00:33:20.000'])
  stop()
  await until('the end of the stream is told', () => told === 3)
  await t.rejects(readOnce(provider, AbortSignal.timeout(5000)), { code: 'LS_G_SOCKET' })
})
t.test('GoBGP: a daemon that takes the call and says nothing', async (t) => {
  const address = `unix://${await daemon(t, () => undefined)}`
  const late = new AbortController()
  const read = readOnce(gobgpProvider({ name: 'g', address, vrf: null }), late.signal)
  setTimeout(() => { late.abort(new Error('no answer within 50 ms')) }, 50)
  await t.rejects(read, { message: 'no answer within 50 ms' })
})

// --- kernel ---

t.test('kernel: this namespace is read, and only established connections of the port are there', async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  const { port } = server.address() as { readonly port: number }
  const [client, other] = [createConnection({ port, host: '127.0.0.1' }), await new Promise<Socket>((resolve) => { server.once('connection', resolve) })]
  t.teardown(() => { client.destroy(); other.destroy(); server.close() })
  const rows = await tcpEstablished('', port)
  t.equal(rows.length, 2, 'both ends, not the listener')
  t.same(rows.map(r => [r.local, r.remote, r.device]), [['127.0.0.1', '127.0.0.1', ''], ['127.0.0.1', '127.0.0.1', '']])
  t.same(new Set(rows.flatMap(r => [r.localPort, r.remotePort])).size, 2)
  t.equal(new Set(rows.map(r => r.cookie)).size, 2)
  t.ok(rows.every(r => r.rttUs > 0))
  t.same((await tcpEstablished('', port)).map(r => r.cookie).sort(), rows.map(r => r.cookie).sort(), 'a socket keeps its cookie')
  t.same(await tcpEstablished('', port === 65535 ? 65534 : port + 1), [])
  await t.rejects(tcpEstablished('/run/netns/there-is-none', port), { code: 'LS_E_SYSTEM', message: /No such file/ })
})

const tcp = { local: '192.0.2.0', remote: '192.0.2.1', localPort: 179, remotePort: 40000, cookie: 7n, rttUs: 1001, device: '' }
t.test('kernel: round trips are whole nanoseconds, duplicates are one, the older socket stands', async (t) => {
  t.same(kernelNeighbours([tcp, { ...tcp, cookie: 9n, remotePort: 40001, rttUs: 5 }], 'default').map(n => [n.vrf, n.peer, n.established, n.rttNs, n.cookie]), [['default', '192.0.2.1', true, 1_001_000, 7n]])
  for (let us = 1; us < 200_000; us += 997) t.equal(kernelNeighbours([{ ...tcp, rttUs: us }], 'x')[0]?.rttNs, us * 1000)
  t.equal(kernelNeighbours([{ ...tcp, rttUs: 0 }], 'x')[0]?.rttNs, null, 'no sample is none')
  t.equal(kernelNeighbours([{ ...tcp, device: 'vrf-blue' }], 'default')[0]?.vrf, 'vrf-blue')
})
t.test('kernel: a namespace that cannot be read is a scope that failed, and the others stand', async (t) => {
  let places = ['a', 'b']
  const provider = (namespaces: readonly string[]): ReturnType<typeof kernelProvider> => kernelProvider({ name: 'k', namespaces, vrf: null, rows: async path => path.endsWith('/b') ? await Promise.reject(new LockstepError('unavailable', 'LS_E_SYSTEM', 'cannot be entered')) : await Promise.resolve([tcp]) })
  const readings = await provider(places).read?.(never) ?? []
  t.same(readings.map(r => [r.scope, r.ok]), [['k/a', true], ['k/b', false]])
  places = []
  t.same(await provider(places).read?.(never), [])
})

// --- BMP ---

t.test('BMP: a router connects, tells, comes again, and a connection that ends is no session that is down', async (t) => {
  const readings: BgpReading[] = []
  let port = 0
  const stop = bmpProvider({ name: 'm', listen: '127.0.0.1:0', vrf: 'blue', onListening: (p) => { port = p } }).follow?.((reading) => { if (reading !== null) readings.push(reading) }) ?? (() => undefined)
  t.teardown(stop)
  await until('it listens', () => port !== 0)
  t.match(readings.splice(0), [{ scope: 'm', ok: false, reason: 'listens on 127.0.0.1:0, and no router has connected yet' }])
  const up = captured('frr-bird/bmp-log.txt').split('\n').filter(text => / PeerUp /.test(text)).slice(0, 2).map(text => Buffer.from(text.split(' ').at(-1) ?? '', 'hex'))
  const router = createConnection({ port, host: '127.0.0.1' })
  t.teardown(() => { router.destroy() })
  router.write(Buffer.concat(up))
  await until('it was heard', () => readings.length > 0)
  t.same(readings.map(r => r.ok && r.neighbours.map(n => `${n.vrf}/${n.peer} ${n.established ? 'up' : 'no'}`)), [['blue/169.254.0.1 up', 'blue/169.254.0.3 up']])
  const [before] = readings
  router.destroy()
  await until('its end was seen', () => readings.length === 2)
  t.match(readings[1], { scope: 'm', ok: false, reason: 'the router closed the connection' })
  const stranger = createConnection({ port, host: '127.0.0.1' })
  stranger.on('error', () => undefined)
  t.teardown(() => { stranger.destroy() })
  stranger.write('GET / HTTP/1.1\r\n\r\n')
  await until('a stranger is let go', () => readings.length === 3)
  t.match(readings[2], { ok: false, reason: /another version/ })
  const again = createConnection({ port, host: '127.0.0.1' })
  t.teardown(() => { again.destroy() })
  const ports = (message: Buffer, remote: number): Buffer => { const other = Buffer.from(message); other.writeUInt16BE(remote, 6 + 42 + 18); return other }
  const [first, second] = up
  if (first === undefined || second === undefined || before?.ok !== true) throw new Error('nothing was captured')
  again.write(Buffer.concat([first, ports(second, 4242)]))
  await until('it comes again', () => readings.length === 4)
  const now = readings[3]
  if (now?.ok !== true) throw new Error('it failed')
  t.same(now.neighbours[0], before.neighbours[0], 'a session over the same ports never ended')
  t.match(now.neighbours[1], { peer: '169.254.0.3', established: true, drops: (before.neighbours[1]?.drops ?? 0) + 1 }, 'one over others did')
  t.ok((now.neighbours[1]?.since ?? 0) > (before.neighbours[1]?.since ?? Infinity))
})

t.test('whatever a source says, numbers are numbers that can be, and texts have a length', async (t) => {
  const absurd = neighbour({ source: 'frr', vrf: 'v'.repeat(9999), peer: 'p'.repeat(9999), established: true, remoteAs: 2 ** 32, localAs: -1, since: 8.65e15, drops: Number.NaN, prefixesReceived: 2 ** 60, rttNs: Infinity, reason: 'r'.repeat(9999), description: 'd'.repeat(9999) })
  t.match(absurd, { remoteAs: null, localAs: null, since: null, drops: null, prefixesReceived: null, rttNs: null })
  t.same([absurd.vrf, absurd.peer, absurd.reason ?? '', absurd.description ?? ''].map(({ length }) => length), [512, 512, 512, 512])
  t.match(neighbour({ source: 'bird', vrf: 'v', peer: 'p', established: true, remoteAs: 0xffff_ffff, since: 1.5, drops: 0 }), { remoteAs: 0xffff_ffff, since: 1, drops: 0 })
})
