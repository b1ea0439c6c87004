/** Several agents behind one gateway: by name in every page, each with its own health and metrics; what is no name or address is refused. */
import { get as httpsGet } from 'node:https'
import t, { type Test } from 'tap'
import { startGateway, type Gateway, type GatewayOptions } from '../../../src/gateway/main.js'
import { parseServers, targetsOf } from '../../../src/gateway/servers.js'
import { temporaryDirectory, withServer, type Running } from '../rpc/with-server.js'
import { createAuthority, hasOpenssl, read } from './certificates.js'

if (process.getuid?.() === 0) process.getuid = () => 1000 // it would give up this process's own rights

const options = { socketPath: '', http: '127.0.0.1:0', grpc: 'off', role: 'viewer', user: '1000:1000' }

async function withTwo (t: Test, over: Partial<GatewayOptions> = {}): Promise<{ readonly gateway: Gateway, readonly one: Running, readonly two: Running }> {
  const [one, two] = [await withServer(t, 100), await withServer(t, 200)]
  const gateway = await startGateway({ ...options, servers: [`one=unix:${one.socketPath},two=unix:${two.socketPath}`], ...over })
  t.teardown(async () => { await gateway.close() })
  return { gateway, one, two }
}

async function get ({ httpAddress }: Gateway, path: string): Promise<{ readonly status: number, readonly body: string }> {
  const response = await fetch(`http://${httpAddress}${path}`)
  return { status: response.status, body: await response.text() }
}

t.test('each by its name: state, metrics, health', async (t) => {
  const { gateway, two } = await withTwo(t)
  t.match(JSON.parse((await get(gateway, '/api/state')).body), { agents: { one: { connected: true }, two: { connected: true } } })
  t.match(await get(gateway, '/metrics?agent=one'), { status: 200, body: /^lockstep_sessions 100$/m })
  t.match(await get(gateway, '/metrics?agent=two'), { status: 200, body: /^lockstep_sessions 200$/m })
  t.match(await get(gateway, '/metrics'), { status: 404, body: 'which agent? say agent=one, agent=two\n' })
  t.match(await get(gateway, '/metrics?agent=three'), { status: 404, body: /no such agent; there are agent=one/ })
  t.match(await get(gateway, '/metrics?agent=__proto__'), { status: 404 })
  t.match(await get(gateway, '/healthz'), { status: 200, body: 'SERVING\n' })
  two.server.setServing(false)
  t.match(await get(gateway, '/healthz'), { status: 503, body: 'NOT_SERVING\ntwo\n' })
  t.match(await get(gateway, '/healthz?agent=one'), { status: 200, body: 'SERVING\n' })
  t.match(await get(gateway, '/healthz?agent=two'), { status: 503, body: 'NOT_SERVING\n' })
  await two.server.close(0)
  t.match(await get(gateway, '/healthz'), { status: 503, body: 'NOT_SERVING\ntwo\n' })
  t.match(await get(gateway, '/metrics?agent=two'), { status: 503, body: /is it running/ })
})

t.test('Prometheus finds every agent, and scrapes it through the gateway', async (t) => {
  const { gateway } = await withTwo(t)
  const found = JSON.parse((await get(gateway, '/api/targets')).body) as Array<{ targets: string[], labels: Record<string, string> }>
  t.same(found, ['one', 'two'].map(agent => ({ targets: [gateway.httpAddress], labels: { __scheme__: 'http', __metrics_path__: '/metrics', __param_agent: agent, agent } })))
  for (const { targets: [target], labels } of found) {
    const page = await fetch(`${labels['__scheme__']}://${target}${labels['__metrics_path__']}?agent=${labels['__param_agent']}`)
    t.equal(page.status, 200, labels['agent'] ?? '')
  }
})

t.test('gRPC is for one agent of this host', async (t) => {
  const { one } = await withTwo(t)
  const servers = [`one=unix:${one.socketPath}`]
  await t.rejects(startGateway({ ...options, servers: [...servers, 'two=unix:/nowhere'], grpc: '127.0.0.1:0' }), { code: 'LS_G_SERVER', message: /gRPC is passed to one agent/ })
  await t.rejects(startGateway({ ...options, servers: ['two=127.0.0.1:1'], grpc: '127.0.0.1:0' }), { code: 'LS_G_SERVER' })
  const gateway = await startGateway({ ...options, servers, grpc: '127.0.0.1:0' })
  t.ok(gateway.grpcAddress)
  await gateway.close()
})

t.test('an agent behind the gRPC of another gateway', async (t) => {
  const { socketPath } = await withServer(t, 300)
  const far = await startGateway({ ...options, socketPath, http: 'off', grpc: '127.0.0.1:0' })
  t.teardown(async () => { await far.close() })
  const gateway = await startGateway({ ...options, servers: [`far=${far.grpcAddress}`] })
  t.teardown(async () => { await gateway.close() })
  t.match(await get(gateway, '/metrics'), { status: 200, body: /^lockstep_sessions 300$/m })
  t.match(JSON.parse((await get(gateway, '/api/state?kind=vip')).body), { far: { web: { state: 'up' } } })
})

t.test('an agent beyond this host: over mutual TLS, with the certificate of the gateway', { skip: hasOpenssl() ? false : 'the openssl command is missing' }, async (t) => {
  const directory = temporaryDirectory(t)
  const authority = createAuthority(directory)
  const { socketPath } = await withServer(t, 300)
  const tlsOf = (name: string, subject: string, from = authority): Pick<GatewayOptions, 'tlsCert' | 'tlsKey' | 'tlsCa'> => {
    const { cert, key } = from.issue(name, subject)
    return { tlsCert: cert, tlsKey: key, tlsCa: from.ca }
  }
  const far = await startGateway({ ...options, socketPath, http: 'off', grpc: '127.0.0.1:0', ...tlsOf('far', '/CN=far') })
  t.teardown(async () => { await far.close() })
  const own = authority.issue('browser', '/OU=viewer/CN=vera')
  const ask = async (address: string | null, path: string, ca: string, pair = own): Promise<string> => await new Promise((resolve, reject) => {
    httpsGet(`https://${address ?? ''}${path}`, { agent: false, ca: read(ca), cert: read(pair.cert), key: read(pair.key) }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (part: string) => { body += part }).on('end', () => { resolve(body) })
    }).on('error', reject)
  })
  const near = await startGateway({ ...options, servers: [`far=${far.grpcAddress}`], ...tlsOf('near', '/OU=viewer/CN=near') })
  t.teardown(async () => { await near.close() })
  t.match(await ask(near.httpAddress, '/metrics', authority.ca), /^lockstep_sessions 300$/m)
  t.match(await ask(near.httpAddress, '/api/state?kind=vip', authority.ca), /"far":\{.*"web"/)
  t.match(await ask(near.httpAddress, '/api/targets', authority.ca), /"__scheme__":"https"/)
  const other = createAuthority(directory, 'other')
  const stranger = await startGateway({ ...options, servers: [`far=${far.grpcAddress}`], ...tlsOf('stranger', '/OU=admin/CN=stranger', other) })
  t.teardown(async () => { await stranger.close() })
  t.equal(await ask(stranger.httpAddress, '/healthz', other.ca, other.issue('fred', '/OU=admin/CN=fred')), 'NOT_SERVING\n', 'a certificate of another authority does not get in')
})

t.test('names and addresses: a table', async (t) => {
  const good: Array<[string, unknown]> = [
    ['a=unix:/run/a.sock', { name: 'a', path: '/run/a.sock' }], ['edge-1.example_2=10.0.0.1:50461', { name: 'edge-1.example_2', host: '10.0.0.1', port: 50461, loopback: false }],
    ['a=[2001:db8::1]:1', { host: '2001:db8::1', loopback: false }], ['a=[::1]:1', { loopback: true }], ['a=127.9.9.9:65535', { loopback: true }], ['a=localhost:1', { loopback: true }],
    ['a=edge-1.example.net:50461', { host: 'edge-1.example.net', loopback: false }], ['a=unix:/run/with=sign.sock', { path: '/run/with=sign.sock' }]
  ]
  for (const [text, server] of good) t.match(parseServers([text]), [server], text)
  const bad = ['', 'a', 'a=', '=unix:/x', 'a=unix:x', 'a=unix:', '-a=unix:/x', '__proto__=unix:/x', '<b>=unix:/x', 'a b=unix:/x', `${'a'.repeat(64)}=unix:/x`, 'a=10.0.0.1', 'a=10.0.0.1:0', 'a=10.0.0.1:65536', 'a=2001:db8::1:5', 'a=[10.0.0.1]:5',
    'a=[::1:5', 'a=b c:5', 'a=//host:5', 'a=unix:/x,', 'a=unix:/x,a=unix:/y']
  for (const text of bad) t.throws(() => parseServers([text]), { code: 'LS_G_SERVER' }, text)
  t.throws(() => parseServers(Array.from({ length: 65 }, (_, i) => `n${i}=unix:/x`)), { code: 'LS_G_SERVER' }, 'too many')
  t.throws(() => targetsOf(parseServers(['a=10.0.0.1:5']), null), { code: 'LS_G_TLS', message: /mutual TLS/ })
  t.throws(() => targetsOf(parseServers(['a=edge.example:5']), null), { code: 'LS_G_TLS' }, 'a name may lead anywhere')
  t.equal(targetsOf(parseServers(['a=localhost:5', 'b=unix:/x']), null).get('a')?.credentials, undefined)
})
