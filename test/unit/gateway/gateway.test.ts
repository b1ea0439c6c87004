/** The gateway in front of an agent with fabricated sessions: metrics, health, the proxy, roles, TLS. */
import { writeFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { connect as connectSocket, createServer } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { get as httpGet, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { get as httpsGet } from 'node:https'
import { credentials, Metadata, status } from '@grpc/grpc-js'
import t, { type Test } from 'tap'
import { SessionFilter } from '../../../src/generated/proto/lockstep/v1/session.js'
import { startGateway, type Gateway, type GatewayOptions } from '../../../src/gateway/main.js'
import { parseListen } from '../../../src/gateway/listen-address.js'
import { call, connectAgent, messages, type AgentConnection } from '../../../src/cli/client.js'
import type { RemoteError } from '../../../src/cli/remote-error.js'
import { fakeId } from '../rpc/fake-sessions.js'
import { temporaryDirectory, withServer, type Running } from '../rpc/with-server.js'
import { createAuthority, hasOpenssl, read } from './certificates.js'
import { comesAbout } from '../../until.js'

const defaults = { http: '127.0.0.1:0', grpc: '127.0.0.1:0', role: 'viewer', user: `${process.getuid?.() ?? 0}:0` }

// Under root the gateway would give up this process's own rights: that is tested in a process of its own.
const asRoot = process.getuid?.() === 0
if (asRoot) process.getuid = () => 1000

async function withGateway (t: Test, over: Partial<GatewayOptions> = {}, rows = 1000): Promise<Running & { gateway: Gateway, tcp: AgentConnection }> {
  const running = await withServer(t, rows)
  const gateway = await startGateway({ ...defaults, socketPath: running.socketPath, ...over })
  const tcp = connectAgent(gateway.grpcAddress ?? 'off')
  t.teardown(async () => { tcp.close(); await gateway.close() })
  return { ...running, gateway, tcp }
}

interface Page { status: number, body: string, headers: IncomingHttpHeaders }

async function page (address: string | null, path: string, options: { method?: string, headers?: Record<string, string> } = {}): Promise<Page> {
  return await new Promise((resolve, reject) => {
    const request = httpRequest(`http://${address ?? ''}${path}`, { agent: false, ...options }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (part: string) => { body += part }).on('end', () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }))
    })
    request.on('error', reject).end()
  })
}

const refusal = async (promise: Promise<unknown>): Promise<RemoteError> => await promise.then(() => { throw new Error('was not refused') }, (e: RemoteError) => e)

t.test('metrics and health come from the agent', async (t) => {
  const { gateway, server } = await withGateway(t)
  const metrics = await page(gateway.httpAddress, '/metrics')
  t.equal(metrics.status, 200)
  t.match(metrics.headers['content-type'], /text\/plain; version=0.0.4/)
  t.match(metrics.body, /^lockstep_sessions 1000$/m)
  t.match(await page(gateway.httpAddress, '/metrics?names=maglev'), { status: 200, body: /^maglev_backend_state\{backend="b",state="down"\} 1$/m })
  t.match(await page(gateway.httpAddress, '/metrics?names=nagios'), { status: 404 })
  t.match(await page(gateway.httpAddress, '/healthz'), { status: 200, body: 'SERVING\n' })
  server.setServing(false)
  t.match(await page(gateway.httpAddress, '/healthz'), { status: 503, body: 'NOT_SERVING\n' })
})

t.test('only GET and HEAD, only known pages, no foreign host names', async (t) => {
  const { gateway } = await withGateway(t)
  t.equal((await page(gateway.httpAddress, '/metrics', { method: 'POST' })).status, 405)
  t.match(await page(gateway.httpAddress, '/metrics', { method: 'HEAD' }), { status: 200, body: '' })
  t.equal((await page(gateway.httpAddress, '/../etc/passwd')).status, 404)
  t.equal((await page(gateway.httpAddress, '/metrics', { headers: { host: 'rebound.example' } })).status, 421)
  t.equal((await page(gateway.httpAddress, '/metrics', { headers: { host: 'localhost:9470' } })).status, 200)
})

t.test('without an agent: 503 and UNAVAILABLE, and it works once the agent is there', async (t) => {
  const directory = temporaryDirectory(t)
  const gateway = await startGateway({ ...defaults, socketPath: `${directory}/none.sock` })
  const tcp = connectAgent(gateway.grpcAddress ?? '')
  t.teardown(async () => { tcp.close(); await gateway.close() })
  t.equal((await page(gateway.httpAddress, '/metrics')).status, 503)
  t.equal((await page(gateway.httpAddress, '/healthz')).status, 503)
  const e = await refusal(call(tcp.agent, tcp.agent.getInfo, {}))
  t.equal(e.grpcCode, status.UNAVAILABLE)
  t.match(e.message, /is it running/)
})

t.test('the proxy passes unary calls, streams, errors with details', async (t) => {
  const { tcp } = await withGateway(t, {}, 200_000)
  t.match(await call(tcp.agent, tcp.agent.getInfo, {}), { node: 'edge-1', pid: process.pid })
  let rows = 0
  for await (const batch of messages(tcp.sessions.list({ filter: undefined, columns: [], limit: 0n, batchRows: 0, withNames: false, fromSlot: 0, order: undefined }))) rows += batch.rows
  t.equal(rows, 200_000)
  const e = await refusal(call(tcp.sessions, tcp.sessions.get, { tuple: undefined, id: fakeId(999_999) }))
  t.equal(e.grpcCode, status.NOT_FOUND)
  t.equal(e.code, 'LS_E_NOT_FOUND')
  t.match(e.detail.object, /^session /)
})

t.test('an agent that restarts is reached again over the same client connection', async (t) => {
  const { tcp, server, socketPath, agent } = await withGateway(t)
  await call(tcp.agent, tcp.agent.getInfo, {})
  await server.close(0)
  t.equal((await refusal(call(tcp.agent, tcp.agent.getInfo, {}))).grpcCode, status.UNAVAILABLE)
  const { startRpcServer } = await import('../../../src/rpc/server.js')
  const second = await startRpcServer(agent.services, { socketPath })
  t.teardown(async () => await second.close(0))
  t.match(await call(tcp.agent, tcp.agent.getInfo, {}), { node: 'edge-1' })
})

t.test('cancellation and deadlines reach the agent', async (t) => {
  const { tcp, agent } = await withGateway(t, { role: 'admin' })
  let seen: AbortSignal | null = null
  agent.sessions.deleteByFilter = async (_filter, signal) => await new Promise((_resolve, reject) => {
    seen = signal
    signal.addEventListener('abort', () => reject(signal.reason as Error))
  })
  const aborted = async (): Promise<boolean> => await comesAbout(() => (seen as AbortSignal | null)?.aborted === true)
  const e = await refusal(call(tcp.sessions, tcp.sessions.delete, { filter: undefined, all: true }, { deadlineMs: 1000 }))
  t.equal(e.grpcCode, status.DEADLINE_EXCEEDED)
  t.ok(await aborted(), 'deadline')
  seen = null
  const abort = new AbortController()
  const running = refusal(call(tcp.sessions, tcp.sessions.delete, { filter: undefined, all: true }, { signal: abort.signal }))
  t.ok(await comesAbout(() => seen !== null))
  abort.abort()
  t.equal((await running).grpcCode, status.CANCELLED)
  t.ok(await aborted(), 'cancellation')
  const stream = messages(tcp.sessions.watch({ filter: undefined, columns: [], snapshot: false }))
  await stream.next()
  t.equal(agent.watchers(), 1)
  await stream.return(undefined)
  t.ok(await comesAbout(() => agent.watchers() === 0))
})

t.test('a client that does not read does not make the gateway buffer', async (t) => {
  const { tcp, agent } = await withGateway(t, {}, 3_000_000)
  let walked = 0
  const original = agent.sessions.list
  agent.sessions.list = (f, c, cursor, max) => { walked++; return original(f, c, cursor, max) }
  const reader = messages(tcp.sessions.list({ filter: undefined, columns: [], limit: 0n, batchRows: 0, withNames: false, fromSlot: 0, order: undefined }))
  await reader.next()
  let before = -1
  let still = 0
  t.ok(await comesAbout(() => { still = walked === before ? still + 1 : 0; before = walked; return still >= 15 }))
  t.ok(walked < 100, `${walked} batches made`)
  await reader.return(undefined)
})

t.test('strangers who say nothing, idle connections and stalled readers lose their place', async (t) => {
  const { gateway, agent } = await withGateway(t, { patience: { pingMs: 100, idleMs: 400, stalledMs: 300 } }, 3_000_000)
  const [host = '', port = ''] = (gateway.grpcAddress ?? '').split(':')
  const silent = connectSocket(Number(port), host)
  silent.on('error', () => {}).resume()
  await new Promise((resolve) => silent.once('close', resolve)) // no preface, no answer to a ping

  const idle = connectHttp2(`http://${gateway.grpcAddress ?? ''}`)
  await new Promise((resolve) => idle.once('goaway', resolve))
  t.pass('without calls')

  const reader = connectHttp2(`http://${gateway.grpcAddress ?? ''}`, { settings: { initialWindowSize: 1000 } })
  let walked = 0
  const original = agent.sessions.list
  agent.sessions.list = (f, c, cursor, max) => { walked++; return original(f, c, cursor, max) }
  const stream = reader.request({ ':method': 'POST', ':path': '/lockstep.v1.Sessions/List', 'content-type': 'application/grpc', te: 'trailers' })
  stream.on('error', () => {})
  stream.end(Buffer.alloc(5))
  stream.pause()
  await new Promise((resolve) => stream.once('close', resolve))
  t.ok(walked > 0, 'a reader that takes nothing')
  reader.destroy()

  const { tcp } = await withGateway(t, { patience: { pingMs: 50, idleMs: 100, stalledMs: 100 } })
  const over = new AbortController()
  const watch = messages(tcp.sessions.watch({ filter: undefined, columns: [], snapshot: false }), over.signal)
  await watch.next()
  const slow = watch.next()
  await new Promise((resolve) => setTimeout(resolve, 500))
  t.equal(await Promise.race([slow.then(() => 'ended', () => 'ended'), new Promise((resolve) => setTimeout(() => resolve('open'), 10))]), 'open', 'a quiet watch is none of these')
  over.abort()
  await slow.catch(() => {})
  t.match(await call(tcp.agent, tcp.agent.getInfo, {}), { node: 'edge-1' })
  await new Promise((resolve) => setTimeout(resolve, 400))
  t.match(await call(tcp.agent, tcp.agent.getInfo, {}), { node: 'edge-1' }, 'a client whose idle connection was closed opens another')
})

t.test('an agent that hangs: its calls end, also those without a deadline', async (t) => {
  const directory = temporaryDirectory(t)
  const deaf = createServer()
  await new Promise<void>((resolve) => deaf.listen(`${directory}/deaf.sock`, () => resolve()))
  const gateway = await startGateway({ ...defaults, socketPath: `${directory}/deaf.sock`, patience: { pingMs: 100, idleMs: 10_000, stalledMs: 10_000 } })
  const tcp = connectAgent(gateway.grpcAddress ?? '')
  t.teardown(async () => { tcp.close(); await gateway.close(); deaf.close() })
  const e = await refusal(messages(tcp.sessions.watch({ filter: undefined, columns: [], snapshot: false })).next())
  t.equal(e.grpcCode, status.UNAVAILABLE)
})

t.test('plain loopback looks but does not touch', async (t) => {
  const { tcp } = await withGateway(t)
  await call(tcp.sessions, tcp.sessions.count, { filter: undefined })
  const denied = [
    call(tcp.sessions, tcp.sessions.delete, { filter: undefined, all: true }),
    call(tcp.config, tcp.config.getText, { which: 'CONFIG_TEXT_RUNNING' as never }),
    call(tcp.config, tcp.config.save, {})
  ]
  for (const attempt of denied) {
    const e = await refusal(attempt)
    t.equal(e.grpcCode, status.PERMISSION_DENIED)
    t.match(e.message, /needs the role (operator|admin)/)
  }
})

t.test('a client cannot claim a caller name', async (t) => {
  const { gateway, agent } = await withGateway(t, { role: 'admin' })
  const { ConfigClient } = await import('../../../src/generated/proto/lockstep/v1/config.js')
  const client = new ConfigClient(gateway.grpcAddress ?? '', credentials.createInsecure())
  const metadata = new Metadata()
  metadata.set('lockstep-caller', 'root')
  await new Promise((resolve, reject) => client.apply({ text: 'version: 1\n', author: 'anna', comment: '', expectedGeneration: undefined, requestId: '', dryRun: false, confirmWithinMs: undefined }, metadata, (error, r) => { if (error === null) resolve(r); else reject(error) }))
  t.equal(agent.config.lastOptions?.author, 'anna')
  client.close()
})

t.test('what is not gRPC is refused', async (t) => {
  const { gateway } = await withGateway(t)
  const { connect } = await import('node:http2')
  const session = connect(`http://${gateway.grpcAddress ?? ''}`)
  const answer = await new Promise<number | undefined>((resolve, reject) => {
    session.on('error', reject)
    session.request({ ':method': 'GET', ':path': '/metrics' }).on('response', (h) => resolve(h[':status'])).end()
  })
  session.destroy()
  t.equal(answer, 415)
})

t.test('addresses: loopback is known, names are refused', async (t) => {
  t.match(parseListen('x', '127.0.0.1:1'), { loopback: true, port: 1 })
  t.match(parseListen('x', '[::1]:2'), { host: '::1', loopback: true })
  t.match(parseListen('x', 'localhost:2'), { host: '127.0.0.1', loopback: true })
  t.match(parseListen('x', '0.0.0.0:3'), { loopback: false })
  t.equal(parseListen('x', 'off'), null)
  for (const bad of ['9471', 'host:1', '1.2.3.4', '1.2.3.4:70000', '::1:5', '']) t.throws(() => parseListen('x', bad), { code: 'LS_G_ADDRESS' }, bad)
})

t.test('beyond loopback it needs mutual TLS; a taken port is named', async (t) => {
  const { socketPath, gateway } = await withGateway(t)
  await t.rejects(startGateway({ ...defaults, socketPath, grpc: '0.0.0.0:0' }), { code: 'LS_G_TLS' })
  await t.rejects(startGateway({ ...defaults, socketPath, tlsCert: '/nonexistent' }), { code: 'LS_G_TLS' })
  await t.rejects(startGateway({ ...defaults, socketPath, role: 'king' }), { code: 'LS_G_ROLE' })
  await t.rejects(startGateway({ ...defaults, socketPath, http: gateway.httpAddress ?? '' }), { code: 'LS_G_LISTEN' })
})

t.test('mutual TLS: the certificate says who and which role', { skip: hasOpenssl() ? false : 'the openssl command is missing' }, async (t) => {
  const directory = temporaryDirectory(t)
  const authority = createAuthority(directory)
  const own = authority.issue('gateway', '/CN=gateway')
  const { gateway, agent } = await withGateway(t, { tlsCert: own.cert, tlsKey: own.key, tlsCa: authority.ca, http: '127.0.0.1:0', grpc: '127.0.0.1:0' })
  const connectAs = (t: Test, name: string, subject: string, from = authority): AgentConnection => {
    const pair = from.issue(name, subject)
    const connection = connectAgent(gateway.grpcAddress ?? '', credentials.createSsl(read(authority.ca), read(pair.key), read(pair.cert)))
    t.teardown(() => connection.close())
    return connection
  }
  const apply = async (c: AgentConnection): Promise<unknown> =>
    await call(c.config, c.config.apply, { text: 'version: 1\n', author: 'somebody', comment: '', expectedGeneration: undefined, requestId: '', dryRun: false, confirmWithinMs: undefined })
  const remove = async (c: AgentConnection): Promise<unknown> =>
    await call(c.sessions, c.sessions.delete, { filter: SessionFilter.decode(SessionFilter.encode({ ...SessionFilter.decode(new Uint8Array()), id: fakeId(3) }).finish()), all: false })

  await t.test('viewer', async (t) => {
    const viewer = connectAs(t, 'v', '/OU=viewer/CN=vera')
    t.match(await call(viewer.agent, viewer.agent.getInfo, {}), { node: 'edge-1' })
    t.match(await refusal(remove(viewer)), { grpcCode: status.PERMISSION_DENIED, message: /vera has viewer/ })
  })
  await t.test('operator', async (t) => {
    const operator = connectAs(t, 'o', '/OU=operator/CN=otto')
    t.same(await remove(operator), { matched: 1n, deleted: 1n })
    t.equal((await refusal(apply(operator))).grpcCode, status.PERMISSION_DENIED)
  })
  await t.test('admin, and the verified name is the author', async (t) => {
    await apply(connectAs(t, 'a', '/OU=people/OU=admin/CN=anna'))
    t.equal(agent.config.lastOptions?.author, 'anna (somebody)')
  })
  await t.test('a certificate without a role may nothing', async (t) => {
    const nobody = connectAs(t, 'n', '/OU=people/CN=nemo')
    t.match(await refusal(call(nobody.agent, nobody.agent.getInfo, {})), { grpcCode: status.UNAUTHENTICATED, message: /names no role/ })
  })
  await t.test('a foreign authority, plain text and no certificate do not get in', async (t) => {
    const foreign = connectAs(t, 'f', '/OU=admin/CN=fred', createAuthority(directory, 'other'))
    t.equal((await refusal(call(foreign.agent, foreign.agent.getInfo, {}, { deadlineMs: 3000 }))).errorClass, 'unavailable')
    const plain = connectAgent(gateway.grpcAddress ?? '')
    t.equal((await refusal(call(plain.agent, plain.agent.getInfo, {}, { deadlineMs: 3000 }))).errorClass, 'unavailable')
    plain.close()
    const bare = connectAgent(gateway.grpcAddress ?? '', credentials.createSsl(read(authority.ca)))
    t.equal((await refusal(call(bare.agent, bare.agent.getInfo, {}, { deadlineMs: 3000 }))).errorClass, 'unavailable')
    bare.close()
  })
  await t.test('files are read again: new connections see the new certificate, bad files change nothing', async (t) => {
    const serial = async (): Promise<string> => await new Promise((resolve, reject) => {
      const pair = authority.issue('s', '/OU=viewer/CN=sven')
      const [host = '', port = ''] = (gateway.grpcAddress ?? '').split(':')
      const socket = connectTls({ host, port: Number(port), ca: read(authority.ca), cert: read(pair.cert), key: read(pair.key), ALPNProtocols: ['h2'] }, () => { resolve(socket.getPeerCertificate().serialNumber); socket.destroy() })
      socket.on('error', reject)
    })
    const before = await serial()
    authority.issue('gateway', '/CN=gateway')
    t.equal(await serial(), before)
    gateway.reloadTls()
    const after = await serial()
    t.not(after, before)
    writeFileSync(own.key, 'not a key')
    t.throws(() => gateway.reloadTls(), { code: 'LS_G_TLS' })
    t.equal(await serial(), after)
  })
  await t.test('metrics over TLS', async (t) => {
    const pair = authority.issue('p', '/OU=viewer/CN=prometheus')
    const fetchPage = async (tls: Record<string, Buffer>): Promise<number> => await new Promise((resolve, reject) => {
      httpsGet(`https://${gateway.httpAddress ?? ''}/metrics`, { agent: false, ca: read(authority.ca), ...tls }, (response) => { response.resume(); resolve(response.statusCode ?? 0) }).on('error', reject)
    })
    t.equal(await fetchPage({ cert: read(pair.cert), key: read(pair.key) }), 200)
    await t.rejects(fetchPage({}))
    await t.rejects(new Promise((resolve, reject) => { httpGet(`http://${gateway.httpAddress ?? ''}/metrics`, { agent: false }, resolve).on('error', reject) }))
  })
})
