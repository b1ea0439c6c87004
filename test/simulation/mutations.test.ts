/** The simulator catches what it is for: each planted defect breaks an invariant within a bounded number of seeds. */
import t from 'tap'
import { simulateCluster } from './cluster.js'
import { clusterMutations } from './cluster-mutations.js'
import { mutations, type Mutation } from './mutations.js'
import { Broken, simulate } from './sync.js'

const seeds = 120

async function caught ({ wrap, patch, seed: first = 1 }: Mutation): Promise<string | null> {
  const restore = patch?.()
  try {
    for (let seed = first; seed < first + seeds; seed++) {
      try {
        await simulate({ seed, steps: 700, calm: seed % 3 === 0, ...(wrap === undefined ? {} : { wrap }) })
      } catch (error) {
        return error instanceof Broken ? error.message : `threw: ${String(error)}`
      }
    }
    return null
  } finally {
    restore?.()
  }
}

t.test('nothing is caught where nothing is planted', async (t) => { t.equal(await caught({ what: 'nothing' }), null) })
for (const mutation of mutations) t.test(`caught: ${mutation.what}`, async (t) => {
  const why = await caught(mutation)
  t.ok(why !== null, why ?? `not in ${seeds} seeds`)
})

const clusterSeeds = 30
for (const { what, seed: first, plant } of clusterMutations) t.test(`caught in a cluster: ${what}`, async (t) => {
  let why: string | null = null
  for (let seed = first; seed < first + clusterSeeds && why === null; seed++) {
    try {
      await simulateCluster({ seed, steps: 1500, plant })
    } catch (error) {
      if (!(error instanceof Broken)) throw error
      why = error.message
    }
  }
  t.ok(why !== null, why ?? `not in ${clusterSeeds} seeds`)
})
