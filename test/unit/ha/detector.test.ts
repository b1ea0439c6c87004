/** Who is alive: paths, copies, replays, reboots. Timing is 100 ms x 3. */
import t from 'tap'
import { liveness, lossAtMs, newDetector, pathLiveness, receive, type Detector, type ReceiptVerdict } from '../../../src/ha/detector.js'
import { haLimits } from '../../../src/ha/limits.js'
import { defaultTiming as timing } from '../../../src/ha/lease.js'

const hear = (d: Detector, path: string, seq: number, nowMs: number, bootId = 'one'): { readonly detector: Detector, readonly verdict: ReceiptVerdict } =>
  receive(d, timing, { path, bootId, seq: BigInt(seq), atMs: nowMs })

t.test('one path: alive, suspect after 1.5 intervals, lost after three', async (t) => {
  t.equal(liveness(newDetector, timing, 0), 'unseen')
  const { detector } = hear(newDetector, 'x', 1, 1000)
  for (const [row, at, expected] of [[1, 1000, 'alive'], [2, 1149, 'alive'], [3, 1150, 'suspect'], [4, 1299, 'suspect'], [5, 1300, 'lost']] as const) {
    t.equal(liveness(detector, timing, at), expected, `row ${row}`)
  }
  t.equal(lossAtMs(detector, timing, 1100), 1300)
  t.equal(lossAtMs(detector, timing, 1300), Infinity, 'it is lost already')
  t.equal(lossAtMs(newDetector, timing, 0), Infinity)
})

t.test('verdicts in order', async (t) => {
  let d = newDetector
  for (const [row, path, seq, bootId, verdict] of [
    [1, 'x', 10, 'one', 'fresh'], [2, 'y', 10, 'one', 'copy'], [3, 'y', 10, 'one', 'stale'], [4, 'x', 9, 'one', 'stale'], [5, 'x', 12, 'one', 'fresh'],
    [6, 'y', 11, 'one', 'copy'], [7, 'x', 20, 'one', 'fresh'], [8, 'y', 17, 'one', 'stale'], [9, 'y', 18, 'one', 'copy'],
    [10, 'x', 1, 'two', 'aside'], [24, 'x', 2, 'two', 'rebooted'], [25, 'x', 21, 'one', 'aside'], [26, 'y', 2, 'two', 'copy'], [27, 'z', 3, 'two', 'fresh'],
  ] as const) {
    const heard = hear(d, path, seq, row * 10, bootId)
    t.equal(heard.verdict, verdict, `row ${row}`)
    if (verdict === 'stale' || verdict === 'aside') t.equal(heard.detector, d, `row ${row} proves nothing`)
    d = heard.detector
  }
})

t.test('a copy that was kept back and comes after the silence ends no silence', async (t) => {
  const { detector } = hear(newDetector, 'x', 5, 1000)
  t.equal(hear(detector, 'y', 5, 1299).verdict, 'copy')
  t.equal(hear(detector, 'y', 5, 1300).verdict, 'stale')
  t.equal(hear(detector, 'y', 6, 1300).verdict, 'fresh')
})

t.test('H65 a replay of an unknown earlier life proves nothing while the one that lives is on time, and later retires it for as long as it is late, not for ever', async (t) => {
  let d = hear(newDetector, 'x', 100, 1000, 'now').detector
  t.equal(hear(d, 'x', 7, 1149, 'before').verdict, 'aside')
  const replay = hear(d, 'x', 7, 1150, 'before')
  t.equal(replay.verdict, 'rebooted')
  d = replay.detector
  t.equal(hear(d, 'x', 101, 1200, 'now').verdict, 'aside', 'a straggler of a life that is over looks the same')
  t.equal(hear(d, 'x', 100, 1300, 'now').verdict, 'stale', 'said before')
  const back = hear(d, 'x', 102, 1300, 'now')
  t.equal(back.verdict, 'rebooted')
  t.equal(hear(back.detector, 'x', 7, 1460, 'before').verdict, 'stale')
})

t.test('a path that dies is told apart while the other one lives', async (t) => {
  let d = hear(hear(newDetector, 'x', 1, 0).detector, 'y', 1, 0).detector
  for (let i = 1; i <= 5; i++) d = hear(d, 'x', 1 + i, i * 100).detector
  t.equal(pathLiveness(d, 'x', timing, 500), 'alive')
  t.equal(pathLiveness(d, 'y', timing, 500), 'lost')
  t.equal(pathLiveness(d, 'z', timing, 500), 'unseen')
  t.equal(liveness(d, timing, 500), 'alive')
  t.equal(lossAtMs(d, timing, 500), 800)
})

t.test('a reboot forgets paths of the life before', async (t) => {
  const d = hear(hear(newDetector, 'y', 5, 0).detector, 'x', 1, 200, 'two').detector
  t.equal(pathLiveness(d, 'y', timing, 200), 'unseen')
})

t.test('remembered lives are bounded', async (t) => {
  let d = newDetector
  for (let i = 0; i < 100; i++) d = hear(d, 'x', 1, i * 200, `boot ${i}`).detector
  t.equal(d.retired.length, haLimits.retiredBootsMax)
  t.equal(hear(d, 'x', 1, 20_000, 'boot 98').verdict, 'stale')
})
