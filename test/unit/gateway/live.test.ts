/** What an agent has as JSON and as server-sent events: everything first, then changes and events within a moment, numbered, resumed, over restarts of the agent. */
import t, { type Test } from 'tap'
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { startGateway, type Gateway } from '../../../src/gateway/main.js'
import { liveOf } from '../../../src/gateway/live.js'
import { startRpcServer } from '../../../src/rpc/server.js'
import { withServer, type Running } from '../rpc/with-server.js'
import { comesAbout } from '../../until.js'

if (process.getuid?.() === 0) process.getuid = () => 1000 // it would give up this process's own rights

async function withGateway (t: Test, role = 'viewer'): Promise<Running & { gateway: Gateway }> {
  const running = await withServer(t)
  const gateway = await startGateway({ http: '127.0.0.1:0', grpc: 'off', role, user: `${process.getuid?.() ?? 0}:0`, socketPath: running.socketPath })
  t.teardown(async () => { await gateway.close() })
  return { ...running, gateway }
}

interface Sent { readonly id: string, readonly event: string, readonly data: Record<string, unknown> }
interface Reader { readonly sent: Sent[], readonly headers: IncomingMessage['headers'], readonly close: () => void, readonly ended: () => boolean }

async function read (t: Test, { httpAddress }: Gateway, last = ''): Promise<Reader> {
  return await new Promise((resolve, reject) => {
    const sent: Sent[] = []
    let text = ''
    let over = false
    const request: ClientRequest = httpRequest(`http://${httpAddress}/api/stream`, { agent: false, headers: last === '' ? {} : { 'last-event-id': last } }, (response) => {
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
        const blocks = text.split('\n\n')
        text = blocks.pop() ?? ''
        for (const block of blocks) {
          const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? ''
          if (field('event') !== '') sent.push({ id: field('id'), event: field('event'), data: JSON.parse(field('data')) as Record<string, unknown> })
        }
      }).on('close', () => { over = true })
      resolve({ sent, headers: response.headers, close: () => { request.destroy() }, ended: () => over })
    })
    request.on('error', reject).end()
    t.teardown(() => { request.destroy() })
  })
}

async function get ({ httpAddress }: Gateway, path: string): Promise<{ readonly status: number, readonly body: string }> {
  const response = await fetch(`http://${httpAddress}${path}`)
  return { status: response.status, body: await response.text() }
}

t.test('everything, as JSON', async (t) => {
  const { gateway, agent } = await withGateway(t)
  agent.journal.note('agent', 'hello', '', { n: 1 })
  const { status, body } = await get(gateway, '/api/state')
  t.equal(status, 200)
  t.match(JSON.parse(body), { agents: { local: { connected: true, kinds: { vip: { synced: true, objects: { web: { state: 'up', reals: [{ name: 'a', weight: 100 }, {}, {}] } } }, target: {}, agent: {}, group: { objects: { 0: {} } }, link: { objects: { eth0: { up: true } } } } } } })
  t.match(JSON.parse((await get(gateway, '/api/state?kind=vip')).body), { local: { dns: { state: 'down' }, web: { port: 80 } } })
  t.match(await get(gateway, '/api/state?kind=router'), { status: 404, body: /there are agent, vip/ })
})

t.test('everything, then what changes and what happens; a name with a line in it stays in its line', async (t) => {
  const { gateway, agent: { loadBalancer: lb, journal } } = await withGateway(t)
  const reader = await read(t, gateway)
  t.match(reader.headers, { 'content-type': 'text/event-stream', 'cache-control': /no-transform/, 'x-accel-buffering': 'no' })
  t.ok(await comesAbout(() => reader.sent.length > 0))
  t.match(reader.sent[0], { event: 'state', data: { agents: { local: { kinds: { vip: { objects: { web: { state: 'up' } } } } } } } })
  lb.vipList = lb.vipList.map(vip => vip.name === 'web' ? { ...vip, state: 'panic' } : vip)
  lb.events.tell({ at: Date.now(), name: 'vip-state', level: 'warn', fields: {} })
  t.ok(await comesAbout(() => reader.sent.some(({ event }) => event === 'put')))
  t.match(reader.sent.find(({ event }) => event === 'put'), { data: { agent: 'local', kind: 'vip', key: 'web', value: { state: 'panic' } } })
  journal.note('agent', 'hello', 'x\n\nevent: state\ndata: {}', {})
  t.ok(await comesAbout(() => reader.sent.some(({ event }) => event === 'event')))
  t.match(reader.sent.find(({ event }) => event === 'event'), { data: { area: 'agent', object: 'x\n\nevent: state\ndata: {}' } })
  lb.vipList = lb.vipList.filter(vip => vip.name === 'web')
  t.ok(await comesAbout(() => reader.sent.some(({ event }) => event === 'delete')))
  const numbers = reader.sent.map(({ id }) => Number(id.split('-')[1]))
  t.same(numbers, numbers.map((_, i) => (numbers[0] ?? 0) + i), 'without a gap')
})

t.test('who called for what is for operators; to a viewer no message seems missing', async (t) => {
  for (const role of ['viewer', 'operator']) {
    const { gateway, agent: { journal } } = await withGateway(t, role)
    journal.note('audit', 'call', 'secret-before', {})
    const reader = await read(t, gateway)
    t.ok(await comesAbout(() => reader.sent.length > 0))
    journal.note('audit', 'call', 'secret-after', {})
    journal.note('agent', 'hello', 'open', {})
    t.ok(await comesAbout(() => reader.sent.some(({ data }) => data['object'] === 'open')))
    const numbers = reader.sent.map(({ id }) => Number(id.split('-')[1]))
    t.same(numbers, numbers.map((_, i) => (numbers[0] ?? 0) + i), 'without a gap')
    const back = await read(t, gateway, reader.sent[0]?.id)
    t.ok(await comesAbout(() => back.sent.some(({ data }) => data['object'] === 'open')))
    const fresh = await read(t, gateway)
    t.ok(await comesAbout(() => fresh.sent.length > 0))
    const { body } = await get(gateway, '/api/state')
    for (const text of [JSON.stringify(reader.sent), JSON.stringify(back.sent), JSON.stringify(fresh.sent), body]) t.equal(text.includes('secret'), role === 'operator', role)
    t.equal(reader.sent.some(({ event }) => event === 'withheld'), role === 'viewer')
  }
})

t.test('who comes back is told what it missed, once; who comes back too late, or to another gateway, everything', async (t) => {
  const { gateway, agent: { journal } } = await withGateway(t)
  const first = await read(t, gateway)
  t.ok(await comesAbout(() => first.sent.length > 0))
  journal.note('agent', 'one', '', {})
  t.ok(await comesAbout(() => first.sent.some(({ event }) => event === 'event')))
  const last = first.sent.at(-1)?.id ?? ''
  first.close()
  journal.note('agent', 'two', '', {})
  await new Promise((resolve) => { setTimeout(resolve, 100) })
  const second = await read(t, gateway, last)
  t.ok(await comesAbout(() => second.sent.length >= 2))
  t.match(second.sent, [{ event: 'resumed' }, { event: 'event', data: { event: 'two' } }])
  for (let i = 1; i <= 2100; i++) {
    journal.note('agent', 'many', '', {})
    if (i % 100 === 0) t.ok(await comesAbout(() => second.sent.length >= i + 2))
  }
  for (const id of [last, 'ffffffffffff-7', `${last.split('-')[0]}-x`, 'x'.repeat(5000)]) {
    const other = await read(t, gateway, id)
    t.ok(await comesAbout(() => other.sent.length > 0))
    t.equal(other.sent[0]?.event, 'state', id.slice(0, 20))
    other.close()
  }
})

t.test('the agent restarts: told, and after it what changed', async (t) => {
  const { gateway, agent, server, socketPath } = await withGateway(t)
  const reader = await read(t, gateway)
  t.ok(await comesAbout(() => reader.sent.length > 0))
  await server.close(0)
  t.ok(await comesAbout(() => reader.sent.some(({ event, data }) => event === 'agent' && data['connected'] === false)))
  t.match(JSON.parse((await get(gateway, '/api/state')).body), { agents: { local: { connected: false, kinds: { vip: { objects: { web: {}, dns: {} } } } } } }, 'served meanwhile')
  agent.loadBalancer.vipList = agent.loadBalancer.vipList.filter(vip => vip.name === 'web')
  const again = await startRpcServer(agent.services, { socketPath })
  t.ok(await comesAbout(() => reader.sent.some(({ event, data }) => event === 'delete' && data['key'] === 'dns')))
  t.ok(await comesAbout(() => reader.sent.some(({ event, data }) => event === 'agent' && data['connected'] === true)))
  await again.close(0)
})

t.test('three hundred readers hear the same; one that does not read is let go', async (t) => {
  const { gateway, agent: { journal } } = await withGateway(t)
  const readers = await Promise.all(Array.from({ length: 300 }, async () => await read(t, gateway)))
  t.ok(await comesAbout(() => readers.every(({ sent }) => sent.length > 0)))
  journal.note('agent', 'all', '', {})
  t.ok(await comesAbout(() => readers.every(({ sent }) => sent.some(({ data }) => data['event'] === 'all'))))
  for (const reader of readers) reader.close()
  let dead = false
  let bytes = 0
  let resume = (): void => undefined
  const over = (): void => { dead = true }
  const slow = httpRequest(`http://${gateway.httpAddress}/api/stream`, { agent: false }, (response) => {
    response.pause()
    resume = () => { response.on('data', (part: Buffer) => { bytes += part.length }).resume() }
    response.on('close', over).on('error', over)
  })
  slow.on('error', over).end()
  await new Promise((resolve) => { setTimeout(resolve, 300) })
  const text = 'x'.repeat(20_000)
  for (let i = 0; i < 3000; i++) {
    journal.note('agent', 'long', '', { text })
    if (i % 20 === 0) await new Promise((resolve) => { setTimeout(resolve, 10) })
  }
  resume()
  t.ok(await comesAbout(() => dead), 'its connection is closed')
  t.ok(bytes < 50_000_000, `${bytes} of 60 MB waited for it`)
})

t.test('nobody looks: nothing is followed, and who comes back then is told everything', async (t) => {
  const { agent, socketPath } = await withServer(t)
  const live = liveOf(new Map([['local', { address: `unix:${socketPath}` }]]), { idleMs: 300 })
  t.teardown(async () => { await live.close() })
  const { seq } = await live.state(true)
  t.ok(live.reaches(seq))
  await new Promise((resolve) => { setTimeout(resolve, 1000) })
  agent.loadBalancer.vipList = []
  await live.state(true)
  t.notOk(live.reaches(seq))
  const vips = async (): Promise<string> => await live.objects('vip')
  for (let i = 0; i < 600 && await vips() !== '{"local":{}}'; i++) await new Promise((resolve) => { setTimeout(resolve, 50) })
  t.equal(await vips(), '{"local":{}}')
})

t.test('all that come at once are told one text, until something changes or a moment has passed', async (t) => {
  const { agent: { loadBalancer: lb }, socketPath } = await withServer(t)
  let now = 0
  const live = liveOf(new Map([['local', { address: `unix:${socketPath}` }]]), { nowMs: () => now })
  t.teardown(async () => { await live.close() })
  const first = await live.state(true)
  t.equal(await live.state(true), first)
  lb.vipList = lb.vipList.slice(0, 1)
  lb.events.tell({ at: Date.now(), name: 'vip-state', level: 'warn', fields: {} })
  let second = await live.state(true)
  for (let i = 0; i < 3000 && second.seq === first.seq; i++) {
    await new Promise((resolve) => { setTimeout(resolve, 10) })
    second = await live.state(true)
  }
  t.ok(second.seq > first.seq, 'another one once something changed')
  const third = await live.state(true)
  now += 2000
  t.not(await live.state(true), third, 'or some time later')
})
