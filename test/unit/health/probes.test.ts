/** Each probe against servers of this process on the loopback: what passes, what does not, with which word, and that giving up ends it. */
import { createSocket } from 'node:dgram'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttp, type RequestListener } from 'node:http'
import { createServer as createHttp2 } from 'node:http2'
import { createServer as createTcp, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTls } from 'node:tls'
import { getSystemErrorName } from 'node:util'
import t, { type Test } from 'tap'
import type { CheckTarget, HealthCheck, ProbeOutcome } from '../../../src/contract/health.js'
import { HealthCheckResponse, HealthCheckResponse_ServingStatus as serving } from '../../../src/generated/proto/grpc/health/v1/health.js'
import type { Probe } from '../../../src/health/checker.js'
import { parseAgent, withAgent } from '../../../src/health/probes/agent.js'
import { icmpProbes } from '../../../src/health/probes/icmp.js'
import { probesWith } from '../../../src/health/probes/index.js'
import { tcpProbes } from '../../../src/health/probes/tcp.js'
import { loadCore } from '../../../src/native/load.js'
import { createAuthority, hasOpenssl } from '../gateway/certificates.js'

const usual: HealthCheck = {
  name: 'c', type: 'tcp', port: 0, intervalMs: 1000, fastIntervalMs: 1000, downIntervalMs: 1000, timeoutMs: 1000, rise: 2, fall: 3, jitterPct: 0, netns: null, source: { v4: null, v6: null },
  tls: null, http: null, dns: null, grpcService: null, argv: null, agent: null, passive: 0
}
const web = { method: 'GET', path: '/', host: null, headers: {}, statuses: [{ from: 200, to: 399 }], body: null } as const
const target = (port: number, more: Partial<HealthCheck>, address = '127.0.0.1'): CheckTarget => ({ id: 'c', check: { ...usual, ...more }, address, port })

const core = loadCore()
const echo = icmpProbes(new core.Echo(), (errno) => getSystemErrorName(-errno))
const connects = tcpProbes(new core.Connects(), (errno) => getSystemErrorName(-errno))
t.teardown(() => { echo.close(); connects.close() })
const probe = probesWith({ icmp: echo.probe, tcp: connects.probe })

async function ask (of: CheckTarget, with_: Probe = probe): Promise<ProbeOutcome> {
  return await new Promise((resolve) => {
    const cancel = with_(of, (outcome) => { resolve(outcome) })
    setTimeout(() => {
      cancel()
      resolve({ ok: false, code: 'timeout', detail: 'the test gave up', tookMs: 2000 })
    }, 2000).unref()
  })
}
async function portOf (t: Test, server: Pick<Server, 'listen' | 'address' | 'close'>): Promise<number> {
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', () => { resolve() }) })
  t.teardown(() => { server.close() })
  return (server.address() as AddressInfo).port
}
async function closedPort (): Promise<number> {
  const server = createTcp()
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', () => { resolve() }) })
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => { server.close(() => { resolve() }) })
  return port
}

t.test('tcp', async t => {
  const port = await portOf(t, createTcp((socket) => { socket.on('error', () => { /* it is reset */ }) }))
  t.match(await ask(target(port, {})), { ok: true, code: 'ok' })
  t.match(await ask(target(await closedPort(), {})), { ok: false, code: 'refused' })
  t.match(await ask(target(port, { source: { v4: '127.0.0.77', v6: null } })), { ok: true }, 'from another address')
  t.match(await ask(target(port, { source: { v4: '192.0.2.1', v6: null } })), { ok: false, code: 'unreachable' }, 'from one that is not here')
})

t.test('tcp: many at once, to IPv6, refused, given up; nothing is left open', async t => {
  const open = (): number => readdirSync('/proc/self/fd').length
  const accepted: string[] = []
  const server = createTcp((socket) => { socket.on('error', () => { /* it is reset */ }); accepted.push(socket.remoteAddress ?? '') })
  const port = await portOf(t, server)
  const closed = await closedPort()
  const before = open()
  const outcomes = await Promise.all(Array.from({ length: 600 }, async (_, i) => await ask(target(i % 3 === 2 ? closed : port, {}))))
  t.same([outcomes.filter(o => o.ok).length, outcomes.filter(o => o.code === 'refused').length], [400, 200])
  t.match(outcomes[2], { detail: 'connect ECONNREFUSED' })
  for (let i = 0; i < 1500 && open() > before; i++) await new Promise((resolve) => { setTimeout(resolve, 20) })
  t.ok(open() <= before, 'descriptors of probes are closed')
  t.match(await ask(target(port, { source: { v4: null, v6: '::1' } })), { ok: true }, 'a source of the other family is not used')
  t.match(await ask(target(await closedPort(), {}, '::1')), { ok: false })
  const again = tcpProbes(new core.Connects(), (errno) => getSystemErrorName(-errno))
  again.probe(target(port, {}), () => { /* perhaps */ })
  again.close()
})

t.test('tcp: a name that is free again while others of its look wait is another connection; who is given up is cancelled and not heard of', async t => {
  const said: string[] = []
  let ends: number[] = []
  const fake = tcpProbes({ begin: () => names.shift() ?? -1, ended: () => ends.splice(0), cancel: (name) => { said.push(`cancel ${name}`) }, close: () => { said.push('close') } }, (errno) => errno === 111 ? 'ECONNREFUSED' : 'EPERM')
  const names = [5, 6, 6, 7, 0]
  const began = (what: string, then = (): void => { /* nothing more */ }): (() => void) => fake.probe(target(80, {}), ({ code }) => {
    said.push(`${what} ${code}`)
    then()
  })
  began('first', () => { began('third') })
  began('second')
  ends = [5, 0, 6, 111]
  await new Promise((resolve) => { setTimeout(resolve, 20) })
  t.same(said.splice(0), ['first ok', 'second refused'])
  began('fourth')()
  began('at once')
  began('not at all')
  t.same(said.splice(0), ['cancel 7', 'at once ok', 'not at all error'])
  fake.close()
  t.same(said, ['cancel 6', 'close'])
})

t.test('agent: words of HAProxy, the first line alone, comments', async t => {
  for (const [line, said] of [
    ['75%', 75], ['up 75%', 75], ['ready, 50%', 50], ['up', 100], ['READY', 100], ['250%', 100], ['0%', 0], ['drain', 0], ['maint 80%', 0], ['up drain', 0], ['maxconn:30', null], ['', null], ['  ', null], ['-5%', null], ['1e3%', null], ['up%', null]
  ] as const) t.equal(parseAgent(line)?.sharePct ?? null, said, JSON.stringify(line))
  t.same(parseAgent('up down #disk full'), { sharePct: null, reason: 'the agent says down: disk full' })
  t.same(parseAgent('stopped'), { sharePct: null, reason: 'the agent says stopped' })
})

t.test('a check with an agent: both are asked; who hangs or is not there says nothing', async t => {
  const server = await portOf(t, createTcp((socket) => { socket.on('error', () => { /* it is reset */ }) }))
  let answer = '75%\ndown\n'
  let heard = ''
  const agent = await portOf(t, createTcp((socket) => {
    socket.on('error', () => { /* given up */ })
    if (answer === 'hang') return
    if (answer === 'flood') return void socket.write('x'.repeat(100_000))
    socket.on('data', (bytes) => { heard = bytes.toString() })
    setTimeout(() => { socket.end(answer) }, 20)
  }))
  const asked = (more: Partial<HealthCheck> = {}): CheckTarget => target(server, { agent: { port: agent, send: 'how?\n' }, ...more })
  t.match(await ask(asked()), { ok: true, code: 'ok', sharePct: 75 })
  t.equal(heard, 'how?\n')
  answer = 'drain'
  t.match(await ask(asked()), { ok: true, sharePct: 0 }, 'without an end of line')
  answer = 'down #backup\n'
  t.match(await ask(asked()), { ok: false, code: 'agent', detail: 'the agent says down: backup' })
  for (const nothing of ['hang', 'flood', '', '\0\u00ff\n']) {
    answer = nothing
    const outcome = await ask(asked({ timeoutMs: 200 }))
    t.match(outcome, { ok: true, code: 'ok' }, JSON.stringify(nothing))
    t.equal(outcome.sharePct, undefined)
  }
  t.equal((await ask(target(server, { agent: { port: await closedPort(), send: '' } }))).sharePct, undefined)
  answer = '75%'
  const refused = await ask({ ...asked(), port: await closedPort() })
  t.match(refused, { ok: false, code: 'refused' })
  t.equal(refused.sharePct, undefined, 'of one that is down nothing follows')
  const atOnce = withAgent((_, done) => {
    done({ ok: false, code: 'exit', detail: '', tookMs: 0 })
    return () => { /* it has ended */ }
  })
  t.match(await ask(asked(), atOnce), { ok: false, code: 'exit' }, 'a probe that ends as it begins')
  probe(asked(), () => { t.fail('it was given up') })()
})

t.test('http', async t => {
  const answers: Record<string, RequestListener> = {
    '/ok': (request, response) => { response.end(`hello ${request.headers.host ?? ''} ${request.headers['x-more'] ?? ''}`) },
    '/away': (_, response) => { response.writeHead(503).end() },
    '/large': (_, response) => { response.end('x'.repeat(1 << 20)) },
    '/drip': (_, response) => { response.write('h') },
    '/cut': (_, response) => {
      response.write('h')
      setTimeout(() => { response.destroy() }, 20)
    }
  }
  const port = await portOf(t, createHttp((request, response) => { answers[request.url ?? '']?.(request, response) }))
  const get = async (path: string, more: Partial<HealthCheck['http']> = {}): Promise<ProbeOutcome> => await ask(target(port, { type: 'http', http: { ...web, path, ...more } }))
  t.match(await get('/ok'), { ok: true, detail: 'status 200' })
  t.match(await get('/ok', { body: `^hello 127\\.0\\.0\\.1:${port}` }), { ok: true }, 'the host is the address, with its port')
  t.match(await get('/ok', { host: 'www.example', headers: { 'x-more': 'yes' }, body: 'www\\.example yes$' }), { ok: true })
  t.match(await get('/ok', { body: 'goodbye' }), { ok: false, code: 'body' })
  t.match(await get('/away'), { ok: false, code: 'status', detail: 'status 503, expected 200-399' })
  t.match(await get('/away', { statuses: [{ from: 503, to: 503 }] }), { ok: true })
  t.match(await get('/large'), { ok: true }, 'as much as is looked at')
  t.match(await get('/drip'), { code: 'timeout' }, 'who drips does not pass')
  t.match(await get('/cut'), { ok: false, code: 'reset' })
  t.match(await ask(target(await closedPort(), { type: 'http', http: web })), { ok: false, code: 'refused' })
  t.match(await ask(target(await portOf(t, createTcp((socket) => { socket.end('what?\r\n\r\n') })), { type: 'http', http: web })), { ok: false })
})

t.test('tls: any certificate, one that is valid, one of an authority', { skip: hasOpenssl() ? false : 'no openssl program' }, async t => {
  const directory = mkdtempSync(join(tmpdir(), 'ls-probe-'))
  t.teardown(() => { rmSync(directory, { recursive: true }) })
  const { ca, issue } = createAuthority(directory)
  const good = issue('good', '/CN=real.example', { names: 'DNS:real.example', days: 30 })
  const old = issue('old', '/CN=real.example', { names: 'DNS:real.example', days: -1 })
  const serve = async ({ key, cert }: { key: string, cert: string }): Promise<number> => await portOf(t, createTls({ key: readFileSync(key), cert: readFileSync(cert) }, (socket) => { socket.on('error', () => { /* it is closed */ }) }))
  const [goodPort, oldPort] = [await serve(good), await serve(old)]
  const tls = { serverName: 'real.example', verify: 'none', authority: null, minDays: 0 } as const
  const shake = async (port: number, more: Partial<NonNullable<HealthCheck['tls']>> = {}): Promise<ProbeOutcome> => await ask(target(port, { type: 'tls', tls: { ...tls, ...more } }))
  t.match(await shake(goodPort), { ok: true, detail: 'TLSv1.3' })
  t.match(await shake(oldPort), { ok: true })
  t.match(await shake(goodPort, { verify: 'expiry' }), { ok: true })
  t.match(await shake(goodPort, { verify: 'expiry', minDays: 60 }), { ok: false, code: 'expired' })
  t.match(await shake(oldPort, { verify: 'expiry' }), { ok: false, code: 'expired' })
  t.match(await shake(goodPort, { verify: 'full' }), { ok: false, code: 'tls' }, 'nobody known has signed it')
  t.match(await shake(goodPort, { verify: 'full', authority: ca }), { ok: true })
  t.match(await shake(goodPort, { verify: 'full', authority: ca, serverName: 'other.example' }), { ok: false, code: 'tls' })
  t.match(await shake(goodPort, { authority: '/nonexistent' }), { ok: false, detail: /ENOENT/ })
  t.match(await shake(await portOf(t, createTcp((socket) => { socket.end('no TLS\n') }))), { ok: false })
  t.match(await shake(await portOf(t, createTcp((socket) => { socket.on('error', () => { /* given up */ }) }))), { code: 'timeout' }, 'a server that says nothing')
  const secure = await portOf(t, createTls({ key: readFileSync(good.key), cert: readFileSync(good.cert) }, (socket) => { socket.end('HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n') }))
  t.match(await ask(target(secure, { type: 'http', http: web, tls: { ...tls, verify: 'full', authority: ca } })), { ok: true, detail: 'status 204' })
  t.match(await ask(target(secure, { type: 'http', http: web, tls: { ...tls, verify: 'full' } })), { ok: false, code: 'tls' })
})

t.test('grpc', async t => {
  const server = createHttp2()
  server.on('stream', (stream, headers) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => { chunks.push(chunk) })
    stream.on('end', () => {
      const service = Buffer.concat(chunks).subarray(7).toString()
      if (headers[':path'] !== '/grpc.health.v1.Health/Check' || service === 'nobody') {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5' }, { endStream: true })
        return
      }
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => { stream.sendTrailers({ 'grpc-status': '0' }) })
      const message = HealthCheckResponse.encode({ status: service === 'away' ? serving.NOT_SERVING : serving.SERVING }).finish()
      stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]))
    })
  })
  const port = await portOf(t, server as unknown as Server)
  const check = async (grpcService: string): Promise<ProbeOutcome> => await ask(target(port, { type: 'grpc', grpcService }))
  t.match(await check(''), { ok: true })
  t.match(await check('shop'), { ok: true })
  t.match(await check('away'), { ok: false, code: 'answer', detail: 'the service is NOT_SERVING' })
  t.match(await check('nobody'), { ok: false, code: 'answer', detail: 'gRPC status 5' })
  t.match(await ask(target(await closedPort(), { type: 'grpc', grpcService: '' })), { ok: false, code: 'refused' })
  t.match(await ask(target(await portOf(t, createTcp((socket) => { socket.end('HTTP/1.1 400 Bad Request\r\n\r\n') })), { type: 'grpc', grpcService: '' })), { ok: false })
})

t.test('dns', async t => {
  const server = createSocket('udp4')
  await new Promise<void>((resolve) => { server.bind(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.close() })
  server.on('message', (question, from) => {
    const name = question.subarray(12, question.indexOf(0, 12) + 1)
    if (name.includes('silent')) return
    const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7])
    const head = Buffer.from(question.subarray(0, 12))
    head[2] = 0x81
    head[3] = name.includes('nothere') ? 0x83 : 0x80
    head.writeUInt16BE(name.includes('nothere') ? 0 : 1, 6)
    head.writeUInt16BE(0, 10)
    server.send(Buffer.concat([head, name, Buffer.from([0, 1, 0, 1]), ...(name.includes('nothere') ? [] : [answer])]), from.port, from.address)
  })
  const { port } = server.address()
  const resolve = async (name: string, answer: string | null = null): Promise<ProbeOutcome> => await ask(target(port, { type: 'dns', timeoutMs: 300, dns: { name, type: 'A', answer } }))
  t.match(await resolve('here.example'), { ok: true, detail: '192.0.2.7' })
  t.match(await resolve('here.example', '192.0.2.7'), { ok: true })
  t.match(await resolve('here.example', '192.0.2.8'), { ok: false, code: 'answer' })
  t.match(await resolve('nothere.example'), { ok: false, code: 'answer' })
  t.match(await resolve('silent.example'), { ok: false, code: 'timeout' })
})

t.test('exec', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'ls-probe-'))
  t.teardown(() => { rmSync(directory, { recursive: true }) })
  const run = async (...argv: string[]): Promise<ProbeOutcome> => await ask(target(8080, { type: 'exec', argv }))
  t.match(await run('/bin/sh', '-c', 'test "$0 $1" = "127.0.0.1 8080"', '{address}', '{port}'), { ok: true })
  t.match(await run('/bin/sh', '-c', 'exit 7'), { ok: false, code: 'exit', detail: 'exit code 7' })
  t.match(await run(join(directory, 'nothing')), { ok: false, code: 'exit' })
  writeFileSync(join(directory, 'plain'), 'no program')
  t.match(await run(join(directory, 'plain')), { ok: false, code: 'exit' })
  t.match(await run('/bin/sleep', '60'), { code: 'timeout' })
})

t.test('icmp', async t => {
  const there = await ask(target(0, { type: 'icmp' }))
  if (there.code === 'error' && there.detail === 'EACCES') {
    t.comment('skipped: no echo socket, neither CAP_NET_RAW nor net.ipv4.ping_group_range')
    return
  }
  t.match(there, { ok: true })
  const all = await Promise.all(Array.from({ length: 200 }, async (_, i) => await ask(target(0, { type: 'icmp' }, `127.0.1.${i + 1}`))))
  t.equal(all.filter(o => o.ok).length, 200)
  t.match(await ask(target(0, { type: 'icmp' }, '::1')), { ok: true })
  t.match(await ask(target(0, { type: 'icmp', source: { v4: '127.0.0.9', v6: null } })), { ok: true })
  t.match(await ask(target(0, { type: 'icmp', source: { v4: '192.0.2.1', v6: null } })), { ok: false })
})
