/** Places of rings in the arena: taken twice per VIP, reused, never overlapping, given back whether or not the flip came. */
import t, { type Test } from 'tap'
import { RingArena, type RingWanted } from '../../../src/backend/table/rings.js'
import { limits } from '../../../src/generated/layout.js'
import { loadCore } from '../../../src/native/load.js'
import { parseAddress } from '../../../src/lib/address.js'

const core = loadCore()
const E = limits.LS_RING_ELEMENT

function setup (t: Test, arena: number, inherited: ReadonlyArray<{ readonly element: number, readonly entries: number }> = []): { readonly arena: RingArena, readonly writes: Array<{ at: number, bytes: number }>, readonly fail: { write: boolean } } {
  const table = new core.Table({ capacity: 1024, cpus: 0, threads: 1, arena, hugepages: 0, path: '' })
  t.teardown(() => { table.close() })
  const writes: Array<{ at: number, bytes: number }> = []
  const fail = { write: false }
  return {
    writes, fail,
    arena: new RingArena(core, {
      info: () => table.info(), rings: () => inherited, readArena: (element, out) => { table.readArena(element, out) },
      writeArena: (element, bytes) => {
        if (fail.write) throw Object.assign(new Error('no'), { code: 'LS_E_INVALID' })
        writes.push({ at: element, bytes: bytes.length })
        table.writeArena(element, bytes)
      }
    })
  }
}

const realsOf = (weights: readonly number[]): RingWanted['reals'] => weights.map((weight, i) => ({ id: i + 1, address: parseAddress(`10.0.0.${i + 1}`) ?? 0n, port: 80, weight })).filter(real => real.weight > 0)
/** `base`: configured weights, when they are others. */
const want = (vip: string, size: number, weights: readonly number[] = [1, 1], base = weights): RingWanted => ({ vip, size, reals: realsOf(weights), base: realsOf(base), down: new Set() })
const apply = async (arena: RingArena, wanted: readonly RingWanted[]): Promise<Readonly<Record<string, { readonly element: number, readonly entries: number }>>> => {
  const prepared = await arena.prepare(wanted)
  prepared.commit()
  return prepared.rings
}

t.test('element 0 means no ring and is never given away; places do not overlap', async t => {
  const { arena, writes } = setup(t, 64)
  const rings = await apply(arena, [want('a', 127), want('b', 251), want('c', 13)])
  t.ok(Object.values(rings).every(r => r.element > 0))
  const spans = writes.map(w => [w.at, w.at + Math.ceil(w.bytes / 64)] as const).sort((x, y) => x[0] - y[0])
  spans.forEach(([from], i) => { t.ok(i === 0 || from >= (spans[i - 1]?.[1] ?? 0)) })
  t.same(arena.readBack().map(r => [r.vip, r.ringSize, r.reals.reduce((sum, { entries }) => sum + entries, 0)]), [['a', 127, 127], ['b', 251, 251], ['c', 13, 13]])
})

t.test('an unchanged ring is not written again; a changed one goes to the other place', async t => {
  const { arena, writes } = setup(t, 64)
  const first = await apply(arena, [want('a', 127)])
  t.same(await apply(arena, [want('a', 127)]), first)
  t.equal(writes.length, 1)
  const second = await apply(arena, [want('a', 127, [1, 3])])
  t.not(second['a']?.element, first['a']?.element)
  t.equal((await apply(arena, [want('a', 127, [1, 1])]))['a']?.element, first['a']?.element, 'and back')
})

t.test('whatever happened in which order, equal weights make equal rings, and a real that comes back has the entries that it had', async t => {
  const base = [10, 20, 30, 40]
  const [one, two] = [setup(t, 200).arena, setup(t, 200).arena]
  const ring = (arena: RingArena): string => JSON.stringify(arena.readBack().map(r => [r.ringHash, r.reals]))
  await apply(one, [want('a', 251, base, base)])
  const whole = ring(one)
  for (const weights of [[0, 20, 30, 40], [0, 20, 0, 40], [0, 20, 30, 40], [10, 20, 30, 5], base]) await apply(one, [want('a', 251, weights, base)])
  t.equal(ring(one), whole)
  for (const weights of [[10, 0, 30, 0], [0, 0, 30, 40]]) await apply(two, [want('a', 251, weights, base)])
  await apply(one, [want('a', 251, [0, 0, 30, 40], base)])
  t.equal(ring(one), ring(two))
})

t.test('what is prepared is not in force until commit, and undo gives it back', async t => {
  const size = 127
  const need = 2 * Math.ceil(size / E)
  const { arena } = setup(t, 1 + need * 2)
  await apply(arena, [want('a', size)])
  const before = arena.readBack()
  for (let i = 0; i < 10; i++) {
    const prepared = await arena.prepare([want('a', size, [5, 1]), want('b', size)])
    t.same(arena.readBack(), before)
    prepared.undo()
  }
  t.ok((await apply(arena, [want('a', size), want('b', size)]))['b'], 'ten refused applies cost nothing')
})

t.test('exhaustion names the VIP and what would fit, and leaves everything as it was', async t => {
  const { arena } = setup(t, 1 + 2 * 4)
  await apply(arena, [want('a', 127)])
  const before = arena.readBack()
  for (let i = 0; i < 5; i++) await t.rejects(arena.prepare([want('a', 127, [9, 1]), want('b', 13)]), { name: 'LockstepError', errorClass: 'exhausted', code: 'LS_B_ARENA', message: /vip b.*ring-size/ })
  t.same(arena.readBack(), before)
  await t.rejects(arena.prepare([want('b', 127)]), { code: 'LS_B_ARENA' }, 'the old ring is in force until the flip, so its place is not free yet')
  await apply(arena, [])
  await apply(arena, [want('b', 127)])
  t.same(arena.readBack().map(r => r.vip), ['b'], 'the place of a VIP that is gone is used again')
})

t.test('half of a place that could not be taken whole is given back', async t => {
  const { arena } = setup(t, 1 + 4 + 3)
  for (let i = 0; i < 20; i++) await t.rejects(arena.prepare([want('a', 127)]), { code: 'LS_B_ARENA' }) // 4 elements twice: one fits
  t.ok((await apply(arena, [want('a', 89)]))['a'], 'three elements twice')
})

t.test('a ring that cannot be built or written takes nothing', async t => {
  const { arena, fail } = setup(t, 1 + 2 * 4)
  await t.rejects(arena.prepare([want('a', 128)]), 'not a prime')
  await t.rejects(arena.prepare([{ vip: 'a', size: 127, reals: [{ id: 0, address: 1n, port: 1, weight: 1 }], base: [{ id: 0, address: 1n, port: 1, weight: 1 }], down: new Set() }]))
  fail.write = true
  for (let i = 0; i < 5; i++) await t.rejects(arena.prepare([want('a', 127)]), { name: 'LockstepError', errorClass: 'invalid' })
  fail.write = false
  t.ok((await apply(arena, [want('a', 127)]))['a'])
})

t.test('many changes of size leave the arena whole', async t => {
  const total = 600
  const { arena } = setup(t, total)
  const sizes = [13, 127, 251, 509, 1021, 2039]
  let state = 7
  const random = (n: number): number => { state = (Math.imul(state, 1103515245) + 12345) >>> 0; return (state >>> 8) % n }
  for (let i = 0; i < 200; i++) {
    const wanted = ['a', 'b', 'c'].filter(() => random(3) > 0).map(vip => want(vip, sizes[random(sizes.length)] ?? 13, [1 + random(9), 1 + random(9)]))
    await apply(arena, wanted).catch((error: { code?: string }) => { if (error.code !== 'LS_B_ARENA') throw error })
  }
  await apply(arena, [])
  t.same(arena.readBack(), [])
  const most = Math.floor((total - 1) / 2)
  t.ok(await apply(arena, [want('all', 9311)]), `${Math.ceil(9311 / E)} of ${most} elements twice: one stretch again`)
})

t.test('rings that a predecessor picks from are left alone until the first flip, then their places are free', async (t) => {
  const { arena, writes } = setup(t, 8, [{ element: 2, entries: 2 * E }, { element: 5, entries: E }])
  const first = await arena.prepare([want('a', E - 1)])
  t.same(writes.map(w => w.at), [1], 'element 1 is free; 2, 3 and 5 are not')
  t.rejects(arena.prepare([want('b', 2 * E - 3)]), { code: 'LS_B_ARENA' })
  first.commit()
  const second = await arena.prepare([want('a', E - 1), want('b', E - 1)])
  second.commit()
  t.ok(writes.slice(1).every(w => w.at < 8))
})

t.test('rings that somebody overwrote are found, told by VIP, and right again; what is right is not written', async t => {
  const { arena, writes } = setup(t, 64)
  const rings = await apply(arena, [want('a', 127), want('b', 251), want('c', 13)])
  const before = arena.readBack()
  t.same(await arena.mend(), [])
  t.equal(writes.length, 3)
  const table = (arena as unknown as { readonly table: { readonly writeArena: (element: number, bytes: Uint8Array) => void, readonly readArena: (element: number, out: Uint8Array) => void } }).table
  const overwrite = (vip: string, at: number): void => {
    const ring = new Uint8Array(128)
    table.readArena(rings[vip]?.element ?? 0, ring)
    ring[at] = (ring[at] ?? 0) ^ 0x55
    table.writeArena(rings[vip]?.element ?? 0, ring)
  }
  overwrite('a', 5)
  overwrite('a', 90)
  overwrite('b', 0)
  t.same(arena.readBack().map(r => r.drifted), [2, 1, 0])
  t.same(await arena.mend(), [{ vip: 'a', entries: 2 }, { vip: 'b', entries: 1 }])
  t.same(arena.readBack(), before)
})
