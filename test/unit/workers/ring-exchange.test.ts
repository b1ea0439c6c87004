/** Two nodes that say what their VIPs spread by: equal, for a moment not, for long not, away, rubbish. */
import t, { type Test } from 'tap'
import { exchangeRings, type RingExchange } from '../../../src/workers/ring-exchange.js'

interface Side { readonly rings: Map<string, bigint>, readonly exchange: RingExchange, readonly told: string[], said: number }
function join (t: Test): { readonly a: Side, readonly b: Side, readonly at: (ms: number) => Promise<void>, connected: boolean } {
  let nowMs = 0
  const pair = { connected: true }
  const side = (other: () => Side): Side => {
    const rings = new Map([['www', 1n], ['api', 2n ** 63n]])
    const told: string[] = []
    const exchange = exchangeRings({
      nowMs: () => nowMs, mine: () => rings, onDiffer: (vips) => { told.push(vips.join()) },
      say: async (body) => {
        if (pair.connected) {
          self.said++
          other().exchange.received(body)
        }
        return await Promise.resolve(pair.connected)
      }
    })
    t.teardown(() => { exchange.close() })
    const self: Side = { rings, exchange, told, said: 0 }
    return self
  }
  const a: Side = side(() => b)
  const b: Side = side(() => a)
  return Object.assign(pair, { a, b, at: async (ms: number) => { nowMs = ms; await a.exchange.look(); await b.exchange.look() } })
}

t.test('equal, a moment of difference, a lasting one, equal again', async (t) => {
  const { a, b, at } = join(t)
  t.equal(a.exchange.status(), null)
  await at(0)
  t.same([a.exchange.status(), b.exchange.status()], [{ equal: 2, differing: [] }, { equal: 2, differing: [] }])
  a.rings.set('www', 7n)
  await at(1000)
  t.same(b.exchange.status(), { equal: 1, differing: ['www'] })
  await at(9000)
  b.rings.set('www', 7n)
  await at(10_000)
  t.same([a.told, b.told], [[], []], 'probes of two nodes differ for moments')
  b.rings.delete('api')
  await at(11_000)
  await at(20_000)
  t.same([a.told, b.told], [[], []])
  await at(21_000)
  t.same([a.told, b.told], [['api'], ['api']])
  await at(40_000)
  t.same(a.told, ['api'], 'once')
  b.rings.set('api', 2n ** 63n)
  await at(41_000)
  t.same([a.told, b.told, a.exchange.status()], [['api', ''], ['api', ''], { equal: 2, differing: [] }])
})

t.test('a difference that was told ends with the peer, and is told again when it comes back and has it still', async (t) => {
  const pair = join(t)
  const { a, at } = pair
  a.rings.set('www', 9n)
  for (const ms of [0, 1000, 11_000]) await at(ms)
  t.same(a.told, ['www'])
  pair.connected = false
  for (const ms of [21_000, 22_000]) await at(ms)
  t.same([a.told, a.exchange.status()], [['www', ''], null])
  pair.connected = true
  for (const ms of [23_000, 24_000, 34_000]) await at(ms)
  t.same(a.told, ['www', '', 'www'])
})

t.test('what did not change is said every ten seconds only', async (t) => {
  const { a, at } = join(t)
  for (let ms = 0; ms <= 20_000; ms += 1000) await at(ms)
  t.equal(a.said, 3)
})

t.test('a peer that is away has said nothing; rubbish and too much are ignored', async (t) => {
  const pair = join(t)
  const { a, at } = pair
  await at(0)
  pair.connected = false
  a.rings.set('www', 9n)
  await at(1000)
  t.equal(a.exchange.status(), null)
  await at(60_000)
  t.same(a.told, [])
  pair.connected = true
  await at(61_000)
  t.same(a.exchange.status(), { equal: 1, differing: ['www'] })
  a.exchange.received(Buffer.from([0xff, 0xff, 0xff]))
  a.exchange.received(Buffer.alloc(3 * 2049, Buffer.from([0x0a, 0x01, 0x00])))
  t.same(a.exchange.status(), { equal: 1, differing: ['www'] })
})
