/**
 * A short run of the cluster simulator; `npm run sim -- --cluster` takes longer ones, with other seeds. The same seeds each time: about one seed in a
 * hundred still shows something that is open (docs/design/0013-pair.md), and what is open must not hide what is new.
 */
import t from 'tap'
import { simulateCluster } from './cluster.js'

const seed = Number(process.env['LOCKSTEP_TEST_SEED'] ?? 1)

t.test(`I1 to I8 whatever happens to a cluster (LOCKSTEP_TEST_SEED=${seed})`, async (t) => {
  const sum = { opened: 0, moves: 0, takeovers: 0, contests: 0, lapses: 0 }
  for (let i = 0; i < 18; i++) {
    const result = await simulateCluster({ seed: seed + i, steps: 700 })
    for (const key of Object.keys(sum) as Array<keyof typeof sum>) sum[key] += result[key]
  }
  for (const [name, count] of Object.entries(sum)) t.ok(count > 0, `${name}: ${count}`)
})
