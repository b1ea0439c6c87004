/** Where ownership meets its surroundings: what a node says and writes before it has begun, after it slept, and when a lease has ended. */
import t, { type Test } from 'tap'
import { defaultTiming } from '../../../src/ha/lease.js'
import { defaultTimers } from '../../../src/ha/limits.js'
import { encodeMove } from '../../../src/ha/move-message.js'
import type { MoveMessage } from '../../../src/ha/move.js'
import { HaNode } from '../../../src/ha/node.js'
import { makeEpoch, type NodeStatus, type RgStatus } from '../../../src/ha/rg.js'
import { holdsOf, statusOf } from '../../../src/ha/state.js'
import { frameType } from '../../../src/ha/sync/protocol.js'
import { loadCore } from '../../../src/native/load.js'
import { rgStatus } from './rig.js'

interface Rig { readonly node: HaNode, readonly did: string[], readonly clock: { nowMs: number }, readonly lease: { ended: boolean }, readonly turns: readonly number[], readonly hear: (rg?: Partial<RgStatus>, status?: Partial<NodeStatus>, atMs?: number) => void, readonly told: (message: MoveMessage) => void }

function rig (t: Test): Rig {
  const table = new (loadCore().Table)({ capacity: 1024, cpus: 0, threads: 1, arena: 64, hugepages: 0, path: '' })
  const replica = new (loadCore().Replica)(table)
  t.teardown(() => {
    replica.close()
    table.close()
  })
  const did: string[] = []
  const clock = { nowMs: 1000 }
  const lease = { ended: false }
  const turns: number[] = []
  const node = new HaNode({
    self: { node: 'a', table: new Uint8Array(16), generation: 1, ids: new Uint8Array(8), capacity: 1024 }, slots: table.info().slots,
    ownership: { node: 'a', nodeIndex: 1, bootId: 'boot-a', peers: ['b'], witness: false, timing: defaultTiming, timers: defaultTimers, generation: 1n, rgs: [{ rg: 0, priority: 100, preempt: false }] },
    world: {
      replica, nowMs: () => clock.nowMs, random: (n) => new Uint8Array(n), event: () => { /* not looked at */ }, setRole: (_, role, epoch) => { did.push(`${role} ${epoch}`) }, leaseEnded: () => lease.ended,
      say: ({ rgs }) => { did.push(`says ${rgs[0]?.role}`) }, persist: () => { /* a slow disk */ }, announce: () => { did.push('announce') }, withdraw: () => { did.push('withdraw') }, note: () => { /* not looked at */ }, grace: () => { /* not yet */ }, catchUp: (turn) => { turns.push(turn) }
    }
  })
  let seq = 0n
  return {
    node, did, clock, lease, turns,
    hear: (rg = {}, status = {}, atMs = clock.nowMs) => { node.heard('x', { node: 'b', nodeIndex: 2, bootId: 'boot-b', seq: ++seq, generation: 1n, agent: 'present', restartHoldMs: null, rgs: [rgStatus(rg)], ...status }, atMs) },
    told: (message) => { (node.engine as unknown as { readonly o: { readonly onMessage: (type: number, body: Uint8Array) => void } }).o.onMessage(frameType.move, encodeMove(message)) }
  }
}

const epoch = makeEpoch(5n, 1)
const adopted = [{ rg: 0, epoch }]

t.test('a node says no word and writes no role before it has started: a lease that was kept goes on', async (t) => {
  const { node, did } = rig(t)
  node.booted('boot-a')
  node.outlives(true)
  t.same(did, [])
  node.started(new Map([[0, epoch]]), adopted)
  t.same(did, [`owner ${epoch}`, 'says owner'])
})

t.test('a standby that was held up', async (t) => {
  const owned = { role: 'owner', epoch: makeEpoch(5n, 2) } as const
  const slept = (t: Test): Rig & { readonly held: () => readonly string[], readonly peer: () => string | undefined, readonly sinceMs: number } => {
    const one = rig(t)
    const { node, clock, hear } = one
    node.started(new Map(), [])
    for (let i = 0; i < 100; i++) {
      clock.nowMs += 10
      if (i % 10 === 0) hear(owned)
      node.tick()
    }
    const sinceMs = clock.nowMs
    clock.nowMs += 1200
    return { ...one, sinceMs, held: () => { const rg = node.ownership.rgs[0]; return rg === undefined ? [] : holdsOf(node.ownership, rg) }, peer: () => node.ownership.peers[0]?.known }
  }

  t.test('asks what was heard meanwhile, and until then nobody is lost', async (t) => {
    const { node, clock, turns, held, peer, hear, sinceMs } = slept(t)
    node.tick()
    t.same([turns.length, held(), peer()], [1, [], 'alive'])
    for (let atMs = sinceMs; atMs < clock.nowMs; atMs += 100) hear(owned, {}, atMs)
    node.caughtUp(turns[0] ?? 0, 0)
    t.same([held(), peer()], [[], 'alive'], 'the owner was heard all the time')
  })
  t.test('and whose peer was silent loses it at once', async (t) => {
    const { node, turns, held, peer } = slept(t)
    node.tick()
    node.caughtUp(turns[0] ?? 0, 0)
    t.same([held(), peer()], [[], 'lost'])
  })
  t.test('and whose heart slept as well listens anew', async (t) => {
    const { node, clock, turns, held } = slept(t)
    node.tick()
    node.caughtUp(turns[0] ?? 0, clock.nowMs)
    t.same(held(), ['listening'])
  })
  t.test('and whose heart does not answer listens anew', async (t) => {
    const { node, clock, turns, held } = slept(t)
    node.tick()
    for (const ms of [100, 100, 99]) {
      clock.nowMs += ms
      node.tick()
    }
    t.same(held(), [])
    clock.nowMs += 1
    node.tick()
    t.same(held(), ['listening'])
    node.caughtUp(turns[0] ?? 0, 0)
    t.same([turns.length, held()], [1, ['listening']], 'an answer that comes too late says nothing')
  })
  t.test('and is held up again: the answer of before says nothing, as what was heard since stands behind it', async (t) => {
    const { node, clock, turns, held, peer, hear, sinceMs } = slept(t)
    node.tick()
    for (let atMs = sinceMs; atMs < clock.nowMs; atMs += 100) hear(owned, {}, atMs)
    const heardMs = clock.nowMs
    clock.nowMs += 200
    node.caughtUp(turns[0] ?? 0, 0)
    node.tick()
    node.caughtUp(turns[0] ?? 0, 0)
    t.same([held(), peer()], [[], 'alive'])
    for (let atMs = heardMs; atMs < clock.nowMs; atMs += 100) hear(owned, {}, atMs)
    node.caughtUp(turns[1] ?? 0, 0)
    t.same([held(), peer()], [[], 'alive'])
  })
})

t.test('R24 an epoch that only the stream has shown is a fence too: who starts anew below it hears of it', async (t) => {
  const { node, clock, hear } = rig(t)
  node.started(new Map(), [])
  const engine = node.engine as { group: HaNode['engine']['group'] }
  const group = engine.group.bind(node.engine)
  const seen = makeEpoch(9n, 2)
  engine.group = (rg) => {
    const copy = group(rg)
    return copy === null ? null : { ...copy, epoch: seen }
  }
  for (let i = 0; i < 100; i++) {
    clock.nowMs += 10
    if (i % 10 === 0) hear({ role: 'owner', epoch: makeEpoch(2n, 2) })
    node.tick()
  }
  t.match(node.ownership.rgs[0], { role: 'standby', fence: seen })
  t.equal(statusOf(node.ownership, 0n).rgs[0]?.epoch, seen, 'and its heartbeats say so')
  const owning = rig(t)
  owning.node.started(new Map([[0, epoch]]), adopted)
  const other = owning.node.engine as { group: HaNode['engine']['group'] }
  const copyOf = other.group.bind(owning.node.engine)
  other.group = (rg) => {
    const copy = copyOf(rg)
    return copy === null ? null : { ...copy, epoch: seen }
  }
  owning.node.tick()
  t.match(owning.node.ownership.rgs[0], { role: 'owner', epoch, fence: epoch }, 'an owner refuses the stream of the group')
})

t.test('a giver whose lease ended while it slept does not own again in the same epoch when the move fails', async (t) => {
  const { node, did, clock, lease, hear, told } = rig(t)
  node.started(new Map([[0, epoch]]), adopted)
  for (let i = 0; i < 40; i++) {
    clock.nowMs += 10
    if (i % 10 === 0) hear()
    node.tick()
  }
  told({ kind: 'request', rg: 0, moveId: 'm', from: 'b', to: 'a', manual: true, epoch, generation: 1n })
  t.equal(node.ownership.rgs[0]?.role, 'yield')
  did.length = 0
  lease.ended = true
  clock.nowMs += 600
  told({ kind: 'owning', rg: 0, moveId: 'm', from: 'b', to: 'a', epoch: makeEpoch(6n, 2) })
  t.notOk(did.includes(`owner ${epoch}`))
  t.not(node.ownership.rgs[0]?.role, 'owner')
})

t.test('D9 a cut of another stream than the one that the giver named ends the move: the giver may live another life', async (t) => {
  for (const again of [false, true]) {
    const { node, clock, hear, told } = rig(t)
    node.started(new Map([[0, makeEpoch(1n, 1)]]), [])
    let [stream, equalSeq] = [7n, 0]
    const engine = node.engine as unknown as { group: HaNode['engine']['group'] }
    const group = engine.group.bind(node.engine)
    engine.group = (rg) => {
      const copy = group(rg)
      return copy === null ? null : { ...copy, state: 'equal', provenAtMs: clock.nowMs, equalAtMs: clock.nowMs, equalSeq }
    }
    Object.defineProperties(engine, { receivedStream: { get: () => stream }, state: { get: () => 'up' } })
    const other = { role: 'owner', epoch: makeEpoch(5n, 2) } as const
    node.facing(0, { interfacesDown: 0, nextHopsUnresolved: 0, keeperAlive: true, blockingAlarms: [] })
    for (let i = 0; i < 60; i++) {
      clock.nowMs += 10
      if (i % 10 === 0) hear(other)
      node.tick()
    }
    node.command({ kind: 'switchover', rgs: [0], to: 'a' })
    const move = node.ownership.rgs[0]?.move
    t.equal(move?.phase, 'requested')
    told({ kind: 'final', rg: 0, moveId: move?.id ?? '', from: 'b', to: 'a', seq: 100n })
    t.equal(node.ownership.rgs[0]?.move?.phase, 'cutting')
    if (again) stream = 8n
    equalSeq = 101
    clock.nowMs += 10
    node.tick()
    t.equal(node.ownership.rgs[0]?.move?.phase, again ? undefined : 'claiming', again ? 'another stream' : 'the same stream')
  }
})
