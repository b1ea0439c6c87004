/** A short run of the simulator; `npm run sim` takes longer ones. A failing seed is printed and can be run alone. */
import t from 'tap'
import { simulate } from './sync.js'

const seed = Number(process.env['LOCKSTEP_TEST_SEED'] ?? Date.now() % 1_000_000_007)

t.test(`I1 to I5 whatever happens to a pair (LOCKSTEP_TEST_SEED=${seed})`, async (t) => {
  const sum = { opened: 0, takeovers: 0, cuts: 0, restarts: 0, repaired: 0, bulks: 0, keys: 0 }
  for (let i = 0; i < 150; i++) {
    const result = await simulate({ seed: seed + i, steps: 600 })
    for (const key of Object.keys(sum) as Array<keyof typeof sum>) sum[key] += result[key]
  }
  for (const [name, count] of Object.entries(sum)) t.ok(count > 100, `${name}: ${count}`)
})

t.test(`I3 while connections only break, nothing ever has to be repaired (LOCKSTEP_TEST_SEED=${seed})`, async (t) => {
  for (let i = 0; i < 60; i++) await simulate({ seed: seed + i, steps: 600, calm: true })
  t.pass('60 seeds')
})
