/** Roles change as the table says and not otherwise; epochs of two nodes never meet. */
import fc from 'fast-check'
import t from 'tap'
import { haLimits } from '../../../src/ha/limits.js'
import { assertChange, claims, counterOf, forwards, makeEpoch, mayBecome, nextEpoch, roleMoves, type Role } from '../../../src/ha/rg.js'

const roles = Object.keys(roleMoves) as Role[]
const legal = ['init standby', 'init hold', 'standby owner', 'standby take', 'standby hold', 'hold standby', 'owner yield', 'owner standby', 'owner hold', 'yield owner', 'yield standby', 'take owner', 'take standby']

t.test('the table of roles, pair by pair', async (t) => {
  for (const from of roles) {
    for (const to of roles) {
      const allowed = legal.includes(`${from} ${to}`)
      t.equal(mayBecome(from, to), allowed, `${from} to ${to}`)
      if (!allowed) t.throws(() => { assertChange(3, from, to) }, { errorClass: 'bug', code: 'LS_H_ROLE', detail: { object: 'rg 3' } })
    }
  }
})

t.test('only owner and yield claim; they and take forward', async (t) => {
  t.same(roles.filter(claims), ['owner', 'yield'])
  t.same(roles.filter(forwards), ['owner', 'yield', 'take'])
})

t.test('a next epoch is larger than what is known, and carries its node', async (t) => {
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: 2n ** 60n }), fc.integer({ min: 0, max: 255 }), (known, index) => {
    const epoch = nextEpoch(known, index)
    return epoch > known && counterOf(epoch) === counterOf(known) + 1n && (epoch & 255n) === BigInt(index)
  }))
  t.not(nextEpoch(makeEpoch(7n, 1), 1), nextEpoch(makeEpoch(7n, 1), 2), 'two nodes that know the same make different ones')
  t.throws(() => nextEpoch(makeEpoch(haLimits.epochCounterMax, 0), 0), { code: 'LS_H_EPOCH' })
})
