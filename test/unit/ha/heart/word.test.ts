import { deepStrictEqual } from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import { layout, limits } from '../../../../src/generated/layout.js'
import { readHeartbeat, setupBytes, wordBytes, type HeartSpec } from '../../../../src/ha/heart/word.js'
import { defaultTiming } from '../../../../src/ha/lease.js'
import { holds, type NodeStatus, type RgStatus } from '../../../../src/ha/rg.js'
import { Heartbeat } from '../../../../src/generated/proto/lockstep/peer/v1/heartbeat.js'

const { ls_heartbeat: beat, ls_heart_word: word, ls_heart_setup: setup } = layout
const u64 = fc.bigInt(0n, 2n ** 64n - 1n)

/** The datagram that the heart makes of a word, as native/heart/heart.c does. */
function heartbeat (said: Uint8Array, own: { nodeIndex: number, bootId: string, seq: bigint, away: boolean, dropped: number }): Uint8Array {
  const [from, out] = [Buffer.from(said), Buffer.alloc(beat.size + said.length - word.size)]
  out[beat.flags.offset] = own.away ? limits.LS_HEART_AWAY : 0
  out[beat.node.offset] = own.nodeIndex
  out.writeUInt16LE(own.dropped, beat.dropped.offset)
  out.writeUInt32LE(from.readUInt32LE(word.restart_hold_ms.offset), beat.restart_hold_ms.offset)
  out.writeUInt16LE(from.readUInt16LE(word.asks.offset), beat.asks.offset)
  out.writeBigUInt64LE(own.seq, beat.seq.offset)
  out.write(own.bootId, beat.boot.offset, 'hex')
  from.copy(out, beat.role.offset, word.role.offset, word.role.offset + word.role.size)
  for (let rg = 0; rg < limits.LS_RGS_MAX; rg++) if ((own.dropped >> rg & 1) === 1) out[beat.role.offset + rg] = limits.LS_ROLE_HOLD
  from.copy(out, beat.epoch.offset, word.epoch.offset, word.epoch.offset + word.epoch.size)
  from.copy(out, beat.size, word.size)
  return out
}
const made = (status: NodeStatus, dropped = 0): Uint8Array =>
  heartbeat(wordBytes(status), { nodeIndex: status.nodeIndex, bootId: status.bootId, seq: status.seq, away: status.agent === 'away', dropped })

const anyRg = fc.record<RgStatus>({
  rg: fc.nat(limits.LS_RGS_MAX - 1), role: fc.constantFrom('init', 'standby', 'hold', 'owner', 'yield', 'take'), epoch: u64, priority: fc.nat(255), ready: fc.boolean(),
  reasons: fc.array(fc.constantFrom('capacity', 'next-hops', 'alarm'), { maxLength: 3 }), synced: fc.boolean(), holds: fc.subarray([...holds]), asks: fc.boolean(), pinned: fc.boolean(), gaveWay: u64
}, { noNullPrototype: true })
const anyStatus = fc.record<NodeStatus>({
  node: fc.string({ maxLength: 40, unit: 'grapheme' }), nodeIndex: fc.nat(255), bootId: fc.uint8Array({ minLength: 16, maxLength: 16 }).map(b => Buffer.from(b).toString('hex')), seq: u64, generation: u64,
  agent: fc.constantFrom('present', 'away'), restartHoldMs: fc.option(fc.integer({ min: 1, max: 300_000 })), rgs: fc.uniqueArray(anyRg, { selector: r => r.rg })
}, { noNullPrototype: true })
const status: NodeStatus = {
  node: 'a', nodeIndex: 1, bootId: '00'.repeat(16), seq: 5n, generation: 3n, agent: 'present', restartHoldMs: null,
  rgs: [{ rg: 2, role: 'owner', epoch: 0x501n, priority: 100, ready: true, reasons: [], synced: true, holds: [], asks: true, pinned: false, gaveWay: 0x301n }]
}

t.test('a status is the same on the other side', async () => {
  fc.assert(fc.property(anyStatus, (s) => { deepStrictEqual(readHeartbeat(made(s)), s) }), { numRuns: 1000 })
})

t.test('a lease that the heart let go of is a hold, whatever the agent said', async (t) => {
  const heard = readHeartbeat(made(status, 1 << 2))
  t.match(heard, { rgs: [{ rg: 2, role: 'hold', epoch: 0x501n, holds: ['resigned'] }] })
})

t.test('reasons that do not fit are left out, and nothing else is', async (t) => {
  const long = { ...status, rgs: Array.from({ length: limits.LS_RGS_MAX }, (_, rg) => ({ ...status.rgs[0], rg, reasons: ['x'.repeat(300)] }) as RgStatus) }
  const said = wordBytes(long)
  t.ok(said.length <= word.size + limits.LS_HEART_BODY_MAX)
  t.strictSame(readHeartbeat(made(long)), { ...long, rgs: long.rgs.map(r => ({ ...r, reasons: [] })) })
})

t.test('a hold of a newer version counts as one by hand', async (t) => {
  const body = Buffer.from(Heartbeat.encode({ node: 'a', generation: 0n, groups: [] }).finish())
  const group = Buffer.from([0x1a, 0x04, 0x08, 0x00, 0x30, 0x63]) // groups { rg: 0 holds: 99 }
  t.match(readHeartbeat(Buffer.concat([made(status).subarray(0, beat.size), body, group])), { rgs: [{ rg: 0, holds: ['manual'] }] })
})

t.test('what is not right is told in words', async (t) => {
  const head = made(status).subarray(0, beat.size)
  const groups = (...numbers: number[]): Uint8Array =>
    Buffer.concat([head, Heartbeat.encode({ node: 'a', generation: 0n, groups: numbers.map(rg => ({ rg, priority: 1, ready: false, reasons: [], synced: false, holds: [], pinned: false, gaveWay: 0n })) }).finish()])
  t.type(readHeartbeat(head.subarray(1)), 'string')
  t.type(readHeartbeat(Buffer.concat([head, Buffer.from([0x0a, 0xff])])), 'string')
  t.type(readHeartbeat(groups(16)), 'string')
  t.type(readHeartbeat(groups(2 ** 31)), 'string')
  t.type(readHeartbeat(groups(3, 3)), 'string')
  t.match(readHeartbeat(groups(3)), { rgs: [{ rg: 3 }] })
})

t.test('random bytes never throw', async () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600, size: 'max' }), fc.boolean(), (bytes, whole) => {
    readHeartbeat(whole ? Buffer.concat([made(status).subarray(0, beat.size), bytes]) : bytes)
  }), { numRuns: 5000 })
  fc.assert(fc.property(fc.nat(), fc.nat(255), (at, byte) => {
    const bytes = made(status)
    bytes[at % bytes.length] = byte
    readHeartbeat(bytes)
  }), { numRuns: 5000 })
})

t.test('a setup has its addresses, its key and the lease of its timing', async (t) => {
  const spec: HeartSpec = {
    nodeIndex: 7, timing: defaultTiming, key: new Uint8Array(32).fill(9),
    paths: [{ name: 'one', local: { address: '192.0.2.1', port: 4784 }, remote: { address: '192.0.2.2', port: 4785 } }, { name: 'two', local: { address: 'fe80::1%3', port: 1 }, remote: { address: 'fe80::2%3', port: 2 } }]
  }
  const bytes = Buffer.from(setupBytes(spec))
  t.equal(bytes.readUInt32LE(setup.paths.offset), 2)
  t.equal(bytes.readBigUInt64LE(setup.lease_ns.offset), 150_000_000n)
  t.equal(bytes.toString('hex', setup.path.offset, setup.path.offset + 18), '00000000000000000000ffffc0000201b012')
  const second = setup.path.offset + setup.path.stride
  t.equal(bytes.readUInt32LE(second + layout.ls_heart_address.scope.offset), 3)
  const path = { name: 'x', local: { address: '192.0.2.1', port: 1 }, remote: { address: '192.0.2.2', port: 1 } }
  const wrong: Array<Partial<HeartSpec>> = [
    { nodeIndex: 256 }, { key: new Uint8Array(31) }, { paths: [] }, { paths: Array.from({ length: 5 }, () => path) }, { timing: { intervalMs: 9, count: 3 } },
    { paths: [{ ...path, local: { address: 'host', port: 1 } }] }, { paths: [{ ...path, local: { address: 'fe80::1%eth0', port: 1 } }] }, { paths: [{ ...path, remote: { address: '192.0.2.2', port: 0 } }] }
  ]
  for (const w of wrong) t.throws(() => setupBytes({ ...spec, ...w }), /LS_H_(HEART|TIMING)/, JSON.stringify(w))
})
