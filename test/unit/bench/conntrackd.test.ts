/** What the conntrackd peer makes of configuration and answers. No daemon here. */
import t from 'tap'
import { commitTimeMs, daemonConfig, keptUp, nextRate, parseCount, parseStats, parseVersion, ruleset, ticksOf } from '../../../bench/peers/conntrackd.js'

/** As conntrackd 1.4.7 prints them. */
const traffic = `
traffic processed:
                   0 Bytes                         0 Pckts

UDP traffic (active device=sync):
                2272 Bytes sent              2132088 Bytes recv
                 142 Pckts sent                18754 Pckts recv
                   0 Error send                    0 Error recv

message tracking:
                   0 Malformed msgs                   17 Lost msgs

`
const cache = (name: string, active: number): string => `cache ${name}:
current active connections:\t${String(active).padStart(12)}
connections created:\t\t       99999\tfailed:\t           0
connections updated:\t\t           0\tfailed:\t           0
connections destroyed:\t\t           0\tfailed:\t           0
`
const injected = `external inject:
connections created:\t\t       41000\tfailed:\t           0
connections updated:\t\t           0\tfailed:\t           0
connections destroyed:\t\t           0\tfailed:\t           0
`

t.test('the statistics of a daemon, with and without an external cache', async (t) => {
  t.same(parseStats(`${cache('internal', 5)}\n${cache('external', 61000)}${traffic}`), { internal: 5, external: 61000, injected: null, lostMessages: 17 })
  t.same(parseStats(`${cache('internal', 0)}\n${injected}${traffic}`), { internal: 0, external: null, injected: 41000, lostMessages: 17 })
  t.throws(() => parseStats('[ERROR] can\'t connect: is conntrackd running?'), /conntrackd -s: no internal cache/)
  t.throws(() => parseStats(''), /no internal cache/)
})

t.test('other answers', async (t) => {
  t.equal(parseCount('121000\n'), 121000)
  t.equal(parseCount('0\n'), 0)
  t.throws(() => parseCount('conntrack v1.4.7 (conntrack-tools): Operation failed'), /conntrack -C: no number/)
  t.equal(parseVersion('Connection tracking userspace daemon v1.4.7. Licensed under GPLv2.\n(C) 2006-2009'), '1.4.7')
  t.equal(parseVersion(''), 'unknown')
  t.equal(commitTimeMs('[notice] commit has taken 9.000001 seconds\n[notice] flushing\n[notice] commit has taken 0.549785 seconds\n'), 549.785)
  t.equal(commitTimeMs('[notice] initialization completed'), null)
})

t.test('CPU time is that of the process and its children, whatever its name', async (t) => {
  t.equal(ticksOf('8521 (conntrackd) R 1 2 3 0 -1 4194304 100 0 0 0 120 34 5 1 -100 0 1 0 5000000 1 2'), 160)
  t.equal(ticksOf('8521 (a) R (b c) S 1 2 3 0 -1 4194304 100 0 0 0 1 2 3 4 20 0 1 0 5000000 1 2'), 10)
  t.throws(() => ticksOf('8521 (conntrackd) R 1 2'), /not a line/)
  t.throws(() => ticksOf(''), /not a line/)
})

t.test('configuration: each is the other\'s peer, the mode as asked, caches of twice the table', async (t) => {
  const send = daemonConfig({ directory: '/d', role: 'send', externalCache: true, maxFlows: 300_000 })
  const recv = daemonConfig({ directory: '/d', role: 'recv', externalCache: false, maxFlows: 300_000 })
  t.match(send, /IPv4_address 10\.99\.0\.1\n\s+IPv4_Destination_Address 10\.99\.0\.2\n/)
  t.match(recv, /IPv4_address 10\.99\.0\.2\n\s+IPv4_Destination_Address 10\.99\.0\.1\n/)
  t.match(send, /DisableExternalCache Off\n\s+CommitTimeout/)
  t.match(recv, /DisableExternalCache On\n/)
  t.notMatch(recv, /CommitTimeout/, 'refused by the daemon in this mode')
  t.match(send, /HashSize 524288\n\s+HashLimit 600000\n/)
  t.match(send, /Mode FTFW/)
  for (const file of ['log', 'lock', 'ctl']) t.match(recv, new RegExp(`/d/recv\\.${file}\n`))
  for (const text of [send, recv, ruleset]) t.equal(text.split('{').length, text.split('}').length, 'brackets match')
  t.match(ruleset, /dport 3780 notrack/, 'its own datagrams are not flows')
})

t.test('the highest rate: doubled until it fails, then halved, never without end', async (t) => {
  const search = (limit: number, from: number, maxTries: number): number[] => {
    const tries: Array<{ offeredPerS: number, ok: boolean }> = []
    for (let rate = nextRate(tries, from, maxTries); rate !== null; rate = nextRate(tries, from, maxTries)) tries.push({ offeredPerS: rate, ok: rate <= limit })
    return tries.map((a) => a.offeredPerS)
  }
  t.same(search(35_000, 10_000, 20), [10_000, 20_000, 40_000, 30_000, 35_000, 37_500, 36_250])
  t.same(search(35_000, 10_000, 4), [10_000, 20_000, 40_000, 30_000])
  t.same(search(4000, 10_000, 5), [10_000, 5000, 2500, 3750, 4375], 'down, when the first fails')
  t.equal(search(0, 10_000, 50).length, 6, 'and it gives up')
  t.equal(search(Infinity, 10_000, 5).length, 5)
})

t.test('it kept up when nothing was lost and nothing piled up', async (t) => {
  t.ok(keptUp({ flowsPerS: 30_000, arrivedPerS: 29_500, lost: 0 }))
  t.notOk(keptUp({ flowsPerS: 30_000, arrivedPerS: 29_500, lost: 1 }))
  t.notOk(keptUp({ flowsPerS: 30_000, arrivedPerS: 25_000, lost: 0 }))
  t.notOk(keptUp({ flowsPerS: NaN, arrivedPerS: NaN, lost: 0 }))
})
