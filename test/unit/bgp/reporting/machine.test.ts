/** What is told of a subject, and when: the table, the defects of others that must not be here, and what holds after any history. */
import t from 'tap'
import type { BgpState } from '../../../../src/contract/bgp.js'
import { landed, step, type Decision, type ReportTiming, type SubjectMemory } from '../../../../src/bgp/reporting/machine.js'
import { Random } from '../../../simulation/random.js'
import { subject } from './world.js'

const hour = 3_600_000
const timing: ReportTiming = { graceMs: 0, debounceMs: 0, refreshMs: 6 * hour, jitter: 0, spacingMs: 0 }

/** One subject over time; `land` puts the last report on record. */
class Story {
  memory: SubjectMemory | undefined
  recorded: BgpState
  recordedAt: number | null
  mark: bigint | null = null
  incarnation = '1'
  draw = 0
  last: Decision = { kind: 'nothing' }
  constructor (recorded: BgpState, readonly timing: ReportTiming, recordedAt: number | null = 0) {
    this.recorded = recorded
    this.recordedAt = recordedAt
  }

  at (now: number, session: BgpState, rttNs = 1000): string {
    const result = step(this.memory, { subject: subject('a', this.recorded, { recordedAt: this.recordedAt, incarnation: this.incarnation }), mark: this.mark, session, rttNs, now, draw: this.draw }, this.timing)
    this.memory = result.memory
    this.last = result.decision
    return result.decision.kind === 'report' ? `${result.decision.report.state} ${result.decision.report.cause}` : result.decision.kind === 'hold' ? `hold ${result.decision.because}` : 'nothing'
  }

  land (now: number, mark: bigint | null = null): void {
    if (this.memory === undefined || this.last.kind !== 'report') throw new Error('nothing to land')
    this.memory = landed(this.memory, this.last.report, mark, now, this.draw)
    this.recorded = this.last.report.state
    this.recordedAt = now
  }
}

t.test('the table: record, session now, when it was last up, grace, and what is told', async t => {
  const rows: ReadonlyArray<readonly [row: number, recorded: BgpState, history: ReadonlyArray<readonly [number, BgpState]>, graceMs: number, told: string]> = [
    [1, 'unknown', [[0, 'up']], 0, 'up first'],
    [2, 'unknown', [[0, 'down']], 60_000, 'down first'],
    [3, 'unknown', [[0, 'unknown']], 0, 'hold unknown'],
    [4, 'up', [[0, 'up']], 0, 'nothing'],
    [5, 'up', [[0, 'down']], 0, 'down changed'],
    [6, 'up', [[0, 'down']], 60_000, 'hold grace'],
    [7, 'up', [[0, 'up'], [59_999, 'down']], 60_000, 'hold grace'],
    [8, 'up', [[0, 'up'], [60_000, 'down']], 60_000, 'down changed'],
    [9, 'up', [[0, 'unknown']], 0, 'hold unknown'],
    [10, 'down', [[0, 'up']], 60_000, 'up changed'],
    [11, 'down', [[0, 'down']], 60_000, 'nothing'],
    [12, 'down', [[0, 'unknown']], 0, 'hold unknown'],
    [13, 'down', [[0, 'up'], [1, 'down']], 60_000, 'hold grace'],
    [14, 'up', [[0, 'up'], [1, 'unknown'], [90_000, 'unknown'], [90_001, 'down']], 60_000, 'hold grace'],
    [15, 'up', [[0, 'up'], [1, 'down'], [30_000, 'up'], [60_001, 'down']], 60_000, 'hold grace'],
  ]
  for (const [row, recorded, history, graceMs, told] of rows) {
    const story = new Story(recorded, { ...timing, graceMs })
    t.equal(history.map(([now, session]) => story.at(now, session)).at(-1), told, `row ${row}`)
  }
})

t.test('defect 1: what cannot be read is not down', async t => {
  const story = new Story('up', timing)
  for (let now = 0; now <= 12 * hour; now += 60_000) t.equal(story.at(now, 'unknown'), 'hold unknown')
  t.equal(story.at(12 * hour + 60_000, 'up'), 'up refresh', 'when it can be read again the record is old')
})

t.test('defect 2: the grace holds over a restart, because a record of up counts as seen up at the start', async t => {
  const story = new Story('up', { ...timing, graceMs: 300_000 }, 1_000_000_000 - hour)
  t.equal(story.at(1_000_000_000, 'down'), 'hold grace')
  t.equal(story.at(1_000_299_999, 'down'), 'hold grace')
  t.equal(story.at(1_000_300_000, 'down'), 'down changed')
})

t.test('defect 3: a restart writes nothing anew, and refreshes are due at the age of the record, spread by chance', async t => {
  const story = new Story('up', timing, 10 * hour)
  t.equal(story.at(10 * hour + 1, 'up'), 'nothing')
  t.equal(story.at(16 * hour - 1, 'up'), 'nothing')
  t.equal(story.at(16 * hour, 'up'), 'up refresh')
  const spread = [0, 0.5, 1].map(draw => {
    const one = new Story('up', { ...timing, jitter: 0.1 }, 0)
    one.draw = draw
    let now = 0
    while (one.at(now, 'up') === 'nothing') now += 60_000
    return now / 60_000
  })
  t.same(spread, [360, 342, 324], 'minutes')
  const untold = [0, 0.5, 1].map(draw => {
    const one = new Story('up', timing, null)
    one.draw = draw
    return one.at(0, 'up')
  })
  t.same(untold, ['nothing', 'nothing', 'up refresh'], 'a sink that does not say when: anywhere in the interval')
})

t.test('defect 4: without a tunnel a record is refreshed, and unknown becomes down', async t => {
  const down = new Story('down', timing, 0)
  t.equal(down.at(1, 'down'), 'nothing')
  t.equal(down.at(6 * hour, 'down'), 'down refresh')
  t.equal(new Story('unknown', timing, null).at(0, 'down'), 'down first')
  t.equal(new Story('up', timing, 0).at(0, 'down'), 'down changed', 'up on record, and no tunnel')
})

t.test('defect 5: another writer is noticed at the next look, and a new subject at the old id begins anew', async t => {
  const story = new Story('up', timing)
  t.equal(story.at(0, 'up'), 'nothing')
  story.recorded = 'down'
  t.equal(story.at(60_000, 'up'), 'up changed')
  story.land(60_001)
  t.equal(story.at(120_000, 'up'), 'nothing')
  story.recorded = 'unknown'
  story.recordedAt = null
  story.incarnation = '2'
  t.equal(story.at(180_000, 'down'), 'down first', 'nobody has seen the new one up')
})

t.test('defect 5: a record that is older than our last write changes nothing', async t => {
  const story = new Story('down', timing)
  story.mark = 100n
  t.equal(story.at(0, 'up'), 'up changed')
  story.land(1, 120n)
  story.recorded = 'down'
  story.mark = 119n
  t.equal(story.at(2, 'up'), 'nothing', 'read at 119, written at 120')
  story.mark = 120n
  t.equal(story.at(3, 'up'), 'up changed', 'read after it: somebody else wrote')
})

t.test('defect 12: while a session is held up there is no refresh, so none without its round trip', async t => {
  const story = new Story('up', { ...timing, graceMs: 2 * hour }, 0)
  t.equal(story.at(5 * hour, 'up', 7000), 'nothing')
  t.equal(story.at(6 * hour, 'down', 0), 'hold grace')
  t.equal(story.at(6 * hour + 1, 'up', 7000), 'up refresh')
  t.equal(story.last.kind === 'report' && story.last.report.rttNs, 7000)
})

t.test('a round trip is told with up, never with down, and its change alone tells nothing', async t => {
  const story = new Story('unknown', timing, null)
  story.at(0, 'up', 5_000_000)
  t.equal(story.last.kind === 'report' && story.last.report.rttNs, 5_000_000)
  story.land(0)
  t.equal(story.at(1, 'up', 9_000_000), 'nothing')
  story.at(2, 'down', 9_000_000)
  t.equal(story.last.kind === 'report' && story.last.report.rttNs, 0)
})

t.test('what is seen must last as long as the debounce; time that nobody saw does not count', async t => {
  const story = new Story('up', { ...timing, debounceMs: 30_000 })
  t.equal(story.at(0, 'up'), 'nothing')
  t.equal(story.at(10_000, 'down'), 'hold debounce')
  t.equal(story.at(20_000, 'up'), 'nothing')
  t.equal(story.at(30_000, 'down'), 'hold debounce')
  t.equal(story.at(50_000, 'unknown'), 'hold unknown')
  t.equal(story.at(70_000, 'down'), 'hold debounce', '20 s of the 40 were unknown')
  t.equal(story.at(80_000, 'down'), 'down changed')
})

t.test('between two reports of a subject there is the spacing', async t => {
  const story = new Story('up', { ...timing, spacingMs: 60_000 })
  t.equal(story.at(0, 'down'), 'down changed')
  story.land(0)
  t.equal(story.at(1000, 'up'), 'hold spacing')
  t.equal(story.at(60_000, 'up'), 'up changed')
})

t.test('a session that is now down, now unknown, comes to be told as down', async t => {
  const story = new Story('up', { ...timing, graceMs: 300_000 })
  story.at(0, 'up')
  let now = 0
  let told = ''
  while (told !== 'down changed' && now < hour) told = story.at(now += 10_000, now % 20_000 === 0 ? 'unknown' : 'down')
  t.equal(told, 'down changed')
  t.equal(now, 590_000, 'half of the time did not count')
})

t.test('any history: unknown brings no down, the record comes to equal the truth, refreshes are in time', async t => {
  const seed = Date.now() % 1_000_000
  t.comment(`seed ${seed}`)
  const states = ['up', 'down', 'unknown'] as const
  const timings = (random: Random): ReportTiming => ({ graceMs: random.below(4) * 20_000, debounceMs: random.below(3) * 15_000, refreshMs: 600_000, jitter: random.next() / 2, spacingMs: random.below(3) * 20_000 })
  for (let run = 0; run < 500; run++) {
    const random = Random.of(seed, run)
    const story = new Story(states[random.below(3)] ?? 'up', timings(random), random.chance(0.5) ? null : 0)
    let now = 0
    let downFor = 0
    let truth: BgpState = 'up'
    for (let i = 0; i < 120; i++) {
      const gap = 1000 + random.below(20_000)
      now += gap
      if (random.chance(0.3)) truth = states[random.below(3)] ?? 'up'
      story.draw = random.next()
      const wasUp = story.memory?.upAt !== null && story.memory !== undefined
      const told = story.at(now, truth)
      downFor = truth === 'down' ? downFor + gap : truth === 'up' ? 0 : downFor
      if (told.startsWith('down') && truth !== 'down') return t.fail(`run ${run}: down was told of what is ${truth}`)
      if (told.startsWith('up') && truth !== 'up') return t.fail(`run ${run}: up was told of what is ${truth}`)
      if (told === 'down changed' && wasUp && downFor < story.timing.graceMs) return t.fail(`run ${run}: down after ${downFor} ms of grace ${story.timing.graceMs}`)
      if (told.includes(' ') && !told.startsWith('hold') && random.chance(0.7)) story.land(now)
      if (random.chance(0.02)) story.recorded = states[random.below(3)] ?? 'up'
      if (random.chance(0.02)) story.memory = undefined
    }
    if (truth === 'unknown') truth = 'down'
    for (let i = 0; i < 30; i++) if (!story.at(now += 10_000, truth).match(/^(hold|nothing)/)) story.land(now)
    if (story.recorded !== truth) return t.fail(`run ${run}: ${story.recorded} on record after quiet, it is ${truth}`)
    if (now - (story.recordedAt ?? 0) > 610_000) return t.fail(`run ${run}: the record is ${now - (story.recordedAt ?? 0)} ms old`)
  }
  t.pass('500 histories')
})
