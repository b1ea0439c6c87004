/** The planned move: each row of its table, both sides end to end, what goes wrong at each step, refusals and batches. */
import t from 'tap'
import type { OwnershipAction } from '../../../src/ha/events.js'
import { enterPhase, giveRefusals, movePhases, moveTable, nextPhase, planBatch, roleAfterFailure, takeRefusals, type MoveCheck, type MoveInput, type MoveMessage, type MovePhase } from '../../../src/ha/move.js'
import { step } from '../../../src/ha/ownership.js'
import { mayBecome, type Role } from '../../../src/ha/rg.js'
import { newOwnership, rgView, statusOf, type OwnershipState } from '../../../src/ha/state.js'
import { config, goodFacts } from './rig.js'

const phases = Object.keys(movePhases) as MovePhase[]
const rows: ReadonlyArray<readonly [MovePhase, MoveInput, string]> = [
  ['offered', 'request', 'yielding'], ['offered', 'refused', 'failed'], ['offered', 'abort', 'failed'], ['offered', 'deadline', 'failed'], ['offered', 'peer-lost', 'failed'],
  ['yielding', 'drained', 'final'], ['yielding', 'abort', 'failed'], ['yielding', 'deadline', 'failed'], ['yielding', 'peer-lost', 'failed'],
  ['final', 'owning', 'settled'], ['final', 'abort', 'failed'], ['final', 'deadline', 'failed'], ['final', 'peer-lost', 'failed'],
  ['settled', 'ack', 'moved'], ['settled', 'deadline', 'moved'], ['settled', 'peer-lost', 'moved'],
  ['requested', 'yielding', 'taking'], ['requested', 'final', 'cutting'], ['requested', 'refused', 'failed'], ['requested', 'abort', 'failed'], ['requested', 'deadline', 'failed'], ['requested', 'peer-lost', 'failed'],
  ['taking', 'final', 'cutting'], ['taking', 'abort', 'failed'], ['taking', 'deadline', 'failed'], ['taking', 'peer-lost', 'failed'],
  ['cutting', 'cut-equal', 'claiming'], ['cutting', 'cut-unequal', 'failed'], ['cutting', 'abort', 'failed'], ['cutting', 'deadline', 'failed'], ['cutting', 'peer-lost', 'failed'],
  ['claiming', 'persisted', 'owning'], ['claiming', 'abort', 'failed'], ['claiming', 'deadline', 'failed'], ['claiming', 'peer-lost', 'failed'],
  ['owning', 'settled', 'moved'], ['owning', 'deadline', 'moved'], ['owning', 'peer-lost', 'moved'],
]
const inputs = [...new Set(rows.map(([, input]) => input))]

t.test('the table of moves, every phase with every input', async (t) => {
  t.equal(phases.reduce((n, phase) => n + Object.keys(moveTable[phase]).length, 0), rows.length)
  for (const phase of phases) for (const input of inputs) {
    t.equal(nextPhase(phase, input), rows.find(([p, i]) => p === phase && i === input)?.[2] ?? null, `${phase} + ${input}`)
  }
})

t.test('roles of phases that follow each other are changes that the table of roles has', async (t) => {
  for (const [phase, input, next] of rows) {
    const from: Role = movePhases[phase].role
    const to: Role = next === 'moved' ? from : next === 'failed' ? roleAfterFailure(phase) : movePhases[next as MovePhase].role
    t.ok(from === to || mayBecome(from, to), `${phase} + ${input}: ${from} to ${to}`)
  }
})

t.test('the taker gives up before the giver returns', async (t) => {
  const timers = { moveTimeoutMs: 2000, moveResendMs: 100 }
  const move = { id: 'm', peer: 'b', manual: false, seq: null }
  const requested = enterPhase({ ...move, phase: 'requested' }, null, timers, 0)
  t.equal(requested.deadlineMs, 1000)
  for (const phase of ['taking', 'cutting', 'claiming'] as const) t.equal(enterPhase({ ...move, phase }, requested.deadlineMs, timers, 900).deadlineMs, 1000, `${phase} does not prolong it`)
  const yielding = enterPhase({ ...move, phase: 'yielding' }, null, timers, 0)
  t.equal(yielding.deadlineMs, 2000)
  t.equal(enterPhase({ ...move, phase: 'final' }, yielding.deadlineMs, timers, 1900).deadlineMs, 2000)
})

t.test('refusals, row by row', async (t) => {
  const able: MoveCheck = { role: 'standby', underWay: false, peerAlive: true, peerRole: 'owner', holds: [], reasons: [] }
  for (const [row, over, reasons] of [
    [1, {}, []], [2, { underWay: true }, ['move-under-way']], [3, { peerAlive: false }, ['peer-lost']], [4, { peerRole: 'standby' }, ['not-owned-there']],
    [5, { peerRole: 'yield' }, ['not-owned-there']], [6, { holds: ['manual'] }, ['manual']], [7, { holds: ['listening'] }, ['listening']],
    [8, { reasons: ['not-proven-equal', 'next-hops'] }, ['not-proven-equal', 'next-hops']], [9, { holds: ['resigned'], reasons: ['capacity'] }, ['resigned', 'capacity']],
  ] as const) t.same(takeRefusals({ ...able, ...over }), reasons, `take, row ${row}`)
  const giver = { role: 'owner' as const, underWay: false, peerAlive: true }
  for (const [row, over, same, reasons] of [
    [1, {}, {}, []], [2, { underWay: true }, {}, ['move-under-way']], [3, { role: 'standby' as const }, {}, ['not-owner']], [4, { role: 'yield' as const }, {}, ['not-owner']],
    [5, { peerAlive: false }, {}, ['peer-lost']], [6, {}, { epoch: false }, ['epoch-differs']], [7, {}, { generation: false }, ['generation-differs']],
  ] as const) t.same(giveRefusals({ ...giver, ...over }, { epoch: true, generation: true, ...same }), reasons, `give, row ${row}`)
})

t.test('a batch judges each group for itself, once', async (t) => {
  t.same(planBatch([2, 0, 1, 2], rg => rg === 1 ? ['move-under-way'] : []), { start: [2, 0], refused: [{ rg: 1, reasons: ['move-under-way'] }] })
})

/** Two agents and the messages between them, each step by hand; time stands still unless told. */
class Pair {
  readonly states: Record<'a' | 'b', OwnershipState>
  readonly wire: MoveMessage[] = []
  readonly log: string[] = []
  nowMs = 0
  seq = 0n
  /** Actions that nobody answers. */
  readonly deaf = new Set<OwnershipAction['kind']>()

  constructor () {
    const rgs = [{ rg: 0, priority: 100, preempt: false }, { rg: 1, priority: 100, preempt: false }]
    this.states = {
      a: newOwnership(config({ rgs })),
      b: newOwnership(config({ rgs, node: 'b', nodeIndex: 2, bootId: 'boot-b', peers: ['a'] })),
    }
    for (const node of ['a', 'b'] as const) {
      this.give(node, { kind: 'started', epochs: new Map(), adopted: [] })
      for (const rg of [0, 1]) this.give(node, { kind: 'readiness', rg, facts: goodFacts })
    }
    this.beats(5)
    this.log.length = 0
  }

  give (node: 'a' | 'b', event: Parameters<typeof step>[1] extends infer E ? E extends { readonly nowMs: number } ? Omit<E, 'nowMs'> : never : never): void {
    const { state, actions } = step(this.states[node], { ...event, nowMs: this.nowMs } as Parameters<typeof step>[1])
    this.states[node] = state
    for (const action of actions) {
      if (action.kind === 'send') { this.wire.push(action.message); this.log.push(`${node} says ${action.message.kind}`) }
      if (action.kind === 'setRole' && event.kind !== 'tick') this.log.push(`${node} ${action.role}`)
      if (action.kind === 'announce' || action.kind === 'withdraw') this.log.push(`${node} ${action.kind}`)
    }
    for (const action of actions) {
      if (this.deaf.has(action.kind)) continue
      if (action.kind === 'persistEpoch') this.give(node, { kind: 'persisted', rg: action.rg, epoch: action.epoch })
      if (action.kind === 'drain') this.give(node, { kind: 'drained', rg: action.rg, moveId: action.moveId, seq: 77n })
      if (action.kind === 'cut') this.give(node, { kind: 'cut', rg: action.rg, moveId: action.moveId, equal: !this.deaf.has('withdraw') })
    }
  }

  beats (n: number): this {
    for (let i = 0; i < n; i++) {
      this.nowMs += 100
      for (const [from, to] of [['a', 'b'], ['b', 'a']] as const) this.give(to, { kind: 'heartbeat', path: 'x', status: statusOf(this.states[from], this.seq++) })
      for (const node of ['a', 'b'] as const) this.give(node, { kind: 'tick' })
    }
    return this
  }

  /** Delivers what is on the wire until nothing is, `times` over each. */
  deliver (keep: (m: MoveMessage) => boolean = () => true, times = 1): this {
    for (let m = this.wire.shift(); m !== undefined; m = this.wire.shift()) {
      if (keep(m)) for (let i = 0; i < times; i++) this.give(m.to as 'a' | 'b', { kind: 'moveMessage', message: m })
    }
    return this
  }

  switchover (at: 'a' | 'b', to: 'a' | 'b', rgs: readonly number[] = [0]): this {
    this.give(at, { kind: 'command', command: { kind: 'switchover', rgs, to } })
    return this
  }

  roles (rg = 0): string { return (['a', 'b'] as const).map(node => rgView(this.states[node], rg)?.role).join(' ') }
  epoch (node: 'a' | 'b', rg = 0): bigint { return rgView(this.states[node], rg)?.epoch ?? 0n }
}

t.test('end to end, asked at the giver: yield, take, cut, new epoch, standby, addresses, ack', async (t) => {
  const pair = new Pair()
  t.equal(pair.roles(), 'owner standby')
  const before = pair.epoch('a')
  pair.switchover('a', 'b').deliver()
  t.same(pair.log, [
    'a says offer', 'b says request', 'a yield', 'a says yielding', 'a says final', 'b take', 'b owner', 'b says owning', 'a standby', 'a withdraw', 'a says settled', 'b announce', 'b says ack',
  ])
  t.equal(pair.roles(), 'standby owner')
  t.ok(pair.epoch('b') > before, 'a newer epoch')
  t.ok(pair.log.indexOf('a withdraw') < pair.log.indexOf('b announce'), 'addresses leave before they arrive')
  t.ok(pair.log.indexOf('b owner') < pair.log.indexOf('b announce'))
  t.equal(statusOf(pair.states.b, 0n).rgs[0]?.pinned, true)
  pair.beats(50)
  t.equal(pair.roles(), 'standby owner', 'and it stays')
})

t.test('end to end, asked at the taker, every message twice', async (t) => {
  const pair = new Pair().switchover('b', 'b').deliver(undefined, 2)
  t.equal(pair.roles(), 'standby owner')
  t.equal(pair.beats(30).roles(), 'standby owner')
  t.equal(pair.switchover('a', 'a').deliver(undefined, 2).roles(), 'owner standby', 'and back at once: nothing of the last move is in the way')
})

t.test('a batch moves several groups', async (t) => {
  const pair = new Pair().switchover('a', 'b', [0, 1, 7]).deliver()
  t.equal(pair.roles(0), 'standby owner')
  t.equal(pair.roles(1), 'standby owner')
})

for (const kind of ['offer', 'request', 'yielding', 'final', 'owning', 'settled', 'ack'] as const) {
  t.test(`each message lost once is said again: ${kind}`, async (t) => {
    const pair = new Pair()
    let lost = 0
    pair.switchover('a', 'b')
    for (let i = 0; i < 12; i++) pair.deliver(m => m.kind !== kind || lost++ > 0).beats(1)
    t.ok(lost > 0)
    t.equal(pair.roles(), 'standby owner')
    t.equal(rgView(pair.states.a, 0)?.movePhase, null)
    t.equal(rgView(pair.states.b, 0)?.movePhase, null)
  })

  t.test(`a message that never arrives: ${kind}`, async (t) => {
    const pair = new Pair().switchover('a', 'b')
    for (let i = 0; i < 45; i++) pair.deliver(m => m.kind !== kind).beats(1)
    // `final` says `yielding` too; from `owning` on the heartbeat and the deadlines bring it to its end.
    const committed = ['yielding', 'owning', 'settled', 'ack'].includes(kind)
    t.equal(pair.roles(), committed ? 'standby owner' : 'owner standby')
    t.equal(rgView(pair.states.a, 0)?.movePhase, null)
    t.equal(rgView(pair.states.b, 0)?.movePhase, null)
    if (!committed) t.equal(pair.log.filter(line => line === 'b owner').length, 0)
  })
}

for (const [asked, phase] of [['drain', 'yielding'], ['cut', 'final'], ['persistEpoch', 'final']] as const) {
  t.test(`this node never answers ${asked}: the giver owns again, in its old epoch`, async (t) => {
    const pair = new Pair()
    const epoch = pair.epoch('a')
    pair.deaf.add(asked)
    pair.switchover('a', 'b').deliver()
    t.equal(rgView(pair.states.a, 0)?.movePhase, phase)
    for (let i = 0; i < 25; i++) pair.beats(1).deliver()
    t.equal(pair.roles(), 'owner standby')
    t.equal(pair.epoch('a'), epoch)
    t.equal(pair.log.filter(line => line === 'b owner').length, 0)
  })
}

t.test('an unequal cut ends the move at once', async (t) => {
  const pair = new Pair()
  pair.deaf.add('withdraw')
  pair.switchover('a', 'b').deliver()
  t.equal(pair.roles(), 'owner standby')
  t.same(pair.log.filter(line => line.endsWith('abort')), ['b says abort'])
})

t.test('persisted after the deadline is too late', async (t) => {
  const pair = new Pair()
  pair.deaf.add('persistEpoch')
  pair.switchover('a', 'b').deliver()
  t.equal(rgView(pair.states.b, 0)?.movePhase, 'claiming')
  pair.nowMs += 1000
  pair.give('b', { kind: 'persisted', rg: 0, epoch: ((pair.epoch('a') >> 8n) + 1n) << 8n | 2n })
  t.equal(rgView(pair.states.b, 0)?.role, 'standby')
})
