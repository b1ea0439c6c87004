/** Bytes of the ledger program: its accounts and its instruction. */
import t from 'tap'
import { getAddressEncoder, type Address } from '@solana/addresses'
import { readDevice, readUser, statusData } from '../../../../src/bgp/sinks/solana/accounts.js'
import { addressOf, deviceBytes, userBytes } from '../../../../bench/bgp/ledger.js'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const device = addressOf(1, 7)

t.test('the instruction, byte by byte', async t => {
  const rows = [['up', 7_500_000, '6a01e070720000000000'], ['up', 5_000_000, '6a01404b4c0000000000'], ['up', 0, '6a010000000000000000'], ['down', 0, '6a020000000000000000'], ['up', 2n ** 64n - 1n, '6a01ffffffffffffffff']] as const
  for (const [state, rttNs, bytes] of rows) t.equal(hex(statusData(state, rttNs)), bytes)
})

t.test('a user with lists: fields stand where the layout has them', async t => {
  const bytes = userBytes({ index: 912, device, tunnel: [169, 254, 100, 0, 30], publishers: 1, subscribers: 1, feeds: 2, bgpStatus: 1, reportedAt: 1_700_000_100, rttNs: 5_500_000n })
  t.equal(bytes.length, 334)
  t.same([bytes[241], Buffer.from(bytes).readBigUInt64LE(250), Buffer.from(bytes).readBigUInt64LE(258)], [1, 1_700_000_100n, 5_500_000n])
  t.match(readUser(bytes), { index: 912n, device, tunnelNet: { address: 0xa9fe6400, prefix: 30 }, status: 1, bgpStatus: 1, lastReportedAt: 1_700_000_100n, rttNs: 5_500_000n })
})

t.test('a user that ends before BGP was there has no record; bytes behind its end are left alone', async t => {
  const old = userBytes({ index: 6220, device, tunnel: [169, 254, 0, 164, 31], legacy: true })
  t.equal(old.length, 172)
  t.match(readUser(old), { index: 6220n, tunnelNet: { address: 0xa9fe00a4, prefix: 31 }, status: 1, bgpStatus: 0, lastReportedAt: 0n, rttNs: 0n })
  t.match(readUser(userBytes({ index: 1, device, tunnel: [169, 254, 0, 0, 31], bgpStatus: 2, trailing: 77 })), { bgpStatus: 2 })
})

t.test('a list that claims more than there is is refused before anything is made of it', async t => {
  const bytes = Buffer.from(userBytes({ index: 1, device, tunnel: [169, 254, 0, 0, 31] }))
  bytes.writeUInt32LE(0xffffffff, 132)
  t.throws(() => readUser(bytes), { message: 'a list of 4294967295 items of 32 bytes where 70 bytes are left' })
  const other = Buffer.from(deviceBytes('dz1', addressOf(2, 2)))
  other.writeUInt32LE(0xffff, 120)
  t.throws(() => readDevice(other), { message: /a list of 65535 items/ })
})

t.test('every length of a user reads or is refused, none hangs or reads beyond', async t => {
  const bytes = userBytes({ index: 3, device, tunnel: [169, 254, 0, 0, 31], publishers: 2, bgpStatus: 1 })
  for (let length = 0; length <= bytes.length; length++) {
    if (length <= 131) t.throws(() => readUser(bytes.subarray(0, length)), { message: /not a user/ })
    else if (length >= 133 && length < 200) t.throws(() => readUser(bytes.subarray(0, length)), { message: /a list of 2 items/ })
    else t.match(readUser(bytes.subarray(0, length)), { status: 1, device })
  }
})

t.test('a device: its publisher stands behind its code and its prefixes', async t => {
  const publisher = '5WYKKBcet2AqNM4H5oquz5wKLereJepk87fVj4ngHuJ7'
  const bytes = deviceBytes('dz1', publisher, 1)
  t.equal(hex(bytes.subarray(136, 168)), hex(getAddressEncoder().encode(publisher as Address) as Uint8Array), 'as in the layout: at 136')
  t.same(readDevice(bytes), { code: 'dz1', publisher })
  t.throws(() => readDevice(userBytes({ index: 1, device, tunnel: [169, 254, 0, 0, 31] })), { message: /not a device/ })
})
