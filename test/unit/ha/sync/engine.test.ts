/** What the engine says to peers that are not what they should be. Pairs that are: test/simulation. */
import t, { type Test } from 'tap'
import { limits } from '../../../../src/generated/layout.js'
import { Hello } from '../../../../src/generated/proto/lockstep/peer/v1/peer.js'
import { FrameReader, frameOf, seal, type Frame } from '../../../../src/ha/sync/frame.js'
import { SyncEngine, type Connection, type EngineStatus } from '../../../../src/ha/sync/engine.js'
import { placeOf, readCut, type SyncTimes } from '../../../../src/ha/sync/protocol.js'
import { loadCore } from '../../../../src/native/load.js'
import { recordBytes } from '../../../../src/native/records.js'
import { Random } from '../../../simulation/random.js'

const seed = Number(process.env['LOCKSTEP_TEST_SEED'] ?? Date.now() % 1_000_000_007)

interface Talk {
  readonly said: Frame[]
  readonly closed: () => string | null
  readonly status: () => EngineStatus
  readonly hear: (...frames: Uint8Array[]) => void
  readonly bytes: (bytes: Uint8Array) => void
  readonly pass: (ms: number) => void
  readonly again: () => void
  readonly live: () => number
  readonly own: () => void
}

const ids = Uint8Array.from([1, 2, 3, 4])
const hello = (of: Partial<Hello> = {}): Uint8Array => seal(frameOf({
  type: limits.LS_FRAME_HELLO,
  body: Hello.encode({ receivedStream: 0n, receivedSeq: 0n, versionMin: 1, versionMax: 1, node: 'b', table: Buffer.alloc(16), generation: 5n, ids: Buffer.from(ids), recordBytes, capacity: 1024n, stream: 9n, firstSeq: 1n, ...of }).finish()
}), 0)
const stream = (id: bigint, first: number): Uint8Array => seal(frameOf({ type: limits.LS_FRAME_STREAM, body: placeOf(id, first) }), 0)
const rows = (seq: number, type: number = limits.LS_FRAME_UPSERTS, row: number = recordBytes, n = 0): Uint8Array => seal(frameOf({ type, rg: 0, row, epoch: 1n, body: new Uint8Array(row * n) }), seq)

async function talk (t: Test, run: (talk: Talk) => void | Promise<void>, times: Partial<SyncTimes> = {}): Promise<void> {
  const table = new (loadCore().Table)({ capacity: 1024, cpus: 0, threads: 1, arena: 64, hugepages: 0, path: '' })
  const replica = new (loadCore().Replica)(table)
  let now = 1000
  let drawn = 0
  const engine = new SyncEngine({ world: { replica, nowMs: () => now, random: (n) => new Uint8Array(n).fill(++drawn), event: () => { /* seen by status */ } }, self: { node: 'a', table: new Uint8Array(16), generation: 5, ids, capacity: 1024 }, slots: table.info().slots, times })
  const said: Frame[] = []
  let closed: string | null = null
  let conn: Connection
  const open = (): void => {
    const reader = new FrameReader()
    closed = null
    conn = { send: (bytes) => { reader.read(bytes, (f) => said.push({ ...f, body: f.body.slice() })) }, close: (reason) => { closed = reason } }
    engine.connected(conn)
  }
  open()
  try {
    await run({
      said, closed: () => closed, status: () => engine.status(), hear: (...frames) => { for (const f of frames) engine.receivedBytes(conn, f) }, bytes: (bytes) => { engine.receivedBytes(conn, bytes) },
      pass: (ms) => {
        now += ms
        engine.tick()
      },
      again: open, own: () => { engine.own(1, [1n]) }, live: () => replica.info().items.reduce((a, b) => a + b, 0)
    })
  } finally {
    replica.close()
    table.close()
  }
  t.pass()
}

t.test('the hello is the first thing said, and the stream the second, once the peer has said hello', async (t) => {
  await talk(t, ({ said, hear, status }) => {
    t.same(said.map((f) => f.type), [limits.LS_FRAME_HELLO])
    t.equal(status().state, 'hello')
    hear(hello())
    t.equal(said[1]?.type, limits.LS_FRAME_STREAM)
    t.match(status(), { state: 'up', peer: 'b', peerGeneration: 5, refusal: '' })
  })
})

for (const [what, of, why] of [
  ['a newer wire', { versionMin: 2, versionMax: 3 }, /speaks wire versions 2 to 3, this node 1 to 1/],
  ['this node itself', { node: 'a' }, /this node's own name/],
  ['shorter records', { recordBytes: 100 }, /records of 100 bytes, this node of 184/],
  ['records of no size', { recordBytes: 2 ** 31 }, /records of 2147483648 bytes/]
] as const) t.test(`a peer of ${what} is refused with the reason, and may try again`, async (t) => {
  await talk(t, ({ hear, status, closed, said, again }) => {
    hear(hello(of))
    t.match(status().refusal, why)
    t.equal(status().state, 'down')
    t.match(closed(), why)
    t.equal(said.at(-1)?.type, limits.LS_FRAME_BYE, 'the peer is told')
    again()
    hear(hello())
    t.match(status(), { state: 'up', refusal: '' })
  })
})

t.test('between nodes whose names and ids differ no row crosses, and the stream goes on once they are equal', async (t) => {
  await talk(t, ({ hear, status, closed, said, live }) => {
    hear(hello({ ids: Buffer.from([9]) }))
    t.match(status(), { state: 'differs', refusal: /apply the same configuration on both/ })
    hear(stream(9n, 1), rows(1))
    t.same([closed(), live()], [null, 0], 'the connection stays, for a configuration')
    t.notOk(said.some((f) => f.type === limits.LS_FRAME_STREAM))
    hear(hello(), stream(9n, 1), rows(1))
    t.match(status(), { state: 'up', refusal: '' })
    t.equal(said.at(-1)?.type, limits.LS_FRAME_ACK, 'what was passed over came again')
    hear(hello({ ids: Buffer.from([9]) }))
    t.equal(status().state, 'differs', 'the peer has applied another one')
  })
})

t.test('H51 H53 what is out of order ends the connection, what is old is passed over', async (t) => {
  await talk(t, ({ hear, status, closed, again, said }) => {
    hear(hello(), stream(9n, 1), rows(1), rows(2))
    hear(rows(2))
    t.equal(closed(), null, 'sent again')
    hear(rows(4))
    t.match(closed(), /frame 4 after 2/)
    again()
    t.equal(Hello.decode(said.filter((f) => f.type === limits.LS_FRAME_HELLO).at(-1)?.body ?? new Uint8Array(0)).receivedSeq, 2n, 'the peer learns where to go on')
    hear(hello(), stream(9n, 3), rows(3))
    t.equal(status().state, 'up')
    hear(stream(9n, 7))
    t.match(closed(), /goes on at 7 after 3/)
  })
})

t.test('frames that make no sense where they come end the connection, and nothing is installed', async (t) => {
  for (const [what, frames] of [
    ['rows before the hello', [rows(1)]], ['rows of no stream', [hello(), rows(1)]], ['rows too short', [hello(), stream(9n, 1), rows(1, limits.LS_FRAME_UPSERTS, 64, 1)]],
    ['a type that is none', [hello(), stream(9n, 1), rows(1, 77, 8, 1)]], ['a cut that is none', [hello(), stream(9n, 1), rows(1, limits.LS_FRAME_CUT, 8, 1)]],
    ['more rows than a frame may have', [hello(), stream(9n, 1), rows(1, limits.LS_FRAME_DELETES, 64, 5000)]],
    ['a hello of rubbish', [seal(frameOf({ type: limits.LS_FRAME_HELLO, body: new Uint8Array(40).fill(0xff) }), 0)]],
    ['an acknowledgement that is none', [hello(), seal(frameOf({ type: limits.LS_FRAME_ACK, body: new Uint8Array(3) }), 0)]]
  ] as const) await talk(t, ({ hear, closed, live }) => {
    hear(...frames)
    t.not(closed(), null, what)
    t.equal(live(), 0)
  })
})

t.test('what a newer peer may say beside the stream is passed over', async (t) => {
  await talk(t, ({ hear, status }) => {
    hear(hello(), seal(frameOf({ type: 31, body: new Uint8Array(8) }), 0))
    t.equal(status().state, 'up')
  })
})

t.test('the owner draws another sketch key once in a while, in the place of a cut, and never while the peer compares or gets the whole group', async (t) => {
  const ask = (type: number, n: number): Uint8Array => seal(frameOf({ type, rg: 0, body: new Uint8Array(n) }), 0)
  await talk(t, ({ own, hear, pass, said, status }) => {
    own()
    hear(hello(), stream(9n, 1))
    const keys = (): string[] => said.filter((f) => f.type === limits.LS_FRAME_CUT).map((f) => Buffer.from(readCut(f.body)?.key ?? []).toString('hex'))
    const seconds = (n: number, asks: Uint8Array | null = null): void => {
      for (let i = 0; i < 10 * n; i++) {
        hear(seal(frameOf({ type: limits.LS_FRAME_ACK, body: placeOf(0n, 0) }), 0))
        if (asks !== null) hear(asks)
        pass(100)
      }
    }
    seconds(9)
    t.equal(new Set(keys()).size, 1)
    seconds(20, ask(limits.LS_FRAME_CELLS_WANT, 32))
    t.equal(new Set(keys()).size, 1, 'not while the peer compares')
    seconds(20, ask(limits.LS_FRAME_CUT_WANT, 8))
    t.equal(new Set(keys()).size, 1, 'not while it asks for cuts')
    seconds(4)
    t.equal(new Set(keys()).size, 2)
    const before = keys().length
    seconds(6)
    t.ok(keys().length - before >= 4, 'cuts go on under it')
    t.equal(new Set(keys()).size, 2)
    seconds(6)
    t.equal(new Set(keys()).size, 3)
    t.equal(status().sent.keys, 2)
  }, { keyMs: 10_000 })
})

t.test('H50 a peer that says nothing is gone; one that only says that it is there stays', async (t) => {
  await talk(t, ({ hear, pass, status, closed, said }) => {
    hear(hello(), stream(9n, 1))
    for (let i = 0; i < 20; i++) {
      pass(1000)
      hear(seal(frameOf({ type: limits.LS_FRAME_ACK, body: placeOf(1n, 0) }), 0))
    }
    t.equal(status().state, 'up')
    t.ok(said.filter((f) => f.type === limits.LS_FRAME_ACK).length >= 10, 'and is told the same')
    for (let i = 0; i < 6; i++) pass(1000)
    t.match(closed(), /nothing was heard/)
  })
})

t.test(`whatever bytes come after the hello: refused or handled, never thrown (LOCKSTEP_TEST_SEED=${seed})`, async (t) => {
  const random = new Random(seed)
  for (let round = 0; round < 60; round++) await talk(t, ({ hear, bytes, pass, again, status }) => {
    for (let i = 0; i < 40; i++) {
      if (status().state === 'down') again()
      if (status().state === 'hello') hear(hello(), stream(BigInt(random.below(3)) + 1n, 1))
      const type = random.chance(0.5) ? 1 + random.below(12) : 32 + random.below(8)
      const row = [1, 8, 16, 24, 64, 72, recordBytes][random.below(7)] ?? 8
      const frame = seal(frameOf({ type, rg: random.below(20), row, epoch: BigInt(random.below(4)), body: random.bytes(row * random.below(5)) }), type >= 32 ? 1 + random.below(4) : 0)
      bytes(random.chance(0.9) ? frame : random.bytes(50))
      pass(random.below(50))
    }
  })
  t.pass('2400 frames')
})
