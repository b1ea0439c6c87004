/** Words of a move on the wire: each comes back as it went, and what makes no sense is null. */
import t from 'tap'
import { decodeMove, encodeMove } from '../../../src/ha/move-message.js'
import type { MoveMessage } from '../../../src/ha/move.js'

const head = { rg: 7, moveId: 'r1:abc:5:1', from: 'r1', to: 'r2' }
const words: readonly MoveMessage[] = [
  { ...head, kind: 'offer', manual: true }, { ...head, kind: 'offer', manual: false }, { ...head, kind: 'request', manual: true, epoch: 2n ** 63n + 1n, generation: 12n },
  { ...head, kind: 'yielding' }, { ...head, kind: 'final', seq: 2n ** 40n }, { ...head, kind: 'owning', epoch: 513n }, { ...head, kind: 'settled' }, { ...head, kind: 'ack' }, { ...head, kind: 'abort' },
  { ...head, kind: 'refused', reasons: ['not-proven-equal', 'capacity'] }, { ...head, kind: 'refused', reasons: [] }
]

t.test('every word there and back', async (t) => { for (const word of words) t.same(decodeMove(encodeMove(word)), word, word.kind) })

t.test('truncated and random bytes never throw', async (t) => {
  let seed = 1
  const random = (): number => { seed = (seed * 1103515245 + 12345) % 2147483648; return seed }
  for (const word of words) {
    const bytes = encodeMove(word)
    for (let n = 0; n < bytes.length; n++) decodeMove(bytes.subarray(0, n))
  }
  for (let i = 0; i < 5000; i++) decodeMove(Uint8Array.from({ length: random() % 60 }, () => random() & 255))
  t.equal(decodeMove(new Uint8Array(0)), null)
})
