/** One configuration for both nodes: sent until it runs there, numbers that collide, refusals, rubbish. Two ends joined by hand. */
import t, { type Test } from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Followed } from '../../../src/config/authority.js'
import { noOverlay } from '../../../src/contract/overlay.js'
import { LockstepError } from '../../../src/contract/errors.js'
import { exchangeConfigs, type ConfigExchange } from '../../../src/workers/config-exchange.js'
import { comesAbout } from '../../until.js'

const config = (generation: number): Followed => ({ generation, text: `generation ${generation}`, author: 'op', comment: 'why', ids: { zone: { a: 1 } }, overlay: noOverlay })
const taken = (least: number): LockstepError => new LockstepError('stale', 'LS_C_GENERATION', 'the number is taken', { expected: `${least} or higher` })

interface Pair { connected: boolean, readonly owner: ConfigExchange, readonly runs: { owner: Followed, peer: Followed | null }, readonly heard: Array<[string, number, string]>, refuse: (c: Followed) => void }

function join (t: Test): Pair {
  const runs: Pair['runs'] = { owner: config(3), peer: null }
  const heard: Pair['heard'] = []
  const pair = { connected: true, runs, heard, refuse: (_: Followed): void => { /* it is applied */ } }
  const peer = exchangeConfigs({
    shared: () => runs.peer, follow: async (c) => { pair.refuse(c); runs.peer = c }, renumber: async () => undefined, wanted: async () => false,
    say: async (type, body) => { owner.received(type, body); return true },
    onAnswer: () => { t.fail('the peer asks nothing') }, onFollowed: (generation, refusal) => { heard.push(['peer', generation, refusal]) }
  })
  const owner = exchangeConfigs({
    shared: () => runs.owner, follow: async () => undefined, renumber: async (least) => { runs.owner = { ...runs.owner, generation: least }; setImmediate(() => { owner.look() }) },
    wanted: async (inAnyCase) => pair.connected && (inAnyCase || runs.peer?.generation !== runs.owner.generation),
    say: async (type, body) => { peer.received(type, body); return true },
    onAnswer: (generation, refusal) => { heard.push(['owner', generation, refusal]) }, onFollowed: () => { t.fail('the owner follows nobody') }
  })
  t.teardown(() => { owner.close(); peer.close() })
  return Object.assign(pair, { owner })
}
t.test('what the owner applied runs at the peer, under its number and with its ids, and is sent no more', async (t) => {
  const p = join(t)
  p.owner.look()
  await comesAbout(() => p.heard.length === 2)
  t.same(p.runs.peer, p.runs.owner)
  t.same(p.heard, [['peer', 3, ''], ['owner', 3, '']])
  p.owner.look()
  await sleep(20)
  t.equal(p.heard.length, 2)
})

t.test('a number that is taken at the peer: the owner takes the next one that is free', async (t) => {
  const p = join(t)
  p.refuse = (c) => { if (c.generation < 9) throw taken(9) }
  p.owner.look()
  await comesAbout(() => p.runs.peer !== null)
  t.match(p.runs, { owner: { generation: 9 }, peer: { generation: 9, text: 'generation 3' } })
})

t.test('a configuration that the peer cannot run: both say why', async (t) => {
  const p = join(t)
  p.refuse = () => { throw new Error('no such port: eth7') }
  p.owner.look()
  await comesAbout(() => p.heard.length === 2)
  t.same(p.heard, [['peer', 3, 'no such port: eth7'], ['owner', 3, 'no such port: eth7']])
  t.equal(p.runs.peer, null)
})

t.test('rubbish of the peer changes nothing and throws nothing', async (t) => {
  const p = join(t)
  for (const bytes of [new Uint8Array(0), new Uint8Array([255, 255, 255]), new Uint8Array([8, 3, 42, 3, 123, 123, 123])]) {
    p.owner.received('configAck', bytes)
    p.owner.received('config', bytes)
  }
  await sleep(20)
  t.equal(p.runs.owner.generation, 3)
})

t.test('another overlay goes to the peer under the same number; one that it has does not go again, until it was away', async (t) => {
  const p = join(t)
  const overlay = (until: number): Followed['overlay'] => ({ vips: [], adjusted: [], reals: [{ vip: 'www', pool: '', reals: [{ address: '10.0.0.7' }], owner: 'ctl', reason: '', since: 1, until }] })
  const after = async (n: number): Promise<void> => {
    p.owner.look()
    await comesAbout(() => p.heard.length >= n)
    await sleep(20)
    t.equal(p.heard.length, n)
  }
  await after(2)
  await after(2)
  p.runs.owner = { ...p.runs.owner, overlay: overlay(10) }
  await after(4)
  t.same(p.runs.peer?.overlay, overlay(10))
  await after(4)
  p.runs.owner = { ...p.runs.owner, overlay: overlay(20) }
  p.refuse = () => { throw new Error('busy') }
  await after(6)
  t.same(p.runs.peer?.overlay, overlay(10))
  p.refuse = () => { /* it is well again */ }
  await sleep(4100) // what was refused waits for twice as long
  p.owner.look()
  await comesAbout(() => p.heard.length >= 8)
  t.same(p.runs.peer?.overlay, overlay(20))
  p.connected = false
  await sleep(2100) // looked at no sooner
  await after(8)
  p.connected = true
  p.runs.peer = { ...p.runs.owner, overlay: overlay(10) }
  await after(10)
  t.same(p.runs.peer?.overlay, overlay(20))
})
