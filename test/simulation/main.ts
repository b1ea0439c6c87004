/** `npm run sim -- [--cluster] [--seed N] [--seeds N] [--steps N]`: many seeds, one after the other; stops at the first that breaks an invariant and shortens it. */
import { parseArgs } from 'node:util'
import { simulateCluster } from './cluster.js'
import { actionOf, say, shapeOf } from './faults.js'
import { shortest } from './shrink.js'
import { Broken, simulate } from './sync.js'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' }, seeds: { type: 'string', default: '1' }, steps: { type: 'string', default: '2000' }, cluster: { type: 'boolean', default: false }, calm: { type: 'boolean', default: false },
    keep: { type: 'string' }, trace: { type: 'boolean', default: false }, help: { type: 'boolean', default: false }
  }
})

const whole = (name: string, text: string): number => {
  const n = Number(text)
  if (Number.isSafeInteger(n) && n >= 0) return n
  console.error(`--${name}: expected a whole number, found ${text}`)
  process.exit(2)
}

type Run = { readonly seed: number, readonly steps: number, readonly keep?: readonly number[] }
const trace = values.trace ? { trace: (line: string) => { console.log(line) } } : {}
const run = async (r: Run, quiet = false): Promise<object> => (values.cluster ? await simulateCluster({ ...r, ...(quiet ? {} : trace) }) : await simulate({ ...r, calm: values.calm, ...(quiet ? {} : trace) }))

async function report (r: Run, broken: Broken): Promise<void> {
  const breaks = async (keep: readonly number[]): Promise<boolean> => {
    try {
      await run({ ...r, keep }, true)
      return false
    } catch (error) {
      if (!(error instanceof Broken)) throw error
      return error.invariant === broken.invariant
    }
  }
  const keep = await shortest(r.keep ?? [...Array(r.steps).keys()], breaks)
  if (values.cluster) for (const n of keep) console.error(`  #${n} ${say(actionOf(r.seed, n, shapeOf(r.seed)))}`)
  console.error(`again, ${keep.length} of ${r.steps} steps: npm run sim -- ${values.cluster ? '--cluster ' : ''}--seed ${r.seed} --steps ${r.steps}${values.calm ? ' --calm' : ''} --keep ${keep.join()} --trace`)
}

if (values.help) {
  console.log('npm run sim -- [--cluster] [--seed 1] [--seeds 1] [--steps 2000] [--calm] [--keep N,N] [--trace]\n\nA pair of nodes under seeded faults: replication alone, or with --cluster ownership too. --calm: connections break and nothing else. --keep: only these steps. --trace: what happens to each seed.')
} else {
  const [seed, seeds, steps] = [whole('seed', values.seed), whole('seeds', values.seeds), whole('steps', values.steps)]
  const keep = values.keep === undefined ? {} : { keep: values.keep.split(',').filter((n) => n !== '').map((n) => whole('keep', n)) }
  const began = performance.now()
  const sum: Record<string, number> = {}
  for (let i = 0; i < seeds; i++) {
    const one = { seed: seed + i, steps, ...keep }
    try {
      for (const [name, n] of Object.entries(await run(one))) sum[name] = (sum[name] ?? 0) + Number(n)
    } catch (error) {
      if (!(error instanceof Broken)) throw error
      console.error(error.message)
      if (!values.trace) await report(one, error)
      process.exit(1)
    }
    if ((i + 1) % 500 === 0) console.log(`${i + 1} of ${seeds} seeds, ${((performance.now() - began) / 1000).toFixed(0)} s`)
  }
  console.log(`${seeds} seeds of ${steps} steps from ${seed}: no invariant broken, ${((performance.now() - began) / 1000).toFixed(0)} s; ${Object.entries(sum).map(([name, n]) => `${name} ${n}`).join(', ')}`)
}
