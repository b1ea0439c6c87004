/** `npm run sim -- [--seed N] [--seeds N] [--steps N] [--calm]`: many seeds, one after the other; stops at the first that breaks an invariant and shortens it. */
import { parseArgs } from 'node:util'
import { Broken, simulate } from './sync.js'

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, seeds: { type: 'string', default: '1' }, steps: { type: 'string', default: '2000' }, calm: { type: 'boolean', default: false }, trace: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } }
})

const whole = (name: string, text: string): number => {
  const n = Number(text)
  if (Number.isSafeInteger(n) && n >= 0) return n
  console.error(`--${name}: expected a whole number, found ${text}`)
  process.exit(2)
}

/** The first steps that still break something: a shorter run of the same seed is another run, so they are tried, not cut. */
async function shortest (seed: number, steps: number): Promise<number> {
  let found = steps
  for (let n = 1; n < found; n = Math.ceil(n * 1.3)) {
    try {
      await simulate({ seed, steps: n, calm: values.calm })
    } catch {
      found = n
    }
  }
  return found
}

if (values.help) {
  console.log('npm run sim -- [--seed 1] [--seeds 1] [--steps 2000] [--calm] [--trace]\n\nA pair of nodes under seeded faults. --calm: connections break and nothing else. --trace: what happens to each seed.')
} else {
  const [seed, seeds, steps] = [whole('seed', values.seed), whole('seeds', values.seeds), whole('steps', values.steps)]
  const began = performance.now()
  const sum: Record<string, number> = {}
  for (let i = 0; i < seeds; i++) {
    try {
      const result = await simulate({ seed: seed + i, steps, calm: values.calm, ...(values.trace ? { trace: (line: string) => { console.log(line) } } : {}) })
      for (const [name, n] of Object.entries(result)) sum[name] = (sum[name] ?? 0) + Number(n)
    } catch (error) {
      if (!(error instanceof Broken)) throw error
      console.error(error.message)
      console.error(`again: npm run sim -- --seed ${seed + i} --steps ${await shortest(seed + i, steps)}${values.calm ? ' --calm' : ''} --trace`)
      process.exit(1)
    }
    if ((i + 1) % 500 === 0) console.log(`${i + 1} of ${seeds} seeds, ${((performance.now() - began) / 1000).toFixed(0)} s`)
  }
  console.log(`${seeds} seeds of ${steps} steps from ${seed}: no invariant broken, ${((performance.now() - began) / 1000).toFixed(0)} s; ${Object.entries(sum).map(([name, n]) => `${name} ${n}`).join(', ')}`)
}
