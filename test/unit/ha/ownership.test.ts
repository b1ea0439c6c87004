/** The machine as a whole: start, epochs on disk, leases, restarts, preempt, contests, commands. */
import t from 'tap'
import { fastTiming, maxLeaseMs } from '../../../src/ha/lease.js'
import { makeEpoch } from '../../../src/ha/rg.js'
import { Driven, goodFacts, rgStatus } from './rig.js'

const claim = (counter: bigint, over: Parameters<typeof rgStatus>[0] = {}): { readonly rgs: ReadonlyArray<ReturnType<typeof rgStatus>> } =>
  ({ rgs: [rgStatus({ role: 'owner', epoch: makeEpoch(counter, 2), ...over })] })

/** Its heart let go: it says hold in the epoch that it had. */
const letGo = { agent: 'away', rgs: [rgStatus({ role: 'hold', epoch: makeEpoch(5n, 2), holds: ['resigned'] })] } as const

t.test('a node listens for the detection time, without state for the longest lease (R24)', async (t) => {
  const known = new Driven().start(new Map([[0, makeEpoch(4n, 1)]]))
  t.equal(known.run(250).role(), 'init')
  t.equal(known.run(100).role(), 'owner')
  t.equal(known.epoch(), makeEpoch(5n, 1), 'above what is on its disk')
  const fresh = new Driven().start(null)
  t.equal(fresh.run(maxLeaseMs - 1).role(), 'init')
  t.equal(fresh.run(100).role(), 'owner')
})

t.test('without a peer it owns at once and for ever', async (t) => {
  const d = new Driven({ peers: [] }).start(null)
  t.equal(d.role(), 'owner')
  t.ok(d.roles().filter(a => a.role === 'owner').every(a => a.leaseDeadlineMs === Infinity))
})

t.test('an epoch is on disk before its role is used, and is asked for again', async (t) => {
  const d = new Driven()
  d.disk = false
  d.start().run(3000)
  t.equal(d.role(), 'standby')
  const asked = d.actions.flatMap(a => a.kind === 'persistEpoch' ? [a.epoch] : [])
  t.equal(new Set(asked).size, 1, 'the same epoch')
  t.ok(asked.length >= 3 && asked.length <= 4)
  d.give({ kind: 'persisted', rg: 0, epoch: 1n })
  t.equal(d.role(), 'standby', 'another epoch confirms nothing')
  d.give({ kind: 'persisted', rg: 0, epoch: asked[0] ?? 0n })
  t.equal(d.role(), 'owner')
})

t.test('takeover: detection and no more, at 10 ms x 5', async (t) => {
  const d = new Driven({ timing: fastTiming })
  d.peer = claim(5n)
  d.start().run(1000)
  t.equal(d.role(), 'standby')
  d.peer = null
  const silentMs = d.nowMs
  while (d.role() !== 'owner' && d.nowMs < silentMs + 100) d.run(1)
  t.ok(d.nowMs - silentMs <= 51, `${d.nowMs - silentMs} ms`)
  t.equal(d.epoch(), makeEpoch(6n, 1), 'above the epoch of the one that is gone')
})

t.test('the lease goes on without the peer, and ends when the witness is gone as well', async (t) => {
  const d = new Driven({ witness: true })
  d.peer = { rgs: [rgStatus({ priority: 50 })] }
  d.start().give({ kind: 'witness', seen: true })
  d.run(1000)
  d.peer = null
  d.run(1000)
  t.equal(d.role(), 'owner')
  d.clear().give({ kind: 'witness', seen: false })
  t.equal(d.role(), 'hold')
  t.same(d.roles().map(a => a.leaseDeadlineMs), [0])
  t.same(d.kinds().filter(k => k === 'withdraw'), ['withdraw'])
  d.run(10_000)
  t.equal(d.role(), 'hold')
  d.give({ kind: 'witness', seen: true })
  t.equal(d.role(), 'owner')
})

t.test('restart hold: an announced restart is waited for while the keeper is heard (D3)', async (t) => {
  const d = new Driven()
  d.peer = { ...claim(5n), restartHoldMs: 30_000 }
  d.start().run(1000)
  d.peer = { ...claim(5n), agent: 'away', restartHoldMs: 30_000 }
  d.run(29_900)
  t.same([d.role(), d.asks()], ['standby', false])
  d.run(200)
  t.same([d.role(), d.asks()], ['standby', true], 'not for ever: the heart is asked to let go')
  d.run(10_000)
  t.equal(d.role(), 'standby', 'what it owns it owns until it says so: its clock may stand still')
  d.peer = letGo
  d.run(200)
  t.same([d.role(), d.asks()], ['owner', false])
  const back = new Driven()
  back.peer = { ...claim(5n), agent: 'away', restartHoldMs: 30_000 }
  back.start().run(20_000)
  back.peer = claim(5n)
  back.run(100_000)
  t.equal(back.role(), 'standby', 'it came back')
  const dead = new Driven()
  dead.peer = { ...claim(5n), agent: 'away', restartHoldMs: 30_000 }
  dead.start().run(2000)
  dead.peer = null
  dead.run(400)
  t.equal(dead.role(), 'owner', 'no keeper, no hold')
})

t.test('an agent that is away without a word is not waited for', async (t) => {
  const d = new Driven()
  d.peer = claim(5n)
  d.start().run(1000)
  d.peer = { ...claim(5n), agent: 'away' }
  d.run(200)
  t.ok(d.asks())
  d.peer = letGo
  d.run(200)
  t.equal(d.role(), 'owner')
})

t.test('who asked for a group asks no more when the agent is back, and takes it when its host falls silent', async (t) => {
  const d = new Driven()
  d.peer = { ...claim(5n), agent: 'away' }
  d.start().run(1000)
  t.ok(d.asks())
  d.peer = claim(5n)
  d.run(200)
  t.same([d.role(), d.asks()], ['standby', false])
  d.peer = { ...claim(5n), agent: 'away' }
  d.run(200)
  d.peer = null
  d.run(400)
  t.equal(d.role(), 'owner')
})

t.test('nothing is decided while heartbeats wait that came before (a host hung while another reboot owned)', async (t) => {
  const d = new Driven()
  d.peer = { rgs: [rgStatus({ role: 'init', ready: false, synced: false, holds: ['listening'] })] }
  d.disk = false
  d.start().run(1000)
  const asked = d.actions.findLast(a => a.kind === 'persistEpoch')
  t.match(asked, { kind: 'persistEpoch' }, 'it goes first')
  if (asked?.kind !== 'persistEpoch') return
  d.give({ kind: 'persisted', rg: 0, epoch: asked.epoch, behind: true })
  t.equal(d.role(), 'standby')
  d.peer = claim(5n)
  d.run(200)
  t.equal(d.role(), 'standby', 'the peer owns')
})

t.test('a node whose dataplane goes on without its agent says how long to wait for that one', async (t) => {
  const d = new Driven().start().run(1000)
  t.equal(d.said().restartHoldMs, null)
  d.give({ kind: 'outlives', outlives: true })
  t.equal(d.said().restartHoldMs, 30_000)
})

t.test('a lease that the keeper kept alive is taken over, in the epoch on disk only', async (t) => {
  const epoch = makeEpoch(7n, 1)
  const kept = new Driven()
  kept.give({ kind: 'started', epochs: new Map([[0, epoch]]), adopted: [{ rg: 0, epoch }] })
  t.equal(kept.role(), 'owner')
  t.equal(kept.epoch(), epoch)
  t.equal(kept.run(1000).role(), 'owner')
  for (const epochs of [new Map([[0, makeEpoch(8n, 1)]]), null]) {
    const lost = new Driven()
    lost.give({ kind: 'started', epochs, adopted: [{ rg: 0, epoch }] })
    t.equal(lost.role(), 'init')
  }
})

t.test('a lease that lapsed is not renewed: the node listens anew', async (t) => {
  const d = new Driven()
  d.peer = { rgs: [rgStatus({ priority: 50 })] }
  d.start().run(1000)
  const epoch = d.epoch() ?? 0n
  d.clear().give({ kind: 'lapsed', rgs: [0] })
  t.equal(d.role(), 'hold')
  t.same(d.word()?.holds, ['listening'])
  t.same(d.kinds().filter(k => k === 'withdraw'), ['withdraw'])
  d.run(400)
  t.equal(d.role(), 'owner')
  t.ok((d.epoch() ?? 0n) > epoch, 'in a new epoch')
})

t.test('two owners after healing: the loser stands by, the winner tells the network where the addresses are', async (t) => {
  const loser = new Driven().start().run(1000)
  loser.hear(claim(50n))
  t.equal(loser.role(), 'standby')
  const winner = new Driven().start(new Map([[0, makeEpoch(60n, 1)]])).run(1000).clear()
  winner.hear(claim(50n))
  t.equal(winner.role(), 'owner')
  t.ok(winner.notes().some(n => n.name === 'contested'))
  winner.hear({ rgs: [rgStatus({ epoch: winner.epoch() ?? 0n, priority: 50 })] })
  t.ok(winner.notes().some(n => n.name === 'uncontested'))
  t.same(winner.kinds().filter(k => k === 'announce'), ['announce'])
})

t.test('a loser says which epoch it gave up, and an owner that never heard it own announces once more', async (t) => {
  const loser = new Driven().start().run(1000)
  const lost = loser.epoch() ?? 0n
  loser.hear(claim(50n))
  t.equal(loser.word()?.gaveWay, lost)
  const winner = new Driven().start(new Map([[0, makeEpoch(60n, 1)]]))
  winner.hear({})
  winner.run(1000).hear({})
  winner.clear().hear({ rgs: [rgStatus({ gaveWay: lost })] })
  t.notOk(winner.notes().some(n => n.name === 'contested'))
  t.same(winner.kinds().filter(k => k === 'announce'), ['announce'])
  winner.clear().hear({ rgs: [rgStatus({ gaveWay: lost })] })
  t.notOk(winner.kinds().includes('announce'), 'once')
})

t.test('an owner that hears a peer again announces: what that one said of the addresses meanwhile it does not know', async (t) => {
  const d = new Driven().start().run(1000).clear()
  d.hear({})
  t.equal(d.kinds().filter(k => k === 'announce').length, 1)
  d.clear().run(100)
  d.hear({})
  t.notOk(d.kinds().includes('announce'), 'not while it is heard')
  d.run(1000).clear()
  d.hear({})
  t.equal(d.kinds().filter(k => k === 'announce').length, 1)
})

t.test('an owner announces when its peer was elected unheard and died at once: heard in another life, or by an epoch that is ahead (seed 690005519)', async (t) => {
  const life = { rgs: [rgStatus({ role: 'init', holds: ['listening'], ready: false, synced: false })] }
  const d = new Driven().start().run(1000)
  d.hear(life)
  d.hear({ ...life, bootId: 'boot-c', seq: 1n })
  d.clear().run(200)
  d.hear({ ...life, bootId: 'boot-c', seq: 2n })
  t.equal(d.role(), 'owner')
  t.equal(d.kinds().filter(k => k === 'announce').length, 1, 'another life')
  d.clear().run(100)
  d.hear({ bootId: 'boot-c', seq: 3n, rgs: [rgStatus({ epoch: makeEpoch(90n, 2) })] })
  d.run(100)
  t.ok((d.epoch() ?? 0n) > makeEpoch(90n, 2))
  t.equal(d.kinds().filter(k => k === 'announce').length, 1, 'an epoch that was used by another')
})

t.test('who wins by priority with the lower epoch raises it above the loser\'s', async (t) => {
  const d = new Driven().start().run(1000)
  const counter = (d.epoch() ?? 0n) >> 8n
  d.hear(claim(counter, { priority: 50 }))
  t.equal(d.role(), 'owner')
  t.equal(d.epoch(), makeEpoch(counter + 1n, 1))
})

t.test('preempt asks for a move once it is proven equal, and tries again later', async (t) => {
  const d = new Driven({ rgs: [{ rg: 0, priority: 200, preempt: true }] })
  d.peer = claim(5n)
  d.start(new Map(), { ...goodFacts, provenEqual: false }).run(3000)
  t.same(d.sent(), [])
  d.give({ kind: 'readiness', rg: 0, facts: goodFacts })
  t.match(d.sent(), [{ kind: 'request', manual: false }])
  const [first] = d.sent()
  d.message({ kind: 'refused', reasons: ['epoch-differs'], moveId: first?.moveId ?? '' })
  d.clear().run(4900)
  t.same(d.sent(), [])
  d.run(200)
  t.match(d.sent()[0], { kind: 'request' })
})

t.test('an owner that must not own offers the group to a ready peer, and stays while there is none', async (t) => {
  const d = new Driven()
  d.peer = { rgs: [rgStatus({ priority: 50, ready: false, synced: false })] }
  d.start().run(1000).clear()
  d.give({ kind: 'command', command: { kind: 'hold', rgs: [0] } })
  t.same([d.role(), d.sent()], ['owner', []])
  d.hear({ rgs: [rgStatus({ priority: 50 })] })
  t.match(d.sent(), [{ kind: 'offer', manual: false }])
})

t.test('weights move ownership after their hold; returning, they do not take it back by themselves', async (t) => {
  const d = new Driven()
  d.peer = { rgs: [rgStatus({ priority: 50 })] }
  d.start().run(1000).clear()
  d.give({ kind: 'monitors', rg: 0, lostWeight: 60 })
  t.equal(d.word()?.priority, 40)
  t.same([d.role(), d.sent()], ['owner', []], 'worse than the peer is not unfit: without preempt nobody moves')
  d.give({ kind: 'monitors', rg: 0, lostWeight: 100 })
  t.match(d.sent(), [{ kind: 'offer' }])
})

t.test('a group that leaves the configuration is given up; one that returns counts on', async (t) => {
  const d = new Driven().start().run(1000)
  const epoch = d.epoch() ?? 0n
  d.clear().give({ kind: 'configured', generation: 2n, rgs: [] })
  t.same(d.roles().filter(a => a.rg === 0).map(a => a.role), ['standby'])
  t.ok(d.kinds().includes('withdraw'))
  d.give({ kind: 'configured', generation: 3n, rgs: [{ rg: 0, priority: 100, preempt: false }] })
  d.give({ kind: 'readiness', rg: 0, facts: goodFacts })
  t.equal(d.role(), 'owner')
  t.ok((d.epoch() ?? 0n) > epoch)
})

t.test('a batch is judged group by group', async (t) => {
  const d = new Driven({ rgs: [0, 1].map(rg => ({ rg, priority: 100, preempt: false })) })
  d.peer = { rgs: [rgStatus({ role: 'owner', epoch: makeEpoch(5n, 2) }), rgStatus({ rg: 1, role: 'owner', epoch: makeEpoch(5n, 2) })] }
  d.start().run(1000)
  d.give({ kind: 'readiness', rg: 1, facts: { ...goodFacts, natPortsUnreserved: 3 } })
  d.clear().give({ kind: 'command', command: { kind: 'switchover', rgs: [0, 1, 9], to: 'a' } })
  t.match(d.sent(), [{ kind: 'request', rg: 0 }])
  t.match(d.notes().filter(n => n.name === 'move-refused'), [{ rg: 1, reasons: ['nat-ports'] }, { rg: 9, reasons: ['unknown-group'] }])
})

t.test('messages of strangers, for others, or before the node has listened change nothing', async (t) => {
  const d = new Driven()
  d.peer = { rgs: [rgStatus({ priority: 50 })] }
  d.start()
  d.message({ kind: 'owning', epoch: makeEpoch(99n, 2) })
  d.run(1000)
  t.equal(d.epoch(), makeEpoch(1n, 1))
  d.clear()
  for (const over of [{ from: 'mallory' }, { to: 'c' }, { rg: 5 }]) d.message({ kind: 'request', manual: true, epoch: d.epoch() ?? 0n, generation: 1n, ...over })
  t.same([d.role(), d.sent()], ['owner', []])
  d.message({ kind: 'final', seq: 3n })
  t.match(d.sent(), [{ kind: 'abort' }], 'a move that we gave up or never knew')
})

t.test('a move asks for an epoch of its own, whatever was on its way to the disk', async (t) => {
  const d = new Driven({ rgs: [{ rg: 0, priority: 200, preempt: true }] })
  d.disk = false
  d.start(new Map([[0, makeEpoch(9n, 1)]])).run(1000)
  const early = d.actions.flatMap(a => a.kind === 'persistEpoch' ? [a.epoch] : [])[0] ?? 0n
  d.hear(claim(5n))
  const { moveId = '' } = d.sent().find(m => m.kind === 'request') ?? {}
  d.give({ kind: 'persisted', rg: 0, epoch: early })
  d.message({ kind: 'final', seq: 3n, moveId })
  d.clear().give({ kind: 'cut', rg: 0, moveId, equal: true })
  const asked = d.actions.flatMap(a => a.kind === 'persistEpoch' ? [a.epoch] : [])
  t.equal(asked.length, 1)
  t.equal(d.role(), 'take')
  d.give({ kind: 'persisted', rg: 0, epoch: asked[0] ?? 0n })
  t.equal(d.role(), 'owner')
})

t.test('a takeover waits for no disk: the next epoch was on it before', async (t) => {
  const d = new Driven()
  d.peer = claim(5n)
  d.start().run(1000)
  t.equal(d.role(), 'standby')
  d.disk = false
  d.peer = null
  d.clear().run(400)
  t.equal(d.role(), 'owner')
  t.equal(d.epoch(), makeEpoch(6n, 1))
  const [lost] = d.notes().filter(n => n.name === 'peer' && n.to === 'lost')
  t.match(lost, { node: 'b', silentMs: 300 })
})

t.test('a standby that was never in step has no epoch on the disk that it does not need', async (t) => {
  const d = new Driven()
  d.peer = claim(5n)
  d.start(new Map(), { ...goodFacts, provenEqual: false }).run(1000)
  t.notOk(d.kinds().includes('persistEpoch'))
})

t.test('an agent that starts again under the same keeper uses no move id twice', async (t) => {
  const ids = [0, 5000].map((bornMs) => {
    const d = new Driven()
    d.nowMs = bornMs
    d.peer = claim(5n)
    d.start().run(1000).give({ kind: 'command', command: { kind: 'switchover', rgs: [0], to: 'a' } })
    return d.sent()[0]?.moveId
  })
  t.ok(ids[0] !== undefined && ids[1] !== undefined && ids[0] !== ids[1])
})

t.test('time does not run backwards', async (t) => {
  const d = new Driven().start().run(1000)
  const { nowMs } = d.state
  d.nowMs = 500
  d.give({ kind: 'tick' })
  t.equal(d.state.nowMs, nowMs)
  t.equal(d.role(), 'owner')
})

t.test('a state is not changed by a step', async (t) => {
  const d = new Driven().start().run(1000)
  const before = JSON.stringify(d.state, (_, v: unknown) => typeof v === 'bigint' ? String(v) : v)
  const { state } = d
  d.hear(claim(50n))
  d.give({ kind: 'command', command: { kind: 'hold', rgs: [0] } })
  t.equal(JSON.stringify(state, (_, v: unknown) => typeof v === 'bigint' ? String(v) : v), before)
})

t.test('a life that a replay of an earlier one hid is taken for what it is when that is late, if it was heard as often or twice', async (t) => {
  const heard = (over: number, times: number): Driven => {
    const d = new Driven()
    d.start()
    for (let i = 0; i < over; i++) {
      d.nowMs = 90 + i
      d.hear({ bootId: 'over', rgs: [rgStatus({ role: 'init', ready: false, synced: false })] })
    }
    for (let i = 0; i < times; i++) {
      d.nowMs = 110 + 100 * i
      d.hear(claim(5n))
    }
    return d.until(320)
  }
  for (const d of [heard(1, 1), heard(3, 2)]) {
    t.same([d.role(), d.code()], ['standby', 'peer-owns'], 'listening was over at 300')
    t.ok(d.notes().some(n => n.name === 'peer-rebooted'))
  }
  t.equal(heard(3, 1).role(), 'owner', 'one word may be a replay')
})

t.test('who was elected while a move was asked for announces, though the move does not end', async (t) => {
  const d = new Driven()
  d.peer = claim(5n)
  d.start().run(1000)
  d.clear().message({ kind: 'offer', manual: false })
  t.equal(d.sent()[0]?.kind, 'request')
  d.hear({ rgs: [rgStatus({ role: 'hold', epoch: makeEpoch(5n, 2), holds: ['weight', 'resigned'] })] })
  d.run(100)
  t.equal(d.role(), 'owner')
  t.ok(d.kinds().includes('announce'))
})
