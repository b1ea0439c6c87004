/** Events of the cluster: kept, numbered, bounded; nobody who tells waits, and who comes late is told what it missed. */
import t from 'tap'
import type { ClusterEvent } from '../../../src/contract/cluster.js'
import { ClusterLog } from '../../../src/ha/event-log.js'
import { EVENTS_MAX } from '../../../src/lib/event-log.js'

const event = (n: number, name = 'peer', rg: number | null = null): ClusterEvent => ({ at: n, name, rg, peer: null, fields: {} })
const never = new AbortController().signal
const ats = (events: readonly ClusterEvent[]): number[] => events.map((e) => e.at)

t.test('a watcher gets what is kept, then what comes, until it leaves', async (t) => {
  const log = new ClusterLog()
  for (let n = 0; n < EVENTS_MAX + 5; n++) log.tell(event(n))
  const seen: ClusterEvent[] = []
  const leave = log.watch((e) => { seen.push(e) })
  t.equal(seen.length, EVENTS_MAX)
  t.equal(seen[0]?.at, 5, 'the oldest are forgotten')
  log.tell(event(999))
  t.equal(seen.at(-1)?.at, 999)
  leave()
  log.tell(event(1000))
  t.equal(seen.at(-1)?.at, 999)
})

t.test('after: what is kept at once, later only what is new, and an answer as soon as there is something', async (t) => {
  const log = new ClusterLog()
  t.same(await log.after(null, never), { told: 0, events: [] }, 'nothing is an answer, too')
  log.tell(event(1))
  log.tell(event(2))
  t.same(ats((await log.after(null, never)).events), [1, 2])
  t.same(ats((await log.after(1, never)).events), [2])
  const waiting = log.after(2, never)
  log.tell(event(3))
  t.match(await waiting, { told: 3, events: [{ at: 3 }] })
})

t.test('after: a reader that comes too late is told how many it missed', async (t) => {
  const log = new ClusterLog()
  for (let n = 1; n <= EVENTS_MAX + 10; n++) log.tell(event(n))
  const { told, events } = await log.after(3, never)
  t.equal(told, EVENTS_MAX + 10)
  t.match(events[0], { name: 'events-lost', rg: null, fields: { lost: 7 } })
  t.equal(events[1]?.at, 11)
  t.equal(events.length, 1 + EVENTS_MAX)
})

t.test('after: a signal ends the wait, and leaves nothing behind', async (t) => {
  const log = new ClusterLog()
  const abort = new AbortController()
  const waiting = log.after(0, abort.signal)
  abort.abort()
  t.same(await waiting, { told: 0, events: [] })
  t.same(await log.after(0, abort.signal), { told: 0, events: [] }, 'it fired before')
})

t.test('the tally counts changes of roles and ends of moves, a row for each group', async (t) => {
  const log = new ClusterLog()
  t.same(log.tally(), [])
  for (const name of ['role', 'role', 'move-begun', 'move-done', 'group.proven']) log.tell(event(1, name, 0))
  for (const name of ['move-refused', 'move-failed', 'move-failed']) log.tell(event(1, name, 3))
  log.tell(event(1, 'role', null))
  t.same(log.tally(), [{ rg: 0, roleChanges: 2, moves: { done: 1, refused: 0, failed: 0 } }, { rg: 3, roleChanges: 0, moves: { done: 0, refused: 1, failed: 2 } }])
})
