/** Weights of monitors: a loss counts at once or after its hold, a return after its own, a flapping link once. */
import t from 'tap'
import { effectivePriority, measure, noWeight, settleWeight, weightDueMs } from '../../../src/ha/weight.js'

const damping = { worseAfterMs: 100, betterAfterMs: 5000 }

t.test('a loss counts after its hold, a return after a longer one', async (t) => {
  let w = measure(noWeight, 50, damping, 1000)
  t.equal(w.counted, 0)
  t.equal(weightDueMs(w, damping), 1100)
  t.equal(settleWeight(w, damping, 1099).counted, 0)
  w = settleWeight(w, damping, 5000)
  t.equal(w.counted, 50, 'however late it is looked at')
  w = measure(w, 0, damping, 6000)
  t.equal(settleWeight(w, damping, 10_999).counted, 50)
  t.equal(settleWeight(w, damping, 11_000).counted, 0)
})

t.test('a link that flaps counts as lost until it stays', async (t) => {
  let w = settleWeight(measure(noWeight, 50, damping, 0), damping, 100)
  for (let at = 1000; at < 60_000; at += 1000) {
    w = settleWeight(measure(w, at % 2000 === 0 ? 50 : 0, damping, at), damping, at)
    t.equal(w.counted, 50)
  }
  t.equal(weightDueMs(measure(w, 50, damping, 61_000), damping), Infinity)
})

t.test('worse while waiting does not start the wait anew', async (t) => {
  const w = measure(measure(noWeight, 20, damping, 0), 40, damping, 90)
  t.equal(settleWeight(w, damping, 100).counted, 40)
})

t.test('without a hold it counts at once, and priority does not fall below zero', async (t) => {
  const w = measure(noWeight, 255, { worseAfterMs: 0, betterAfterMs: 0 }, 7)
  t.equal(w.counted, 255)
  t.equal(effectivePriority(100, w), 0)
  t.equal(effectivePriority(100, noWeight), 100)
})
