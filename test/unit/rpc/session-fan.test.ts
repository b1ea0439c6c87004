/** What many watchers of sessions share. */
import t from 'tap'
import { SessionFan, type Part } from '../../../src/rpc/session-fan.js'
import { createFakeAgent } from './fake-agent.js'
import { fakeRecords } from './fake-sessions.js'

/** A message of the tests: slots of its records, as text. */
const slots = (bytes: Buffer): number[] => bytes.length === 0 ? [] : bytes.toString().split(' ').map(Number)
const range = (n: number, from = 0): number[] => Array.from({ length: n }, (_, i) => from + i)

const FOR_EVER = 3_600_000

function counted (gatherMs?: number): { readonly agent: ReturnType<typeof createFakeAgent>, readonly fan: SessionFan, readonly make: (records: Uint8Array) => Buffer, readonly made: () => number } {
  const agent = createFakeAgent(0)
  let made = 0
  const { feed } = agent.services
  const make = (records: Uint8Array): Buffer => {
    made++
    return Buffer.from(feed.decode(records).map(({ session }) => session.slot).join(' '))
  }
  return { agent, fan: new SessionFan(feed, gatherMs), make, made: () => made }
}

async function parts (fan: SessionFan, act: () => void, n: number): Promise<Part[]> {
  const got: Part[] = []
  let end = (): void => undefined
  await new Promise<void>((resolve) => {
    end = fan.subscribe((came) => {
      got.push(...came)
      if (got.reduce((sum, { count }) => sum + count, 0) >= n) resolve()
    })
    act()
  })
  end()
  return got
}

t.test('a part is made into a message once for all that want the same', async (t) => {
  const { agent, fan, make, made } = counted()
  const ends = range(3).map(() => fan.subscribe(() => undefined))
  const [part] = await parts(fan, () => { agent.publish(fakeRecords([1, 3, 4])) }, 3)
  if (part === undefined) throw new Error('nothing came')
  const first = fan.message(part, 'all', make)
  t.strictSame(slots(first), [1, 3, 4])
  t.equal(fan.message(part, 'all', make), first, 'the same bytes')
  t.equal(made(), 1)
  t.not(fan.message(part, 'others', make), first)
  t.equal(made(), 2)
  t.equal(agent.watchers(), 1, 'the feed has one reader, however many watch')
  for (const end of ends) end()
  t.equal(agent.watchers(), 0)
})

t.test('small batches are gathered in their order, large ones are cut at once', async (t) => {
  const { agent, fan, make } = counted(FOR_EVER)
  const came: Part[] = []
  const end = fan.subscribe((parts) => { came.push(...parts) })
  for (const i of range(100)) agent.publish(fakeRecords([i]))
  t.strictSame(came.map(({ count }) => count), [1], 'the first waits for nobody')
  agent.publish(fakeRecords(range(1000, 100)))
  t.strictSame(came.map(({ count }) => count), [1, 512, 512, 75])
  t.strictSame(came.flatMap(part => slots(fan.message(part, '', make))), range(1100))
  end()
})

t.test('what is gathered is told after a moment', async (t) => {
  const { agent, fan, make } = counted()
  const came = await parts(fan, () => { for (const i of range(3)) agent.publish(fakeRecords([i])) }, 3)
  t.strictSame(came.flatMap(part => slots(fan.message(part, '', make))), range(3))
})

t.test('who comes later is told nothing of what waited before; what is lost is told to those that were there', (t) => {
  const { agent, fan } = counted(FOR_EVER)
  const told: Array<readonly [who: string, records: number, lost: number]> = []
  const reader = (who: string) => (came: readonly Part[], lost: number): void => { told.push([who, came.reduce((sum, { count }) => sum + count, 0), lost]) }
  const first = fan.subscribe(reader('first'))
  agent.publish(fakeRecords([1]))
  agent.publish(fakeRecords([2, 3]), 7)
  t.equal(told.length, 1, 'it waits')
  const second = fan.subscribe(reader('second'))
  t.strictSame(told, [['first', 1, 0], ['first', 2, 7]])
  first()
  second()
  agent.publish(fakeRecords([4]), 9)
  t.equal(told.length, 2)
  t.end()
})

t.test('who is far behind has its part made again: what is kept is bounded', async (t) => {
  const { agent, fan, make, made } = counted()
  const end = fan.subscribe(() => undefined)
  const came = await parts(fan, () => { agent.publish(fakeRecords(range(512 * 20))) }, 512 * 20)
  for (const part of came) fan.message(part, '', make)
  t.equal(made(), 20)
  const [oldest] = came
  const newest = came.at(-1)
  if (oldest === undefined || newest === undefined) throw new Error('nothing came')
  fan.message(newest, '', make)
  t.equal(made(), 20)
  t.strictSame(slots(fan.message(oldest, '', make)), range(512))
  t.equal(made(), 21)
  end()
})
