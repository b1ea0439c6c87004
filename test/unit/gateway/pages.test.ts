/** What the page asks the gateway for: files and their headers, who one is, readings, sessions a page at a time. Each is answered by the agent that is named, and bounded. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { request as httpRequest } from 'node:http'
import t, { type Test } from 'tap'
import { startGateway, type Gateway } from '../../../src/gateway/main.js'
import { filterNames, filterOf } from '../../../src/gateway/session-pages.js'
import { readWebFiles } from '../../../src/gateway/web-files.js'
import { temporaryDirectory, withServer, type Running } from '../rpc/with-server.js'
import { comesAbout } from '../../until.js'

if (process.getuid?.() === 0) process.getuid = () => 1000 // it would give up this process's own rights

async function withGateway (t: Test, rows = 1000, role = 'viewer'): Promise<Running & { readonly gateway: Gateway }> {
  const running = await withServer(t, rows)
  const gateway = await startGateway({ http: '127.0.0.1:0', grpc: 'off', role, user: '1000:1000', socketPath: running.socketPath })
  t.teardown(async () => { await gateway.close() })
  return { ...running, gateway }
}

const get = async ({ httpAddress }: Gateway, path: string, init: RequestInit = {}): Promise<Response> => await fetch(`http://${httpAddress}${path}`, init)
const json = async (gateway: Gateway, path: string): Promise<unknown> => await (await get(gateway, path)).json()

t.test('the page: a browser runs what is served here and nothing else', { skip: readWebFiles().size > 0 ? false : 'the web page was not built (npm run build)' }, async (t) => {
  const { gateway } = await withGateway(t)
  const page = await get(gateway, '/')
  const policy = page.headers.get('content-security-policy') ?? ''
  t.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'/)
  t.match(policy, /frame-ancestors 'none'/)
  t.notMatch(policy, /unsafe|https?:|data:|\*/)
  t.match(Object.fromEntries(page.headers), { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer', 'x-frame-options': 'DENY', 'cache-control': 'no-cache', etag: /^"/ })
  const text = await page.text()
  t.notMatch(text, /<script>|<style|style=|onload=|https?:\/\//, 'nothing inline, nothing from elsewhere')
  const assets = [...text.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path = '']) => path)
  t.equal(assets.length, 2, 'a script and a style sheet')
  for (const path of assets) {
    const asset = await get(gateway, path)
    t.match([asset.status, asset.headers.get('cache-control')], [200, 'public, max-age=31536000, immutable'], path)
    t.notMatch(await asset.text(), /https?:\/\/(?!www\.w3\.org)[a-z]+\.[a-z]/, 'asks nobody else')
  }
  t.equal((await get(gateway, '/', { headers: { 'if-none-match': page.headers.get('etag') ?? '' } })).status, 304)
  const head = await get(gateway, '/', { method: 'HEAD' })
  t.match([head.status, await head.text()], [200, ''])
  for (const path of ['/assets/', '/assets/..%2f..%2fpackage.json', '/index.html/', '/__proto__', '/constructor']) t.equal((await get(gateway, path)).status, 404, path)
  const answer = await get(gateway, '/api/state')
  t.match(answer.headers.get('content-security-policy') ?? '', /default-src 'none'/, 'what is JSON runs nothing')
})

t.test('a page that was not built: said, and the rest is served', async (t) => {
  t.equal(readWebFiles('/nonexistent/').size, 0)
  const directory = temporaryDirectory(t)
  mkdirSync(join(directory, 'assets'))
  for (const name of ['index.html', 'assets/a.js', 'assets/secret.key', 'x.map']) writeFileSync(join(directory, name), 'x')
  t.same([...readWebFiles(directory).keys()].sort(), ['/', '/assets/a.js'], 'and nothing but what a page is made of')
})

t.test('who one is', async (t) => {
  for (const [role, switchover] of [['viewer', false], ['operator', false], ['admin', true]] as const) t.same(await json((await withGateway(t, 10, role)).gateway, '/api/whoami'), { name: null, role, may: { switchover } })
})

t.test('readings: as they are now, in words', async (t) => {
  const { gateway, agent } = await withGateway(t)
  t.match(await json(gateway, '/api/readings?of=cluster'), { at: Number, value: { node: 'edge-1', groups: [{ role: 'owner' }, { role: 'standby' }], peers: [{ liveness: 'alive' }], sync: { state: 'up', lagMs: 0.4, received: { differences: 3 } } } })
  t.match(await json(gateway, '/api/readings?of=checks'), { value: [{ state: 'unknown' }, { state: 'down', last: { code: 'status' } }] })
  t.match(await json(gateway, '/api/readings?of=routes'), { value: { routes: [], sinks: [] } })
  t.match(await json(gateway, '/api/readings?of=totals'), { value: { blocks: [{ name: 'global' }] } })
  t.match(await json(gateway, '/api/readings?of=info'), { value: { tableLive: 1000, state: 'running' } })
  t.match(await json(gateway, '/api/readings?of=counters'), { value: { blocks: [{ name: 'global' }, { name: 'drops' }, {}, {}, { name: 'vip', rows: [{ name: 'web' }, {}] }, { name: 'real' }] } })
  agent.cluster.now = null
  t.match(await json(gateway, '/api/readings?of=cluster'), { value: null }, 'no cluster is no error')
  t.equal((await get(gateway, '/api/readings?of=secrets')).status, 404)
})

t.test('sessions: a page at a time, each session once', async (t) => {
  const { gateway } = await withGateway(t, 250)
  const slots: number[] = []
  let from: number | null = 0
  let pages = 0
  for (; from !== null && pages < 10; pages++) {
    const page: { rows: Array<{ slot: number, src: string, phase: string, vip: string }>, next: number | null } = await json(gateway, `/api/sessions?rows=100&from=${from}`) as never
    slots.push(...page.rows.map(({ slot }) => slot))
    from = page.next
  }
  t.equal(pages, 3)
  t.same(slots, Array.from({ length: 250 }, (_, i) => i))
  t.match(await json(gateway, '/api/sessions/count'), { count: 250 })
  t.match(await json(gateway, '/api/sessions?protocol=icmp&port=65535'), { rows: [], next: null })
})

t.test('sessions: in an order, the first thousand a page at a time', async (t) => {
  const { gateway } = await withGateway(t, 2500)
  const slots: number[] = []
  let pages = 0
  for (let from: number | null = 0; from !== null && pages < 10; pages++) {
    const page: { rows: Array<{ slot: number }>, next: number | null } = await json(gateway, `/api/sessions?order=bytes&way=down&rows=300&from=${from}`) as never
    slots.push(...page.rows.map(({ slot }) => slot))
    from = page.next
  }
  t.equal(pages, 4)
  t.same(slots, Array.from({ length: 1000 }, (_, i) => 2499 - i))
  t.match(await json(gateway, '/api/sessions?order=age&way=up&rows=1'), { rows: [{ slot: 0 }], next: 1 })
})

t.test('sessions: what the filter does not know is refused, and says what there is', async (t) => {
  const { gateway } = await withGateway(t)
  const bad = ['x=1', '__proto__=1', 'port=http', 'port=-1', 'port=99999999999', 'snat=maybe', 'rows=0', 'rows=501', 'rows=x', 'from=x', 'from=4294967296', 'source=nowhere', 'phases=DANCING', 'family=5', 'vip=no-such-vip', 'id=7', 'order=colour', 'order=__proto__', 'order=bytes&way=sideways', 'order=bytes&from=1000']
  for (const query of bad) {
    const answer = await get(gateway, `/api/sessions?${query}`)
    t.equal(answer.status, 400, `${query}: ${(await answer.text()).trim().slice(0, 90)}`)
  }
  t.throws(() => filterOf(new URLSearchParams('nmae=x')), { message: /no such filter: nmae; there are source,/ })
  t.match(filterOf(new URLSearchParams('snat=yes&minIdleMs=5&phases=UDP_NEW,UDP_STREAM&rg=0&vip=')), { snat: true, minIdleMs: 5n, phases: ['UDP_NEW', 'UDP_STREAM'], rg: 0, vip: '' })
  t.ok(filterNames.includes('fromPeer'))
})

t.test('a search ends when the browser goes; too many at once are told to wait', async (t) => {
  const { gateway, agent } = await withGateway(t)
  let end = (): void => undefined
  const ended = new Promise<number>((resolve) => { end = () => { resolve(0) } })
  t.teardown(() => { end() })
  agent.sessions.count = async () => await ended
  const requests = Array.from({ length: 8 }, () => httpRequest(`http://${gateway.httpAddress}/api/sessions/count`, { agent: false }).on('error', () => undefined).end())
  let refused: Response | null = null
  for (let i = 0; i < 100 && refused?.status !== 429; i++) {
    refused = await get(gateway, '/api/sessions?vip=no')
    await refused.text()
    await new Promise((resolve) => { setTimeout(resolve, 20) })
  }
  t.match([refused?.status, refused?.headers.get('retry-after')], [429, '1'])
  for (const request of requests) request.destroy()
  let free = false
  void (async () => { while (!free) { free = (await get(gateway, '/api/sessions?rows=1')).status === 200; await new Promise((resolve) => { setTimeout(resolve, 20) }) } })()
  t.ok(await comesAbout(() => free), 'their places are free again')
})
