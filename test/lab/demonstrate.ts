/** Shows a lab step by step: builds it, runs each step, says what came back and whether it is what was promised. Everything is removed at the end, also after Ctrl-C. */
import { setMaxListeners } from 'node:events'
import { createColors } from 'picocolors'
import { LockstepError } from '../../src/contract/errors.js'
import { sizes, type SizeName, type Step, type StepResult } from './steps.js'
import { labRefusal, labsRunning, removeLeftovers } from './topology.js'

export type Say = (text: string) => void

/** What is shown, and on which lab. */
export interface Stage<L> {
  readonly title: string
  readonly tools: readonly string[]
  readonly open: (prefix: string, say: Say) => Promise<L>
  /** Its agents, where they are no step of their own. */
  readonly begin: (lab: L, say: Say) => Promise<void>
  readonly steps: ReadonlyArray<Step<L>>
  /** For --json. */
  readonly about: (lab: L) => Readonly<Record<string, unknown>>
  /** The agents' last words, for a step that failed. */
  readonly said: (lab: L) => string
  /** How to look around. */
  readonly keep: (lab: L) => string
}

export interface ShowOptions { readonly size: SizeName, readonly keep: boolean, readonly json: boolean, readonly prefix: string | null }

export async function show<L extends { readonly close: () => Promise<void> }> (stage: Stage<L>, o: ShowOptions): Promise<number> {
  const refusal = await labRefusal(stage.tools)
  if (refusal !== null) throw new LockstepError('unsupported', 'LS_LAB_HOST', 'no lab can be built here', { found: refusal, next: 'npm run setup, as root, installs what is missing' })
  const c = createColors(process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '')
  const say: Say = (text) => { if (!o.json) process.stdout.write(`${text}\n`) }

  const left = await removeLeftovers()
  if (left.length > 0) say(c.dim(`removed what an earlier lab left: ${left.join(', ')}`))
  // The first signal ends the demonstration and removes everything; a second one is not needed for that.
  const abort = new AbortController()
  setMaxListeners(0, abort.signal) // one for each curl at work
  const interrupt = (): void => { abort.abort() }
  const interrupted = new Promise<never>((_resolve, reject) => { abort.signal.addEventListener('abort', () => reject(new LockstepError('unavailable', 'LS_LAB_INTERRUPTED', 'interrupted')), { once: true }) })
  interrupted.catch(() => {})
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const s of signals) process.on(s, interrupt)
  let lab: L | null = null
  try {
    say(c.bold(stage.title))
    const opened = lab = await stage.open(o.prefix ?? freePrefix(), say)
    await stage.begin(opened, say)
    const results: Array<StepResult & { readonly name: string, readonly seconds: number }> = []
    for (const step of stage.steps) {
      if (abort.signal.aborted) break
      say(c.bold(step.title))
      const begun = performance.now()
      const result = await Promise.race([step.run(opened, sizes[o.size], abort.signal), interrupted]).catch((error: unknown): StepResult => ({ ok: false, lines: [error instanceof Error ? error.message : String(error)], figures: {} }))
      if (abort.signal.aborted) break
      results.push({ name: step.name, seconds: Number(((performance.now() - begun) / 1000).toFixed(2)), ...result })
      for (const line of result.lines) say(`  ${line}`)
      say(`  ${result.ok === null ? c.yellow('left out') : result.ok ? c.green('ok') : c.red('FAILED')}\n`)
    }
    const failed = results.filter((r) => r.ok === false)
    if (!abort.signal.aborted && failed.length > 0) say(`${c.red('The agent said:')}\n${stage.said(opened)}\n`)
    if (o.json) process.stdout.write(`${JSON.stringify({ ok: failed.length === 0 && !abort.signal.aborted, size: o.size, ...stage.about(opened), steps: results.map(({ lines: _lines, ...rest }) => rest) }, null, 2)}\n`)
    if (o.keep && !abort.signal.aborted) {
      say(stage.keep(opened))
      await interrupted
    }
    if (abort.signal.aborted && !o.keep) say('interrupted')
    return abort.signal.aborted ? (o.keep ? 0 : 130) : failed.length === 0 ? 0 : 1
  } catch (error) {
    if (abort.signal.aborted) return o.keep ? 0 : 130
    throw error
  } finally {
    await lab?.close()
    for (const s of signals) process.off(s, interrupt)
    say(c.dim('the lab is removed'))
  }
}

/** `lockstep`, or the next that no running lab has. */
function freePrefix (): string {
  const taken = new Set(labsRunning())
  for (let n = 1; ; n++) {
    const prefix = n === 1 ? 'lockstep' : `lockstep${n}`
    if (!taken.has(prefix)) return prefix
  }
}
