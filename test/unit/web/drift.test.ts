/** The net below the stream: a difference that stays is found and said, and nothing else is. */
import t from 'tap'
import { DriftCheck } from '../../../src/web/drift.js'
import type { StateJson } from '../../../src/web/model.js'
import { LiveStore, placeOf } from '../../../src/web/store.js'

type Objects = Readonly<Record<string, unknown>>
const state = (vips: Objects, seq: number, epoch = 'e'): StateJson => ({ epoch, seq, at: Date.now(), kinds: ['vip'], agents: { one: { connected: true, contactAt: 0, kinds: { vip: { synced: true, objects: vips } } as never, events: [] } } })

/** `answers`: of the gateway, one after the other; the last one for ever. */
function scene (vips: Objects, ...answers: ReadonlyArray<StateJson | null | ((store: LiveStore) => StateJson | null)>): { readonly store: LiveStore, readonly check: DriftCheck, readonly fed: { condition: string, readonly anew: string[] } } {
  const store = new LiveStore(() => { /* nobody looks */ })
  store.number('e', 10, true)
  store.state(state(vips, 10))
  const anew: string[] = []
  const fed = { condition: 'live', anew, afresh: (why: string) => { anew.push(why) } }
  let asked = 0
  const check = new DriftCheck(store, fed, async () => {
    const answer = answers[Math.min(asked++, answers.length - 1)] ?? null
    return typeof answer === 'function' ? answer(store) : answer
  }, 1)
  return { store, check, fed }
}
const verdict = async ({ check, fed }: ReturnType<typeof scene>): Promise<unknown> => {
  await check.check()
  return [check.checks, check.drifts, fed.anew.length]
}
const place = (key: string): string => placeOf('one', 'vip', key)

t.test('the same is no difference', async (t) => {
  t.same(await verdict(scene({ a: { n: 1 } }, state({ a: { n: 1 } }, 10))), [1, 0, 0])
})

t.test('another value, one too many, one too few: found twice, said once, and everything is asked for', async (t) => {
  const now = scene({ a: { n: 1 }, b: {} }, state({ a: { n: 2 }, c: {} }, 10))
  t.same(await verdict(now), [1, 1, 1])
  t.same([...now.check.found].sort(), ['a', 'b', 'c'].map(place))
  t.ok(now.check.at > 0)
})

t.test('a difference that is gone a moment later was none', async (t) => {
  t.same(await verdict(scene({ a: { n: 1 } }, state({ a: { n: 2 } }, 10), state({ a: { n: 1 } }, 10))), [1, 0, 0])
  t.same(await verdict(scene({ a: {}, b: {} }, state({ b: {} }, 10), state({ a: {} }, 10))), [1, 0, 0], 'nor is another one each time')
})

t.test('what changed behind the number of the state is left out', async (t) => {
  const later = (store: LiveStore): StateJson => {
    store.number('e', store.seq + 1, false)
    store.put({ agent: 'one', kind: 'vip', key: 'a', value: { n: store.seq } })
    return state({ a: { n: 0 } }, store.seq - 1)
  }
  t.same(await verdict(scene({ a: { n: 10 } }, later)), [1, 0, 0])
  const before = (store: LiveStore): StateJson => {
    store.number('e', store.seq + 1, false)
    store.put({ agent: 'one', kind: 'vip', key: 'a', value: { n: store.seq } })
    return state({ a: { n: 0 } }, store.seq)
  }
  t.same(await verdict(scene({ a: { n: 10 } }, before)), [1, 1, 1], 'and what changed before is not')
})

t.test('the stream has not brought yet what the state has: it is waited for, and a message that never comes is a difference', async (t) => {
  const soon = scene({ a: { n: 1 } }, (store) => {
    setTimeout(() => {
      store.number('e', 11, false)
      store.put({ agent: 'one', kind: 'vip', key: 'a', value: { n: 2 } })
    }, 50)
    return state({ a: { n: 2 } }, 11)
  })
  t.same(await verdict(soon), [1, 0, 0])
  const never = scene({ a: { n: 1 } }, state({ a: { n: 1 } }, 11))
  t.same(await verdict(never), [1, 1, 1])
  t.same(never.check.found, [placeOf('', 'message', '11')])
})

t.test('nothing is said of what cannot be compared', async (t) => {
  t.same(await verdict(scene({ a: {} }, null)), [1, 0, 0], 'the gateway does not answer')
  t.same(await verdict(scene({ a: {} }, state({}, 10, 'another'))), [1, 0, 0], 'another life of it')
  const lost = scene({ a: {} }, state({}, 10))
  lost.fed.condition = 'waiting'
  t.same(await verdict(lost), [1, 0, 0], 'the stream is down')
})
