/**
 * Sessions of a real FRR on a ledger: established, a peer that is killed, grace, restarts of the reporter, a daemon that nobody can read, a neighbour that goes, a user
 * that is deleted and made again. What is written is counted: nothing twice, nothing that was not so.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { LedgerDouble, deviceBytes, userBytes } from '../../bench/bgp/ledger.js'
import { Reports } from '../../src/bgp/reports.js'
import { ledgerStates, readUser } from '../../src/bgp/sinks/solana/accounts.js'
import type { BgpSettings } from '../../src/contract/bgp.js'
import { device, keypairFile, program, tunnel, user } from '../unit/bgp/sinks/ledger-world.js'
import { BgpRig, bgpSkip } from './bgp-rig.js'
import { until } from '../until.js'

const skip = await bgpSkip()
const GRACE_MS = 4000
/** Users by their far ends: BIRD at b, GoBGP at c. */
const [b, c] = [0, 1]

t.test('sessions of FRR on a ledger', { skip }, async (t) => {
  const rig = await BgpRig.open(t)
  await rig.allUp()
  const ledger = new LedgerDouble({ program, slotMs: 50 })
  t.teardown(async () => { await ledger.close() })
  const { path: keypair, address: publisher } = await keypairFile(rig.directory)
  ledger.accounts.set(device, { owner: program, data: deviceBytes('dz1', publisher), lamports: 1 })
  ledger.accounts.set(publisher, { owner: '11111111111111111111111111111111', data: new Uint8Array(), lamports: 1e9 })
  const put = (n: number, index: number): void => { ledger.accounts.set(user(n), { owner: program, data: userBytes({ index, device, tunnel: tunnel(n), bgpStatus: 0, reportedAt: 0 }), lamports: 1 }) }
  put(b, 1)
  put(c, 2)
  const settings: BgpSettings = {
    intervalMs: 200, timeoutMs: 500, maxAgeMs: 1500, announce: null,
    sources: [{ name: 'a', type: 'frr', vrf: 'a', socket: join(rig.directory, 'a', 'bgpd.vty') }, { name: 'kernel', type: 'kernel', vrf: null, namespaces: ['a'] }],
    report: {
      intervalMs: 300, graceMs: GRACE_MS, debounceMs: 0, refreshMs: 6 * 3_600_000, refreshJitter: 0, spacingMs: 0,
      sinks: [{ type: 'solana', name: 'ledger', url: await ledger.listen(), program, device, keypairFile: keypair, dryRun: false, commitment: 'confirmed', computeUnitPrice: 0, balanceMin: 0 }]
    }
  }
  rig.runner.configure(settings)
  const problems: unknown[] = []
  const said: string[] = []
  const begin = (): Reports => {
    const keep = (text: string): void => { said.push(text) }
    const reports = new Reports({ view: rig.runner.view, node: 'a', directory: rig.directory, log: { warn: keep, info: keep, debug: () => undefined }, onProblem: error => { problems.push(error) } })
    reports.configure(settings)
    return reports
  }
  let reports = begin()
  t.teardown(async () => { await reports.close() })
  const recorded = (n: number): ReturnType<typeof readUser> => readUser(ledger.accounts.get(user(n))?.data ?? new Uint8Array())
  const state = (n: number): number => recorded(n).bgpStatus
  const writes = (n: number, from = 0): number[] => ledger.writes.slice(from).filter(write => write.user === user(n)).map(({ status }) => status)
  const becomes = async (n: number, wanted: number): Promise<void> => { await until(`user ${n} is ${wanted}; it is ${state(n)}, and it was said: ${said.join('; ')}`, () => state(n) === wanted) }
  const { up, down } = ledgerStates
  const downSince = async (session: 'a/169.254.0.1' | 'a/169.254.0.3'): Promise<number> => {
    await until('FRR says so', () => rig.of(session)?.state === 'down')
    return performance.now()
  }

  await t.test('established: up, with the round trip of the kernel', async (t) => {
    for (const n of [b, c]) {
      await becomes(n, up)
      t.ok(recorded(n).rttNs > 0n, `${recorded(n).rttNs} ns`)
    }
    t.same([writes(b), writes(c)], [[up], [up]])
  })

  await t.test('a peer is killed: up for the grace, then down without a round trip; the other is left alone', async (t) => {
    await rig.kill('c')
    const since = await downSince('a/169.254.0.3')
    await becomes(c, down)
    t.ok(performance.now() - since >= GRACE_MS - 500, 'not before the grace was over')
    t.equal(recorded(c).rttNs, 0n)
    await rig.start('c')
    await becomes(c, up)
    t.same([writes(b), writes(c)], [[up], [up, down, up]])
  })

  await t.test('a session that is back within the grace has nothing written', async (t) => {
    const [from, flaps] = [ledger.writes.length, rig.of('a/169.254.0.1')?.flaps ?? 0]
    await rig.vtysh('clear bgp 169.254.0.1')
    await until('it ended and is up', () => (rig.of('a/169.254.0.1')?.flaps ?? 0) > flaps && rig.of('a/169.254.0.1')?.state === 'up')
    await sleep(GRACE_MS + 1000)
    t.same(ledger.writes.slice(from), [])
  })

  await t.test('the reporter is started again: what is so is not written again', async (t) => {
    const from = ledger.writes.length
    await reports.close()
    reports = begin()
    await until('it has looked', () => reports.tallies()[0]?.stage === 'ready' && (reports.tallies()[0]?.lastTickAt ?? null) !== null && reports.tallies()[0]?.subjects === 2)
    await sleep(2000)
    t.same(ledger.writes.slice(from), [])
  })

  await t.test('it is started again while a peer is away: the grace holds over it, and then it is down', async (t) => {
    const from = ledger.writes.length
    await rig.kill('b')
    await downSince('a/169.254.0.1')
    await reports.close()
    const again = performance.now()
    reports = begin()
    await becomes(b, down)
    t.ok(performance.now() - again >= GRACE_MS - 500, 'a record of up counts as seen up at the start')
    await rig.start('b')
    await becomes(b, up)
    t.same(writes(b, from), [down, up])
  })

  await t.test('the daemon is killed: nobody knows, and nothing is written; it is back: nothing either', async (t) => {
    const from = ledger.writes.length
    await rig.kill('a')
    await until('unknown', () => rig.of('a/169.254.0.1')?.state === 'unknown')
    await sleep(GRACE_MS + 1000)
    t.same(ledger.writes.slice(from), [])
    t.same([state(b), state(c)], [up, up])
    await rig.start('a')
    await until('up again', () => rig.of('a/169.254.0.1')?.state === 'up' && rig.of('a/169.254.0.3')?.state === 'up')
    await sleep(1000)
    t.same(ledger.writes.slice(from), [])
  })

  await t.test('a neighbour goes: who was up is down after the grace, though nobody says so of it', async (t) => {
    const from = ledger.writes.length
    await rig.vtysh('configure', 'router bgp 65001', 'no neighbor 169.254.0.3')
    await becomes(c, down)
    t.same([writes(b, from), writes(c, from)], [[], [down]])
  })

  await t.test('a user is deleted and another has its address: it is told from the beginning', async (t) => {
    const from = ledger.writes.length
    ledger.accounts.delete(user(b))
    await until('it is forgotten', () => reports.tallies()[0]?.subjects === 1)
    put(b, 77)
    await becomes(b, up)
    t.same(writes(b, from), [up])
    t.equal(recorded(b).index, 77n)
    t.same(problems, [])
  })
})
