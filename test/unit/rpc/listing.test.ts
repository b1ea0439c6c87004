/** Lists by pages and by fields: whole, in order, each row once; what is asked for wrongly is told. */
import t from 'tap'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { loadSync, type MethodDefinition } from '@grpc/proto-loader'
import { call } from '../../../src/cli/client.js'
import { wholeList } from '../../../src/cli/whole-list.js'
import { LockstepError } from '../../../src/contract/errors.js'
import { Link } from '../../../src/generated/proto/lockstep/v1/links.js'
import type { Listing } from '../../../src/generated/proto/lockstep/v1/listing.js'
import { listed } from '../../../src/rpc/listing.js'
import { runCli } from '../cli/run-cli.js'
import { withServer } from './with-server.js'

const blank = Link.decode(new Uint8Array())
const links = Array.from({ length: 25 }, (_, i): Link => ({ ...blank, name: `eth${i}`, mtu: 1500, up: i % 2 === 0 }))
const list = (listing?: Partial<Listing>): ReturnType<typeof listed<Link>> => listed(links, link => link.name, { pageSize: 0, pageToken: '', readMask: [], ...listing }, Link)

t.test('without a word: all of it, and this is the end', async (t) => {
  t.same(listed(links, link => link.name, undefined, Link), { rows: links, nextPageToken: '' })
  t.same(listed([], (link: Link) => link.name, { pageSize: 3, pageToken: '', readMask: [] }, Link), { rows: [], nextPageToken: '' })
})

t.test('pages of every size are the list', async (t) => {
  for (const pageSize of [1, 2, 7, 24, 25, 26, 10_000]) {
    const names: string[] = []
    let token = ''
    let pages = 0
    do {
      const page = list({ pageSize, pageToken: token })
      names.push(...page.rows.map(({ name }) => name))
      token = page.nextPageToken
      pages++
    } while (token !== '')
    t.same(names, links.map(({ name }) => name), `${pageSize} a page`)
    t.equal(pages, Math.ceil(25 / pageSize))
  }
})

t.test('a page that is too large, a token that is none, one whose row is gone', async (t) => {
  t.throws(() => list({ pageSize: 10_001 }), { code: 'LS_R_PAGE' })
  t.throws(() => list({ pageToken: '!!' }), { code: 'LS_R_PAGE', errorClass: 'invalid' })
  t.throws(() => list({ pageToken: 'x'.repeat(5000) }), { code: 'LS_R_PAGE' })
  t.throws(() => list({ pageToken: Buffer.from('eth99').toString('base64url') }), { code: 'LS_R_PAGE_GONE', errorClass: 'stale', detail: { found: 'eth99' } })
})

t.test('fields: those that are wanted, the others have their default', async (t) => {
  t.same(list({ readMask: ['name', 'up'], pageSize: 1 }).rows, [{ ...blank, name: 'eth0', up: true }])
  t.throws(() => list({ readMask: ['name', 'colour'] }), { code: 'LS_R_FIELD', detail: { found: 'colour', expected: /name device kind ifindex mac mtu up addresses/ } })
})

t.test('over gRPC: VIPs, targets, links, generations, operations', async (t) => {
  const { connection: c } = await withServer(t)
  const one = { pageSize: 1, pageToken: '', readMask: ['name'] }
  const first = await call(c.loadBalancer, c.loadBalancer.listVips, { name: '', listing: one })
  t.match(first, { vips: [{ name: 'web', reals: [] }] })
  const second = await call(c.loadBalancer, c.loadBalancer.listVips, { name: '', listing: { ...one, pageToken: first.nextPageToken } })
  t.same([second.vips.map(({ name }) => name), second.nextPageToken], [['dns'], ''])
  const targets = await call(c.loadBalancer, c.loadBalancer.listTargets, { id: '', listing: { pageSize: 1, pageToken: '', readMask: ['id', 'state'] } })
  t.ok(targets.targets.length === 1 && targets.targets[0]?.id !== '' && targets.targets[0]?.check === '')
  await call(c.config, c.config.history, { limit: 0, listing: { pageSize: 1, pageToken: '', readMask: ['generation'] } })
  await call(c.links, c.links.list, { name: '', listing: one })
  await call(c.operations, c.operations.list, { running: false, requestId: '', listing: { ...one, readMask: ['id'] } })
  await t.rejects(call(c.links, c.links.list, { name: '', listing: { ...one, readMask: ['x'] } }), { code: 'LS_R_FIELD' })
})

t.test('a page ends at 3 MiB, and whoever follows the token has the list', async (t) => {
  const large = Array.from({ length: 50 }, (_, i): Link => ({ ...blank, name: `eth${i}`, mac: 'x'.repeat(200_000) }))
  const page = listed(large, link => link.name, undefined, Link)
  t.ok(page.rows.length === 15 && page.nextPageToken !== '', `${page.rows.length}`)
  t.equal(listed(large, link => link.name, { pageSize: 0, pageToken: '', readMask: ['name'] }, Link).rows.length, 50, 'of what is sent')
  t.equal(listed([{ ...blank, name: 'a', mac: 'x'.repeat(4 << 20) }], link => link.name, undefined, Link).rows.length, 1, 'one at least')
  const ask = async (listing: Listing): Promise<{ links: Link[], nextPageToken: string }> => {
    const { rows: links, nextPageToken } = listed(large, link => link.name, listing, Link)
    return await Promise.resolve({ links, nextPageToken })
  }
  t.same((await wholeList('links', ask)).links, large)
  let asked = 0
  const moving = async (listing: Listing): ReturnType<typeof ask> => {
    if (++asked === 2) throw new LockstepError('stale', 'LS_R_PAGE_GONE', 'gone')
    return await ask(listing)
  }
  t.equal((await wholeList('links', moving)).links.length, 50, 'read anew when its page is gone')
})

t.test('more targets than fit into an answer: over gRPC and by hand', async (t) => {
  const { connection: { loadBalancer: lb }, agent, socketPath } = await withServer(t)
  const [one] = agent.loadBalancer.targetList
  if (one === undefined) throw new Error('no target')
  agent.loadBalancer.targetList = Array.from({ length: 20_000 }, (_, i) => ({ ...one, id: `dns/${i}${'x'.repeat(200)}` }))
  t.ok((await call(lb, lb.listTargets, { id: '' })).nextPageToken !== '')
  const { out } = await runCli(['target', 'list', '--json'], { env: { LOCKSTEP_SOCKET: socketPath } })
  t.equal(out.match(/dns\/\d+x/g)?.length, 20_000)
})

/** Lists without pages, and why. */
const without: ReadonlyMap<string, string> = new Map([
  ['/lockstep.v1.Debug/ListTables', 'tables of the code, some dozens, beside what they share'],
  ['/lockstep.v1.Sessions/List', 'a stream of batches with columns, limit and cursor of its own']
])

t.test('every list has pages and fields, or says why not', async (t) => {
  const proto = fileURLToPath(new URL('../../../../proto', import.meta.url))
  const loaded = loadSync(readdirSync(`${proto}/lockstep/v1`).map(file => `lockstep/v1/${file}`), { includeDirs: [proto], keepCase: true })
  const methods = Object.values(loaded).flatMap(one => 'format' in one ? [] : Object.values(one) as Array<MethodDefinition<object, object>>).filter(({ path }) => /\/(List\w*|History|NatUsage|NatWho)$/.test(path))
  t.ok(methods.length >= 17, `${methods.length}`)
  const fieldsOf = (of: MethodDefinition<object, object>['requestType']): string[] => ('type' in of ? (of.type as { readonly field: ReadonlyArray<{ readonly name: string }> }).field : []).map(({ name }) => name)
  for (const { path, requestType, responseType } of methods) {
    t.equal(fieldsOf(requestType).includes('listing') && fieldsOf(responseType).includes('next_page_token'), !without.has(path), path)
  }
  t.same([...without.keys()].filter(path => !methods.some(method => method.path === path)), [], 'exceptions are methods')
})
