/** Who may be a peer: sockets between two real engines over the loopback. */
import t, { type Test } from 'tap'
import { readFileSync } from 'node:fs'
import { connect, createServer as createRelay, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer } from 'node:tls'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Endpoint } from '../../../../src/contract/cluster.js'
import { SyncEngine } from '../../../../src/ha/sync/engine.js'
import { openSockets, type Credentials, type Sockets } from '../../../../src/ha/sync/socket.js'
import { loadCore } from '../../../../src/native/load.js'
import { createAuthority, hasOpenssl } from '../../gateway/certificates.js'
import { comesAbout } from '../../../until.js'

interface End { readonly engine: SyncEngine, readonly sockets: Sockets, readonly problems: string[], readonly resumed: () => number, readonly close: () => Promise<void> }

const local = (port: number): Endpoint => ({ host: '127.0.0.1', port })

function end (name: string, credentials: Credentials, paths: { readonly listen: readonly Endpoint[], readonly dial: readonly Endpoint[], readonly expected?: readonly string[] }): End {
  const table = new (loadCore().Table)({ capacity: 1024, cpus: 0, threads: 1, arena: 64, hugepages: 0, path: '' })
  const replica = new (loadCore().Replica)(table)
  let resumed = 0
  const engine = new SyncEngine({
    world: { replica, nowMs: () => performance.now(), random: (n) => new Uint8Array(n).fill(name.charCodeAt(0)), event: (event) => { if (event === 'sync.resumed') resumed++ } },
    self: { node: name, table: new Uint8Array(16), generation: 1, ids: new Uint8Array(4), capacity: 1024 }, slots: table.info().slots
  })
  const problems: string[] = []
  const sockets = openSockets({ engine, credentials, ...paths, backMs: 50, onProblem: (text) => problems.push(text) })
  return { engine, sockets, problems, resumed: () => resumed, close: async () => {
    await sockets.close()
    replica.close()
    table.close()
  } }
}

async function meet (t: Test, one: Credentials, other: Credentials, check: (a: End, b: End) => Promise<void>): Promise<void> {
  const a = end('a', one, { listen: [local(0)], dial: [] })
  const b = end('b', other, { listen: [], dial: [local(await portOf(a))] })
  t.teardown(async () => { await Promise.all([a.close(), b.close()]) })
  await check(a, b)
}

async function portOf (e: End, path = 0): Promise<number> {
  await comesAbout(() => e.sockets.listening()[path] != null)
  return e.sockets.listening()[path]?.port ?? 0
}

const up = (e: End): boolean => e.engine.status().state === 'up'
const key = (fill: number): Credentials => ({ kind: 'psk', key: new Uint8Array(16).fill(fill) })

t.test('two nodes with one key meet, and meet again after a cut', async (t) => {
  await meet(t, key(1), key(1), async (a, b) => {
    t.ok(await comesAbout(() => up(a) && up(b)))
    a.engine.receivedBytes({ send: () => { /* a connection that is not its own */ }, close: () => { /* none */ } }, new Uint8Array(40).fill(255))
    t.ok(up(a), 'H46 bytes of another connection are not heard')
    a.engine.connected({ send: () => { /* a connection that leads nowhere takes the place */ }, close: () => { /* none */ } })
    t.ok(await comesAbout(() => b.engine.status().state === 'up' && up(a)), 'the dialling side comes again')
  })
})

t.test('strangers who connect and say nothing leave places for the peer', async (t) => {
  const a = end('a', key(1), { listen: [local(0)], dial: [], expected: ['127.0.0.1'] })
  const port = await portOf(a)
  const strangers = Array.from({ length: 64 }, () => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' })
    socket.on('error', () => { /* refused */ })
    return socket
  })
  t.teardown(async () => {
    for (const socket of strangers) socket.destroy()
    await a.close()
  })
  t.ok(await comesAbout(() => strangers.filter((s) => s.closed).length === 48), `${strangers.filter((s) => s.closed).length} of 64 are refused at once`)
  const b = end('b', key(1), { listen: [], dial: [local(port)] })
  t.teardown(async () => { await b.close() })
  t.ok(await comesAbout(() => up(a) && up(b)))
  t.equal(strangers.filter((s) => !s.closed).length, 16, 'while the strangers wait')
})

/** A path that can be cut, and mended. */
class Link {
  private readonly sockets = new Set<Socket>()
  private server: Server | null = null
  constructor (private readonly to: number, public port = 0) {}

  async mend (): Promise<void> {
    const server = createRelay((one) => {
      const other = connect(this.to, '127.0.0.1')
      for (const [socket, peer] of [[one, other], [other, one]] as const) {
        this.sockets.add(socket)
        socket.on('error', () => { /* its close follows */ })
        socket.on('close', () => { peer.destroy() })
        socket.pipe(peer)
      }
    })
    await new Promise<void>((resolve) => { server.listen(this.port, '127.0.0.1', resolve) })
    this.server = server
    this.port = (server.address() as AddressInfo).port
  }

  async cut (): Promise<void> {
    const { server } = this
    const closed = new Promise<void>((resolve) => { if (server === null) resolve(); else server.close(() => { resolve() }) })
    for (const socket of this.sockets) socket.destroy()
    await closed
  }
}

t.test('D9 the stream goes to the next path when one fails, goes on where it was, and comes back', async (t) => {
  const a = end('a', key(1), { listen: [local(0), local(0)], dial: [] })
  const link = new Link(await portOf(a))
  await link.mend()
  const b = end('b', key(1), { listen: [], dial: [local(link.port), local(await portOf(a, 1))] })
  t.teardown(async () => { await Promise.all([a.close(), b.close(), link.cut()]) })
  const at = (path: number) => (): boolean => up(a) && up(b) && a.sockets.path()?.index === path && b.sockets.path()?.index === path
  t.ok(await comesAbout(at(0)), 'the preferred path first')
  const heard = (e: End): boolean => e.engine.status().groups.every(group => group?.state !== 'unknown')
  t.ok(await comesAbout(() => heard(a) && heard(b)), 'each has heard of the stream of the other: before that there is nothing to go on with')
  for (let i = 0; i < 3; i++) {
    await link.cut()
    t.ok(await comesAbout(at(1)), 'the next path')
    t.same(b.sockets.path()?.address, a.sockets.path()?.address)
    await link.mend()
    t.ok(await comesAbout(at(0)), 'back again')
  }
  t.ok(b.resumed() >= 6, `the stream went on each time: ${b.resumed()}`)
})

t.test('an address that is not there keeps no other path waiting', async (t) => {
  const nowhere = { host: '192.0.2.1', port: 1 }
  const a = end('a', key(1), { listen: [nowhere, local(0)], dial: [] })
  const b = end('b', key(1), { listen: [], dial: [local(await portOf(a, 1))] })
  t.teardown(async () => { await Promise.all([a.close(), b.close()]) })
  t.ok(await comesAbout(() => up(a) && up(b)))
  t.equal(a.sockets.path()?.index, 1)
  t.equal(a.sockets.listening()[0], null)
  t.match(a.problems, [/listening on 192\.0\.2\.1 port 1: .*EADDRNOTAVAIL/])
})

t.test('another key: refused on both sides, with a reason, and nobody is told anything', async (t) => {
  await meet(t, key(1), key(2), async (a, b) => {
    t.ok(await comesAbout(() => a.problems.length > 0 && b.problems.length > 0))
    t.match(a.problems[0], /a connection from 127\.0\.0\.1 was refused/)
    t.match(b.problems[0], /cannot be reached/)
    t.ok(await comesAbout(() => b.sockets.waiting() !== null), 'and waits before it dials again')
    t.match(b.sockets.waiting()?.reason, /cannot be reached/)
    t.equal(a.sockets.waiting(), null, 'who listens waits for nobody')
    t.equal(a.engine.status().peer, null)
  })
})

t.test('a server that passes over the key and shows a certificate instead is told nothing', { skip: hasOpenssl() ? false : 'no openssl program' }, async (t) => {
  const pair = createAuthority(t.testdir({}), 'rogue').issue('x', '/CN=a')
  let heard = 0
  const rogue = createServer({ cert: readFileSync(pair.cert), key: readFileSync(pair.key), minVersion: 'TLSv1.3' }, (socket) => {
    socket.on('data', (bytes: Buffer) => { heard += bytes.length })
    socket.on('error', () => { /* refused */ })
  })
  await new Promise<void>((resolve) => { rogue.listen(0, '127.0.0.1', resolve) })
  const at = rogue.address()
  const b = end('b', key(1), { listen: [], dial: [local(at !== null && typeof at === 'object' ? at.port : 0)] })
  t.teardown(async () => {
    await b.close()
    rogue.close()
  })
  t.ok(await comesAbout(() => b.problems.length > 0))
  t.match(b.problems[0], /it has not shown that it has the key|cannot be reached/)
  await sleep(300)
  t.equal(heard, 0)
  t.equal(b.engine.status().state, 'down')
})

t.test('a listener outlives what is no TLS, and who only connects', async (t) => {
  await meet(t, key(1), key(1), async (a, b) => {
    const port = await portOf(a)
    for (let i = 0; i < 30; i++) {
      const socket = connect(port, '127.0.0.1', () => { if (i % 2 === 0) socket.write('GET / HTTP/1.1\r\n\r\n') })
      socket.on('error', () => { /* refused */ })
      t.teardown(() => { socket.destroy() })
    }
    t.ok(await comesAbout(() => up(a) && up(b)))
  })
})

t.test('certificates: of the authority and for the name; others are refused by both', { skip: hasOpenssl() ? false : 'no openssl program' }, async (t) => {
  const directory = t.testdir({})
  const [ours, others] = [createAuthority(directory, 'ca'), createAuthority(directory, 'other')]
  const load = (ca: string, pair: { readonly cert: string, readonly key: string }, peerName: string): Credentials => ({ kind: 'certificates', ca: readFileSync(ca, 'utf8'), cert: readFileSync(pair.cert, 'utf8'), key: readFileSync(pair.key, 'utf8'), peerName })
  const [a, b, foreign] = [ours.issue('a', '/CN=node-a'), ours.issue('b', '/CN=node-b'), others.issue('x', '/CN=node-b')]
  await t.test('both as they should be', async (t) => {
    await meet(t, load(ours.ca, a, 'node-b'), load(ours.ca, b, 'node-a'), async (x, y) => { t.ok(await comesAbout(() => up(x) && up(y)), [...x.problems, ...y.problems].join()) })
  })
  await t.test('another name', async (t) => {
    await meet(t, load(ours.ca, a, 'node-c'), load(ours.ca, b, 'node-a'), async (x) => {
      t.ok(await comesAbout(() => x.problems.length > 0))
      t.match(x.problems[0], /its certificate is for node-b, .*expected node-c/)
      t.notOk(up(x))
    })
  })
  await t.test('another authority', async (t) => {
    await meet(t, load(ours.ca, a, 'node-b'), load(others.ca, foreign, 'node-a'), async (x, y) => {
      t.ok(await comesAbout(() => x.problems.length + y.problems.length > 0))
      t.notOk(up(x) || up(y))
    })
  })
})
