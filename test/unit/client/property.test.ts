/** 13: the connection breaks after every single message of random histories; whoever mirrors ends with what the server has, by calls that tell one story for each key. */
import t from 'tap'
import { mirror } from '../../../src/client/mirror.js'
import type { Change } from '../../../src/client/view.js'
import { ManualClock, promptly, Server, settled, type Thing } from './rig.js'

function random (seed: number): (n: number) => number {
  let state = seed >>> 0
  return (n) => { state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x9e3779b9 >>> 0; return (state ^ state >>> 12) % n }
}

async function run (seed: number, cutAt: number): Promise<{ readonly fault: string, readonly sent: number }> {
  const draw = random(seed)
  const clock = new ManualClock()
  const server = new Server(clock, 4 + draw(8))
  const act = (): void => {
    const key = (): string => `k${draw(4)}`
    if (draw(12) === 0) server.progress()
    else server.put(Object.fromEntries(Array.from({ length: draw(3) }, () => [key(), draw(3)])), Array.from({ length: draw(2) }, key))
  }
  for (let i = 0; i < 5; i++) act()
  server.cutAfter = cutAt
  server.onCut = () => {
    for (let i = draw(10); i > 0; i--) act()
    if (draw(4) === 0) server.restart()
  }
  const shown = new Map<string, Thing>()
  let fault = ''
  const tell = (change: Change<Thing>): void => {
    const was = shown.get(change.key)
    const said = change.kind === 'added' ? undefined : change.prev
    if ((was === undefined) !== (said === undefined) || (was !== undefined && was.n !== said?.n)) fault = `${change.kind} ${change.key}: it had ${was?.n}, and was told of ${said?.n}`
    if (change.kind === 'removed') shown.delete(change.key)
    else shown.set(change.key, change.next)
  }
  const store = mirror(server.open, { clock, backoff: promptly })
  store.subscribe(({ changes }) => { changes.forEach(tell) })
  for (let i = 0; i < 8; i++) {
    act()
    await clock.advance(2)
  }
  await clock.advance(10)
  const has = JSON.stringify(Object.fromEntries([...store.current()].map(([key, { n }]): [string, number] => [key, n]).sort()))
  if (has !== JSON.stringify(server.things)) fault = `it has ${has}, the server ${JSON.stringify(server.things)}`
  if (JSON.stringify([...shown].sort()) !== JSON.stringify([...store.current()].sort())) fault = 'what was told is not what it has'
  await store.close()
  await settled()
  if (server.live !== 0) fault = 'a connection is open'
  return { fault, sent: server.sent.length }
}

const first = Number(process.env['SEED'] ?? 1)
t.test(`histories of seeds ${first} to ${first + 39}, broken after each of their messages`, async (t) => {
  let runs = 0
  for (let seed = first; seed < first + 40; seed++) {
    const { sent } = await run(seed, Infinity)
    for (let cut = 0; cut <= sent; cut++) {
      const { fault } = await run(seed, cut)
      runs++
      if (fault !== '') return t.fail(`seed ${seed}, broken after ${cut} messages: ${fault}`)
    }
  }
  t.ok(runs > 300, `${runs} runs`)
})
