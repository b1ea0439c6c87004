import t from 'tap'
import { limits } from '../../../../src/generated/layout.js'
import { FrameError, FrameReader, frameOf, headerBytes, seal, split, type Frame } from '../../../../src/ha/sync/frame.js'
import { Window } from '../../../../src/ha/sync/window.js'
import { Random } from '../../../simulation/random.js'

const seed = Number(process.env['LOCKSTEP_TEST_SEED'] ?? Date.now() % 1_000_000_007)
const copy = (f: Frame): Frame => ({ ...f, body: f.body.slice() })

function frames (random: Random, n: number): Uint8Array[] {
  return Array.from({ length: n }, (_, i) => {
    const row = [1, 8, 16, 184][random.below(4)] ?? 1
    const body = random.bytes(row * random.below(row === 1 ? 100 : 6))
    const ordered = random.chance(0.7)
    return seal(frameOf({ type: ordered ? limits.LS_FRAME_UPSERTS : limits.LS_FRAME_ACK, rg: random.below(16), row, epoch: BigInt(random.below(1000)), body }), ordered ? i + 1 : 0)
  })
}

t.test(`frames come out as they went in, however the bytes are cut (LOCKSTEP_TEST_SEED=${seed})`, (t) => {
  const random = new Random(seed)
  for (let round = 0; round < 200; round++) {
    const sent = frames(random, 1 + random.below(20))
    const bytes = Buffer.concat(sent)
    const reader = new FrameReader()
    const got: Frame[] = []
    for (let at = 0; at < bytes.length;) {
      const n = 1 + random.below(random.chance(0.2) ? 3 : 400)
      reader.read(bytes.subarray(at, at + n), (f) => {
        if (f.body.byteOffset % 8 !== 0) t.fail('a body that rows cannot be read from in place')
        got.push(copy(f))
      })
      at += n
    }
    const again = got.map((f) => seal(frameOf({ type: f.type, rg: f.rg, row: f.row, epoch: f.epoch, body: f.body }), f.seq))
    if (Buffer.compare(Buffer.concat(again), bytes) !== 0) t.fail(`round ${round}`)
  }
  t.pass('200 rounds')
  t.end()
})

t.test(`one wrong bit is an error or a wait, never a frame (LOCKSTEP_TEST_SEED=${seed})`, (t) => {
  const random = new Random(seed)
  for (let round = 0; round < 2000; round++) {
    const [frame] = frames(random, 1)
    if (frame === undefined) continue
    const at = random.below(frame.length)
    frame[at] = (frame[at] ?? 0) ^ 1 << random.below(8)
    try {
      new FrameReader().read(frame, (f) => { t.fail(`round ${round}: a frame of type ${f.type} came out with bit ${at} wrong`) })
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
    }
  }
  t.pass('2000 frames')
  t.end()
})

t.test(`random bytes never throw anything else, and never keep more than one frame's memory (LOCKSTEP_TEST_SEED=${seed})`, (t) => {
  const random = new Random(seed)
  for (let round = 0; round < 500; round++) {
    try {
      new FrameReader().read(random.bytes(1 + random.below(300)), () => { /* by chance of 2^-32 */ })
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
    }
  }
  t.pass('500 pieces')
  t.end()
})

t.test('headers that do not fit their body are refused', (t) => {
  const wrong = (change: (view: DataView) => void): Uint8Array => {
    const frame = frameOf({ type: limits.LS_FRAME_UPSERTS, row: 8, body: new Uint8Array(16) })
    change(new DataView(frame.buffer))
    return seal(frame, 1)
  }
  const refused = (frame: Uint8Array): void => { t.throws(() => { new FrameReader().read(frame, () => { t.fail('a frame') }) }, /a frame of/) }
  refused(wrong((v) => { v.setUint32(12, 3, true) })) // more rows than bytes
  refused(wrong((v) => { v.setUint32(12, 1, true) })) // more bytes than rows
  refused(wrong((v) => { v.setUint32(12, 0xffffffff, true) }))
  refused(wrong((v) => { v.setUint32(0, 8, true) })) // shorter than a header
  refused(wrong((v) => { v.setUint32(0, 0x7ffffff8, true) }))
  refused(wrong((v) => { v.setUint8(8, limits.LS_FRAME_ACK) })) // numbered, of a type that is not
  refused(seal(frameOf({ type: limits.LS_FRAME_UPSERTS, row: 8, body: new Uint8Array(16) }), 0))
  t.equal(split(Buffer.concat([frameOf({ type: 1, body: new Uint8Array(3) }), frameOf({ type: 2, body: new Uint8Array(0) })])).map((f) => f.length).join(), `${headerBytes + 8},${headerBytes}`)
  t.end()
})

t.test('a window numbers, keeps what is not acknowledged, and ends when it is full', (t) => {
  const w = new Window(7n, 200)
  const frame = (): Uint8Array => frameOf({ type: limits.LS_FRAME_UPSERTS, row: 8, body: new Uint8Array(8) }) // 40 bytes
  for (let i = 0; i < 5; i++) t.ok(w.push(frame(), i * 10))
  t.notOk(w.push(frame(), 60), 'the sixth does not fit')
  t.equal(w.lagMs(100), 100)
  t.same(w.acknowledge(2, 100), [100, 90])
  t.equal(w.firstSeq, 3)
  t.equal(w.lagMs(100), 80)
  t.same(w.acknowledge(2, 100), [], 'once more')
  t.equal(w.acknowledge(9, 100), null, 'H14 one that was never sent')
  t.equal(w.after(2)?.length, 3, 'all that the peer lacks')
  t.equal(w.after(4)?.length, 1)
  t.equal(w.after(1), null, 'what is gone cannot be sent again')
  t.equal(w.after(6), null, 'of what was never sent the peer has nothing')
  t.ok(w.push(frame(), 110))
  t.same(w.acknowledge(6, 120)?.length, 4)
  t.equal(w.lagMs(500), 0)
  t.equal(w.bytes, 0)
  t.end()
})

t.test('the lag is that of the oldest change, also when it was drained late and stands behind a newer frame', async (t) => {
  const w = new Window(7n, 1000)
  const frame = frameOf({ type: limits.LS_FRAME_UPSERTS, body: new Uint8Array(8) })
  w.push(frame.slice(), 90)
  w.push(frame.slice(), 100, 10)
  t.equal(w.lagMs(100), 90)
})
