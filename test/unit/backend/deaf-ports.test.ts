/** Ports that lose what is redirected to them are named, once each, until they take it. */
import t from 'tap'
import { DeafPorts } from '../../../src/backend/ebpf/deaf-ports.js'
import type { XdpFeature } from '../../../src/native/xdp-features.js'

const place = { netns: '', generic: false, redirect: false }
const told: Record<number, readonly XdpFeature[] | null> = {}
const open = (...ports: ReadonlyArray<readonly [name: string, ifindex: number, more?: Partial<typeof place>]>): DeafPorts => {
  const deaf = new DeafPorts((_, ifindex) => {
    const f = told[ifindex]
    if (f === undefined) throw new Error('no such device')
    return f
  })
  for (const [name, ifindex, more] of ports) deaf.enabled(name, { ...place, ifindex, ...more })
  deaf.settle(new Set(ports.map(([name]) => name)))
  return deaf
}

t.beforeEach(() => { Object.assign(told, { 1: ['basic', 'redirect', 'ndo-xmit'], 2: ['basic', 'redirect'], 3: null }) })

t.test('named until it takes frames, and no longer when it is no port', async (t) => {
  const deaf = open(['lan', 1], ['wan', 2])
  t.match(deaf.lines(), [/^port wan: its driver takes no redirected frames/])
  t.equal(deaf.lines().length, 1)
  told[2] = ['basic', 'redirect', 'ndo-xmit']
  t.same(deaf.lines(), [])
  told[2] = ['basic', 'redirect']
  t.same(deaf.lines(), [], 'asked again with the next configuration only')
  deaf.settle(new Set(['lan', 'wan']))
  t.equal(deaf.lines().length, 1)
  deaf.settle(new Set(['lan']))
  t.same(deaf.lines(), [])
})

t.test('nobody can tell: an older kernel, an interface that is gone', async (t) => { t.same(open(['a', 3], ['b', 4]).lines(), []) })

t.test('only where somebody redirects', async (t) => {
  t.same(open(['wan', 2]).lines(), [], 'alone it sends back by itself')
  t.equal(open(['wan', 2, { redirect: true }]).lines().length, 1, 'a veth redirects that, too')
  t.same(open(['lan', 1, { generic: true }], ['wan', 2, { generic: true }]).lines(), [], 'generic programs use the ordinary way out')
  t.match(open(['lan', 1], ['wan', 2, { generic: true }]).lines(), [/^port wan/], 'of another whose driver redirects')
})
