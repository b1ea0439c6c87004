/** Who starts a keeper again says so to whoever looks, until there is one or none is wanted. */
import t from 'tap'
import type { Keeper } from '../../../src/backend/ebpf/keeper.js'
import { KeeperWatch } from '../../../src/backend/ebpf/keeper-watch.js'
import { WorkBook } from '../../../src/lib/work.js'
import { comesAbout } from '../../until.js'

interface Fake { readonly keeper: Keeper, readonly die: () => void }

function fake (): Fake {
  let told = (): void => undefined
  const keeper = { outdated: () => false, onGone: (gone: () => void) => { told = gone }, quit: async () => undefined }
  return { keeper: keeper as unknown as Keeper, die: () => { told() } }
}

t.test('a keeper that cannot be started is waited for, longer each time, and then no more', async (t) => {
  const book = new WorkBook()
  const one = fake()
  let launches = 0
  const watch = new KeeperWatch('/folder', '', null, book, async () => {
    if (++launches < 3) throw new Error(`no program ${launches}`)
    return one.keeper
  })
  t.teardown(() => { watch.stop() })
  await watch.start()
  const [first] = book.waiting
  t.match(book.waiting, [{ process: 'keeper', object: '', cause: 'no program 1', attempts: 1 }])
  t.match(watch.trouble, /no program 1/)
  t.ok(await comesAbout(() => book.waiting[0]?.attempts === 2))
  const [second] = book.waiting
  t.equal((second?.until ?? 0) - (second?.since ?? 0), 2 * ((first?.until ?? 0) - (first?.since ?? 0)))
  t.ok(await comesAbout(() => launches === 3 && watch.trouble === ''))
  t.same(book.waiting, [], 'there is one')
  one.die()
  t.match(book.waiting, [{ process: 'keeper', cause: 'it ended', attempts: 1 }])
  watch.stop()
  t.same(book.waiting, [], 'none is wanted')
})
