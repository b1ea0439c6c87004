/** The state of a target: the table, and what must hold after any sequence of inputs. */
import t from 'tap'
import type { HealthInput } from '../../../src/contract/health.js'
import { inDoubt, probed, restored, step, transitions, unknown, type Health, type Thresholds } from '../../../src/health/machine.js'
import { intervalOf, nextInterval } from '../../../src/health/timing.js'
import { Random } from '../../simulation/random.js'

const after = (thresholds: Thresholds, inputs: readonly HealthInput[], from: Health = unknown): Health => inputs.reduce((health, input) => step(health, input, thresholds), from)

t.test('the first pass brings up what nobody knows, the first failure down', async t => {
  t.same(after({ rise: 3, fall: 3 }, ['pass']), { state: 'up', count: 5 })
  t.same(after({ rise: 3, fall: 3 }, ['fail']), { state: 'down', count: 0 })
})

t.test('fall failures bring down, rise passes up; a single one in between changes nothing', async t => {
  const at = { rise: 2, fall: 3 }
  t.equal(after(at, ['pass', 'fail', 'fail']).state, 'up')
  t.equal(after(at, ['pass', 'fail', 'fail', 'fail']).state, 'down')
  t.equal(after(at, ['pass', 'fail', 'fail', 'pass', 'fail']).state, 'up')
  t.equal(after(at, ['fail', 'pass']).state, 'down')
  t.equal(after(at, ['fail', 'pass', 'fail', 'pass']).state, 'down', 'passes in a row')
  t.equal(after(at, ['fail', 'pass', 'pass']).state, 'up')
  t.equal(after(at, ['fail', 'pass', 'pass', 'fail', 'fail']).state, 'up', 'what has just come up is not on its last legs')
})

t.test('an operator pauses and disables; what comes back is unknown', async t => {
  const at = { rise: 2, fall: 2 }
  t.equal(after(at, ['pass', 'pause']).state, 'paused')
  t.equal(after(at, ['pass', 'pause', 'pass', 'fail']).state, 'paused', 'an answer that comes too late changes nothing')
  t.equal(after(at, ['pass', 'pause', 'enable']).state, 'paused')
  t.same(after(at, ['pass', 'pause', 'resume']), unknown)
  t.equal(after(at, ['fail', 'disable', 'resume']).state, 'disabled')
  t.same(after(at, ['fail', 'disable', 'enable']), unknown)
  t.notOk(probed(after(at, ['disable'])))
})

t.test('other thresholds, or another life: a state that cannot be is made one that can', async t => {
  t.same(restored({ state: 'up', count: 999 }, { rise: 2, fall: 3 }), { state: 'up', count: 4 })
  t.same(restored({ state: 'up', count: 0 }, { rise: 2, fall: 3 }), { state: 'up', count: 2 })
  t.same(restored({ state: 'down', count: 7 }, { rise: 2, fall: 3 }), { state: 'down', count: 1 })
  t.same(restored({ state: 'unknown', count: 7 }, { rise: 2, fall: 3 }), unknown)
})

t.test('in any sequence the counter and the state agree, and every change is one of the table', async t => {
  const seed = Date.now() % 1_000_000
  t.comment(`seed ${seed}`)
  const random = new Random(seed)
  const chance = (): number => random.next()
  const inputs: readonly HealthInput[] = ['pass', 'pass', 'pass', 'fail', 'fail', 'fail', 'pause', 'resume', 'disable', 'enable']
  for (let run = 0; run < 200; run++) {
    const at = { rise: 1 + Math.floor(chance() * 5), fall: 1 + Math.floor(chance() * 5) }
    let health: Health = unknown
    let [passes, failures] = [0, 0]
    for (let i = 0; i < 200; i++) {
      const input = inputs[Math.floor(chance() * inputs.length)] ?? 'pass'
      const before = health
      health = step(health, input, at)
      passes = input === 'pass' ? passes + 1 : input === 'fail' ? 0 : passes
      failures = input === 'fail' ? failures + 1 : 0
      const row = transitions[before.state] as Partial<Record<HealthInput, string>>
      const wrong = health.count < 0 || health.count > at.rise + at.fall - 1 || (health.state === 'up') !== (health.state === 'up' && health.count >= at.rise) ||
        (health.state === 'down' && health.count >= at.rise) || (health.state !== before.state && row[input] === undefined) ||
        (before.state === 'up' && health.state === 'down' && input !== 'fail') || (before.state === 'down' && health.state === 'up' && passes < at.rise)
      if (wrong) return t.fail(`${JSON.stringify(before)} ${input} ${JSON.stringify(health)} at ${JSON.stringify(at)}`)
      if (probed(health) && failures >= at.fall && health.state !== 'down') return t.fail(`${failures} failures, and it is ${health.state}`)
    }
  }
  t.pass('40 000 inputs')
})

t.test('doubt makes probes come sooner, and jitter neither sooner nor later than it says', async t => {
  const check = { intervalMs: 1000, fastIntervalMs: 100, downIntervalMs: 5000, jitterPct: 10, rise: 2, fall: 3 }
  t.equal(intervalOf(unknown, check), 100)
  t.equal(intervalOf({ state: 'up', count: 4 }, check), 1000)
  t.equal(intervalOf({ state: 'up', count: 3 }, check), 100)
  t.equal(intervalOf({ state: 'down', count: 0 }, check), 5000)
  t.equal(intervalOf({ state: 'down', count: 1 }, check), 100)
  t.ok(inDoubt({ state: 'up', count: 2 }, check))
  t.same([0, 0.5, 1].map(chance => nextInterval({ state: 'up', count: 4 }, check, chance)), [900, 1000, 1100])
})
