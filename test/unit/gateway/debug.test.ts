/** The debug pages: every address, hostile names, parts that hang, JSON that equals the HTML cell by cell, links out of an allow list, roles. */
import t, { type Test } from 'tap'
import { createServer, request, type IncomingHttpHeaders } from 'node:http'
import { get as tlsGet } from 'node:https'
import { createServer as createSocketServer, type Socket } from 'node:net'
import type { DebugCell, DebugColumn } from '../../../src/contract/debug.js'
import { externalsOf, parseTemplate } from '../../../src/gateway/debug/external.js'
import { BASE, escape, hrefOf } from '../../../src/gateway/debug/html.js'
import { debugPages } from '../../../src/gateway/debug/pages.js'
import { startGateway, type Gateway, type GatewayOptions } from '../../../src/gateway/main.js'
import { cellText } from '../../../src/lib/debug-text.js'
import { startRpcServer } from '../../../src/rpc/server.js'
import { debugTable, link } from '../../../src/telemetry/debug/table.js'
import { createFakeAgent, type FakeAgent } from '../rpc/fake-agent.js'
import { temporaryDirectory } from '../rpc/with-server.js'
import { createAuthority, hasOpenssl, read } from './certificates.js'

if (process.getuid?.() === 0) process.getuid = () => 1000 // it would give up this process's own rights

const hostile = ['<script>alert(1)</script>', '"\' onmouseover="alert(1)', "'><img src=x onerror=alert(1)>", 'a&amp;b', 'two\nlines\r\tand a tab', '\u202eevil\u202c', '\u05d0\u05d1\u05d2 \u0627\u0628', 'x'.repeat(5000), '..', 'a/b?c=d#e%2f', '\u0000\u001b[31m', '\ud83d\ude80', '{{7*7}}', 'javascript:alert(1)', ' ']

function hostileAgent (): FakeAgent {
  const agent = createFakeAgent(100)
  agent.debug.register(debugTable<string>({
    name: 'hostile', about: 'A name <b>that</b> means harm & "quotes"', group: 'test<', source: '<script>source</script>',
    columns: { key: ['text', r => r], address: ['address', r => r], secret: ['secret', r => r], leads: ['link', r => [...link('hostile', r), ...link('vips', 'web')], 'hostile', 'vips'], number: ['number', () => 1234567.25], bytes: ['bytes', () => 4096], took: ['duration', () => 1500], at: ['time', () => 1_700_000_000_000], id: ['id', () => 65535], none: ['text', () => null], endless: ['number', () => Infinity] },
    read: () => hostile, tone: r => r === ' ' ? 'dim' : 'bad'
  }))
  agent.debug.register(debugTable<string>({ name: 'stuck', about: 'Never', group: 'test', source: 'a thread that hangs', columns: { key: ['text', r => r], vip: ['link', r => link('vips', r), 'vips'] }, read: async () => await new Promise<never>(() => undefined) }))
  agent.debug.register(debugTable<string>({ name: 'broken', about: 'Throws', group: 'test', source: 'here', columns: { key: ['text', r => r] }, read: () => { throw new Error('<i>it broke</i>') } }))
  return agent
}

interface Answer { readonly status: number, readonly headers: IncomingHttpHeaders, readonly body: string }

async function withPages (t: Test, options: Partial<GatewayOptions> = {}): Promise<{ readonly agent: FakeAgent, readonly gateway: Gateway, readonly get: (path: string, o?: { method?: string, headers?: Record<string, string> }) => Promise<Answer> }> {
  const agent = hostileAgent()
  const socketPath = `${temporaryDirectory(t)}/a.sock`
  const server = await startRpcServer(agent.services, { socketPath })
  const gateway = await startGateway({ http: '127.0.0.1:0', grpc: 'off', role: 'operator', user: `${process.getuid?.() ?? 0}:0`, socketPath, debugMs: 10_000, ...options })
  t.teardown(async () => {
    await gateway.close()
    await server.close(0)
  })
  return { agent, gateway, get: async (path, o = {}) => await page(gateway.debugAddress ?? gateway.httpAddress, path, o) }
}

async function page (at: string | null, path: string, { method = 'GET', headers = {} }: { method?: string, headers?: Record<string, string> } = {}): Promise<Answer> {
  const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(at ?? '') ?? []
  return await new Promise((resolve, reject) => {
    request({ host, port: Number(port), path, method, headers, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (part: string) => { body += part }).on('end', () => { resolve({ status: response.statusCode ?? 0, headers: response.headers, body }) })
    }).on('error', reject).end()
  })
}

interface JsonSection { readonly name: string, readonly columns: readonly DebugColumn[], readonly rows: ReadonlyArray<{ readonly key: string, readonly tone: string, readonly cells: Readonly<Record<string, DebugCell>> }>, readonly error: string, readonly matched: number, readonly external: readonly unknown[] }
interface JsonPage { readonly schema: string, readonly error: string, readonly head: { readonly node: string } | null, readonly sections: readonly JsonSection[], readonly without: readonly string[] }
const json = ({ body }: Answer): JsonPage => JSON.parse(body) as JsonPage
const sectionOf = ({ sections }: JsonPage, name: string): JsonSection => {
  const found = sections.find(section => section.name === name)
  if (found === undefined) throw new Error(`no section ${name} in ${sections.map(section => section.name).join(', ')}`)
  return found
}

const unescape = (text: string): string => text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&')
/** Text of the cells of a section, row by row, as a browser shows it. */
function cellsOf (body: string, section: string): string[][] {
  const [, part = ''] = new RegExp(`<section id="${section}">(.*?)</section>`, 's').exec(body) ?? []
  const rows = /<tbody>\n(.*?)<\/tbody>/s.exec(part)?.[1] ?? ''
  return rows.split('</tr>').slice(0, -1).map(row => [...row.matchAll(/<td[^>]*>(.*?)<\/td>/gs)].map(([, cell = '']) => unescape(cell.replace(/<[^>]*>/g, ''))))
}
const printed = (text: string): string => unescape(escape(text))
/** What every page keeps. */
function sane (t: Test, { status, headers, body }: Answer, what: string): void {
  const tags = body.match(/<[^>]*>?/g) ?? []
  t.same(tags.filter(tag => !/^<(?:!doctype html|\/?(?:html|head|meta|title|link|body|header|nav|span|b|ul|li|main|section|h2|small|p|div|table|thead|tbody|tr|th|td|a|bdi|time|data|form|input|button|footer))(?: [a-z-]+="[^"]*")*>$/.test(tag)), [], `${what} (${status}): tags of ours only, whole`)
  const attributes = tags.flatMap(tag => [...tag.matchAll(/ ([a-z-]+)="([^"]*)"/g)])
  t.same([...new Set(attributes.map(([, name]) => name))].filter(name => /^on|^style$|^src/.test(name ?? '')), [], `${what}: no attribute that does something`)
  t.same(attributes.filter(([, name, value = '']) => name === 'href' && !/^(?:\/debug(?:\/|$)|\?|https:\/\/graphs\.example\/)/.test(value)), [], `${what}: links lead to these pages`)
  t.notMatch(body, /[\u0000-\u0009\u000b-\u001f\u202a-\u202e\u2066-\u2069]/, `${what}: no control characters or direction marks`)
  t.match(headers, { 'content-security-policy': /^default-src 'none'; style-src 'self';/, 'x-content-type-options': 'nosniff', 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' }, what)
}

t.test('the overview: who it is, every table with its rows, and what failed in its place', async (t) => {
  const { get, agent } = await withPages(t)
  agent.info = { ...agent.info, state: 'degraded', reasons: ['peer: <b>lost</b>'] }
  const answer = await get('/debug')
  t.equal(answer.status, 200)
  sane(t, answer, 'overview')
  t.match(answer.body, /edge-1 \(default\) · version 0\.1\.0 · userspace · generation 7 · degraded · up .* · epoch [0-9a-f]+ · schema 2-[0-9a-f]{8}/)
  t.match(answer.body, /<li>peer: &lt;b&gt;lost&lt;\/b&gt;<\/li>/)
  const tables = new Map(cellsOf(answer.body, 'tables').map(([name = '', ...rest]) => [name, rest]))
  t.equal(tables.get('vips')?.[0], '2')
  t.equal(tables.get('hostile')?.[0], String(hostile.length))
  t.match(tables.get('stuck')?.at(-1), /LS_D_SLOW.*not read in time/, 'within a second, and the others are there')
  t.match(tables.get('broken')?.at(-1), /<i>it broke<\/i>/)
  for (const name of tables.keys()) t.match(answer.body, `href="/debug/local/${name}"`)
  t.match(answer.body, /<footer>\d+ rows · .* m?s · the agent&#39;s registry · \d{4}-/)
})

t.test('every page of every table: no script, no harm, and JSON that has the same cells', async (t) => {
  const { get } = await withPages(t, { debugLinks: ['graphs=https://graphs.example/?q={key}'] })
  const { sections } = json(await get('/debug?format=json'))
  const names = sections.find(({ name }) => name === 'tables')?.rows.map(({ key }) => key) ?? []
  t.ok(names.length >= 23, `${names.length} tables`)
  for (const name of names) {
    if (name === 'stuck') continue
    const [answer, plain] = [await get(`/debug/local/${name}`), json(await get(`/debug/local/${name}`, { headers: { accept: 'application/json' } }))]
    sane(t, answer, name)
    t.match(plain.schema, /^2-/)
    const section = sectionOf(plain, name)
    // What moves between the two readings is left out.
    const moving = new Set(['since', 'for', 'age', 'id', 'bytes', 'at'].filter(() => ['calls', 'memory-rpc', 'subscribers', 'back-offs', 'work', 'work-history', 'agent'].includes(name)))
    if (moving.size > 0) continue
    t.equal(section.error, name === 'broken' ? section.error : '', name)
    const expected = section.rows.map(({ cells }) => section.columns.map(({ name: column, type }) => printed(cellText(type, cells[column] ?? null))))
    t.same(cellsOf(answer.body, name), expected, `${name}: ${expected.length} rows`)
  }
})

t.test('hostile names, in every column, as objects, in filters and in addresses', async (t) => {
  const { get } = await withPages(t, { debugLinks: ['graphs=https://graphs.example/?q={key}'] })
  const answer = await get('/debug/local/hostile')
  sane(t, answer, 'hostile')
  t.equal(cellsOf(answer.body, 'hostile').length, hostile.length)
  t.match(answer.body, /A name &lt;b&gt;that&lt;\/b&gt; means harm &amp; &quot;quotes&quot;/)
  t.notMatch(answer.body.replace(/<tr class.*/g, ''), /[a-z]{5} \u05d0/, 'text of the other direction is in cells of its own')
  t.match(cellsOf(answer.body, 'hostile')[0]?.slice(2), ['set', `${hostile[0] ?? ''}, web`, '1\u202f234\u202f567.25', '4.0 KiB', '1.5 s', '2023-11-14 22:13:20.000Z', '65535', '', ''], 'types are shown as such, a secret is not')
  for (const name of hostile) {
    const href = hrefOf('local', 'hostile', name)
    if (href === null) {
      t.ok(name === '..' || name.length === 5000 || name === ' ', `${name.slice(0, 20)} has no page`)
      continue
    }
    const object = await get(href)
    sane(t, object, href)
    t.equal(object.status, 200, href)
    t.equal(cellsOf(object.body, 'object')[0]?.[0], printed(name))
    t.equal(cellsOf(object.body, 'hostile').length, 1, 'what leads to it')
    const filtered = await get(`/debug/local/hostile?key=${encodeURIComponent(`=${name}`)}&q=${encodeURIComponent(name)}`)
    sane(t, filtered, `filter ${name.slice(0, 20)}`)
    const missing = await get(`/debug/local/links/${encodeURIComponent(name)}`)
    sane(t, missing, `missing ${name.slice(0, 20)}`)
    t.equal(missing.status, 404)
    sane(t, await get(`/debug/${encodeURIComponent(name)}`), 'an agent of that name')
    sane(t, await get(`/debug/local/${encodeURIComponent(name)}`), 'a table of that name')
  }
})

t.test('the page of an object: its row, what leads to it, what does not, and what hangs in its place', async (t) => {
  const { get, agent } = await withPages(t)
  agent.journal.note('load-balancer', 'vip-state', 'vip web', { to: 'up' }, 'warn')
  const answer = await get('/debug/local/vips/web')
  sane(t, answer, 'object')
  t.match(answer.body, /<th>reals<\/th><td><a href="\/debug\/local\/reals\/web%2Fa"><bdi>web\/a<\/bdi><\/a>, /)
  const plain = json(await get('/debug/local/vips/web?format=json'))
  t.match(plain.sections.map(({ name }) => name).sort(), ['counters', 'history', 'hostile', 'names', 'reals', 'rings', 'sessions', 'stuck', 'vips'])
  t.match(sectionOf(plain, 'stuck').error, /LS_D_SLOW/)
  t.equal(sectionOf(plain, 'reals').rows.length, 3)
  t.same(plain.without, ['overlay', 'audit'])
  t.match(answer.body, /<p class="error">LS_D_SLOW: table stuck/)
  t.match(answer.body, /Nothing leads here from <a href="\/debug\/local\/overlay">/)
})

t.test('sorting, filtering and pages by the query; what it cannot mean is refused', async (t) => {
  const { get } = await withPages(t)
  const keys = async (query: string): Promise<readonly string[]> => sectionOf(json(await get(`/debug/local/reals?format=json&${query}`)), 'reals').rows.map(({ key }) => key)
  t.same(await keys('sort=-name'), ['web/sorry', 'web/b', 'web/a', 'dns/a'])
  t.same(await keys('sort=weight'), ['dns/a', 'web/b', 'web/sorry', 'web/a'])
  t.same(await keys('vip=web&state=!down'), ['web/a', 'web/sorry'])
  t.same(await keys('q=10.0.0.3'), ['web/sorry'])
  t.same(await keys('address=10.0.0.0/31'), ['web/a', 'dns/a'])
  t.same([...await keys('sort=name&limit=2'), ...await keys('sort=name&limit=2&offset=2')], ['dns/a', 'web/a', 'web/b', 'web/sorry'])
  const sorted = await get('/debug/local/reals?sort=name&limit=2&state=%21up')
  t.match(sorted.body, /<a href="\?state=%21up&amp;sort=-name&amp;limit=2">name ▲<\/a>/)
  t.match(sorted.body, /<a href="\?state=%21up&amp;sort=name&amp;offset=2&amp;limit=2">next<\/a>/)
  t.match(sorted.body, /<input form="filter" name="state" value="!up"/)
  t.match(sorted.body, /<footer>2 of 4 rows · /)
  for (const query of ['sort=colour', 'colour=red', 'limit=0', 'limit=5001', 'limit=-1', 'offset=x', 'offset=1000001', 'state=a&state=b', 'refresh=0', 'refresh=99999']) {
    const answer = await get(`/debug/local/reals?${query}`)
    t.equal(answer.status, 400, query)
    t.match(answer.body, /<p class="error">/, query)
    sane(t, answer, query)
  }
  t.match((await get('/debug/local/reals?refresh=5')).body, '<meta http-equiv="refresh" content="5">')
})

t.test('addresses: what there is, what there is not; HEAD; nothing can be changed', async (t) => {
  const { get } = await withPages(t)
  const table: ReadonlyArray<readonly [string, number]> = [
    ['/debug', 200], ['/debug/', 200], ['/debug/local', 200], ['/debug/local/', 200], ['/debug/local/vips', 200], ['/debug/local/vips/', 200], ['/debug/local/vips/web', 200], ['/debug/-/style.css', 200],
    ['/debug/other', 404], ['/debug/local/nothing', 404], ['/debug/local/vips/nobody', 404], ['/debug/local/vips/web/more', 404], ['/debug/-', 404], ['/debug/-/other.css', 404], ['/debug/%zz', 404], ['/debugger', 404], ['/debug/local//web', 404], ['/debug/local/vips/%00', 404]
  ]
  for (const [path, expected] of table) t.equal((await get(path)).status, expected, path)
  const [whole, head] = [await get('/debug/local/vips'), await get('/debug/local/vips', { method: 'HEAD' })]
  t.match(head, { status: 200, body: '', headers: { 'content-type': whole.headers['content-type'] } })
  t.ok(Number(head.headers['content-length']) > 500)
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) t.match(await get('/debug/local/vips', { method }), { status: 405, headers: { allow: 'GET, HEAD' } }, method)
  t.equal((await get('/debug', { headers: { host: 'rebound.example' } })).status, 421)
  t.match(await get('/debug/-/style.css'), { headers: { 'content-type': 'text/css; charset=utf-8' }, body: /^:root/ })
  t.match((await get('/debug/local/vips', { headers: { accept: 'text/html,application/json' } })).headers, { 'content-type': /text\/html/, vary: 'accept' })
  t.match(json(await get('/debug/local/nothing?format=json')), { error: /no table nothing/, sections: [] })
})

t.test('a listener of its own, or none; refused beyond loopback without TLS', async (t) => {
  const { get, gateway } = await withPages(t, { debug: '127.0.0.1:0', http: '127.0.0.1:0' })
  t.ok(gateway.debugAddress)
  t.equal((await get('/debug/local/vips')).status, 200)
  t.match(await get('/'), { status: 302, headers: { location: '/debug' } })
  t.equal((await get('/metrics')).status, 404)
  t.equal((await get('/debug', { method: 'POST' })).status, 405)
  t.equal((await page(gateway.httpAddress, '/debug')).status, 404, 'not twice')
  const without = await withPages(t, { debug: 'off' })
  t.equal((await without.get('/debug')).status, 404)
  const refused = { grpc: 'off', http: 'off', role: 'viewer', user: '1:1', socketPath: '/nowhere' }
  await t.rejects(startGateway({ ...refused, debug: '0.0.0.0:9463' }), { code: 'LS_G_TLS' })
  await t.rejects(startGateway({ ...refused, debug: 'somewhere' }), { code: 'LS_G_ADDRESS' })
  await t.rejects(startGateway({ ...refused, debugLinks: ['javascript:alert(1)'] }), { code: 'LS_G_LINK' })
})

t.test('a viewer is told that a table is not for him, an operator sees it', async (t) => {
  const viewer = await withPages(t, { role: 'viewer' })
  t.match(sectionOf(json(await viewer.get('/debug/local/calls?format=json')), 'calls'), { error: /needs the role operator, and this reader has viewer/, rows: [] })
  t.equal(sectionOf(json(await viewer.get('/debug?format=json')), 'tables').rows.find(({ key }) => key === 'calls')?.tone, 'dim')
  const operator = await withPages(t, { role: 'operator' })
  t.match(sectionOf(json(await operator.get('/debug/local/calls?format=json')), 'calls').rows, [{ cells: { method: 'Debug/GetGuardedTable' } }])
})

t.test('over TLS the certificate says which', { skip: hasOpenssl() ? false : 'the openssl command is missing' }, async (t) => {
  const authority = createAuthority(temporaryDirectory(t))
  const own = authority.issue('gateway', '/CN=gateway')
  const { gateway } = await withPages(t, { role: 'admin', tlsCert: own.cert, tlsKey: own.key, tlsCa: authority.ca })
  const calls = async (unit: string): Promise<JsonSection> => {
    const { cert, key } = authority.issue(unit, `/OU=${unit}/CN=anna`)
    const body = await new Promise<string>((resolve, reject) => {
      tlsGet(`https://${gateway.httpAddress ?? ''}/debug/local/calls?format=json`, { agent: false, ca: read(authority.ca), cert: read(cert), key: read(key) }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => { text += part }).on('end', () => { resolve(text) })
      }).on('error', reject)
    })
    return sectionOf(JSON.parse(body) as JsonPage, 'calls')
  }
  t.match(await calls('viewer'), { error: /needs the role operator/ })
  t.match(await calls('operator'), { error: '', rows: [{ cells: { method: 'Debug/GetGuardedTable' } }] })
})

t.test('several agents by name, one of them away', async (t) => {
  const agent = hostileAgent()
  const directory = temporaryDirectory(t)
  const server = await startRpcServer(agent.services, { socketPath: `${directory}/a.sock` })
  const pages = debugPages({ targets: new Map([['east', { address: `unix:${directory}/a.sock` }], ['west<b>', { address: `unix:${directory}/none.sock` }]]), templates: [] })
  t.teardown(async () => { pages.close(); await server.close(0) })
  const http = createServer((request, response) => { void pages.answer(request, response, 'viewer') })
  await new Promise<void>((resolve) => { http.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { http.closeAllConnections(); http.close() })
  const at = http.address()
  const get = async (path: string): Promise<Answer> => await page(`127.0.0.1:${typeof at === 'object' ? at?.port ?? 0 : 0}`, path)
  const answer = await get(BASE)
  sane(t, answer, 'agents')
  t.match(cellsOf(answer.body, 'agents'), [['east', 'running', 'edge-1'], ['west<b>', 'not reached']])
  t.match(answer.body, '<a href="/debug/west%3Cb%3E">')
  t.equal((await get('/debug/east/vips/web')).status, 200)
  t.match(await get('/debug/west%3Cb%3E'), { status: 503, body: /cannot be reached: is it running/ })
  t.match(await get('/debug/west%3Cb%3E/vips'), { status: 503 })
})

t.test('an agent that takes a call and says nothing: the page comes in time, and says so', async (t) => {
  const socketPath = `${temporaryDirectory(t)}/mute.sock`
  const sockets = new Set<Socket>()
  const mute = createSocketServer((socket) => { sockets.add(socket.resume()) })
  await new Promise<void>((resolve) => { mute.listen(socketPath, resolve) })
  const pages = debugPages({ targets: new Map([['local', { address: `unix:${socketPath}` }]]), templates: [], limitMs: 50 })
  const http = createServer((request, response) => { void pages.answer(request, response, 'viewer') })
  await new Promise<void>((resolve) => { http.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => {
    http.closeAllConnections()
    http.close()
    pages.close()
    for (const socket of sockets) socket.destroy()
    mute.close()
  })
  const at = http.address()
  const answer = await page(`127.0.0.1:${typeof at === 'object' ? at?.port ?? 0 : 0}`, '/debug/local/vips')
  t.match(answer, { status: 503, body: /did not answer within 50 ms|cannot be reached/ })
  sane(t, answer, 'mute')
})

t.test('a main thread that does not answer: the header says so, and what other threads know is there', async (t) => {
  const agent = createFakeAgent(100)
  const socketPath = `${temporaryDirectory(t)}/a.sock`
  const silent = async (): Promise<never> => await new Promise<never>(() => undefined)
  const server = await startRpcServer({ ...agent.services, info: silent, loadBalancer: Object.assign(Object.create(agent.services.loadBalancer) as typeof agent.services.loadBalancer, { vips: silent }) }, { socketPath })
  const gateway = await startGateway({ http: '127.0.0.1:0', grpc: 'off', role: 'viewer', user: `${process.getuid?.() ?? 0}:0`, socketPath, debugMs: 10_000 })
  t.teardown(async () => {
    await gateway.close()
    await server.close(0)
  })
  const answer = await page(gateway.httpAddress, '/debug/local/names/vip%2Fweb')
  t.match(answer, { status: 200, body: /the main thread does not answer/ })
  t.match(cellsOf(answer.body, 'object').flat(), ['vip/web', 'vip', '1', 'web', 'web'])
  t.match((await page(gateway.httpAddress, '/debug/local/vips')).body, /<p class="error">LS_D_SLOW: table vips: the table was not read in time[^<]*main thread, balancer/)
})

t.test('links out: only where the gateway was told, and nothing of a row gets into the host', (t) => {
  for (const wrong of ['x', 'x=', '=https://a/', 'x=ftp://a/', 'x=javascript:alert(1)', 'x=//a/b', 'x=https://{key}/', 'x=https://a{key}.example/', 'x=https://u:p@a/', 'x=https:///x', 'x=https://a/{', 'x=https://a/{UPPER}', 'T/x=https://a/', '<b>=https://a/']) t.throws(() => parseTemplate(wrong), { code: 'LS_G_LINK' }, wrong)
  const templates = ['graphs=https://graphs.example:8443/d/{table}?q={key}&a={agent}#{state}', 'vips/more=http://wiki.example/{name}'].map(parseTemplate)
  const values = (key: string): ReadonlyMap<string, string> => new Map([['table', 'vips'], ['key', key], ['agent', 'local'], ['state', 'up'], ['name', key]])
  t.same(externalsOf(templates, 'vips', values('a/b&c=d#e')), [{ name: 'graphs', url: 'https://graphs.example:8443/d/vips?q=a%2Fb%26c%3Dd%23e&a=local#up' }, { name: 'more', url: 'http://wiki.example/a%2Fb%26c%3Dd%23e' }])
  t.same(externalsOf(templates, 'reals', values('x')).map(({ name }) => name), ['graphs'], 'of that table only')
  t.same(externalsOf(templates, 'vips', values('..')), [], 'no path upwards')
  t.same(externalsOf(templates, 'vips', new Map()), [], 'not without its words')
  for (const key of hostile) for (const { url } of externalsOf(templates, 'vips', values(key))) t.match(new URL(url).host, /^(graphs\.example:8443|wiki\.example)$/)
  t.end()
})
