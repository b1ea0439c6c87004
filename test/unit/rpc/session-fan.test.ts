/** What many watchers of sessions share. */
import t from 'tap'
import { SessionChanges } from '../../../src/generated/proto/lockstep/v1/sessions.js'
import { SessionFan, type Part } from '../../../src/rpc/session-fan.js'
import { createFakeAgent } from './fake-agent.js'
import { fakeRecords } from './fake-sessions.js'

const all = { key: '', matches: () => true }
const tcp = { key: 'tcp', matches: ({ protocol }: { readonly protocol: number }) => protocol === 6 }
const slots = (bytes: Uint8Array): Array<number | undefined> => SessionChanges.decode(bytes).changes.map(({ session }) => session?.slot)
const range = (n: number, from = 0): number[] => Array.from({ length: n }, (_, i) => from + i)

const FOR_EVER = 3_600_000

function counted (gatherMs?: number): { readonly agent: ReturnType<typeof createFakeAgent>, readonly fan: SessionFan, readonly decodes: () => number } {
  const agent = createFakeAgent(0)
  let decodes = 0
  const { names, feed } = agent.services
  return { agent, fan: new SessionFan({ names, feed: { ...feed, decode: (records) => { decodes++; return feed.decode(records) } } }, gatherMs), decodes: () => decodes }
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

t.test('a part is decoded once, and written once for all that want the same', async (t) => {
  const { agent, fan, decodes } = counted()
  const ends = range(3).map(() => fan.subscribe(() => undefined))
  const [part] = await parts(fan, () => { agent.publish(fakeRecords([1, 3, 4])) }, 3)
  if (part === undefined) throw new Error('nothing came')
  const first = fan.write(part, all)
  t.strictSame(slots(first), [1, 3, 4])
  t.equal(fan.write(part, all), first, 'the same bytes')
  t.strictSame(slots(fan.write(part, tcp)), [1, 4], 'row 3 is UDP')
  t.equal(fan.write(part, tcp), fan.write(part, { ...tcp }), 'the same filter by its text')
  t.equal(decodes(), 1)
  t.equal(agent.watchers(), 1, 'the feed has one reader, however many watch')
  for (const end of ends) end()
  t.equal(agent.watchers(), 0)
})

t.test('small batches are gathered in their order, large ones are cut at once', async (t) => {
  const { agent, fan } = counted(FOR_EVER)
  const came: Part[] = []
  const end = fan.subscribe((parts) => { came.push(...parts) })
  for (const i of range(100)) agent.publish(fakeRecords([i]))
  t.strictSame(came.map(({ count }) => count), [1], 'the first waits for nobody')
  agent.publish(fakeRecords(range(1000, 100)))
  t.strictSame(came.map(({ count }) => count), [1, 512, 512, 75])
  t.strictSame(came.flatMap(part => slots(fan.write(part, all))), range(1100))
  end()
})

t.test('what is gathered is told after a moment', async (t) => {
  const { agent, fan } = counted()
  const came = await parts(fan, () => { for (const i of range(3)) agent.publish(fakeRecords([i])) }, 3)
  t.strictSame(came.flatMap(part => slots(fan.write(part, all))), range(3))
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

t.test('who is far behind has its part decoded again: what is kept is bounded', async (t) => {
  const { agent, fan, decodes } = counted()
  const end = fan.subscribe(() => undefined)
  const came = await parts(fan, () => { agent.publish(fakeRecords(range(512 * 20))) }, 512 * 20)
  for (const part of came) fan.write(part, all)
  t.equal(decodes(), 20)
  const [oldest] = came
  const newest = came.at(-1)
  if (oldest === undefined || newest === undefined) throw new Error('nothing came')
  fan.write(newest, all)
  t.equal(decodes(), 20)
  t.strictSame(slots(fan.write(oldest, all)), range(512))
  t.equal(decodes(), 21)
  end()
})
