/** What went wrong with ownership elsewhere (docs/design/0005-hazards.md), each as a named case. */
import t from 'tap'
import { leaseMs } from '../../../src/ha/lease.js'
import { forwards, makeEpoch } from '../../../src/ha/rg.js'
import { Network } from './network.js'
import { Driven, goodFacts, rgStatus } from './rig.js'

const peerOwner = { rgs: [rgStatus({ role: 'owner', epoch: makeEpoch(5n, 2) })] }
const peerStandby = { rgs: [rgStatus()] }
const preempting = { rgs: [{ rg: 0, priority: 200, preempt: true }] }

/** This node owns, the peer is a ready standby of lower rank. */
function ownerHere (over: ConstructorParameters<typeof Driven>[0] = {}): Driven {
  const d = new Driven(over)
  d.peer = { rgs: [rgStatus({ priority: 50 })] }
  return d.start().run(1000).clear()
}

/** The peer owns, this node is a ready standby. */
function standbyHere (over: ConstructorParameters<typeof Driven>[0] = {}): Driven {
  const d = new Driven(over)
  d.peer = peerOwner
  return d.start().run(1000).clear()
}

t.test('H61 during a planned move there is no instant at which nobody forwards', async (t) => {
  for (let seed = 1; seed <= 5; seed++) {
    const net = new Network(seed, { nodes: 2, loss: 0, chaos: false, witness: false }).run({ untilMs: 15_000 })
    const [owner] = net.owners(0)
    const target = net.hosts.find(h => h !== owner)
    if (target === undefined) throw new Error('no target')
    net.command(target, { kind: 'switchover', rgs: [0], to: target.name })
    for (let i = 0; i < 3000; i++) {
      net.run({ untilMs: net.nowMs + 1 })
      if (!net.hosts.some(h => forwards(h.planes[0]?.role ?? 'init') && net.valid(h, 0))) t.fail(`nobody at ${net.nowMs}, seed ${seed}`)
      if (net.owners(0).length > 1) t.fail(`two creators at ${net.nowMs}, seed ${seed}`)
    }
    t.same(net.owners(0).map(h => h.name), [target.name], `seed ${seed}`)
  }
})

t.test('H62 addresses come after the role, and leave after it', async (t) => {
  const d = new Driven().start().run(1000)
  t.equal(d.role(), 'owner')
  const order = (kind: 'announce' | 'withdraw', role: string): void => {
    const at = d.actions.findIndex(a => a.kind === kind)
    t.ok(at > d.actions.findIndex(a => a.kind === 'setRole' && a.role === role) && at >= 0, `${kind} after ${role}`)
  }
  order('announce', 'owner')
  d.clear().hear({ rgs: [rgStatus({ role: 'owner', epoch: makeEpoch(99n, 2) })] })
  t.equal(d.role(), 'standby')
  order('withdraw', 'standby')
})

t.test('H63 a second move of a group under way is refused, and the first goes on', async (t) => {
  const d = ownerHere()
  d.message({ kind: 'request', manual: true, epoch: d.epoch() ?? 0n, generation: 1n, moveId: 'first' })
  t.equal(d.role(), 'yield')
  d.clear().message({ kind: 'request', manual: true, epoch: d.epoch() ?? 0n, generation: 1n, moveId: 'second' })
  t.match(d.sent(), [{ kind: 'refused', moveId: 'second', reasons: ['move-under-way'] }])
  d.clear().give({ kind: 'command', command: { kind: 'switchover', rgs: [0], to: 'b' } })
  t.match(d.notes(), [{ name: 'move-refused', reasons: ['move-under-way'] }])
  t.equal(d.role(), 'yield')
  d.clear().message({ kind: 'request', manual: true, epoch: d.epoch() ?? 0n, generation: 1n, moveId: 'first' })
  t.same(d.sent(), [], 'a repeated request is no second move')
})

t.test('H64 both nodes resigned: a guard of 2 s, cleared when the peer has yielded too', async (t) => {
  const resigned = (): Driven => {
    const d = ownerHere()
    d.peer = { rgs: [rgStatus({ priority: 50, ready: false })] }
    d.run(200).give({ kind: 'monitors', rg: 0, lostWeight: 255 })
    t.equal(d.role(), 'hold')
    d.give({ kind: 'monitors', rg: 0, lostWeight: 0 })
    return d
  }
  const waits = resigned()
  waits.state = { ...waits.state, config: { ...waits.state.config, timers: { ...waits.state.config.timers, betterAfterMs: 0 } } }
  waits.run(1700)
  t.same(waits.word()?.holds, ['resigned'], 'the peer has its chance')
  waits.run(400)
  t.equal(waits.role(), 'owner', 'it did not take it')
  const clears = resigned()
  clears.state = { ...clears.state, config: { ...clears.state.config, timers: { ...clears.state.config.timers, betterAfterMs: 0 } } }
  clears.peer = { rgs: [rgStatus({ role: 'hold', holds: ['weight'], priority: 0 })] }
  clears.run(200)
  t.equal(clears.role(), 'owner', 'nobody to wait for')
})

t.test('H65 a heartbeat from before a move does not undo it, and failing back at once is not in its way', async (t) => {
  const d = ownerHere()
  const before = d.epoch() ?? 0n
  d.message({ kind: 'request', manual: true, epoch: before, generation: 1n })
  d.give({ kind: 'drained', rg: 0, moveId: 'm1', seq: 5n })
  const owned = makeEpoch((before >> 8n) + 1n, 2)
  d.message({ kind: 'owning', epoch: owned })
  t.equal(d.role(), 'standby')
  // Left before the peer owned: it says standby, and that nobody else does.
  d.hear({ rgs: [rgStatus({ priority: 50, epoch: before })] })
  t.equal(d.role(), 'standby')
  t.equal(d.code(), 'peer-owns')
  d.message({ kind: 'ack' })
  d.hear({ rgs: [rgStatus({ role: 'owner', epoch: owned, pinned: true })] })
  d.clear().give({ kind: 'command', command: { kind: 'switchover', rgs: [0], to: 'a' } })
  t.match(d.sent(), [{ kind: 'request', epoch: owned }])
})

t.test('H65 replays of an older life of the peer prove nothing', async (t) => {
  const d = standbyHere()
  d.hear({ bootId: 'boot-c', seq: 1n, rgs: [rgStatus({ role: 'init', holds: ['listening'], ready: false, synced: false })] })
  t.equal(d.role(), 'standby', 'the owner was heard just now')
  d.peer = null
  d.run(200)
  d.hear({ bootId: 'boot-c', seq: 2n, rgs: [rgStatus({ role: 'init', holds: ['listening'], ready: false, synced: false })] })
  t.equal(d.role(), 'owner', 'the peer started anew and owns no more')
  d.hear({ ...peerOwner, bootId: 'boot-b', seq: 500n })
  t.equal(d.role(), 'owner')
  t.notOk(d.notes().some(n => n.name === 'contested'))
})

t.test('H65 a taker that starts anew ends the move at once', async (t) => {
  const d = ownerHere()
  d.message({ kind: 'request', manual: true, epoch: d.epoch() ?? 0n, generation: 1n })
  t.equal(d.role(), 'yield')
  d.peer = null
  d.run(200)
  d.hear({ bootId: 'boot-c', rgs: [rgStatus({ role: 'init', holds: ['listening'] })] })
  t.equal(d.role(), 'owner')
})

t.test('H66 the giver steps down only when the taker says that it owns', async (t) => {
  const d = ownerHere()
  d.message({ kind: 'request', manual: true, epoch: d.epoch() ?? 0n, generation: 1n })
  d.give({ kind: 'drained', rg: 0, moveId: 'm1', seq: 5n })
  d.peer = { rgs: [rgStatus({ role: 'take', epoch: d.epoch() ?? 0n })] }
  d.run(1500)
  t.equal(d.role(), 'yield')
  d.run(1000)
  t.equal(d.role(), 'owner', 'and returns when that takes too long')
})

t.test('H66 a giver that said final and hears the taker no more waits until that has owned or given up', async (t) => {
  const d = ownerHere()
  d.message({ kind: 'request', manual: true, epoch: d.epoch() ?? 0n, generation: 1n })
  d.peer = null
  d.give({ kind: 'drained', rg: 0, moveId: 'm1', seq: 5n })
  d.run(900)
  t.equal(d.state.peers[0]?.known, 'lost')
  t.equal(d.role(), 'yield', 'the taker has half of two seconds')
  d.run(200)
  t.equal(d.role(), 'owner')
})

t.test('H66 the taker\'s heartbeat says the same as its lost message', async (t) => {
  const d = ownerHere()
  const epoch = d.epoch() ?? 0n
  d.message({ kind: 'request', manual: true, epoch, generation: 1n })
  d.give({ kind: 'drained', rg: 0, moveId: 'm1', seq: 5n })
  d.hear({ rgs: [rgStatus({ role: 'owner', epoch: makeEpoch((epoch >> 8n) + 1n, 2) })] })
  t.equal(d.role(), 'standby')
})

t.test('H67 one interface of several that is up makes no group ready', async (t) => {
  const d = standbyHere()
  t.equal(d.word()?.ready, true)
  d.give({ kind: 'readiness', rg: 0, facts: { ...goodFacts, interfacesDown: 1 } })
  t.same(d.word()?.reasons, ['interfaces-down'])
  d.give({ kind: 'command', command: { kind: 'switchover', rgs: [0], to: 'a' } })
  t.match(d.notes(), [{ name: 'move-refused', reasons: ['interfaces-down'] }])
})

t.test('H68 one writer: what was decided before and arrives late sets no role', async (t) => {
  const d = new Driven()
  d.disk = false
  d.peer = null
  d.start().run(1000)
  const asked = d.actions.find(a => a.kind === 'persistEpoch')
  t.ok(asked)
  t.equal(d.role(), 'standby', 'no role before its epoch is on disk')
  d.hear(peerOwner)
  d.clear().give({ kind: 'persisted', rg: 0, epoch: asked?.kind === 'persistEpoch' ? asked.epoch : 0n })
  t.same(d.roles().filter(a => a.role === 'owner'), [])
  t.equal(d.role(), 'standby')
})

t.test('H69 roles are said again with every stamp; what was lost is repaired, what was meant is kept', async (t) => {
  const d = standbyHere({ rgs: [{ rg: 0, priority: 200, preempt: false }] })
  d.clear().run(5000)
  t.ok(d.roles().length >= 90, 'twice an interval')
  t.same([...new Set(d.roles().map(a => a.role))], ['standby'], 'a better priority without preempt takes nothing')
  const pinned = new Driven(preempting)
  pinned.peer = { rgs: [rgStatus({ role: 'owner', epoch: makeEpoch(5n, 2), pinned: true })] }
  pinned.start().run(10_000)
  t.same(pinned.sent(), [], 'nor does preempt undo an operator\'s switchover')
  pinned.peer = peerOwner
  pinned.run(200)
  t.match(pinned.sent()[0], { kind: 'request', manual: false }, 'until it is reset')
})

t.test('H70 a group that the peer names no more, or a peer that is lost, claims nothing', async (t) => {
  const d = standbyHere()
  t.equal(d.code(), 'peer-owns')
  d.hear({ rgs: [] })
  t.equal(d.role(), 'owner', 'it does not have the group')
  const silent = standbyHere()
  silent.peer = null
  silent.run(400)
  t.equal(silent.role(), 'owner')
  silent.hear({ ...peerStandby, generation: 1n })
  t.notOk(silent.notes().some(n => n.name === 'contested'), 'its old claim is not remembered')
})

t.test('H72 kill -9 of an owner: its lease ends before the other one owns', async (t) => {
  for (let seed = 1; seed <= 10; seed++) {
    const net = new Network(seed, { nodes: 2, loss: 0, chaos: false, witness: false }).run({ untilMs: 15_000 })
    const [owner] = net.owners(0)
    if (owner === undefined) throw new Error('no owner')
    net.crash(owner, false)
    const killedAtMs = net.nowMs
    while (net.valid(owner, 0)) {
      t.equal(net.owners(0).length, 1)
      net.run({ untilMs: net.nowMs + 5 })
    }
    t.ok(net.nowMs - killedAtMs <= leaseMs({ intervalMs: 100, count: 3 }) + 5)
    t.equal(net.owners(0).length, 0, 'a moment between')
    net.run({ untilMs: killedAtMs + 500 })
    t.equal(net.owners(0).length, 1)
    t.not(net.owners(0)[0], owner)
  }
})

t.test('H73 the gate does not block a lone survivor: at once when it was in step, else after two minutes', async (t) => {
  const synced = standbyHere()
  synced.give({ kind: 'readiness', rg: 0, facts: { ...goodFacts, interfacesDown: 3, nextHopsUnresolved: 9 } })
  synced.peer = null
  synced.run(350)
  t.equal(synced.role(), 'owner')
  t.ok(synced.notes().some(n => n.name === 'role' && n.code === 'synced'))
  const never = new Driven().start(new Map(), null)
  never.run(120_000)
  t.equal(never.role(), 'standby')
  t.equal(never.code(), 'not-ready')
  never.run(400)
  t.equal(never.role(), 'owner')
  t.ok(never.notes().some(n => n.name === 'role' && n.code === 'degraded'))
})

t.test('H73 interfaces that come up end the wait', async (t) => {
  const d = new Driven().start(new Map(), { ...goodFacts, provenEqual: false, interfacesDown: 1 }).run(20_000)
  t.equal(d.role(), 'standby')
  d.give({ kind: 'readiness', rg: 0, facts: { ...goodFacts, provenEqual: false } })
  t.equal(d.role(), 'owner')
})

t.test('H74 a move into a node inside its hold is refused; the owner stays owner', async (t) => {
  const d = standbyHere()
  d.give({ kind: 'command', command: { kind: 'hold', rgs: [0] } })
  t.equal(d.role(), 'hold')
  d.clear().message({ kind: 'offer', manual: true })
  t.match(d.sent(), [{ kind: 'refused', reasons: ['manual'] }])
  const giver = ownerHere()
  giver.give({ kind: 'command', command: { kind: 'switchover', rgs: [0], to: 'b' } })
  t.equal(giver.role(), 'owner', 'an offer costs nothing')
  const [offer] = giver.sent()
  giver.message({ kind: 'refused', reasons: ['manual'], ...offer === undefined ? {} : { moveId: offer.moveId } })
  t.equal(giver.role(), 'owner')
  t.ok(giver.notes().some(n => n.name === 'move-failed' && n.cause === 'refused' && n.reasons.join() === 'manual'), 'who asked is told the reason')
})

t.test('H75 a wake-up that is lost costs the time to the next event, no more', async (t) => {
  const d = new Driven().start(new Map(), null).run(1000)
  d.nowMs = 200_000
  d.give({ kind: 'tick' })
  t.equal(d.role(), 'owner', 'degraded, long after its time')
  const lost = standbyHere()
  lost.nowMs += 10_000
  lost.give({ kind: 'witness', seen: true })
  t.equal(lost.role(), 'owner', 'any event shows that the peer is lost')
  const held = ownerHere()
  held.give({ kind: 'monitors', rg: 0, lostWeight: 20 })
  held.give({ kind: 'monitors', rg: 0, lostWeight: 0 })
  held.nowMs += 60_000
  held.hear(peerStandby)
  t.equal(held.word()?.priority, 100, 'a hysteresis hold that is over is over')
})

t.test('H75 there is always a next wake-up, and it is in the future', async (t) => {
  const d = ownerHere()
  for (let i = 0; i < 200; i++) {
    d.nowMs = d.wakeAtMs
    t.ok(d.give({ kind: 'tick' }).filter(a => a.kind === 'wakeAt').length === 1 && d.wakeAtMs > d.nowMs && d.wakeAtMs <= d.nowMs + 50, `wake-up ${i}`)
  }
})

t.test('H76 a dead path is told, and is no reason to take over while another lives', async (t) => {
  const d = standbyHere()
  d.peerPaths = ['y']
  d.run(2000)
  t.equal(d.role(), 'standby')
  t.ok(d.notes().some(n => n.name === 'path' && n.path === 'x' && n.to === 'lost'))
  d.peerPaths = ['x', 'y']
  d.run(200)
  t.ok(d.notes().some(n => n.name === 'path' && n.path === 'x' && n.to === 'alive'))
})

t.test('H77 a returning node with an older configuration is not elected and takes nothing', async (t) => {
  const d = standbyHere(preempting)
  d.peer = { ...peerOwner, generation: 9n }
  d.run(1000)
  t.same(d.word()?.holds, ['outdated'])
  t.equal(d.role(), 'hold')
  d.peer = null
  d.run(200_000)
  t.equal(d.role(), 'hold', 'not even alone: an operator resets it')
  d.give({ kind: 'command', command: { kind: 'reset', rgs: [0] } })
  t.equal(d.role(), 'owner')
})

t.test('H78 promotion is refused on another configuration than the owner\'s', async (t) => {
  const d = standbyHere({ generation: 3n })
  d.clear().give({ kind: 'command', command: { kind: 'switchover', rgs: [0], to: 'a' } })
  t.match(d.notes(), [{ name: 'move-refused', reasons: ['generation-differs'] }])
  const giver = ownerHere()
  giver.message({ kind: 'request', manual: true, epoch: giver.epoch() ?? 0n, generation: 2n })
  t.match(giver.sent(), [{ kind: 'refused', reasons: ['generation-differs'] }])
  t.equal(giver.role(), 'owner')
})
