/** Lists by pages and by fields: whole, in order, each row once; what is asked for wrongly is told. */
import t from 'tap'
import { call } from '../../../src/cli/client.js'
import { Link } from '../../../src/generated/proto/lockstep/v1/links.js'
import type { Listing } from '../../../src/generated/proto/lockstep/v1/listing.js'
import { listed } from '../../../src/rpc/listing.js'
import { withServer } from './with-server.js'

const blank = Link.decode(new Uint8Array())
const links = Array.from({ length: 25 }, (_, i): Link => ({ ...blank, name: `eth${i}`, mtu: 1500, up: i % 2 === 0 }))
const list = (listing?: Partial<Listing>): ReturnType<typeof listed<Link>> => listed(links, link => link.name, { pageSize: 0, pageToken: '', readMask: [], ...listing }, blank)

t.test('without a word: all of it, and this is the end', async (t) => {
  t.same(listed(links, link => link.name, undefined, blank), { rows: links, nextPageToken: '' })
  t.same(listed([], (link: Link) => link.name, { pageSize: 3, pageToken: '', readMask: [] }, blank), { rows: [], nextPageToken: '' })
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
