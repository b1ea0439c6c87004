/** How busy a thread is: one figure for all that look, of seconds and not of the moment between two looks. */
import t from 'tap'
import type { EventLoopUtilization } from 'node:perf_hooks'
import { loopUse } from '../../../src/lib/loop-use.js'

t.test('the latest seconds, whoever looks and however often', (t) => {
  let [now, active] = [0, 0]
  const eventLoopUtilization = (one?: EventLoopUtilization, before?: EventLoopUtilization): EventLoopUtilization => {
    if (one !== undefined && before !== undefined) return { idle: one.idle - before.idle, active: one.active - before.active, utilization: (one.active - before.active) / (one.idle - before.idle + one.active - before.active) }
    return { idle: now - active, active, utilization: active / now }
  }
  const pass = (ms: number, busy: number): void => {
    now += ms
    active += ms * busy
  }
  const use = loopUse({ eventLoopUtilization }, () => now)
  t.equal(use(), 0, 'nothing has passed')
  pass(1000, 1)
  t.equal(use(), 1, 'since it began, until there are seconds')
  pass(3000, 0)
  t.equal(use(), 0.25)
  pass(1000, 1)
  t.equal(use(), 0.25, 'who looks a moment later is told the same')
  t.equal(use(), 0.25)
  pass(1000, 1)
  t.equal(use(), 1, 'since it was last measured, and not since it began')
  t.end()
})
