/** What the page has of the agents: messages in order, a gap that is found, a whole state that puts everything right, and one render for many changes. */
import t from 'tap'
import type { AgentJson, Happening, StateJson } from '../../../src/web/model.js'
import { LiveStore, placeOf } from '../../../src/web/store.js'

const agent = (vips: Readonly<Record<string, unknown>> = {}, events: ReadonlyArray<Omit<Happening, 'agent'>> = [], connected = true): AgentJson =>
  ({ connected, contactAt: 5, kinds: { vip: { synced: true, objects: vips }, target: { synced: true, objects: {} } } as never, events })
const state = (agents: Readonly<Record<string, AgentJson>>, seq = 0, at = Date.now()): StateJson => ({ epoch: 'e', seq, at, kinds: ['vip', 'target'], agents })
const happening = (id: string, at = 1): Omit<Happening, 'agent'> => ({ id, at, area: 'agent', event: 'note', level: 'info', object: '', fields: {} })

function storeOf (): { readonly store: LiveStore, readonly frame: () => void, readonly frames: () => number } {
  const asked: Array<() => void> = []
  let frames = 0
  return { store: new LiveStore((run) => { asked.push(run); frames++ }), frame: () => { for (const run of asked.splice(0)) run() }, frames: () => frames }
}

t.test('numbers: one follows the other, a gap and another epoch are found, a whole state begins anew', async (t) => {
  const { store } = storeOf()
  t.equal(store.number('e', 7, false), false, 'nothing fits before the first state')
  t.equal(store.gaps, 1)
  t.equal(store.number('e', 7, true), true)
  t.equal(store.number('e', 8, false), true)
  t.equal(store.number('e', 8, false), false, 'twice the same')
  t.equal(store.number('e', 10, false), false, 'one is missing')
  t.equal(store.number('f', 9, false), false, 'of another life of the gateway')
  t.same([store.epoch, store.seq, store.gaps], ['e', 8, 4], 'what did not fit changed nothing')
  t.equal(store.number('f', 3, true), true)
  t.same([store.epoch, store.seq], ['f', 3])
})

t.test('a whole state replaces everything: what is not in it is gone', async (t) => {
  const { store } = storeOf()
  store.state(state({ one: agent({ a: { name: 'a' }, b: { name: 'b' } }), two: agent() }))
  t.same(store.names, ['one', 'two'])
  store.put({ agent: 'one', kind: 'vip', key: 'c', value: { name: 'c' } })
  store.state(state({ one: agent({ b: { name: 'other' } }) }))
  t.same(store.names, ['one'])
  t.same(store.list('one', 'vip'), [['b', { name: 'other' }]])
  t.equal(store.one('one', 'vip', 'a'), undefined)
  t.equal(store.list('two', 'vip').length, 0)
})

t.test('keys in their order, numbers by their value', async (t) => {
  const { store } = storeOf()
  store.state(state({ one: agent(Object.fromEntries(['vip-10', 'vip-9', 'a', 'vip-1'].map(name => [name, { name }]))) }))
  t.same(store.list('one', 'vip').map(([key]) => key), ['a', 'vip-1', 'vip-9', 'vip-10'])
})

t.test('changes, told to witnesses with the number that they have', async (t) => {
  const { store } = storeOf()
  const told: Array<[number, string]> = []
  const end = store.witness((seq, where) => { told.push([seq, where]) })
  store.number('e', 4, true)
  store.state(state({ one: agent({ a: {} }) }))
  store.number('e', 5, false)
  store.put({ agent: 'one', kind: 'vip', key: 'a', value: { name: 'now' } })
  store.number('e', 6, false)
  store.delete({ agent: 'one', kind: 'vip', key: 'a' })
  end()
  store.put({ agent: 'one', kind: 'vip', key: 'b', value: {} })
  store.put({ agent: 'nobody', kind: 'vip', key: 'b', value: {} })
  t.same(told, [[5, placeOf('one', 'vip', 'a')], [6, placeOf('one', 'vip', 'a')]])
  t.same(store.list('one', 'vip').map(([key]) => key), ['b'])
  t.same(store.names, ['one'], 'a change of an agent that is not known makes none')
  store.reached({ agent: 'one', connected: false, contactAt: 77 })
  t.match(store.agents.get('one'), { connected: false, contactAt: 77 })
  t.same(store.list('one', 'vip').map(([key]) => key), ['b'], 'what it had is kept')
})

t.test('events: each once, in the order of their times after a state, and not for ever', async (t) => {
  const { store } = storeOf()
  store.state(state({ one: agent({}, [happening('x-1', 30), happening('x-2', 40)]), two: agent({}, [happening('x-1', 35)]) }))
  t.same(store.tail.map(({ agent: name, id }) => `${name} ${id}`), ['one x-1', 'two x-1', 'one x-2'], 'the same id of another agent is another event')
  store.happened({ agent: 'one', ...happening('x-2', 40) })
  store.happened({ agent: 'one', ...happening('x-3', 50) })
  store.state(state({ one: agent({}, [happening('x-2', 40), happening('x-3', 50)]), two: agent() }))
  t.equal(store.tail.length, 4)
  for (let i = 4; i < 3000; i++) store.happened({ agent: 'one', ...happening(`x-${i}`, i) })
  t.ok(store.tail.length <= 2000, `${store.tail.length} are kept`)
  t.equal(store.tail.at(-1)?.id, 'x-2999')
  const { length } = store.tail
  store.happened({ agent: 'one', ...happening('x-2999') })
  t.equal(store.tail.length, length, 'and those that are kept are still known')
})

t.test('one render for however many changes', async (t) => {
  const { store, frame, frames } = storeOf()
  let renders = 0
  const end = store.subscribe(() => { renders++ })
  store.state(state({ one: agent() }))
  for (let i = 0; i < 1000; i++) store.put({ agent: 'one', kind: 'vip', key: String(i), value: {} })
  t.same([renders, frames()], [0, 1])
  frame()
  t.equal(renders, 1)
  store.touch()
  end()
  frame()
  t.same([renders, frames()], [1, 2], 'who left is not asked')
})

t.test('clocks: the gateway may be ahead', async (t) => {
  const { store } = storeOf()
  store.state(state({}, 0, Date.now() + 60_000))
  t.ok(Math.abs(store.skewMs - 60_000) < 5000, `${store.skewMs} ms`)
})
