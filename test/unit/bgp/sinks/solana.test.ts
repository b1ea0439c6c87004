/** The sink on a ledger, against a node that verifies signatures and runs the program's rules. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { getCompiledTransactionMessageDecoder } from '@solana/transaction-messages'
import { getTransactionDecoder, type Transaction } from '@solana/transactions'
import type { BgpState } from '../../../../src/contract/bgp.js'
import { BLOCKHASH_LIFE, addressOf, deviceBytes, userBytes } from '../../../../bench/bgp/ledger.js'
import { readUser } from '../../../../src/bgp/sinks/solana/accounts.js'
import { until } from '../reporting/world.js'
import { device, ledgerWorld, program, tunnel, user, type LedgerWorld } from './ledger-world.js'

const range = (n: number): number[] => [...Array(n).keys()]
const all = (n: number, state: BgpState): Array<readonly [number, BgpState]> => range(n).map(i => [i, state] as const)
const record = ({ ledger }: LedgerWorld, n: number): string => {
  const { bgpStatus, rttNs } = readUser(ledger.accounts.get(user(n))?.data ?? new Uint8Array())
  return `${['unknown', 'up', 'down'][bgpStatus]} ${rttNs}`
}
const parsed = (wire: string): ReturnType<ReturnType<typeof getCompiledTransactionMessageDecoder>['decode']> =>
  getCompiledTransactionMessageDecoder().decode((getTransactionDecoder().decode(Buffer.from(wire, 'base64')) as Transaction).messageBytes)

t.test('up with its round trip, down without; what is right on record is not written', async t => {
  const world = await ledgerWorld(t, [{ bgpStatus: 2 }, { bgpStatus: 1 }, { bgpStatus: 1 }, { bgpStatus: 0, reportedAt: 0, legacy: true }])
  await world.see([[0, 'up'], [1, 'down'], [2, 'up'], [3, 'up']])
  await world.drained()
  t.same(range(4).map(n => record(world, n)), ['up 7500000', 'down 0', 'up 0', 'up 7500000'])
  t.same(world.ledger.writes.map(({ user: id }) => id), [user(0), user(1), user(3)])
  t.equal(world.ledger.accounts.get(user(3))?.data.length, 206, 'an old account has grown')
  await world.see([[0, 'up'], [1, 'down'], [2, 'up'], [3, 'up']])
  await world.drained()
  t.equal(world.ledger.wires.length, 1)
})

t.test('the transaction: cost first, then four accounts for each user with their roles', async t => {
  const world = await ledgerWorld(t, 1)
  await world.see([[0, 'down']])
  await world.drained()
  const message = parsed(world.ledger.wires[0] ?? '')
  if (message.version !== 'legacy') return t.fail('a legacy message')
  t.same(message.header, { numSignerAccounts: 1, numReadonlySignerAccounts: 0, numReadonlyNonSignerAccounts: 4 })
  const [, status] = message.instructions
  t.equal(message.staticAccounts[status?.programAddressIndex ?? -1], program)
  t.same(status?.accountIndices?.map(i => message.staticAccounts[i]), [user(0), device, world.publisher, '11111111111111111111111111111111'])
  t.equal(Buffer.from(status?.data ?? []).toString('hex'), '6a020000000000000000')
})

t.test('100 users: batches of 19, one after the other, each of at most 1232 bytes, with a price too', async t => {
  const world = await ledgerWorld(t, 100, { computeUnitPrice: 1000 })
  await world.see(all(100, 'down'))
  await world.drained()
  t.equal(world.ledger.wires.length, 6)
  t.ok(world.ledger.wires.every(wire => Buffer.from(wire, 'base64').length <= 1232))
  t.equal(new Set(world.ledger.writes.map(({ user: id }) => id)).size, 100)
  t.equal(world.ledger.writes.length, 100)
})

t.test('one bad instruction in a batch is dropped, the rest is sent', async t => {
  const world = await ledgerWorld(t, 20)
  const bad = world.ledger.accounts.get(user(7))
  bad?.data.set([10, 0, 0, 0], 126)
  await world.see(all(20, 'down'))
  for (let i = 0; i < 100 && world.outlet.pending().length > 1; i++) await world.pass(400)
  t.match(world.outlet.pending(), [{ subject: user(7), stage: 'queued', lastError: /Custom.*28.*tunnel_net is not link-local/ }])
  t.equal(world.ledger.writes.length, 19)
})

t.test('a user that is deleted between look and write is a refusal of that one', async t => {
  const world = await ledgerWorld(t, 3)
  world.ledger.fault = method => {
    if (method === 'getLatestBlockhash') world.ledger.accounts.delete(user(1))
    return null
  }
  await world.see(all(3, 'down'))
  for (let i = 0; i < 100 && world.outlet.pending().length > 1; i++) await world.pass(400)
  t.match(world.outlet.pending(), [{ subject: user(1), lastError: /ProgramFailedToComplete.*the account is gone/ }])
  world.ledger.fault = null
  await world.pass(6000)
  await world.see(all(3, 'down'))
  t.same(world.outlet.pending(), [], 'it is no user any more')
})

t.test('a transaction that is lost expires by its last valid block height, and only then another is sent', async t => {
  const world = await ledgerWorld(t, 2)
  world.ledger.loses = true
  await world.see(all(2, 'down'))
  await until(() => world.ledger.wires.length === 1, 'sent')
  await world.pass((BLOCKHASH_LIFE - 2) * 400)
  t.equal(world.ledger.wires.length, 1, 'it may still land')
  t.equal(world.outlet.tallies().out, 2)
  world.ledger.loses = false
  await world.drained()
  t.same([world.ledger.wires.length, world.ledger.writes.length], [2, 2])
})

t.test('the connection breaks after the node took it: nothing is sent twice', async t => {
  const world = await ledgerWorld(t, 5)
  world.ledger.fault = method => method === 'sendTransaction' ? { kind: 'take' } : null
  await world.see(all(5, 'down'))
  await world.drained()
  t.same([world.ledger.wires.length, world.ledger.writes.length, world.ledger.calls.get('sendTransaction')], [1, 5, 1])
})

t.test('a node that cannot be reached for ten minutes: nothing is sent meanwhile, everything after, the latest state once', async t => {
  const world = await ledgerWorld(t, 30)
  await world.see(all(30, 'up'))
  await world.pass(6000)
  world.ledger.fault = () => ({ kind: 'drop' })
  await world.see(all(30, 'down'))
  await world.pass(300_000)
  await world.see([...all(15, 'up'), ...all(30, 'down').slice(15)])
  await world.pass(300_000)
  t.equal(world.ledger.wires.length, 0)
  t.ok(world.log.of('warn').length < 8, 'told quietly')
  world.ledger.fault = null
  await world.pass(60_000)
  await world.see([...all(15, 'up'), ...all(30, 'down').slice(15)])
  await world.drained()
  t.same(range(30).map(n => record(world, n).split(' ')[0]), [...Array<string>(15).fill('up'), ...Array<string>(15).fill('down')])
  t.equal(world.ledger.writes.length, 15)
})

t.test('restart while a transaction is out: it is found landed, and not written again', async t => {
  const world = await ledgerWorld(t, 4)
  world.ledger.fault = method => method === 'getSignatureStatuses' ? { kind: 'hang' } : null
  await world.see(all(4, 'down'))
  await until(() => world.ledger.wires.length === 1, 'sent')
  await world.restart()
  world.ledger.fault = null
  await world.pass(4000)
  await world.see(all(4, 'down'))
  await world.drained()
  t.same([world.ledger.wires.length, world.ledger.writes.length], [1, 4])
})

t.test('restart while a transaction is out that was lost: it is sent again, once', async t => {
  const world = await ledgerWorld(t, 4)
  world.ledger.loses = true
  await world.see(all(4, 'down'))
  await until(() => world.ledger.wires.length === 1, 'sent')
  await world.restart()
  world.ledger.loses = false
  await world.see(all(4, 'down'))
  await world.pass(10_000)
  t.equal(world.ledger.wires.length, 1, 'it may still land')
  await world.pass(BLOCKHASH_LIFE * 400)
  await world.see(all(4, 'down'))
  await world.drained()
  t.same([world.ledger.wires.length, world.ledger.writes.length], [2, 4])
})

t.test('a node that is behind tells an old record: what we wrote is not written again', async t => {
  const world = await ledgerWorld(t, 1)
  world.ledger.freeze()
  await world.see(all(1, 'down'))
  await world.drained()
  await world.pass(6000)
  await world.see(all(1, 'down'))
  await world.drained()
  t.equal(world.ledger.writes.length, 1)
  world.ledger.thaw()
})

t.test('another writer is noticed with the next reading; a new user at the same address begins anew', async t => {
  const world = await ledgerWorld(t, 1)
  await world.see(all(1, 'down'))
  await world.drained()
  const account = world.ledger.accounts.get(user(0))
  if (account === undefined) return t.fail('the account is there')
  account.data[177] = 1
  await world.pass(6000)
  await world.see(all(1, 'down'))
  await world.drained()
  t.equal(record(world, 0), 'down 0')
  account.data = userBytes({ index: 99, device, tunnel: tunnel(0) })
  await world.pass(6000)
  await world.see(all(1, 'up'))
  await world.drained()
  t.equal(record(world, 0), 'up 7500000')
  t.equal(world.ledger.writes.length, 3)
})

t.test('unknown is written as nothing; a tunnel that is missing is down when the look was whole', async t => {
  const world = await ledgerWorld(t, 2)
  await world.see([[0, 'unknown']], false)
  await world.pass(2000)
  t.equal(world.ledger.wires.length, 0)
  await world.see([[0, 'unknown']])
  await world.drained()
  t.same(world.ledger.writes.map(({ user: id, status }) => [id, status]), [[user(1), 2]])
})

t.test('users of other devices, and those not activated, are none of ours, whatever the node filters', async t => {
  const world = await ledgerWorld(t, [{ device: addressOf(1, 9) }, { status: 3 }, {}])
  await world.see(all(3, 'down'))
  await world.drained()
  t.same(world.ledger.writes.map(({ user: id }) => id), [user(2)])
  t.equal(world.outlet.tallies().subjects, 1)
})

t.test('dry run: writes are told in the log, once, and none is sent', async t => {
  const world = await ledgerWorld(t, 2, { dryRun: true })
  for (let i = 0; i < 3; i++) {
    await world.see(all(2, 'down'))
    await world.drained()
    await world.pass(6000)
  }
  t.same(world.log.of('info'), [0, 1].map(n => `info bgp report ledger: dry run: ${user(n)} would be told as down, round trip 0 ns (changed)`))
  t.equal(world.ledger.calls.get('sendTransaction'), undefined)
})

t.test('start: another key than the device names, no device, a device of another program', async t => {
  const cases: ReadonlyArray<readonly [RegExp, (world: LedgerWorld) => void]> = [
    [/names .* as its publisher; the key of/, ({ ledger }) => { ledger.accounts.set(device, { owner: program, data: deviceBytes('dz1', addressOf(5, 5)), lamports: 1 }) }],
    [/is not on the ledger/, ({ ledger }) => { ledger.accounts.delete(device) }],
    [/is owned by .* expected the program/, ({ ledger }) => { ledger.accounts.set(device, { owner: addressOf(6, 6), data: new Uint8Array(), lamports: 1 }) }],
    [/not a device/, ({ ledger }) => { ledger.accounts.set(device, { owner: program, data: new Uint8Array(3), lamports: 1 }) }],
  ]
  for (const [message, change] of cases) {
    const world = await ledgerWorld(t, 1)
    await until(() => world.outlet.tallies().stage === 'ready', 'ready')
    change(world)
    await world.restart()
    await until(() => world.outlet.tallies().stage === 'refused', 'refused')
    t.match(world.outlet.tallies().lastError, message)
    t.equal(world.ledger.calls.get('sendTransaction'), undefined)
  }
})

t.test('the keypair: readable by others, no keypair, halves that do not fit; never a byte of it in a message', async t => {
  const world = await ledgerWorld(t, 1)
  const path = world.settings.keypairFile
  const key = JSON.parse(readFileSync(path, 'utf8')) as number[]
  const refused = async (message: RegExp): Promise<void> => {
    await world.restart()
    await until(() => world.outlet.tallies().stage === 'refused', 'refused')
    t.match(world.outlet.tallies().lastError, message)
    t.notMatch(world.log.lines.join('\n'), key.slice(0, 8).join(','))
  }
  chmodSync(path, 0o640)
  await refused(/others may read or write it \(mode 640\); chmod 600 it/)
  chmodSync(path, 0o600)
  for (const text of ['', '[1,2]', '{}', JSON.stringify(key.map(n => n + 256))]) {
    writeFileSync(path, text)
    await refused(/not a keypair; expected a JSON list of 64 numbers/)
  }
  writeFileSync(path, JSON.stringify([...key.slice(0, 63), (key[63] ?? 0) ^ 1]))
  await refused(/its public half does not belong to its private half/)
})

t.test('a key that runs out of lamports is warned of, once, and its writes wait', async t => {
  const world = await ledgerWorld(t, 1)
  await until(() => world.outlet.tallies().stage === 'ready', 'ready')
  const account = world.ledger.accounts.get(world.publisher)
  if (account === undefined) return t.fail('the account is there')
  account.lamports = 10
  await world.pass(600_000)
  await world.see(all(1, 'down'))
  for (let i = 0; i < 500 && world.outlet.tallies().reports.down.transient === 0; i++) await world.pass(400)
  t.equal(world.log.of('warn').filter(line => line.includes('lamports')).length, 1)
  t.match(world.outlet.pending(), [{ lastError: /InsufficientFundsForFee/ }])
  account.lamports = 1e9
  await world.drained()
  t.equal(record(world, 0), 'down 0')
})

t.test('hostile answers: nothing is believed, nothing is sent, and it is well afterwards', async t => {
  const world = await ledgerWorld(t, 1)
  await until(() => world.outlet.tallies().stage === 'ready', 'ready')
  const texts = ['', 'null', '[]', '{', '{"id":1}', '<html>', `{"id":null,"result":{"context":{"slot":1},"value":[{"pubkey":7}]}}`, '{"id":null,"result":{"context":{"slot":-1},"value":[]}}',
    '{"id":null,"result":{"context":{"slot":1e300},"value":[]}}', '{"id":null,"result":{"context":{"slot":1},"value":[{"pubkey":"x","account":{"owner":1,"data":["","base64"]}}]}}',
    '{"id":null,"error":{"code":"x","message":{"a":1}}}', '{"id":null,"error":7}', `{"id":null,"result":"${'x'.repeat(2 << 20)}"}`, '['.repeat(100_000)]
  for (const text of texts) {
    world.ledger.fault = () => ({ kind: 'text', status: 200, text })
    const errors = world.outlet.tallies().looks.failed
    await world.pass(60_000)
    await world.see(all(1, 'down'))
    t.equal(world.outlet.tallies().looks.failed, errors + 1, text.slice(0, 60))
  }
  t.equal(world.ledger.wires.length, 0)
  world.ledger.fault = null
  await world.pass(60_000)
  await world.see(all(1, 'down'))
  await world.drained()
  t.equal(record(world, 0), 'down 0')
})

t.test('a blockhash that is none, or good for ever, is not believed: its batch would wait as long', async t => {
  const world = await ledgerWorld(t, 1)
  for (const [blockhash, lastValidBlockHeight, what] of [[user(9), Number.MAX_SAFE_INTEGER, 'lastValidBlockHeight'], ['\u001b[2J', 1100, 'blockhash']] as const) {
    const answer = { id: null, result: { context: { slot: 1000 }, value: { blockhash, lastValidBlockHeight } } }
    world.ledger.fault = method => method === 'getLatestBlockhash' ? { kind: 'text', status: 200, text: JSON.stringify(answer) } : null
    await world.see(all(1, 'down'))
    for (let i = 0; i < 200 && !(world.outlet.pending()[0]?.lastError ?? '').includes(`no ${what} where one belongs`); i++) await world.pass(400)
    t.match(world.outlet.pending(), [{ stage: 'queued', lastError: new RegExp(`the answer has no ${what} where one belongs`) }])
  }
  world.ledger.fault = null
  await world.drained()
  t.equal(record(world, 0), 'down 0')
})

t.test('408 of what is between may have come after the node took it; what a node says is shown without its control characters', async t => {
  const world = await ledgerWorld(t, 1)
  world.ledger.fault = method => method === 'sendTransaction' ? { kind: 'text', status: 408, text: '<html>' } : null
  await world.see(all(1, 'down'))
  await until(() => world.outlet.tallies().reports.down['uncertain'] === 1, 'uncertain')
  t.match(world.outlet.pending(), [{ stage: 'uncertain', lastError: /sendTransaction: HTTP status 408/ }])
  const other = await ledgerWorld(t, 1)
  await until(() => other.outlet.tallies().stage === 'ready', 'ready')
  other.ledger.fault = () => ({ kind: 'text', status: 200, text: JSON.stringify({ id: null, error: { code: -1, message: '\u001b[2Jgone\u202e' } }) })
  await other.see(all(1, 'down'))
  t.match(other.outlet.tallies().lastError, /\\u\{1b\}\[2Jgone\\u\{202e\}/)
})

t.test('a node that lies about the signature, or about what became of it, gets nothing sent twice before the expiry', async t => {
  const world = await ledgerWorld(t, 1)
  world.ledger.fault = method => method === 'sendTransaction' ? { kind: 'text', status: 200, text: '{"id":null,"result":"another"}' } : method === 'getSignatureStatuses' ? { kind: 'text', status: 200, text: '{"id":null,"result":{"context":{"slot":1},"value":[{"slot":1}]}}' } : null
  await world.see(all(1, 'down'))
  await world.pass(300_000)
  t.equal(world.ledger.calls.get('sendTransaction'), 1)
  t.match(world.outlet.pending(), [{ stage: 'uncertain' }])
})

t.test('an address with a token in it is in no message', async t => {
  const world = await ledgerWorld(t, 1)
  const url = `${world.settings.url}/secret-token?api-key=hidden`
  const other = await ledgerWorld(t, 1, { url })
  await until(() => other.outlet.tallies().lastError !== null || other.outlet.tallies().stage === 'ready', 'tried')
  world.ledger.fault = () => ({ kind: 'drop' })
  await other.restart()
  await until(() => other.outlet.tallies().lastError !== null, 'it failed')
  t.notMatch(other.log.lines.join('\n') + (other.outlet.tallies().lastError ?? ''), /secret-token|hidden/)
  t.match(other.outlet.tallies().lastError, /^http:\/\/127\.0\.0\.1:\d+: /)
})
