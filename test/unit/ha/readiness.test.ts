/** The gate of D7: each fact closes it alone, under its own code; without an owner only this node's own facts count. */
import t from 'tap'
import { readiness, readinessRules, unknownFacts, type ReadinessFacts, type ReadinessReason } from '../../../src/ha/readiness.js'
import { goodFacts } from './rig.js'

const withOwner = { generation: 4n, ownerGeneration: 4n }
const nobody = { generation: 4n, ownerGeneration: null }

t.test('row by row', async (t) => {
  const rows: ReadonlyArray<readonly [number, Partial<ReadinessFacts>, ReadinessReason, boolean]> = [
    [1, { provenEqual: false }, 'not-proven-equal', false],
    [2, { idMapsEqual: false }, 'id-maps-differ', false],
    [3, { capacitySessions: 9, ownerSessions: 10 }, 'capacity', false],
    [4, { natPortsUnreserved: 1 }, 'nat-ports', false],
    [5, { interfacesDown: 1 }, 'interfaces-down', true],
    [6, { nextHopsUnresolved: 1 }, 'next-hops', false],
    [7, { keeperAlive: false }, 'keeper-away', true],
    [8, { blockingAlarms: ['LS_A_X'] }, 'alarm', true],
  ]
  for (const [row, facts, reason, own] of rows) {
    t.same(readiness({ ...goodFacts, ...facts }, withOwner), { ready: false, reasons: [reason] }, `row ${row}`)
    t.same(readiness({ ...goodFacts, ...facts }, nobody), own ? { ready: false, reasons: [reason] } : { ready: true, reasons: [] }, `row ${row}, nobody owns`)
  }
  t.same(readiness(goodFacts, { generation: 4n, ownerGeneration: 5n }).reasons, ['generation-differs'])
  t.same(readiness(goodFacts, { generation: 5n, ownerGeneration: 4n }).reasons, ['generation-differs'], 'newer is not equal either')
  t.equal(rows.length + 1, readinessRules.length, 'every rule is shown')
})

t.test('good facts open it; unknown facts do not; as many sessions as there is room for do', async (t) => {
  t.same(readiness(goodFacts, withOwner), { ready: true, reasons: [] })
  t.same(readiness({ ...goodFacts, capacitySessions: 10, ownerSessions: 10 }, withOwner).reasons, [])
  t.notOk(readiness(unknownFacts, nobody).ready)
  t.same(readiness(unknownFacts, withOwner).reasons, ['not-proven-equal', 'id-maps-differ', 'keeper-away'])
})
