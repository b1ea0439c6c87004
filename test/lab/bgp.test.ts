/** Sessions of real FRR, BIRD and GoBGP: what happens to them and to their daemons, and what is said of it. */
import t from 'tap'
import { BgpRig, bgpSkip, HOLD_MS, sessions, type Session } from './bgp-rig.js'
import { until } from '../until.js'

const skip = await bgpSkip()

const upOnly = (names: readonly string[]): boolean => names.every(name => name === 'neighbour-up' || name === 'neighbour-new' || name === 'neighbour-unknown')

t.test('sessions of FRR, BIRD and GoBGP', { skip }, async (t) => {
  const rig = await BgpRig.open(t)
  await rig.allUp()

  await t.test('established: since, round trip of the kernel, own address, AS', async (t) => {
    await until('round trips are there', () => Object.keys(sessions).every(session => rig.of(session as Session)?.rttNs !== null))
    for (const session of Object.keys(sessions) as Session[]) {
      const n = rig.of(session)
      t.match(n, { established: true, fsm: 'established', adminDown: false, unknownBecause: null, local: String }, session)
      t.ok((n?.rttNs ?? 0) > 0 && n?.cookie !== null, `${session}: round trip and socket`)
      t.ok(n?.since != null && n.since <= Date.now() + 1000 && n.since > Date.now() - 600_000, `${session}: since`)
    }
    t.same([rig.of('a/169.254.0.1')?.remoteAs, rig.of('b/169.254.0.0')?.remoteAs, rig.of('c/169.254.0.2')?.remoteAs], [65002, 65001, 65001])
  })

  await t.test('a storm of route refreshes is no flap', async (t) => {
    const before = rig.flaps
    for (let i = 0; i < 30; i++) await rig.vtysh('clear bgp * soft')
    await rig.allUp()
    t.same(rig.flaps, before)
  })

  await t.test('shut down on one side: shut down there, down at the peer, and one flap of both', async (t) => {
    const [from, before] = [rig.events.length, rig.flaps]
    await rig.vtysh('configure', 'router bgp 65001', 'neighbor 169.254.0.3 shutdown')
    await rig.become({ 'a/169.254.0.3': 'down', 'c/169.254.0.2': 'down' })
    t.match(rig.of('a/169.254.0.3'), { adminDown: true, reason: /Admin/, rttNs: null, flaps: before['a/169.254.0.3'] + 1 })
    t.match(rig.of('c/169.254.0.2'), { adminDown: false, flaps: before['c/169.254.0.2'] + 1 })
    await rig.vtysh('configure', 'router bgp 65001', 'no neighbor 169.254.0.3 shutdown')
    await rig.allUp()
    t.same(rig.told('a/169.254.0.3', from), ['neighbour-down', 'neighbour-up'])
    t.same([rig.told('a/169.254.0.1', from), rig.told('b/169.254.0.0', from)], [[], []], 'the others are not touched')
    t.same([rig.flaps['a/169.254.0.3'], rig.flaps['c/169.254.0.2']], [before['a/169.254.0.3'] + 1, before['c/169.254.0.2'] + 1])
  })

  await t.test('reset: a flap, and a session of now', async (t) => {
    const [before, since] = [rig.flaps['a/169.254.0.1'], rig.of('a/169.254.0.1')?.since ?? 0]
    await rig.vtysh('clear bgp 169.254.0.1')
    await until('it ended and is up again', () => rig.flaps['a/169.254.0.1'] > before && rig.states['a/169.254.0.1'] === 'up')
    t.equal(rig.flaps['a/169.254.0.1'], before + 1)
    t.ok((rig.of('a/169.254.0.1')?.since ?? 0) > since)
    await until('BIRD saw it too', () => rig.states['b/169.254.0.0'] === 'up' && rig.flaps['b/169.254.0.0'] === before + 1)
  })

  await t.test('the daemon hangs: held, then unknown, never down; its peers know after the hold time', async (t) => {
    const [from, before] = [rig.events.length, rig.flaps]
    rig.signal('a', 'SIGSTOP')
    const stopped = Date.now()
    await rig.become({ 'a/169.254.0.1': 'unknown', 'a/169.254.0.3': 'unknown' })
    t.match(rig.of('a/169.254.0.1')?.unknownBecause, /no answer within 500 ms/)
    await rig.become({ 'b/169.254.0.0': 'down', 'c/169.254.0.2': 'down' })
    t.ok(Date.now() - stopped >= HOLD_MS - 1100, 'not before the hold time, of which a part had passed')
    t.same([rig.told('a/169.254.0.1', from), rig.told('a/169.254.0.3', from)], [['neighbour-unknown'], ['neighbour-unknown']])
    t.same([rig.flaps['a/169.254.0.1'], rig.flaps['a/169.254.0.3']], [before['a/169.254.0.1'], before['a/169.254.0.3']], 'nobody knows of an end')
    t.equal(rig.events.slice(from).filter(({ name, object }) => name === 'source-failed' && object === 'source a').length, 1, 'told once')
    rig.signal('a', 'SIGCONT')
    await rig.allUp()
    t.same([rig.flaps['a/169.254.0.1'], rig.flaps['a/169.254.0.3']], [before['a/169.254.0.1'] + 1, before['a/169.254.0.3'] + 1], 'now they do')
  })

  await t.test('a peer hangs: up until the hold time is over, then down; its own view is unknown', async (t) => {
    const from = rig.events.length
    rig.signal('b', 'SIGSTOP')
    await rig.become({ 'b/169.254.0.0': 'unknown' })
    await rig.become({ 'a/169.254.0.1': 'down' })
    t.match(rig.of('a/169.254.0.1'), { reason: /Hold|Notification/i })
    t.equal(rig.states['a/169.254.0.3'], 'up')
    rig.signal('b', 'SIGCONT')
    await rig.allUp()
    t.same(rig.told('a/169.254.0.1', from).slice(0, 1), ['neighbour-down'])
    t.ok(upOnly(rig.told('a/169.254.0.3', from)), 'no false down elsewhere')
  })

  await t.test('a peer is killed: down at once; its source fails and it is unknown, not down', async (t) => {
    const [from, before] = [rig.events.length, rig.flaps['c/169.254.0.2']]
    await rig.kill('c')
    await rig.become({ 'a/169.254.0.3': 'down', 'c/169.254.0.2': 'unknown' })
    t.same(rig.told('c/169.254.0.2', from).filter(name => name === 'neighbour-down'), [])
    await rig.start('c')
    await rig.allUp()
    t.ok(upOnly(rig.told('a/169.254.0.1', from)))
    t.equal(rig.flaps['c/169.254.0.2'], before + 1, 'counted over its two lives')
  })

  await t.test('the daemon is killed and started again: its counters begin anew, the session ended once', async (t) => {
    const [from, before] = [rig.events.length, rig.flaps]
    t.ok((rig.of('a/169.254.0.1')?.drops ?? 0) > 0, 'it has counted')
    await rig.kill('a')
    await until('nobody answers', () => rig.runner.view.sources().some(({ scope, failed }) => scope === 'a' && /no daemon listens/.test(failed ?? '')))
    await rig.start('a')
    await rig.allUp()
    t.equal(rig.of('a/169.254.0.1')?.drops, 0)
    t.same([rig.flaps['a/169.254.0.1'], rig.flaps['a/169.254.0.3']], [before['a/169.254.0.1'] + 1, before['a/169.254.0.3'] + 1])
    t.notOk(rig.told('a/169.254.0.1', from).includes('neighbour-gone'))
  })

  await t.test('the link is cut: down on both sides after the hold time, and back', async (t) => {
    const [from, before] = [rig.events.length, rig.flaps]
    await rig.at('a', 'ip', 'link', 'set', 'dev', 'b', 'down')
    await rig.become({ 'a/169.254.0.1': 'down', 'b/169.254.0.0': 'down' })
    t.same([rig.states['a/169.254.0.3'], rig.states['c/169.254.0.2']], ['up', 'up'])
    await rig.at('a', 'ip', 'link', 'set', 'dev', 'b', 'up')
    await rig.allUp()
    t.equal(rig.flaps['a/169.254.0.1'], before['a/169.254.0.1'] + 1)
    t.ok(upOnly(rig.told('a/169.254.0.3', from)))
  })

  await t.test('a neighbour leaves the configuration', async (t) => {
    await rig.vtysh('configure', 'router bgp 65001', 'no neighbor 169.254.0.3')
    await rig.become({ 'a/169.254.0.3': 'none', 'c/169.254.0.2': 'down' })
    t.equal(rig.states['a/169.254.0.1'], 'up')
  })
})

t.test('the kernel alone: a session is a connection, and goes with it', { skip }, async (t) => {
  const rig = await BgpRig.open(t)
  await rig.allUp()
  rig.runner.configure({ intervalMs: 200, timeoutMs: 500, maxAgeMs: 1500, report: null, announce: null, sources: [{ name: 'kernel', type: 'kernel', vrf: null, namespaces: ['a', 'b', 'c'] }] })
  await until('connections are there', () => rig.runner.view.neighbours().filter(({ state, source }) => state === 'up' && source === 'kernel').length === 4)
  await rig.kill('c')
  await rig.become({ 'a/169.254.0.3': 'down', 'c/169.254.0.2': 'down', 'a/169.254.0.1': 'up' })
})
