/**
 * Proof of equality and finding of differences between two sets of sessions (docs/design/0009).
 *
 *   overhead_small      cells needed for each differing session: the worst of the means for 2, 4, 8, 16, 32, 64 and 128 differences
 *   overhead_d256       the same for 256 differences; _d1024, _d10000
 *   bytes_d10000        packed cells that were needed to find 10 000 differences
 *   decode_ms_d10000    our cells subtracted, theirs fed in steps of 3 % until all 10 000 were found
 *   upkeep_ns           one session put into, or taken out of, the 4096 cells at hand, hash included; a changed session is both
 *   upkeep_batch_ns     the same 256 at a time
 *   build_1m_ms         4096 cells of a whole table from nothing
 */
import { buildPrograms, runProgram } from '../lib/programs.js'
import { figuresOf, mean, medianOf, spreadOf, type Samples, type SuiteResult } from '../lib/samples.js'

export interface ProofBenchOptions {
  readonly sessions?: number
  readonly repeats?: number
  readonly progress?: (text: string) => void
  readonly signal?: AbortSignal
}

const smallSizes = [2, 4, 8, 16, 32, 64, 128]
/** Fewer sessions cannot differ in 10 000 and share as many. */
const least = 20_000

export async function bench ({ sessions = 1_000_000, repeats = 9, progress = () => {}, signal }: ProofBenchOptions = {}): Promise<SuiteResult> {
  await buildPrograms(progress, signal)
  progress(`${sessions} sessions, ${repeats} repeats of overhead, upkeep, build and decode`)
  return proofFigures(await runProgram('proof_bench', { sessions, repeats }, signal), sessions)
}

export function proofFigures (samples: Samples, sessions: number): SuiteResult {
  const overhead = (d: number): number | null => mean(samples.values.get(`overhead_d${d}`) ?? [])
  const small = smallSizes.map(overhead).filter((value) => value !== null)
  const ms = (name: string): number | null => {
    const ns = medianOf(samples, name)
    return ns === null ? null : ns / 1e6
  }
  return {
    suite: 'proof',
    figures: figuresOf({
      sessions,
      overhead_small: small.length === 0 ? null : Math.max(...small),
      overhead_d256: overhead(256),
      overhead_d1024: overhead(1024),
      overhead_d10000: overhead(10_000),
      bytes_d10000: sessions < least ? null : mean(samples.values.get('bytes') ?? []),
      decode_ms_d10000: sessions < least ? null : ms('decode_ns'),
      upkeep_ns: medianOf(samples, 'upkeep_ns'),
      upkeep_batch_ns: medianOf(samples, 'upkeep_batch_ns'),
      [sessions === 1_000_000 ? 'build_1m_ms' : 'build_ms']: ms('build_ns')
    }),
    notes: { ...samples.notes, method: 'overheads, bytes: means over seeds; times: medians, CPU time of the measuring thread; random items, warm cells' },
    spread: spreadOf(samples)
  }
}
