/** NAT HA of VPP, both ways: the bytes of a real one, and lossy networks between models of VPP and ours. */
import t, { type Test } from 'tap'
import { createSocket, type Socket } from 'node:dgram'
import { HaEndpoint, type HaEndpointOptions } from '../../../../src/backend/vpp/nat/ha-endpoint.js'
import { HaReceiver, JUMP_MAX, SETTLED_MS, THREADS_MAX, type HaMissed, type HaReceived } from '../../../../src/backend/vpp/nat/ha-receiver.js'
import { HaSender } from '../../../../src/backend/vpp/nat/ha-sender.js'
import { decodeHa, encodeHa, encodeHaAck, haEventBytes, haEventOf, haKeyOf, haRecordBytes, haRecordOf, haRecords, HA_EVENT_BYTES, HA_EVENTS_RESENDABLE, HA_HEADER_BYTES, HA_RESEND_MS, HA_RESENDS, type HaEvent, type HaRecord } from '../../../../src/backend/vpp/nat/ha-wire.js'
import { Random } from '../../../simulation/random.js'
import { transcriptOf } from '../../../vpp/transcript.js'

const { frames } = transcriptOf('nat44_ei_ha.json')
const recorded = frames.filter(({ msg }) => msg === 'nat_ha')
const bytesOf = (i: number): Buffer => frames[i]?.bytes ?? Buffer.alloc(0)
const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex')
const ip4 = (n: number): string => `${n >>> 24}.${n >>> 16 & 0xff}.${n >>> 8 & 0xff}.${n & 0xff}`
const zeros = (n: number): string => '00'.repeat(n)

const base: HaEvent = {
  kind: 'add', protocol: 17, static: false, insideAddress: '10.10.1.10', insidePort: 10000, outsideAddress: '10.10.2.100', outsidePort: 63327,
  externalAddress: '10.10.2.2', externalPort: 53, externalNatAddress: '10.10.2.2', externalNatPort: 53, fibIndex: 0, packets: 0, bytes: 0n
}
const event = (o: Partial<HaEvent> = {}): HaEvent => ({ ...base, ...o })
/** Of the session n. */
const add = (n: number, o: Partial<HaEvent> = {}): HaEvent => event({ outsidePort: n, insidePort: 1000 + n, ...o })
const datagram = (sequence: number, events: readonly HaEvent[], thread = 0): Buffer => encodeHa({ thread, sequence }, events.map(haEventBytes))

const vectorM = hex(`01 00 0002 00000007 00000000
  01 00 0000 c0a8324d c0a83c64 15b3 9c40 08080808 08080808 0035 0035 00000000 00000000 0000000000000000
  01 01 0000 c0a8324e c0a83c64 1a0a 9c41 08080404 08080404 01bb 01bb 00000000 00000000 0000000000000000`)
const vectorN = hex(`01 00 0003 00000000 00000000 01 01 0000 c0a8320a c0a83c64 2710 f75f 08080808 00000000 0000 0035 ${zeros(16)}`)

t.test('what was recorded: fields as they were decoded there, and the same bytes back', async (t) => {
  t.equal(recorded.length, 32)
  const camel = (name: string): string => name.replace(/_(.)/g, (_, c: string) => c.toUpperCase())
  for (const { i, bytes, fields = {}, note = '' } of recorded) {
    const told = fields as { version: number, flags: number, count: number, sequence: number, thread_index: number, events: Array<Record<string, unknown>> }
    const name = `${i} ${note}`
    const { sequence, thread_index: thread } = told
    const got = decodeHa(bytes)
    if (told.version !== 1) {
      t.same(got, { kind: 'version', version: told.version }, name)
      continue
    }
    if (told.flags === 1) {
      t.same(got, { kind: 'ack', sequence, thread }, name)
      t.equal(encodeHaAck({ sequence, thread }).toString('hex'), bytes.toString('hex'), name)
      continue
    }
    const records = haRecords(bytes)
    const wholes = told.events.filter(one => !('truncated' in one))
    const addresses = ['inAddr', 'outAddr', 'ehAddr', 'ehnAddr']
    t.same(records.map(record => Object.fromEntries(Object.entries(record).map(([key, value]) => [key, addresses.includes(key) ? ip4(value as number) : typeof value === 'bigint' ? String(value) : value as number]))),
      wholes.map(fields => Object.fromEntries(Object.entries(fields).map(([key, value]) => [camel(key), value]))), name)
    if (records.length < told.count) {
      t.same(got, { kind: 'truncated', sequence, thread, count: told.count, present: records.length }, name)
      continue
    }
    t.match(got, { kind: 'events', sequence, thread, unknown: records.filter(({ type }) => type > 3).length, trailing: 0 }, name)
    t.equal(encodeHa({ sequence, thread }, records.map(haRecordBytes)).toString('hex'), bytes.toString('hex'), name)
  }
})

t.test('a session that VPP exported, and one that it took from us: values to bytes', async (t) => {
  t.match(decodeHa(bytesOf(99)), { kind: 'events', sequence: 0, thread: 0, events: [base, { insidePort: 10001 }, { insidePort: 10002 }, { protocol: 6, insidePort: 2000, externalPort: 80 }, { protocol: 1, insidePort: 77, outsidePort: 59651, externalPort: 77 }] })
  t.match(decodeHa(bytesOf(143)), { events: [{ kind: 'refresh', insideAddress: '0.0.0.0', insidePort: 0, outsidePort: 63327, packets: 3, bytes: 136n }, {}, {}] })
  t.match(decodeHa(bytesOf(149)), { events: [{ kind: 'delete', insideAddress: '0.0.0.0', outsidePort: 11570 }] })
  const injected = [event({ insideAddress: '10.10.1.77', insidePort: 5555, outsidePort: 40000 }), event({ protocol: 6, insideAddress: '10.10.1.78', insidePort: 6666, outsidePort: 40001, externalPort: 443, externalNatPort: 443 })]
  t.equal(datagram(7, injected).toString('hex'), bytesOf(56).toString('hex'), 'what VPP acknowledged')
})

t.test('vectors M, M\' and N', async (t) => {
  t.equal(vectorM.length, 100)
  const first = event({ protocol: 0, insideAddress: '192.168.50.77', insidePort: 5555, outsideAddress: '192.168.60.100', outsidePort: 40000, externalAddress: '8.8.8.8', externalNatAddress: '8.8.8.8' })
  const second = event({ insideAddress: '192.168.50.78', insidePort: 6666, outsideAddress: '192.168.60.100', outsidePort: 40001, externalAddress: '8.8.4.4', externalPort: 443, externalNatAddress: '8.8.4.4', externalNatPort: 443 })
  t.same(decodeHa(vectorM), { kind: 'events', thread: 0, sequence: 7, events: [second], unknown: 1, trailing: 0 }, 'the first has protocol other and ports: it names none')
  t.equal(encodeHa({ thread: 0, sequence: 7 }, haRecords(vectorM).map(haRecordBytes)).toString('hex'), vectorM.toString('hex'))
  t.equal(haEventBytes(second).toString('hex'), vectorM.toString('hex', 56))
  t.equal(haEventBytes({ ...first, protocol: 17 }).toString('hex', 2), vectorM.toString('hex', 14, 56))
  t.equal(encodeHaAck({ thread: 0, sequence: 7 }).toString('hex'), '010100000000000700000000')
  t.match(decodeHa(vectorN), { kind: 'truncated', count: 3, present: 1, sequence: 0 })
  const record = haRecords(vectorN)[0]
  t.match(record, { ehPort: 0, ehnPort: 53 })
  t.same(record === undefined ? null : haEventOf(record), event({ insideAddress: '192.168.50.10', outsideAddress: '192.168.60.100', externalAddress: '8.8.8.8', externalNatAddress: '8.8.8.8' }))
})

t.test('the external host is the same whichever of its two places a release fills', async (t) => {
  const record = haRecordOf(base)
  for (const part of [{ ehPort: 0 }, { ehnPort: 0 }, { ehnAddr: 0 }, { ehAddr: 0 }, { ehnAddr: 0, ehnPort: 0 }, { ehnAddr: 0, ehPort: 0 }]) t.same(haEventOf({ ...record, ...part }), base, JSON.stringify(part))
  t.match(haEventOf({ ...record, ehnAddr: 0x01020304, ehnPort: 7 }), { externalAddress: '10.10.2.2', externalPort: 53, externalNatAddress: '1.2.3.4', externalNatPort: 7 })
})

t.test('protocols: three of VPP, the others by the number that stands for the port', async (t) => {
  for (const [protocol, proto, flags, inPort, outPort] of [[17, 1, 0, 10000, 63327], [6, 2, 0, 10000, 63327], [1, 3, 0, 10000, 63327], [47, 0, 2, 47, 47], [255, 0, 2, 255, 255]] as const) {
    const written = haRecordOf(event({ protocol }))
    t.match(written, { proto, flags, inPort, outPort })
    t.same(haEventOf(written), event({ protocol, ...flags === 2 ? { insidePort: 0, outsidePort: 0 } : {} }))
  }
  const gre = haRecordOf(event({ protocol: 47 }))
  t.equal(haEventOf({ ...gre, outPort: 47 << 8 })?.protocol, 47, 'the other byte order')
  t.equal(haEventOf({ ...gre, flags: 0 })?.protocol, 47, 'without the flag')
  for (const change of [{ outPort: 0 }, { outPort: 256 + 47 }, { proto: 4, flags: 0 }, { proto: 255, flags: 0 }, { type: 0 }, { type: 4 }]) t.equal(haEventOf({ ...gre, ...change }), null, JSON.stringify(change))
  t.equal(haRecordOf(event({ static: true, protocol: 47 })).flags, 3)
})

t.test('what does not fit is refused by name', async (t) => {
  for (const [name, bad] of [['protocol', 0], ['protocol', 256], ['insideAddress', '::1'], ['outsideAddress', ''], ['externalAddress', '1.2.3'], ['externalNatAddress', 'x'], ['insidePort', -1], ['outsidePort', 65536], ['externalPort', 1.5], ['externalNatPort', NaN], ['fibIndex', 2 ** 32], ['packets', 2 ** 32], ['bytes', 2n ** 64n], ['bytes', -1n]] as const) {
    t.throws(() => haEventBytes(event({ [name]: bad })), { code: 'LS_V_VALUE', errorClass: 'invalid', detail: { object: name } }, `${name} ${bad}`)
  }
})

const randomRecord = (random: Random): HaRecord => ({
  type: 1 + random.below(3), proto: 1 + random.below(3), flags: random.below(2), inAddr: random.below(2 ** 32), outAddr: random.below(2 ** 32), inPort: random.below(65536), outPort: random.below(65536),
  ehAddr: 1 + random.below(2 ** 32 - 1), ehnAddr: 1 + random.below(2 ** 32 - 1), ehPort: 1 + random.below(65535), ehnPort: 1 + random.below(65535), fibIndex: random.below(2 ** 32), totalPkts: random.below(2 ** 32), totalBytes: BigInt(random.below(2 ** 32)) << 32n | BigInt(random.below(2 ** 32))
})

t.test('random events come back as they went', async (t) => {
  const random = new Random(1)
  for (let i = 0; i < 2000; i++) {
    const records = Array.from({ length: random.below(34) }, () => randomRecord(random))
    const place = { thread: random.below(2 ** 32), sequence: random.below(2 ** 32) }
    const bytes = encodeHa(place, records.map(haRecordBytes))
    const got = decodeHa(bytes)
    if (got.kind !== 'events') return t.fail(got.kind)
    if (JSON.stringify({ ...place, unknown: 0, trailing: 0 }) !== JSON.stringify({ thread: got.thread, sequence: got.sequence, unknown: got.unknown, trailing: got.trailing }) || !encodeHa(place, got.events.map(haEventBytes)).equals(bytes)) return t.fail(`seed 1, ${i}`, { place, records })
  }
  t.pass()
})

t.test('bytes of any kind and length are named, never thrown', async (t) => {
  const random = new Random(2)
  const seen = new Set<string>()
  for (let length = 0; length <= 300; length++) {
    for (let i = 0; i < 40; i++) {
      const bytes = Buffer.from(random.bytes(length))
      const receiver = new HaReceiver()
      if (i % 2 === 0 && length >= HA_HEADER_BYTES) {
        bytes[0] = 1
        bytes[1] = random.below(8) === 0 ? 1 : 0
        bytes.writeUInt16BE(random.below(8), 2)
        bytes.writeUInt32BE(random.below(THREADS_MAX + 8), 8)
        for (let at = HA_HEADER_BYTES; at + 2 < length; at += HA_EVENT_BYTES) bytes.writeUInt16BE(random.below(5) << 8 | random.below(5), at)
      }
      const got = decodeHa(bytes)
      seen.add(got.kind)
      const { reply, events, missed } = receiver.receive(bytes, 0)
      if ((reply !== null) !== (got.kind === 'events' && got.thread < THREADS_MAX)) t.fail(`answered: ${bytes.toString('hex')}`)
      if (got.kind === 'events' && (got.events.length + got.unknown !== bytes.readUInt16BE(2) || got.trailing !== length - HA_HEADER_BYTES - HA_EVENT_BYTES * bytes.readUInt16BE(2))) t.fail(`counted: ${bytes.toString('hex')}`)
      if (got.kind === 'truncated' && got.thread < THREADS_MAX && (events.length > 0 || !missed.some(({ reason }) => reason === 'truncated'))) t.fail(`cut: ${bytes.toString('hex')}`)
    }
  }
  t.same([...seen].sort(), ['ack', 'events', 'short', 'truncated', 'version'])
})

/** In short: applied session numbers, whether it was answered, what was missed. */
const short = ({ events, reply, missed }: HaReceived): [string, boolean, string] => [events.map(({ kind, outsidePort }) => `${kind[0]}${outsidePort}`).join(' '), reply !== null, told(missed)]
const told = (missed: readonly HaMissed[]): string => missed.map(({ reason, thread, from, to }) => `${reason} ${thread}:${from}-${to}`).join(', ')

t.test('the recorded conversation: each datagram is applied once, copies are answered, what was cut is told', async (t) => {
  const receiver = new HaReceiver()
  const results = frames.filter(({ i, dir, msg = '' }) => i >= 99 && dir === 's2c' && msg.startsWith('nat_ha')).map((frame) => {
    const ip = 28
    const bytes = frame.msg === 'nat_ha' ? frame.bytes : frame.bytes.subarray(ip)
    const { events, reply, missed } = receiver.receive(bytes, (frame as unknown as { t: number }).t * 1000)
    if (reply !== null) t.equal(reply.toString('hex'), `01010000${bytes.toString('hex', 4, 12)}`)
    return [frame.i, events.length, reply !== null, missed.length]
  })
  t.same(results, [[99, 5, true, 0], [143, 3, true, 0], [149, 1, true, 0], [155, 1, true, 0], [158, 1, true, 0], [159, 0, true, 0], [160, 0, true, 0], [161, 0, true, 0], [163, 6, true, 0], [164, 0, true, 0], [165, 0, true, 0], [166, 0, true, 0], [169, 4, true, 0], [171, 2, true, 0]])
  const cut = new HaReceiver()
  cut.receive(bytesOf(158), 0)
  t.same([164, 165, 166].map(i => short(cut.receive(bytesOf(i).subarray(28), i * 1000))), [['', false, 'truncated 0:5-5'], ['', false, ''], ['', false, '']], 'the first one lost: told once, never answered')
  t.same(short(cut.receive(bytesOf(169), 167_000)).slice(1), [true, ''])
  t.match(cut.tally, { received: 5, applied: 2, duplicates: 2, truncated: 1, missed: 1, restarts: 0 })
})

type Step = readonly [atMs: number, bytes: Buffer, applied: string, answered: boolean, missed: string]
const one = (sequence: number, n: number, thread = 0): Buffer => datagram(sequence, [add(n)], thread)
const scenes: ReadonlyArray<readonly [string, readonly Step[]]> = [
  ['a copy is answered and not applied', [[0, one(0, 1), 'a1', true, ''], [2000, one(0, 1), '', true, ''], [6000, one(0, 1), '', true, '']]],
  ['a late one is applied and closes the gap', [[0, one(0, 1), 'a1', true, ''], [0, one(2, 3), 'a3', true, ''], [2000, one(1, 2), 'a2', true, ''], [4000, one(1, 2), '', true, ''], [20_000, one(3, 4), 'a4', true, '']]],
  ['a gap is told when the last resend is over', [[0, one(0, 1), 'a1', true, ''], [100, one(4, 5), 'a5', true, ''], [8099, one(5, 6), 'a6', true, ''], [8100, one(6, 7), 'a7', true, 'gap 0:1-3']]],
  ['the part of a gap that came is not told', [[0, one(0, 1), 'a1', true, ''], [0, one(6, 7), 'a7', true, ''], [1, one(1, 2), 'a2', true, ''], [2, one(3, 4), 'a4', true, ''], [8000, one(7, 8), 'a8', true, 'gap 0:2-2, gap 0:4-5']]],
  ['who comes in the middle is told', [[0, one(5, 1), 'a1', true, 'joined 0:0-4'], [100, one(3, 2), 'a2', true, ''], [9000, one(6, 3), 'a3', true, '']]],
  ['other bytes of a number that we had: a restart', [[0, one(0, 1), 'a1', true, ''], [10, one(1, 2), 'a2', true, ''], [20, one(0, 3), 'a3', true, 'restarted 0:0-0'], [30, one(1, 4), 'a4', true, '']]],
  ['the same bytes after the time of copies: a restart', [[0, one(0, 1), 'a1', true, ''], [10, one(1, 2), 'a2', true, ''], [8010, one(0, 1), 'a1', true, 'restarted 0:0-0'], [8020, one(1, 2), 'a2', true, '']]],
  ['and before it: a copy', [[0, one(0, 1), 'a1', true, ''], [7999, one(0, 1), '', true, '']]],
  ['a restart of which the first was lost', [[0, one(0, 1), 'a1', true, ''], [0, one(1, 2), 'a2', true, ''], [0, one(2, 3), 'a3', true, ''], [9000, one(1, 4), 'a4', true, 'restarted 0:0-1'], [11_000, one(0, 3), 'a3', true, ''], [11_001, one(2, 5), 'a5', true, '']]],
  ['a restart that is seen late: what came before it is of either life', [[0, one(0, 1), 'a1', true, ''], [9000, one(1, 2), 'a2', true, ''], [9001, one(2, 3), 'a3', true, ''], [9002, one(0, 4), 'a4', true, 'restarted 0:0-0'], [11_000, one(2, 3), 'a3', true, 'restarted 0:2-2'], [13_000, one(2, 3), '', true, ''], [13_001, one(1, 5), 'a5', true, ''], [17_003, one(3, 6), 'a6', true, '']]],
  ['a number from nowhere', [[0, one(0, 1), 'a1', true, ''], [0, one(2 + JUMP_MAX, 2), 'a2', true, `restarted 0:0-${2 + JUMP_MAX}`]]],
  ['a leap that is just none', [[0, one(0, 1), 'a1', true, ''], [0, one(1 + JUMP_MAX, 2), 'a2', true, ''], [8000, one(2 + JUMP_MAX, 3), 'a3', true, `gap 0:1-${JUMP_MAX}`]]],
  ['past the highest number', [[0, one(0xfffffffe, 1), 'a1', true, 'joined 0:0-4294967293'], [1, one(1, 4), 'a4', true, ''], [2, one(0, 3), 'a3', true, ''], [3, one(0xffffffff, 2), 'a2', true, ''], [4, one(0xffffffff, 2), '', true, ''], [9000, one(2, 5), 'a5', true, '']]],
  ['a gap over the highest number', [[0, one(0xfffffffe, 1), 'a1', true, 'joined 0:0-4294967293'], [1, one(3, 2), 'a2', true, ''], [2, one(0, 3), 'a3', true, ''], [9000, one(4, 4), 'a4', true, 'gap 0:4294967295-4294967295, gap 0:1-2']]],
  ['a gap that begins at 0 again', [[0, one(0xffffffff, 1), 'a1', true, 'joined 0:0-4294967294'], [1, one(2, 2), 'a2', true, ''], [9000, one(3, 3), 'a3', true, 'gap 0:0-1']]],
  ['what is newer past the highest number', [[0, one(0xfffffffe, 1), 'a1', true, 'joined 0:0-4294967293'], [1, datagram(0, [add(7, { kind: 'delete' })]), 'd7', true, ''], [2, one(0xffffffff, 7), '', true, '']]],
  ['threads count by themselves', [[0, one(0, 1, 0), 'a1', true, ''], [0, one(0, 2, 1), 'a2', true, ''], [0, one(1, 3, 1), 'a3', true, ''], [0, one(0, 2, 1), '', true, ''], [0, one(3, 4, 1), 'a4', true, ''], [8000, one(1, 5, 0), 'a5', true, 'gap 1:2-2']]],
  ['a restart is one of all threads', [[0, one(0, 1, 0), 'a1', true, ''], [0, one(0, 2, 1), 'a2', true, ''], [1, one(1, 3, 1), 'a3', true, ''], [5000, one(0, 9, 1), 'a9', true, 'restarted 1:0-0'], [5001, one(0, 8, 0), 'a8', true, '']]],
  ['cut short, then whole', [[0, one(0, 1), 'a1', true, ''], [0, one(1, 2).subarray(0, 20), '', false, 'truncated 0:1-1'], [2000, one(1, 2).subarray(0, 20), '', false, ''], [4000, one(1, 2), 'a2', true, ''], [6000, one(1, 2), '', true, ''], [9000, one(2, 3), 'a3', true, '']]],
  ['cut short behind a gap, and in one', [[0, one(0, 1), 'a1', true, ''], [0, one(3, 4).subarray(0, 55), '', false, 'truncated 0:3-3'], [1, one(1, 2).subarray(0, 12), '', false, 'truncated 0:1-1'], [8000, one(4, 5), 'a5', true, 'gap 0:2-2']]],
  ['the cut copy of what was applied is answered', [[0, one(0, 1), 'a1', true, ''], [2000, one(0, 1).subarray(0, 20), '', true, ''], [4000, one(0, 2).subarray(0, 40), '', false, 'restarted 0:0-0, truncated 0:0-0']]],
  ['a late ADD does not bring back what was deleted', [[0, one(0, 1), 'a1', true, ''], [0, datagram(2, [add(7, { kind: 'delete' }), add(8)]), 'd7 a8', true, ''], [2000, datagram(1, [add(7), add(9)]), 'a9', true, '']]],
  ['a late DEL does not take away what was added anew', [[0, one(0, 1), 'a1', true, ''], [0, one(2, 7), 'a7', true, ''], [2000, datagram(1, [add(7, { kind: 'delete' }), add(7, { kind: 'refresh' })]), '', true, '']]],
  ['a late ADD comes before a REFRESH that was first', [[0, one(0, 1), 'a1', true, ''], [0, datagram(2, [add(7, { kind: 'refresh' })]), 'r7', true, ''], [2000, datagram(1, [add(7), add(7, { kind: 'refresh' })]), 'a7', true, '']]],
  ['of two late ones the newer wins in any order', [[0, one(0, 1), 'a1', true, ''], [0, one(3, 2), 'a2', true, ''], [1, datagram(2, [add(7, { kind: 'delete' })]), 'd7', true, ''], [2, one(1, 7), '', true, '']]],
  ['the last late one gives way too', [[0, one(0, 1), 'a1', true, ''], [0, one(2, 2), 'a2', true, ''], [1, datagram(3, [add(7, { kind: 'delete' })]), 'd7', true, ''], [2, one(1, 7), '', true, ''], [3, one(4, 7), 'a7', true, '']]],
  ['events that have no name are left out, the others stay', [[0, encodeHa({ thread: 0, sequence: 0 }, [haRecordBytes({ ...haRecordOf(add(1)), type: 9 }), haEventBytes(add(2))]), 'a2', true, ''], [1, one(1, 3), 'a3', true, '']]],
  ['bytes behind the events', [[0, Buffer.concat([one(0, 1), Buffer.alloc(50)]), 'a1', true, '']]],
  ['no events at all', [[0, datagram(0, []), '', true, ''], [0, one(1, 1), 'a1', true, '']]],
  ['another version, and less than a header', [[0, bytesOf(83), '', false, ''], [0, Buffer.alloc(11, 1), '', false, ''], [0, one(0, 1, THREADS_MAX), '', false, ''], [0, one(0, 1, THREADS_MAX - 1), 'a1', true, '']]]
]

t.test('what comes, what is applied, whether it is answered, what is told', async (t) => {
  for (const [name, steps] of scenes) {
    const receiver = new HaReceiver()
    steps.forEach(([atMs, bytes, ...expected], n) => {
      const reused = Buffer.from(bytes)
      const got = receiver.receive(reused, atMs)
      reused.fill(0xff)
      t.same(short(got), expected, `${name}: step ${n}`)
      if (got.reply !== null) t.equal(got.reply.toString('hex'), `01010000${bytes.toString('hex', 4, 12)}`)
    })
  }
})

t.test('tallies, and when to look again', async (t) => {
  const receiver = new HaReceiver()
  const feed = (atMs: number, bytes: Buffer): HaReceived => receiver.receive(bytes, atMs)
  feed(0, one(3, 1))
  t.equal(receiver.nextMs, null, 'what the caller knows is nothing to wait for')
  feed(10, one(5, 2))
  feed(20, one(8, 2))
  t.equal(receiver.nextMs, 10 + SETTLED_MS)
  t.same(receiver.poll(9 + SETTLED_MS), [])
  t.equal(told(receiver.poll(10 + SETTLED_MS)), 'gap 0:4-4')
  t.equal(receiver.nextMs, 20 + SETTLED_MS)
  t.equal(told(receiver.poll(90_000)), 'gap 0:6-7')
  t.equal(receiver.nextMs, null)
  t.match(feed(90_000, encodeHaAck({ thread: 2, sequence: 9 })), { ack: { thread: 2, sequence: 9 }, reply: null, events: [] })
  feed(90_000, Buffer.alloc(0))
  feed(90_000, Buffer.concat([encodeHa({ thread: 0, sequence: 9 }, [haRecordBytes({ ...haRecordOf(base), type: 0 }), haEventBytes(base)]), Buffer.alloc(1)]))
  t.same(receiver.tally, { received: 6, applied: 4, duplicates: 0, late: 0, truncated: 0, ignored: 1, acks: 1, trailing: 1, restarts: 0, missed: 3, events: 4, unknownEvents: 1, supersededEvents: 0 })
  receiver.restart()
  t.same(short(feed(90_001, one(0, 1))), ['a1', true, ''], 'a restart that is known is told to nobody')
})

t.test('threads of a VPP that counts them together make no gaps', async (t) => {
  const receiver = new HaReceiver({ countedBy: 'vpp' })
  for (let i = 0; i < 9; i++) t.same(short(receiver.receive(one(i, i, i % 3), 0)), [`a${i}`, true, ''])
  t.equal(receiver.nextMs, null)
})

t.test('gaps have a maximum: the oldest is told at once', async (t) => {
  const receiver = new HaReceiver()
  receiver.receive(one(0, 1), 0)
  t.same(Array.from({ length: 1024 }, (_, i) => receiver.receive(one(2 + 2 * i, 1), 0).missed).flat(), [])
  t.equal(told(receiver.receive(one(2050, 1), 0).missed), 'gap 0:1-1')
})

/** Things that happen at a time, in order. */
class Clock {
  now = 0
  private readonly due: Array<{ readonly at: number, readonly n: number, readonly run: () => void }> = []
  private n = 0
  after (ms: number, run: () => void): void { this.due.push({ at: this.now + ms, n: this.n++, run }) }
  until (end: number): void {
    for (;;) {
      let next = 0
      this.due.forEach(({ at, n }, i) => { const best = this.due[next]; if (best !== undefined && (at < best.at || (at === best.at && n < best.n))) next = i })
      const [first] = this.due.slice(next, next + 1)
      if (first === undefined || first.at > end) break
      this.due.splice(next, 1)
      this.now = first.at
      first.run()
    }
    this.now = end
  }
}

interface Faults { readonly loss: number, readonly twice: number, readonly delayMs: number }

/** One direction of a network. */
class Wire {
  bad = true
  constructor (private readonly clock: Clock, private readonly random: Random, private readonly faults: Faults, private readonly deliver: (bytes: Buffer) => void) {}
  send (bytes: Buffer): void {
    const { loss, twice, delayMs } = this.bad ? this.faults : { loss: 0, twice: 0, delayMs: 1 }
    for (let n = this.random.chance(twice) ? 2 : 1; n > 0; n--) if (!this.random.chance(loss)) this.clock.after(this.random.below(delayMs), () => { this.deliver(Buffer.from(bytes)) })
  }
}

interface Sent { readonly life: number, readonly sequence: number, readonly atMs: number, readonly events: readonly HaEvent[], applied: string[] | null }

/** VPP as the sender: its sessions change, what changed leaves every second or when a datagram is full, and is sent again 3 times. */
class VppSender {
  readonly table = new Map<string, string>()
  readonly log: Sent[] = []
  life = 0
  busy = true
  private sequence = 0
  private batch: HaEvent[] = []
  private readonly waiting = new Map<number, { readonly bytes: Buffer, tries: number }>()

  constructor (private readonly clock: Clock, private readonly random: Random, private readonly wire: Wire, private readonly o: { readonly perDatagram: number, readonly cut: 'seen' | 'dropped', readonly keys: number }) {
    this.change()
    this.flushing()
  }

  restart (first: number): void {
    this.stop()
    this.life++
    this.sequence = first
    this.table.clear()
  }

  stop (): void {
    this.batch = []
    this.waiting.clear()
  }

  acknowledged (sequence: number): void { this.waiting.delete(sequence) }

  private change (): void {
    this.clock.after(this.random.below(120), () => {
      if (this.busy) {
        const n = this.random.below(this.o.keys)
        const key = haKeyOf(add(n))
        if (!this.table.has(key)) {
          const inside = 1 + this.random.below(60_000)
          this.table.set(key, String(inside))
          this.batch.push(add(n, { insidePort: inside }))
        } else if (this.random.chance(0.3)) this.batch.push(add(n, { kind: 'refresh', insideAddress: '0.0.0.0', insidePort: 0 }))
        else {
          this.table.delete(key)
          this.batch.push(add(n, { kind: 'delete', insideAddress: '0.0.0.0', insidePort: 0 }))
        }
        if (this.batch.length === this.o.perDatagram) this.flush()
      }
      this.change()
    })
  }

  private flushing (): void {
    this.clock.after(1000, () => {
      if (this.batch.length > 0) this.flush()
      this.flushing()
    })
  }

  private flush (): void {
    const { sequence, life } = this
    this.sequence = (sequence + 1) >>> 0
    const events = this.batch
    this.batch = []
    const bytes = datagram(sequence, events)
    this.log.push({ life, sequence, atMs: this.clock.now, events, applied: null })
    const one = { bytes, tries: 1 }
    this.waiting.set(sequence, one)
    this.wire.send(bytes)
    const again = (): void => {
      this.clock.after(HA_RESEND_MS, () => {
        if (this.waiting.get(sequence) !== one) return
        if (one.tries++ > HA_RESENDS) {
          this.waiting.delete(sequence)
          return
        }
        const ip = 28
        const keeps = ip + bytes.length > 255 ? (ip + bytes.length) % 256 - ip : bytes.length
        if (keeps === bytes.length || (this.o.cut === 'seen' && keeps >= 0)) this.wire.send(bytes.subarray(0, keeps))
        again()
      })
    }
    again()
  }
}

const sorted = (table: ReadonlyMap<string, string>): string => JSON.stringify([...table].sort())

interface Exchange { readonly faults: Faults, readonly perDatagram: number, readonly cut: 'seen' | 'dropped', readonly restarts: number, readonly first?: number }

/** Runs it; why it is wrong, or null. */
function exchange (seed: number, o: Exchange): { readonly wrong: string | null, readonly receiver: HaReceiver, readonly told: readonly HaMissed[] } {
  const random = new Random(seed)
  const clock = new Clock()
  const receiver = new HaReceiver()
  const mirror = new Map<string, string>()
  const heard: Array<{ readonly atMs: number, readonly missed: HaMissed }> = []
  let wrong: string | null = null
  const hear = (missed: readonly HaMissed[]): void => {
    for (const one of missed) heard.push({ atMs: clock.now, missed: one })
    if (missed.length === 0) return
    mirror.clear()
    for (const [key, inside] of vpp.table) mirror.set(key, inside)
  }
  const there = new Wire(clock, random, o.faults, (bytes) => {
    const { events, reply, missed } = receiver.receive(bytes, clock.now)
    hear(missed)
    const sequence = bytes.length >= HA_HEADER_BYTES ? bytes.readUInt32BE(4) : -1
    const sent = vpp.log.findLast(one => one.life === vpp.life && one.sequence === sequence)
    if (events.length > 0) {
      if (sent === undefined || (sent.applied !== null && !missed.some(({ reason }) => reason === 'restarted'))) wrong ??= `applied twice or never sent: ${sequence} at ${clock.now}`
      else sent.applied = events.map(one => JSON.stringify(one, (_, value: unknown) => typeof value === 'bigint' ? String(value) : value))
    }
    if (reply !== null && sent !== undefined) sent.applied ??= []
    for (const { kind, insidePort, ...rest } of events) {
      const key = haKeyOf({ kind, insidePort, ...rest })
      if (kind === 'add') mirror.set(key, String(insidePort))
      else if (kind === 'delete') mirror.delete(key)
    }
    if (reply !== null) back.send(reply)
  })
  const back = new Wire(clock, random, o.faults, (bytes) => { vpp.acknowledged(bytes.readUInt32BE(4)) })
  const vpp = new VppSender(clock, random, there, { perDatagram: o.perDatagram, cut: o.cut, keys: 24 })
  if (o.first !== undefined) {
    vpp.restart(o.first)
    receiver.receive(datagram(o.first - 1, []), 0)
  }
  const look = (): void => { clock.after(50, () => { if (receiver.nextMs !== null && receiver.nextMs <= clock.now) hear(receiver.poll(clock.now)); look() }) }
  look()
  const lives = o.restarts + 1
  for (let life = 0; life < lives; life++) {
    if (life > 0) {
      vpp.busy = false
      vpp.stop()
      clock.until(clock.now + o.faults.delayMs + random.below(3000))
      vpp.restart(0)
      vpp.busy = true
    }
    clock.until(clock.now + 4000 + random.below(26_000))
  }
  there.bad = back.bad = false // whatever was lost shows when more comes
  clock.until(clock.now + 3 * SETTLED_MS)
  vpp.busy = false
  clock.until(clock.now + 2 * SETTLED_MS)
  const isTold = ({ sequence, life, atMs }: Sent): boolean => heard.some(({ atMs: at, missed: { reason, from, to } }) => at >= atMs &&
    (life < vpp.life ? reason === 'restarted' : reason === 'joined' || reason === 'restarted' || (sequence - from) >>> 0 <= (to - from) >>> 0))
  let superseded = 0
  for (const sent of vpp.log) {
    if (sent.applied === null) {
      if (!isTold(sent)) wrong ??= `lost in silence: ${sent.sequence} of life ${sent.life}, sent at ${sent.atMs}`
      continue
    }
    const want = sent.events.map(one => JSON.stringify(one, (_, value: unknown) => typeof value === 'bigint' ? String(value) : value))
    let at = 0
    for (const one of want) if (one === sent.applied[at]) at++
    if (at !== sent.applied.length) wrong ??= `out of order: ${sent.sequence}`
    superseded += want.length - at
  }
  if (superseded !== receiver.tally.supersededEvents) wrong ??= `${superseded} events are missing in what was applied, ${receiver.tally.supersededEvents} gave way`
  if (sorted(mirror) !== sorted(vpp.table)) wrong ??= `mirror ${sorted(mirror)} table ${sorted(vpp.table)}`
  if (receiver.tally.restarts < o.restarts) wrong ??= `${receiver.tally.restarts} restarts were seen of ${o.restarts}`
  if (o.restarts === 0 && receiver.tally.restarts > 0) wrong ??= 'a restart that was none'
  return { wrong, receiver, told: heard.map(({ missed }) => missed) }
}

const clean: Faults = { loss: 0, twice: 0, delayMs: 1 }
const lossy: Faults = { loss: 0.3, twice: 0.2, delayMs: 400 }
const awful: Faults = { loss: 0.7, twice: 0.3, delayMs: 900 }

t.test('VPP to us: each datagram is applied once and in order, or told', async (t) => {
  const cases: ReadonlyArray<readonly [string, Exchange]> = [
    ['clean', { faults: clean, perDatagram: 4, cut: 'seen', restarts: 0 }],
    ['lossy', { faults: lossy, perDatagram: 4, cut: 'seen', restarts: 0 }],
    ['awful', { faults: awful, perDatagram: 4, cut: 'seen', restarts: 0 }],
    ['awful, one event each', { faults: awful, perDatagram: 1, cut: 'seen', restarts: 0 }],
    ['lossy, resends cut and seen', { faults: lossy, perDatagram: 8, cut: 'seen', restarts: 0 }],
    ['lossy, resends cut and dropped by the kernel', { faults: lossy, perDatagram: 8, cut: 'dropped', restarts: 0 }],
    ['past the highest number', { faults: lossy, perDatagram: 4, cut: 'seen', restarts: 0, first: 2 ** 32 - 20 }],
    ['clean, restarted', { faults: clean, perDatagram: 4, cut: 'seen', restarts: 3 }],
    ['lossy, restarted', { faults: lossy, perDatagram: 4, cut: 'dropped', restarts: 3 }]
  ]
  for (const [name, o] of cases) {
    let missed = 0
    let superseded = 0
    for (let seed = 0; seed < 40; seed++) {
      const { wrong, receiver, told } = exchange(seed, o)
      if (wrong !== null) t.fail(`${name}, seed ${seed}: ${wrong}`)
      missed += told.length
      superseded += receiver.tally.supersededEvents
      if (o.faults === clean && o.restarts === 0 && (told.length > 0 || receiver.tally.duplicates + receiver.tally.supersededEvents > 0)) t.fail(`${name}, seed ${seed}: something happened`)
    }
    t.pass(`${name}: told ${missed}, gave way ${superseded}`)
    if (o.faults === awful) t.ok(missed > 0 && superseded > 0, 'the network was bad enough')
  }
})

const parse = (bytes: Buffer): { sequence: number, thread: number, ports: number[] } => {
  const got = decodeHa(bytes)
  if (got.kind !== 'events') throw new Error(got.kind)
  return { sequence: got.sequence, thread: got.thread, ports: got.events.map(({ outsidePort }) => outsidePort) }
}
const range = (n: number, from = 0): HaEvent[] => Array.from({ length: n }, (_, i) => add(from + i))

t.test('what is put in leaves in small datagrams, so many at a time', async (t) => {
  const sender = new HaSender({ outstandingMax: 2, firstSequence: 0xffffffff })
  t.equal(HA_HEADER_BYTES + HA_EVENTS_RESENDABLE * HA_EVENT_BYTES, 188)
  t.same(sender.poll(0), { datagrams: [], failed: [], nextMs: null })
  t.equal(sender.offer(range(11)), 11)
  const first = sender.poll(100)
  t.same(first.datagrams.map(parse), [{ sequence: 0xffffffff, thread: 0, ports: [0, 1, 2, 3] }, { sequence: 0, thread: 0, ports: [4, 5, 6, 7] }], 'past the highest number')
  t.equal(first.nextMs, 2100)
  t.same([sender.queued, sender.unanswered], [3, 2])
  t.same(sender.poll(101).datagrams, [])
  t.notOk(sender.acknowledge({ thread: 1, sequence: 0 }), 'another thread')
  t.notOk(sender.acknowledge({ thread: 0, sequence: 1 }))
  t.ok(sender.acknowledge({ thread: 0, sequence: 0 }))
  t.notOk(sender.acknowledge({ thread: 0, sequence: 0 }), 'a second time')
  t.same(sender.poll(200).datagrams.map(parse), [{ sequence: 1, thread: 0, ports: [8, 9, 10] }])
  t.same(sender.tally, { offered: 11, refused: 0, acknowledged: 4, failed: 0, sent: 3, resent: 0, strayAcks: 3 })
})

t.test('without an answer: again after 2, 4 and 6 s, the same bytes; at 8 s it has failed', async (t) => {
  const sender = new HaSender({ outstandingMax: 1 })
  sender.offer([...range(4), add(100)])
  const [bytes] = sender.poll(0).datagrams
  for (const at of [2000, 4000, 6000]) {
    t.same(sender.poll(at - 1).datagrams, [])
    const { datagrams, failed, nextMs } = sender.poll(at)
    t.same([datagrams, failed, nextMs], [[bytes], [], at + 2000])
  }
  t.same(sender.poll(7999).failed, [])
  const { failed, datagrams } = sender.poll(8000)
  t.same(failed, [{ thread: 0, sequence: 0, events: range(4) }])
  t.same(datagrams.map(parse), [{ sequence: 1, thread: 0, ports: [100] }], 'the others go on')
  t.notOk(sender.acknowledge({ thread: 0, sequence: 0 }), 'too late')
  t.match(sender.tally, { failed: 4, resent: 3, sent: 2, strayAcks: 1, acknowledged: 0 })
})

t.test('resends, their number and the batch can be chosen', async (t) => {
  const sender = new HaSender({ resendMs: 50, resends: 1, batchMax: 33 })
  sender.offer(range(33))
  t.equal(sender.poll(0).datagrams[0]?.length, 12 + 33 * 44)
  t.equal(sender.poll(50).datagrams.length, 1)
  t.equal(sender.poll(100).failed[0]?.events.length, 33)
  t.equal(sender.nextMs, null)
  const none = new HaSender({ batchMax: 0 })
  none.offer(range(2))
  t.equal(none.poll(0).datagrams.length, 2)
})

t.test('a full queue takes what it has room for, and says so; a value that does not fit leaves it as it was', async (t) => {
  const sender = new HaSender({ queueMax: 5, outstandingMax: 1 })
  t.throws(() => sender.offer([add(1), add(70_000)]), { code: 'LS_V_VALUE' })
  t.equal(sender.queued, 0)
  t.equal(sender.offer(range(4)), 4)
  t.equal(sender.offer(range(3, 10)), 1)
  t.equal(sender.offer(range(1)), 0)
  t.match(sender.tally, { offered: 8, refused: 3 })
  t.same(sender.poll(0).datagrams.map(parse).map(({ ports }) => ports), [[0, 1, 2, 3]])
  t.equal(sender.offer(range(9, 20)), 4, 'what is on its way has left the queue')
  t.same(sender.drop().map(({ outsidePort }) => outsidePort), [0, 1, 2, 3, 10, 20, 21, 22, 23])
  t.same([sender.queued, sender.unanswered, sender.nextMs], [0, 0, null])
  t.same(sender.poll(9000), { datagrams: [], failed: [], nextMs: null })
  t.equal(sender.offer(range(5)), 5)
  t.same(sender.poll(9000).datagrams.map(parse), [{ sequence: 1, thread: 0, ports: [0, 1, 2, 3] }], 'the next number')
})

t.test('events of one session are never in two datagrams on their way', async (t) => {
  const sender = new HaSender()
  sender.offer([...range(4), add(1, { kind: 'delete' }), add(9)])
  t.equal(sender.poll(0).datagrams.length, 1, 'what is behind it waits as well')
  sender.acknowledge({ thread: 0, sequence: 0 })
  t.same(sender.poll(1).datagrams.map(parse), [{ sequence: 1, thread: 0, ports: [1, 9] }])
  const both = new HaSender()
  both.offer([add(1), add(1, { kind: 'delete' }), add(1), add(2), add(2, { kind: 'delete' })])
  t.same(both.poll(0).datagrams.map(parse).map(({ ports }) => ports), [[1, 1, 1, 2]], 'in one they have an order')
  t.equal(both.poll(8000 - 1).failed.length, 0)
  const failing = new HaSender({ resends: 0 })
  failing.offer([...range(4), add(0, { kind: 'delete' })])
  failing.poll(0)
  t.same(failing.poll(2000).datagrams.map(parse).map(({ ports }) => ports), [[0]], 'nor does it wait for what has failed')
})

t.test('a datagram is of one thread, and threads take turns', async (t) => {
  const sender = new HaSender({ threadOf: ({ outsidePort }) => outsidePort % 3, outstandingMax: 4, batchMax: 2 })
  sender.offer([...range(12), add(0, { kind: 'delete' })])
  t.same(sender.poll(0).datagrams.map(parse).map(({ thread, ports }) => [thread, ...ports]), [[0, 0, 3], [1, 1, 4], [2, 2, 5], [0, 6, 9]])
  sender.acknowledge({ thread: 2, sequence: 2 })
  t.same(sender.poll(1).datagrams.map(parse).map(({ sequence, thread, ports }) => [sequence, thread, ...ports]), [[4, 1, 7, 10]], 'numbers are of all threads')
  sender.acknowledge({ thread: 1, sequence: 1 })
  sender.acknowledge({ thread: 0, sequence: 3 })
  t.same(sender.poll(2).datagrams.map(parse).map(({ thread, ports }) => [thread, ...ports]), [[2, 8, 11]], 'a session that waits holds up its own thread only')
})

/** VPP as the receiver: applies whatever comes, answers everything. */
function injection (seed: number, faults: Faults, o: { readonly stale: boolean, readonly down: boolean, readonly firstSequence: number }): { readonly wrong: string | null, readonly sender: HaSender } {
  const random = new Random(seed)
  const clock = new Clock()
  const sender = new HaSender({ queueMax: 64, outstandingMax: 4, batchMax: 1 + random.below(6), firstSequence: o.firstSequence })
  const table = new Map<string, number>()
  const want = new Map<string, number>()
  const failedKeys = new Set<string>()
  /** By the number that each event carries as its packets. */
  const state = new Map<number, 'offered' | 'applied' | 'failed'>()
  let wrong: string | null = null
  let answers = true
  let most = 0
  const there = new Wire(clock, random, faults, (bytes) => {
    if (!answers) return
    const got = decodeHa(bytes)
    if (got.kind !== 'events') {
      wrong ??= got.kind
      return
    }
    let before = -1
    for (const one of got.events) {
      if (one.packets <= before) wrong ??= `out of order at ${clock.now}`
      before = one.packets
      state.set(one.packets, 'applied')
      if (one.kind === 'add') table.set(haKeyOf(one), one.packets)
      else table.delete(haKeyOf(one))
    }
    back.send(encodeHaAck(got))
  })
  const back = new Wire(clock, random, faults, (bytes) => {
    const got = decodeHa(bytes)
    if (got.kind === 'ack') sender.acknowledge(got)
    run()
  })
  const run = (): void => {
    const { datagrams, failed, nextMs } = sender.poll(clock.now)
    most = Math.max(most, sender.unanswered)
    for (const one of datagrams) there.send(one)
    for (const { events } of failed) {
      for (const one of events) {
        failedKeys.add(haKeyOf(one))
        if (state.get(one.packets) === 'offered') state.set(one.packets, 'failed')
      }
    }
    if (nextMs !== null && nextMs <= clock.now) wrong ??= `it wants to be called at ${nextMs}, which is over`
    if (nextMs !== null) clock.after(nextMs - clock.now, run)
  }
  let n = 0
  const change = (): void => {
    clock.after(random.below(300), () => {
      const events = Array.from({ length: 1 + random.below(6) }, () => add(random.below(12), { kind: random.chance(0.5) ? 'add' : 'delete', packets: n++ }))
      const taken = events.slice(0, sender.offer(events))
      for (const one of taken) {
        state.set(one.packets, 'offered')
        if (one.kind === 'add') want.set(haKeyOf(one), one.packets)
        else want.delete(haKeyOf(one))
      }
      run()
      if (clock.now < 20_000) change()
    })
  }
  change()
  if (o.down) {
    clock.until(5000)
    answers = false
    clock.until(16_000)
    answers = true
  }
  clock.until(200_000)
  if (sender.queued + sender.unanswered > 0) wrong ??= 'something is left'
  if (most > 4) wrong ??= `${most} on their way`
  for (const [number, what] of state) if (what === 'offered') wrong ??= `lost in silence: ${number}`
  const { offered, refused, acknowledged, failed } = sender.tally
  if (offered !== refused + acknowledged + failed || offered !== n) wrong ??= `the tally does not add up: ${JSON.stringify(sender.tally)}`
  if (!o.stale) for (const key of new Set([...table.keys(), ...want.keys()])) if (!failedKeys.has(key) && table.get(key) !== want.get(key)) wrong ??= `${key}: ${table.get(key)} instead of ${want.get(key)}`
  return { wrong, sender }
}

t.test('us to VPP: each event is applied in order, or has failed', async (t) => {
  const soon: Faults = { loss: 0.3, twice: 0, delayMs: 400 }
  for (const [name, faults, o] of [
    ['clean', clean, { stale: false, down: false, firstSequence: 0 }],
    ['lossy', soon, { stale: false, down: false, firstSequence: 5 }],
    ['lossy, with copies from the past', { ...soon, twice: 0.3 }, { stale: true, down: false, firstSequence: 0 }],
    ['awful', awful, { stale: true, down: false, firstSequence: 0 }],
    ['past the highest number', soon, { stale: false, down: false, firstSequence: 2 ** 32 - 8 }],
    ['nobody answers for a while', soon, { stale: false, down: true, firstSequence: 0 }]
  ] as const) {
    let failed = 0
    let refused = 0
    for (let seed = 0; seed < 40; seed++) {
      const { wrong, sender } = injection(seed, faults, o)
      if (wrong !== null) t.fail(`${name}, seed ${seed}: ${wrong}`)
      failed += sender.tally.failed
      refused += sender.tally.refused
      if (faults === clean && sender.tally.failed + sender.tally.resent + sender.tally.strayAcks > 0) t.fail(`${name}, seed ${seed}: ${JSON.stringify(sender.tally)}`)
    }
    t.pass(`${name}: failed ${failed}, refused ${refused}`)
    if (o.down) t.ok(failed > 0 && refused > 0, 'it was long enough')
  }
})

/** A peer on a socket, as VPP is one. */
async function peer (t: Test): Promise<{ readonly socket: Socket, readonly port: number, readonly next: () => Promise<Buffer> }> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => { socket.bind(0, '127.0.0.1', resolve) })
  const got: Buffer[] = []
  let wake: (() => void) | null = null
  socket.on('message', (bytes) => {
    got.push(bytes)
    wake?.()
  })
  t.teardown(() => { socket.close() })
  return {
    socket, port: socket.address().port,
    next: async () => {
      while (got.length === 0) await new Promise<void>((resolve) => { wake = resolve })
      return got.shift() ?? Buffer.alloc(0)
    }
  }
}

const options = (o: Partial<HaEndpointOptions>): HaEndpointOptions => ({ address: '127.0.0.1', port: 0, peer: { address: '127.0.0.1', port: 1 }, onEvents: () => undefined, onMissed: () => undefined, onFailed: () => undefined, ...o })

t.test('over sockets: what VPP tells is applied, then answered; what is put in is sent again until it answers', async (t) => {
  const vpp = await peer(t)
  const said: string[] = []
  let failed: () => void = () => undefined
  const failing = new Promise<void>((resolve) => { failed = resolve })
  const endpoint = await HaEndpoint.open(options({
    peer: { address: '127.0.0.1', port: vpp.port }, sender: { resendMs: 30, resends: 2, firstSequence: 40 },
    onEvents: (events) => { said.push(`events ${events.map(({ outsidePort }) => outsidePort).join(' ')}`) },
    onMissed: (missed) => { said.push(told(missed)) },
    onFailed: (lost) => {
      said.push(`failed ${lost.map(({ sequence, events }) => `${sequence} ${events.length}`).join()}`)
      failed()
    }
  }))
  t.teardown(async () => { await endpoint.close() })
  vpp.socket.send(datagram(0, [add(1), add(2)]), endpoint.port, '127.0.0.1')
  t.equal((await vpp.next()).toString('hex'), '010100000000000000000000')
  t.same(said, ['events 1 2'])
  vpp.socket.send(datagram(0, [add(3)]), endpoint.port, '127.0.0.1')
  t.equal((await vpp.next()).toString('hex'), '010100000000000000000000')
  t.same(said.slice(1), ['restarted 0:0-0', 'events 3'])
  t.equal(endpoint.inject(range(2)), 2)
  const first = await vpp.next()
  t.same(parse(first), { sequence: 40, thread: 0, ports: [0, 1] })
  t.same(await vpp.next(), first, 'again')
  vpp.socket.send(encodeHaAck({ thread: 0, sequence: 40 }), endpoint.port, '127.0.0.1')
  while (endpoint.sender.unanswered > 0) await new Promise((resolve) => { setTimeout(resolve, 5) })
  endpoint.inject(range(1))
  await failing
  t.equal(said.at(-1), 'failed 41 1')
  const stranger = await peer(t)
  stranger.socket.send(datagram(1, [add(9)]), endpoint.port, '127.0.0.1')
  while (endpoint.tally.strangers === 0) await new Promise((resolve) => { setTimeout(resolve, 5) })
  t.equal(said.at(-1), 'failed 41 1', 'only VPP is heard')
  endpoint.inject(range(3))
  t.equal(endpoint.restart().length, 3)
  t.equal(endpoint.receiver.tally.restarts, 1)
  await endpoint.close()
  await endpoint.close()
  t.equal(endpoint.inject(range(1)), 1, 'closed: nothing is sent, nothing throws')
})

t.test('a gap is told by time alone', async (t) => {
  const vpp = await peer(t)
  let ahead = 0
  const missed = new Promise<readonly HaMissed[]>((resolve) => {
    void HaEndpoint.open(options({ peer: { address: '127.0.0.1', port: vpp.port }, nowMs: () => performance.now() + ahead, onMissed: resolve, onEvents: ([event]) => { if (event?.outsidePort === 2) ahead = SETTLED_MS - 20 } })).then((endpoint) => {
      t.teardown(async () => { await endpoint.close() })
      vpp.socket.send(one(0, 1), endpoint.port, '127.0.0.1')
      vpp.socket.send(one(2, 2), endpoint.port, '127.0.0.1')
    })
  })
  t.equal(told(await missed), 'gap 0:1-1')
})

t.test('why a port cannot be had', async (t) => {
  const taken = await peer(t)
  await t.rejects(HaEndpoint.open(options({ port: taken.port })), { code: 'LS_V_HA_IN_USE', errorClass: 'unavailable', detail: { object: `127.0.0.1:${taken.port}`, found: 'EADDRINUSE' } })
  await t.rejects(HaEndpoint.open(options({ address: '192.0.2.77' })), { code: 'LS_V_HA_ADDRESS', errorClass: 'invalid' })
  await t.rejects(HaEndpoint.open(options({ address: '::1' })), { code: 'LS_V_HA_SOCKET' })
  await t.test('a port of root', { skip: process.getuid?.() === 0 ? 'needs a user without CAP_NET_BIND_SERVICE' : false }, async (t) => {
    await t.rejects(HaEndpoint.open(options({ port: 1 })), { code: 'LS_V_HA_DENIED' })
  })
})
