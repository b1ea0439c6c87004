/** The election table: every row decides in a case of its own, ranks and claims are total orders, and two nodes never both win. */
import fc from 'fast-check'
import t from 'tap'
import { compareClaims, compareRank, elect, electionTable, strongest, type ElectionInput, type Rival } from '../../../src/ha/election.js'
import { makeEpoch, type RgStatus } from '../../../src/ha/rg.js'
import { read } from '../../architecture/repo.js'
import { rgStatus } from './rig.js'

const lost = { kind: 'lost' } as const
const rival = (over: Partial<RgStatus> = {}, more: Partial<Rival> = {}): Rival => ({ nodeIndex: 2, attended: true, away: false, status: rgStatus({ role: 'owner', epoch: makeEpoch(5n, 2), ...over }), ...more })
const peer = (over: Partial<RgStatus> = {}, more: Partial<Rival> = {}): ElectionInput['peer'] => ({ kind: 'alive', rival: rival(over, more) })
const input = (over: Partial<ElectionInput> = {}): ElectionInput => ({
  nodeIndex: 1, role: 'standby', epoch: 0n, fence: makeEpoch(5n, 2), priority: 100, preempt: false, holds: [], ready: true, synced: true, overdue: false, stuck: false, mayMove: true, peer: lost, ...over,
})
const owner = (over: Partial<ElectionInput> = {}): ElectionInput => input({ role: 'owner', epoch: makeEpoch(5n, 1), fence: makeEpoch(5n, 1), peer: peer({ role: 'standby' }), ...over })

const cases: ReadonlyArray<readonly [number, string, string, string, ElectionInput]> = [
  [1, 'stay', 'moving', 'a move decides, even against a higher claim', owner({ role: 'yield', peer: peer({ epoch: makeEpoch(9n, 2) }) })],
  [1, 'stay', 'moving', 'taking, held meanwhile', input({ role: 'take', holds: ['manual'], peer: peer({ role: 'yield' }) })],
  [2, 'hold', 'isolated', 'cut off from peer and witness', owner({ holds: ['isolated'], peer: lost })],
  [3, 'standby', 'conflict-lost', 'the counter decides', owner({ peer: peer({ epoch: makeEpoch(6n, 2) }), fence: makeEpoch(6n, 2) })],
  [3, 'standby', 'conflict-lost', 'the same counter: priority decides', owner({ priority: 90, peer: peer() })],
  [3, 'standby', 'conflict-lost', 'the same counter and priority: the lower index', owner({ nodeIndex: 3, peer: peer() })],
  [4, 'own', 'epoch-behind', 'won by priority, but the epoch is not the highest', owner({ peer: peer(), fence: makeEpoch(5n, 2) })],
  [3, 'standby', 'conflict-lost', 'won the conflict, but its next epoch does not come to the disk', owner({ priority: 110, stuck: true, peer: peer({ epoch: makeEpoch(5n, 2) }) })],
  [4, 'own', 'epoch-behind', 'won the conflict, and its disk is slow', owner({ priority: 110, fence: makeEpoch(6n, 2), stuck: true, peer: lost })],
  [4, 'own', 'epoch-behind', 'a node that lost its state heard of an older life', owner({ fence: makeEpoch(50n, 2) })],
  [5, 'offer', 'gives-way', 'held by hand, the peer is ready', owner({ holds: ['manual'] })],
  [5, 'offer', 'gives-way', 'weights took it all', owner({ holds: ['weight'], priority: 0 })],
  [6, 'hold', 'resigned', 'weights took it all, the peer was synced and is not ready', owner({ holds: ['weight'], priority: 0, peer: peer({ role: 'standby', ready: false }) })],
  [7, 'stay', 'owns', 'nobody says otherwise', owner()],
  [7, 'stay', 'owns', 'the peer is lost', owner({ peer: lost })],
  [7, 'stay', 'owns', 'won the conflict', owner({ priority: 110, peer: peer(), fence: makeEpoch(5n, 1) })],
  [7, 'stay', 'owns', 'held by hand, the peer is not ready', owner({ holds: ['manual'], peer: peer({ role: 'standby', ready: false }) })],
  [7, 'stay', 'owns', 'weights took it all, but the peer never was synced', owner({ holds: ['weight'], priority: 0, peer: peer({ role: 'standby', ready: false, synced: false }) })],
  [7, 'stay', 'owns', 'weights took it all at the peer as well', owner({ holds: ['weight'], priority: 0, peer: peer({ role: 'hold', holds: ['weight'], priority: 0 }) })],
  [7, 'stay', 'owns', 'an older generation does not push an owner out', owner({ holds: ['outdated'] })],
  [7, 'stay', 'owns', 'it listens after a restart with its lease alive', owner({ holds: ['listening'] })],
  [7, 'stay', 'owns', 'wants to give way, tried just now', owner({ holds: ['manual'], mayMove: false })],
  [8, 'init', 'listening', 'started just now', input({ role: 'init', holds: ['listening'], peer: { kind: 'unseen' } })],
  [9, 'hold', 'held', 'after a lapse it listens', input({ holds: ['listening'] })],
  ...(['manual', 'weight', 'resigned', 'outdated', 'isolated'] as const).map(hold => [9, 'hold', 'held', hold, input({ holds: [hold] })] as const),
  [10, 'standby', 'unattended', 'its agent is gone and nobody waits for it', input({ peer: peer({}, { attended: false }) })],
  [11, 'request', 'preempt', 'better, and proven equal', input({ preempt: true, priority: 110, peer: peer() })],
  [12, 'standby', 'peer-owns', 'no preempt', input({ priority: 110, peer: peer() })],
  [12, 'standby', 'peer-owns', 'preempt, but not proven equal', input({ preempt: true, priority: 110, ready: false, peer: peer() })],
  [12, 'standby', 'peer-owns', 'preempt, but not better', input({ preempt: true, peer: peer() })],
  [12, 'standby', 'peer-owns', 'preempt, but it was put there by hand', input({ preempt: true, priority: 110, peer: peer({ pinned: true }) })],
  [12, 'standby', 'peer-owns', 'preempt, but a move was tried just now', input({ preempt: true, priority: 110, mayMove: false, peer: peer() })],
  [12, 'standby', 'peer-owns', 'restart hold', input({ peer: peer({}, { attended: true }) })],
  [12, 'standby', 'peer-owns', 'unattended, but this node never was in step', input({ ready: false, synced: false, peer: peer({}, { attended: false }) })],
  [12, 'standby', 'peer-owns', 'yield is a claim', input({ peer: peer({ role: 'yield' }) })],
  [13, 'standby', 'peer-takes', 'a move is under way elsewhere', input({ peer: peer({ role: 'take' }) })],
  [14, 'standby', 'peer-outranks', 'higher priority', input({ peer: peer({ role: 'standby', priority: 110 }) })],
  [14, 'standby', 'peer-outranks', 'the peer listens, and will be better', input({ peer: peer({ role: 'init', holds: ['listening'], priority: 110 }) })],
  [14, 'standby', 'peer-outranks', 'ready goes before priority', input({ priority: 200, ready: false, peer: peer({ role: 'standby' }) })],
  [15, 'own', 'elected', 'the better one is there, and its agent is not: it decides nothing', input({ ready: true, priority: 100, peer: peer({ role: 'standby', ready: true, priority: 200 }, { away: true }) })],
  [15, 'own', 'elected', 'the peer is lost', input()],
  [15, 'own', 'elected', 'the peer was never seen', input({ peer: { kind: 'unseen' } })],
  [15, 'own', 'elected', 'better than the peer', input({ peer: peer({ role: 'standby', priority: 90 }) })],
  [15, 'own', 'elected', 'the better peer must not own', input({ peer: peer({ role: 'hold', holds: ['manual'], priority: 200 }) })],
  [16, 'own', 'synced', 'a lone survivor, not ready but in step once', input({ ready: false })],
  [17, 'own', 'degraded', 'never ready, and it took too long', input({ ready: false, synced: false, overdue: true })],
  [18, 'standby', 'not-ready', 'never ready, not yet too long', input({ ready: false, synced: false })],
]

for (const [row, want, code, why, x] of cases) {
  t.test(`row ${row}: ${code}: ${why}`, async (t) => { t.same(elect(x), { row, want, code }) })
}

t.test('every row has a case, and rows are numbered in order', async (t) => {
  t.same(electionTable.map(({ row }) => row), electionTable.map((_, i) => i + 1))
  t.same([...new Set(cases.map(([row]) => row))], electionTable.map(({ row }) => row))
})

t.test('the page of the design has the same rows', async (t) => {
  const drawn = [...read('docs/design/0011-ownership.md').matchAll(/^\| (\d+) \|[^|]*\| ([a-z]+) \| ([a-z-]+) \|$/gm)].map(([, row, want, code]) => ({ row: Number(row), want, code }))
  t.same(drawn, electionTable.map(({ row, want, code }) => ({ row, want, code })))
})

const statuses = fc.record({ priority: fc.integer({ min: 0, max: 3 }), ready: fc.boolean(), synced: fc.boolean() })

t.test('of two nodes that know each other, exactly one is elected; and one of two owners stays', async () => {
  fc.assert(fc.property(statuses, statuses, fc.boolean(), (a, b, overdue) => {
    const side = (own: typeof a, other: typeof a, nodeIndex: number): string => elect(input({
      ...own, nodeIndex, overdue, stuck: false, holds: own.priority === 0 ? ['weight'] : [], fence: 0n, peer: peer({ ...other, role: 'standby', epoch: 0n, holds: other.priority === 0 ? ['weight'] : [] }, { nodeIndex: 3 - nodeIndex }),
    })).want
    const owners = [side(a, b, 1), side(b, a, 2)].filter(want => want === 'own').length
    const able = [a, b].some(s => s.priority > 0 && (s.ready || s.synced || overdue))
    const best = [a, b].some(s => s.priority > 0)
    return able ? owners === 1 : owners <= (best ? 1 : 0)
  }))
  const claim = fc.record({ counter: fc.bigInt({ min: 1n, max: 3n }), priority: fc.integer({ min: 1, max: 3 }) })
  fc.assert(fc.property(claim, claim, (a, b) => {
    const side = (own: typeof a, other: typeof a, index: number): boolean => elect(owner({
      nodeIndex: index, priority: own.priority, epoch: makeEpoch(own.counter, index), fence: 0n, peer: peer({ priority: other.priority, epoch: makeEpoch(other.counter, 3 - index) }, { nodeIndex: 3 - index }),
    })).code === 'conflict-lost'
    return side(a, b, 1) !== side(b, a, 2)
  }))
})

t.test('ranks and claims: antisymmetric and never equal for two nodes', async (t) => {
  const standings = fc.record({ priority: fc.integer({ min: 0, max: 2 }), ready: fc.boolean(), synced: fc.boolean(), nodeIndex: fc.integer({ min: 0, max: 3 }) })
  fc.assert(fc.property(standings, standings, (a, b) => {
    const sign = Math.sign(compareRank(a, b))
    return sign + Math.sign(compareRank(b, a)) === 0 && (a.nodeIndex === b.nodeIndex || sign !== 0)
  }))
  t.ok(compareClaims({ epoch: makeEpoch(2n, 9), priority: 1, nodeIndex: 9 }, { epoch: makeEpoch(1n, 1), priority: 200, nodeIndex: 1 }) > 0)
})

t.test('of several peers: a claim, then one that takes, then the best that may', async (t) => {
  const held = rival({ role: 'hold', holds: ['manual'], priority: 250 }, { nodeIndex: 3 })
  const standby = rival({ role: 'standby' }, { nodeIndex: 4 })
  const taker = rival({ role: 'take', priority: 1 }, { nodeIndex: 5 })
  const old = rival({ epoch: makeEpoch(4n, 6), priority: 200 }, { nodeIndex: 6 })
  const current = rival({ epoch: makeEpoch(5n, 7) }, { nodeIndex: 7 })
  t.equal(strongest([]), null)
  t.equal(strongest([held, standby]), standby)
  t.equal(strongest([standby, taker, held]), taker)
  t.equal(strongest([old, taker, current, standby]), current)
})
