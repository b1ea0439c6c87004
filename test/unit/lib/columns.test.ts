/** Cells of column batches, and ids as text: the same text as a record of the table gives. */
import t from 'tap'
import { backOff } from '../../../src/lib/back-off.js'
import { cellsOf } from '../../../src/lib/columns.js'
import { sessionId, sessionIds } from '../../../src/lib/session-id.js'

t.test('cells of a batch whose columns begin anywhere in their buffers', async t => {
  const memory = Buffer.alloc(64)
  const at = (from: number, bytes: number): Uint8Array => memory.subarray(from, from + bytes)
  memory.writeUInt16LE(80, 1)
  memory.writeUInt16LE(443, 3)
  memory.writeBigUInt64LE(2n ** 63n, 5)
  memory.writeUInt32LE(4_000_000_000, 21)
  memory.set([...Array<number>(10).fill(0), 255, 255, 192, 0, 2, 7], 29)
  memory[45] = 0x20
  memory[46] = 0x01
  memory[60] = 1
  const cells = cellsOf<'dport' | 'bytes' | 'idle' | 'src' | 'zone'>(new Map([['dport', at(1, 4)], ['bytes', at(5, 16)], ['idle', at(17, 8)], ['src', at(29, 32)]]), 2)
  t.same([0, 1].map(cells.u16('dport')), [80, 443])
  t.same([0, 1].map(cells.u64('bytes')), [2n ** 63n, 0n])
  t.equal(cells.u32('idle')(1), 4_000_000_000)
  t.same([0, 1].map(cells.address('src')), ['192.0.2.7', '2001::1'])
  t.same([0, 1].map(cells.u16('zone')), [0, 0], 'a column that is not there reads as zeros')
  t.throws(() => cells.u16('dport')(2), RangeError)
})

t.test('ids: origin, then serial', async t => {
  const bytes = Buffer.alloc(33)
  bytes.writeBigUInt64LE(0xabn, 1)
  bytes.writeBigUInt64LE(2n ** 64n - 1n, 9)
  bytes.writeBigUInt64LE(1n, 25)
  t.same(sessionIds(bytes.subarray(1)), ['00000000000000abffffffffffffffff', '00000000000000000000000000000001'])
  t.equal(sessionId(0xabn, 2n ** 64n - 1n), sessionIds(bytes.subarray(1))[0])
  t.same(sessionIds(new Uint8Array(0)), [])
})

t.test('waits double up to their bound, half of them by chance', async t => {
  const waits = { leastMs: 100, mostMs: 30_000 }
  t.same([0, 1, 2, 8, 9, 5000].map(n => backOff(waits, n, 1)), [100, 200, 400, 25_600, 30_000, 30_000])
  t.equal(backOff(waits, 3, 0), 400)
})
