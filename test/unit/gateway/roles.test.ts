/** Who may what over TCP: each method of the protocol and each route, called as nobody, viewer, operator and admin with certificates that say so. */
import t, { type Test } from 'tap'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, type ClientHttp2Session } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import { atLeast, mayReadAudit, methods, roles, type Role } from '../../../src/contract/access.js'
import { EventsWatchRequest } from '../../../src/generated/proto/lockstep/v1/events.js'
import { startGateway, type Gateway } from '../../../src/gateway/main.js'
import { mayCall, roleNeeded } from '../../../src/gateway/roles.js'
import { OWN_HEADER } from '../../../src/gateway/switchover.js'
import { packageRoot } from '../../../src/native/load.js'
import { temporaryDirectory, withServer, type Running } from '../rpc/with-server.js'
import { createAuthority, hasOpenssl, read } from './certificates.js'

if (process.getuid?.() === 0) process.getuid = () => 1000 // it would give up this process's own rights

/** Of the protocol's files, so that a new one without a rule is found. */
const own = readdirSync(join(packageRoot(), 'proto/lockstep/v1')).flatMap((file) => {
  const text = readFileSync(join(packageRoot(), 'proto/lockstep/v1', file), 'utf8')
  return [...text.matchAll(/^service (\w+) \{([^]*?)^\}/gm)].flatMap(([, service, body = '']) => [...body.matchAll(/^ {2}rpc (\w+)\(/gm)].map(([, method]) => `/lockstep.v1.${service}/${method}`))
})

t.test('somebody has decided about every method of the protocol', async (t) => {
  const listed = Object.values(methods).flat()
  t.ok(own.length > 40)
  t.same(own.filter(method => !listed.includes(method)), [], 'undecided')
  t.same(listed.filter(method => method.startsWith('/lockstep.') && !own.includes(method)), [], 'of methods that are not there')
  t.equal(new Set(listed).size, listed.length, 'each once')
})

t.test('each role includes the one before, unknown methods are for admin', async (t) => {
  t.equal(roleNeeded('/lockstep.v1.Future/Method'), 'admin')
  const decided: ReadonlyArray<readonly [method: string, role: Role]> = [
    ['Sessions/List', 'viewer'], ['Config/Check', 'viewer'], ['Telemetry/NatUsage', 'viewer'], ['Cluster/Watch', 'viewer'], ['Sessions/Delete', 'operator'], ['Config/GetText', 'operator'], ['Cluster/Verify', 'operator'],
    ['Cluster/Switchover', 'admin'], ['Config/Apply', 'admin'], ['Sessions/Install', 'admin'], ['Agent/SwitchBackend', 'admin']
  ]
  for (const [method, least] of decided) for (const role of roles) t.equal(mayCall(role, `/lockstep.v1.${method}`), atLeast(role, least), `${role} ${method}`)
  t.notOk(mayCall('operator', '/grpc.channelz.v1.Channelz/GetServers'))
  t.ok(mayCall('admin', '/lockstep.v1.Future/Method'))
})

interface Secured extends Running { readonly gateway: Gateway, readonly notes: string[], readonly as: (role: Role | null) => { readonly ca: Buffer, readonly cert: Buffer, readonly key: Buffer } }

async function secured (t: Test): Promise<Secured> {
  const running = await withServer(t)
  const authority = createAuthority(temporaryDirectory(t))
  const gatewayPair = authority.issue('gateway', '/CN=gateway')
  const pairs = new Map([null, ...roles].map(role => [role, authority.issue(role ?? 'nobody', `/OU=${role ?? 'people'}/CN=${role ?? 'nemo'}-1`)]))
  const notes: string[] = []
  const gateway = await startGateway({
    http: '127.0.0.1:0', grpc: '127.0.0.1:0', role: 'viewer', user: `${process.getuid?.() ?? 0}:0`, socketPath: running.socketPath, tlsCert: gatewayPair.cert, tlsKey: gatewayPair.key, tlsCa: authority.ca, onNote: (text) => { notes.push(text) }
  })
  t.teardown(async () => { await gateway.close() })
  const as = (role: Role | null): ReturnType<Secured['as']> => {
    const pair = pairs.get(role)
    if (pair === undefined) throw new Error('no such pair')
    return { ca: read(authority.ca), cert: read(pair.cert), key: read(pair.key) }
  }
  return { ...running, gateway, notes, as }
}

interface Answer { readonly status: string, readonly message: string, readonly body: Buffer }

/** The first thing that comes: of a stream its headers, whatever follows. */
async function grpcCall (session: ClientHttp2Session, path: string, request: Uint8Array = Buffer.alloc(0), enough = 0): Promise<Answer> {
  const framed = Buffer.concat([Buffer.from([0, 0, 0, 0, 0]), request])
  framed.writeUInt32BE(request.length, 1)
  return await new Promise((resolve, reject) => {
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', 'lockstep-role': 'admin', 'lockstep-caller': 'root' })
    let body = Buffer.alloc(0)
    let answer = { status: '', message: '' }
    const end = (): void => { stream.close(); resolve({ ...answer, body }) }
    const take = (headers: Record<string, unknown>): void => { if (headers['grpc-status'] !== undefined) answer = { status: String(headers['grpc-status']), message: decodeURIComponent(String(headers['grpc-message'] ?? '')) } }
    stream.on('response', (headers) => { take(headers); if (enough === 0) end() })
    stream.on('trailers', take)
    stream.on('data', (part: Buffer) => { body = Buffer.concat([body, part]); if (enough > 0 && body.length >= enough) end() })
    stream.on('error', reject)
    stream.on('close', end)
    stream.end(framed)
  })
}

const skip = hasOpenssl() ? false : 'the openssl command is missing'

t.test('every method as everybody, over mutual TLS', { skip }, async (t) => {
  const { gateway, as, notes } = await secured(t)
  for (const role of [null, ...roles]) {
    const session = connect(`https://${gateway.grpcAddress ?? ''}`, { ...as(role), ALPNProtocols: ['h2'] })
    const wrong: string[] = []
    for (const path of own) {
      const { status, message } = await grpcCall(session, path)
      if (role === null) {
        if (!(status === '16' && message.includes('names no role')) && !(status === '8' && message.includes('refused too often'))) wrong.push(`${path}: ${status} ${message}`)
      } else if ((status === '7' && message.includes(`needs the role ${roleNeeded(path)}`)) === atLeast(role, roleNeeded(path))) wrong.push(`${path}: ${status} ${message}`)
    }
    t.same(wrong, [], role ?? 'no role')
    session.destroy()
  }
  t.ok(notes.some(text => /^refused somebody of 127\.0\.0\.1: gRPC \S+: the certificate names no role$/.test(text)), 'the log has who was refused')
  t.ok(notes.length <= 21, 'boundedly')
})

t.test('the log names whom the gateway refused, and for what', { skip }, async (t) => {
  const { gateway, as, notes } = await secured(t)
  const session = connect(`https://${gateway.grpcAddress ?? ''}`, { ...as('viewer'), ALPNProtocols: ['h2'] })
  await grpcCall(session, '/lockstep.v1.Config/Apply')
  session.destroy()
  t.same(notes, ['refused "viewer-1" of 127.0.0.1: gRPC /lockstep.v1.Config/Apply needs the role admin, not viewer'])
})

t.test('events: who called for what is for operators, whatever a caller says of himself', { skip }, async (t) => {
  const { gateway, as, agent: { journal } } = await secured(t)
  journal.note('audit', 'call', 'telltale', {})
  journal.note('agent', 'hello', 'open', {})
  for (const role of roles) {
    const session = connect(`https://${gateway.grpcAddress ?? ''}`, { ...as(role), ALPNProtocols: ['h2'] })
    const all = await grpcCall(session, '/lockstep.v1.Events/Watch', Buffer.alloc(0), 60)
    t.match(all.body.toString('latin1'), /open/)
    t.equal(all.body.includes('telltale'), mayReadAudit(role), role)
    const asked = await grpcCall(session, '/lockstep.v1.Events/Watch', EventsWatchRequest.encode({ minLevel: '', areas: ['audit'], names: [], after: '' }).finish(), 40)
    if (mayReadAudit(role)) t.equal(asked.body.includes('telltale'), true, role)
    else t.match(asked, { status: '7', message: /the area audit tells of other callers.*operator/ })
    session.destroy()
  }
})

/** Every route, and the least role that gets it. */
const routes: ReadonlyArray<readonly [method: string, path: string, role: Role]> = [
  ['GET', '/', 'viewer'], ['GET', '/api/state', 'viewer'], ['GET', '/api/stream', 'viewer'], ['GET', '/api/whoami', 'viewer'], ['GET', '/api/readings?of=info', 'viewer'], ['GET', '/api/sessions', 'viewer'], ['GET', '/api/sessions/count', 'viewer'],
  ['GET', '/api/targets', 'viewer'], ['GET', '/metrics', 'viewer'], ['GET', '/healthz', 'viewer'], ['GET', '/debug', 'viewer'], ['GET', '/debug/local', 'viewer'], ['GET', '/debug/local/vips', 'viewer'], ['GET', '/debug/local/history', 'viewer'],
  ['GET', '/debug/local/audit', 'operator'], ['GET', '/debug/local/calls', 'operator'], ['GET', '/debug/local/subscribers', 'operator'], ['GET', '/debug/local/operations', 'operator'], ['POST', '/api/switchover', 'admin']
]

t.test('every route as everybody, over mutual TLS', { skip }, async (t) => {
  const { gateway, as, agent: { journal } } = await secured(t)
  journal.note('audit', 'call', 'telltale', {})
  const visit = async (role: Role | null, method: string, path: string): Promise<{ readonly code: number, readonly text: string }> => await new Promise((resolve, reject) => {
    const [host = '', port = ''] = (gateway.httpAddress ?? '').split(':')
    const request = httpsRequest({ host, port, path, method, agent: false, ...as(role), headers: { 'content-type': 'application/json', [OWN_HEADER]: '1', origin: `https://${gateway.httpAddress ?? ''}` } }, (response) => {
      let text = ''
      const done = (): void => { resolve({ code: response.statusCode ?? 0, text }) }
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
        if (path === '/api/stream' && text.includes('event: state')) { request.destroy(); done() }
      }).on('end', done).on('error', () => undefined)
    })
    request.on('error', reject).end(method === 'POST' ? '{}' : undefined)
  })
  const { text } = await visit('viewer', 'GET', '/nowhere')
  const known = (/there are (.*)/.exec(text)?.[1] ?? '').split(', ')
  t.ok(known.length > 8)
  t.same(known.filter(path => !routes.some(([, route]) => route.split('?')[0] === path)), [], 'each is in the table')
  for (const [method, path, least] of routes) {
    for (const role of [null, ...roles]) {
      const { code, text } = await visit(role, method, path)
      const denied = code === 403 || (role === null && code === 429) || (/^\/debug\/local\/./.test(path) && text.includes('This table tells of other callers'))
      t.equal(denied, role === null || !atLeast(role, least), `${role ?? 'no role'}: ${method} ${path}: ${code}`)
      if (role === null || !mayReadAudit(role)) t.notMatch(text, /telltale/, `${role ?? 'no role'}: ${method} ${path}`)
    }
  }
})
