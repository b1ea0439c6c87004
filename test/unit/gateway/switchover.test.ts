/** The one path that changes something: for whom may, from a page of this gateway, bounded; and the agent's journal names who it was. */
import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { request as httpsRequest } from 'node:https'
import t, { type Test } from 'tap'
import { startGateway, type Gateway, type GatewayOptions } from '../../../src/gateway/main.js'
import { Refusals } from '../../../src/gateway/refusals.js'
import { BODY_MAX, wantedOf } from '../../../src/gateway/switchover.js'
import { temporaryDirectory, withServer, type Running } from '../rpc/with-server.js'
import { createAuthority, hasOpenssl, read } from './certificates.js'

if (process.getuid?.() === 0) process.getuid = () => 1000 // it would give up this process's own rights

async function withGateway (t: Test, over: Partial<GatewayOptions> = {}): Promise<Running & { readonly gateway: Gateway }> {
  const running = await withServer(t)
  const gateway = await startGateway({ http: '127.0.0.1:0', grpc: 'off', role: 'admin', user: '1000:1000', socketPath: running.socketPath, ...over })
  t.teardown(async () => { await gateway.close() })
  return { ...running, gateway }
}

interface Answer { readonly status: number, readonly body: string, readonly headers: IncomingMessage['headers'] }
const move = JSON.stringify({ agent: 'local', rgs: [0], to: 'edge-2' })

async function post (gateway: Gateway, o: { readonly body?: string, readonly headers?: OutgoingHttpHeaders, readonly method?: string, readonly path?: string, readonly tls?: { readonly ca: Buffer, readonly cert: Buffer, readonly key: Buffer } } = {}): Promise<Answer> {
  const { body = move, method = 'POST', path = '/api/switchover', tls } = o
  const base = `${tls === undefined ? 'http' : 'https'}://${gateway.httpAddress}`
  const headers = { origin: base, 'content-type': 'application/json', 'x-lockstep-request': 'switchover', 'sec-fetch-site': 'same-origin', ...o.headers }
  for (const [name, value] of Object.entries(headers)) if (value === undefined) delete (headers as OutgoingHttpHeaders)[name]
  return await new Promise((resolve, reject) => {
    const take = (response: IncomingMessage): void => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => { text += part }).on('end', () => { resolve({ status: response.statusCode ?? 0, body: text, headers: response.headers }) })
    }
    const request = tls === undefined ? httpRequest(`${base}${path}`, { agent: false, method, headers }, take) : httpsRequest(`${base}${path}`, { agent: false, method, headers, ...tls }, take)
    request.on('error', reject).end(body)
  })
}

t.test('a planned move is asked of the agent that is named', async (t) => {
  const { gateway, agent } = await withGateway(t)
  const { status, body } = await post(gateway)
  t.equal(status, 200)
  t.match(JSON.parse(body), { done: [0], refused: [] })
  t.same(agent.cluster.calls, [['switchover', [0], 'edge-2']])
  agent.cluster.refused = [{ rg: 0, reasons: ['not-proven-equal'] }]
  t.match(JSON.parse((await post(gateway)).body), { done: [], refused: [{ rg: 0, reasons: ['not-proven-equal'] }] })
})

t.test('viewers and operators may not, and nothing reaches the agent', async (t) => {
  for (const role of ['viewer', 'operator']) {
    const { gateway, agent } = await withGateway(t, { role })
    t.match(await post(gateway), { status: 403, body: new RegExp(`needs the role admin; plain loopback has ${role}`) }, role)
    t.same(agent.cluster.calls, [])
  }
})

t.test('what does not come from a page of this gateway is refused', async (t) => {
  const { gateway, agent } = await withGateway(t)
  const foreign: Array<[string, OutgoingHttpHeaders]> = [
    ['no origin', { origin: undefined }], ['another origin', { origin: 'https://evil.example' }], ['no origin to speak of', { origin: 'null' }], ['another port', { origin: 'http://127.0.0.1:1' }], ['another site', { 'sec-fetch-site': 'cross-site' }],
    ['a form', { 'content-type': 'text/plain' }], ['a form that looks like JSON', { 'content-type': 'application/x-www-form-urlencoded' }], ['without our header', { 'x-lockstep-request': undefined }]
  ]
  for (const [name, headers] of foreign) t.match(await post(gateway, { headers }), { status: 403, body: /not from a page of this gateway/ }, name)
  t.match(await post(gateway, { headers: { host: 'rebound.example', origin: 'http://rebound.example' } }), { status: 421 }, 'a name that resolves to us')
  t.same(agent.cluster.calls, [])
})

t.test('bodies: a table', async (t) => {
  const bad: unknown[] = ['', 'x', [], null, {}, { agent: 'local', rgs: [], to: '' }, { agent: 'local', rgs: [16], to: '' }, { agent: 'local', rgs: [0.5], to: '' }, { agent: 'local', rgs: ['0'], to: '' }, { agent: 'local', rgs: Array.from({ length: 17 }, () => 0), to: '' },
    { agent: 'local', rgs: [0] }, { rgs: [0], to: '' }, { agent: 'local', rgs: [0], to: '', all: true }]
  for (const body of bad) t.type(wantedOf(typeof body === 'string' ? body : JSON.stringify(body)), 'string', JSON.stringify(body))
  t.same(wantedOf(move), { agent: 'local', rgs: [0], to: 'edge-2' })
  const { gateway, agent } = await withGateway(t)
  t.equal((await post(gateway, { body: '{}' })).status, 400)
  t.equal((await post(gateway, { body: JSON.stringify({ agent: '__proto__', rgs: [0], to: 'x' }) })).status, 404)
  t.equal((await post(gateway, { body: ' '.repeat(BODY_MAX + 1) })).status, 413)
  t.equal((await post(gateway, { body: ' '.repeat(BODY_MAX + 1), headers: { 'transfer-encoding': 'chunked' } })).status, 413)
  t.equal((await post(gateway, { body: move.padEnd(BODY_MAX) })).status, 200, 'as long as it may be')
  t.equal(agent.cluster.calls.length, 1)
})

t.test('who is refused too often waits; others do not, and addresses do not pile up', async (t) => {
  const { gateway, agent } = await withGateway(t)
  for (let i = 0; i < 20; i++) t.equal((await post(gateway, { headers: { origin: 'https://evil.example' } })).status, 403)
  t.equal((await post(gateway)).status, 200, 'a page of another site does not use up what its operator has')
  agent.cluster.calls.length = 0
  for (let i = 0; i < 10; i++) t.equal((await post(gateway, { body: '{}' })).status, 400)
  const waiting = await post(gateway)
  t.match(waiting, { status: 429, headers: { 'retry-after': /^\d+$/ } })
  t.same(agent.cluster.calls, [])
  t.equal((await fetch(`http://${gateway.httpAddress}/healthz`)).status, 200, 'looking is not refused')
  let now = 0
  const notes: string[] = []
  const refusals = new Refusals({ nowMs: () => now, max: 3, addresses: 4, note: (text) => { notes.push(text) } })
  for (let i = 0; i < 3; i++) refusals.add('a', 'why')
  t.equal(refusals.waitS('a'), 60)
  t.equal(refusals.waitS('b'), 0)
  now = 59_500
  t.equal(refusals.waitS('a'), 1)
  now = 60_000
  t.equal(refusals.waitS('a'), 0)
  refusals.add('a', 'why')
  t.equal(refusals.waitS('a'), 0, 'it begins anew')
  for (let i = 0; i < 100; i++) refusals.add(`x${i}`, 'a\nb')
  t.equal(refusals.size, 4)
  t.same([notes.length, notes[0], notes.at(-1)], [23, 'refused a: why', 'refused x18: a\\nb'], 'a minute has twenty lines')
  now = 120_001
  refusals.tell('b', 'again')
  t.same(notes.slice(-2), ['refused 81 more in the minute before', 'refused b: again'])
  t.equal(refusals.waitS('b'), 0, 'told, and not counted')
})

t.test('every other path stays for looking', async (t) => {
  const { gateway } = await withGateway(t)
  for (const path of ['/', '/metrics', '/healthz', '/api/state', '/api/stream', '/api/whoami', '/api/readings', '/api/sessions', '/api/sessions/count', '/api/targets', '/nowhere']) {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) t.match(await post(gateway, { path, method }), { status: 405, headers: { allow: 'GET, HEAD' } }, `${method} ${path}`)
  }
  for (const method of ['PUT', 'DELETE', 'OPTIONS']) t.match(await post(gateway, { method }), { status: 405, headers: { allow: 'POST' } }, method)
  t.equal((await fetch(`http://${gateway.httpAddress}/api/switchover`)).status, 404)
})

t.test('over TLS the certificate says who, and the journal of the agent names them', { skip: hasOpenssl() ? false : 'the openssl command is missing' }, async (t) => {
  const directory = temporaryDirectory(t)
  const authority = createAuthority(directory)
  const own = authority.issue('gateway', '/CN=gateway')
  const { gateway, agent } = await withGateway(t, { role: 'admin', tlsCert: own.cert, tlsKey: own.key, tlsCa: authority.ca })
  const as = (name: string, subject: string): { readonly ca: Buffer, readonly cert: Buffer, readonly key: Buffer } => {
    const { cert, key } = authority.issue(name, subject)
    return { ca: read(authority.ca), cert: read(cert), key: read(key) }
  }
  t.match(await post(gateway, { tls: as('v', '/OU=viewer/CN=vera') }), { status: 403, body: /vera has viewer/ })
  t.match(await post(gateway, { tls: as('o', '/OU=operator/CN=otto') }), { status: 403, body: /otto has operator/ })
  t.match(await post(gateway, { tls: as('n', '/OU=people/CN=nemo') }), { status: 403, body: /names no role/ })
  t.same(agent.cluster.calls, [])
  t.equal((await post(gateway, { tls: as('a', '/OU=admin/CN=anna') })).status, 200)
  const said = await agent.journal.after(null, AbortSignal.timeout(5000))
  t.match(said.events.find(({ area }) => area === 'audit'), { object: 'Cluster/Switchover', fields: { by: 'anna', result: 'OK' } })
  t.match(await post(gateway, { tls: as('w', '/OU=admin/CN=wilma'), method: 'GET', path: '/api/whoami', body: '' }), { status: 200, body: /"name":"wilma","role":"admin","may":\{"switchover":true\}/ })
})
