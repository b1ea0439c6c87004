/** What the watchers bench counts by: frames of gRPC, changes by their lengths, and quantiles of a histogram. */
import t from 'tap'
import { changesIn, FrameReader } from '../../../bench/watchers/frames.js'
import { lagOf, lagQuantile } from '../../../bench/watchers/lag.js'
import { SessionChanges } from '../../../src/generated/proto/lockstep/v1/sessions.js'
import { SessionChangeKind } from '../../../src/generated/proto/lockstep/v1/session.js'

const change = { kind: SessionChangeKind.SESSION_CHANGE_KIND_CREATE, closeReason: 'NONE', session: undefined }

t.test('changes and losses are counted without decoding them', (t) => {
  for (const [changes, lost] of [[0, 0], [1, 0], [300, 0], [0, 5], [7, 2 ** 40]] as const) {
    t.same(changesIn(SessionChanges.encode({ ...SessionChanges.decode(new Uint8Array()), changes: Array.from({ length: changes }, () => change), lost: BigInt(lost) }).finish()), { changes, lost })
  }
  t.throws(() => changesIn(Buffer.from([0x1a, 0])), /field 3/)
  t.throws(() => changesIn(Buffer.from([0x0a, 0x80])), /ends within a number/)
  t.end()
})

t.test('messages are whole, wherever the stream is cut', (t) => {
  const messages = ['', 'a', 'b'.repeat(300), 'c'].map(text => Buffer.from(text))
  const stream = Buffer.concat(messages.flatMap((message) => {
    const head = Buffer.alloc(5)
    head.writeUInt32BE(message.length, 1)
    return [head, message]
  }))
  for (const step of [1, 2, 4, 5, 6, 7, 100, stream.length]) {
    const got: string[] = []
    const reader = new FrameReader((message) => { got.push(message.toString()) })
    for (let at = 0; at < stream.length; at += step) reader.push(stream.subarray(at, at + step))
    t.same(got, messages.map(String), `in pieces of ${step}`)
  }
  t.end()
})

t.test('a quantile of what came between two pages', (t) => {
  const page = (...counts: readonly number[]): string => ['0.001', '0.01', '+Inf'].map((le, i) => `lockstep_cluster_sync_acknowledge_seconds_bucket{peer="b",le="${le}"} ${counts[i] ?? 0}`).join('\n')
  const [from, to] = [lagOf(page(100, 100, 100)), lagOf(page(150, 199, 200))]
  t.same(to, [[1, 150], [10, 199], [Infinity, 200]])
  t.equal(lagQuantile(from, to, 0.25), 0.5)
  t.equal(lagQuantile(from, to, 0.5), 1)
  t.equal(lagQuantile(from, to, 0.99), 10)
  t.equal(lagQuantile(from, to, 1), 10, 'beyond the last bound: that bound')
  t.ok(Number.isNaN(lagQuantile(to, to, 0.5)), 'nothing came')
  t.end()
})
