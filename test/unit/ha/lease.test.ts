/** R23: a lease ends before a silent node's peer takes over, for every legal timing. */
import fc from 'fast-check'
import t from 'tap'
import { checkTiming, defaultTiming, detectionMs, fastTiming, isolated, leaseDeadlineMs, leaseForeverNs, leaseMs, leaseStampNs, maxLeaseMs, stampMs } from '../../../src/ha/lease.js'
import { haLimits } from '../../../src/ha/limits.js'

t.test('the two timings that are promised', async (t) => {
  for (const [timing, detection, lease, stamp] of [[defaultTiming, 300, 150, 50], [fastTiming, 50, 35, 5]] as const) {
    t.equal(detectionMs(timing), detection)
    t.equal(leaseMs(timing), lease)
    t.equal(stampMs(timing), stamp)
    t.doesNotThrow(() => { checkTiming(timing) })
  }
  t.equal(maxLeaseMs, 8500)
})

t.test('a lease is shorter than detection minus an interval, and outlives a late stamp', async () => {
  const timings = fc.record({ intervalMs: fc.integer({ min: haLimits.intervalMsMin, max: haLimits.intervalMsMax }), count: fc.integer({ min: haLimits.countMin, max: haLimits.countMax }) })
  fc.assert(fc.property(timings, timing => leaseMs(timing) < detectionMs(timing) - timing.intervalMs && leaseMs(timing) >= 3 * stampMs(timing) && leaseMs(timing) <= maxLeaseMs))
})

t.test('timings out of range are refused', async (t) => {
  for (const timing of [{ intervalMs: 9, count: 3 }, { intervalMs: 1001, count: 3 }, { intervalMs: 100, count: 2 }, { intervalMs: 100, count: 11 }, { intervalMs: 10.5, count: 3 }]) {
    t.throws(() => { checkTiming(timing) }, { errorClass: 'invalid', code: 'LS_H_TIMING' })
  }
})

t.test('what to stamp, by who is there', async (t) => {
  const table = [
    [1, 'none', 'none', Infinity], [2, 'none', 'lost', Infinity], [3, 'none', 'seen', Infinity],
    [4, 'alive', 'none', 1150], [5, 'alive', 'seen', 1150], [6, 'alive', 'lost', 1150],
    [7, 'lost', 'none', 1150], [8, 'lost', 'seen', 1150], [9, 'lost', 'lost', 0],
  ] as const
  for (const [row, peers, witness, deadline] of table) {
    t.equal(leaseDeadlineMs(1000, defaultTiming, { peers, witness }), deadline, `row ${row}: peers ${peers}, witness ${witness}`)
    t.equal(isolated({ peers, witness }), row === 9)
  }
})

t.test('the stamp of shared memory is u64 nanoseconds', async (t) => {
  t.equal(leaseStampNs(Infinity), leaseForeverNs)
  t.equal(leaseForeverNs, 0xffff_ffff_ffff_ffffn)
  t.equal(leaseStampNs(0), 0n)
  t.equal(leaseStampNs(1150.5), 1_150_500_000n)
})
