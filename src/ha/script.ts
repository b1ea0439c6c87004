/** A script that is run again and again: exit code 0 in time is well. One at a time; at the timeout it is killed, and what it leaves behind when it ends. */
import type { ChildProcess } from 'node:child_process'
import { killGroup, spawnGroup } from '../lib/process-group.js'

export interface ScriptSettings { readonly argv: readonly string[], readonly intervalMs: number, readonly timeoutMs: number }

export interface Script {
  /** The last run that ended. */
  readonly failed: () => boolean
  readonly close: () => void
}

export function startScript ({ argv, intervalMs, timeoutMs }: ScriptSettings): Script {
  let failed = false
  let closed = false
  let running: ChildProcess | null = null
  let timer: NodeJS.Timeout

  const kill = (): void => { if (running !== null) killGroup(running) }

  const run = (): void => {
    const began = performance.now()
    const end = (well: boolean): void => {
      clearTimeout(timer)
      kill()
      running = null
      if (closed) return
      failed = !well
      timer = setTimeout(run, Math.max(0, began + intervalMs - performance.now()))
    }
    running = spawnGroup(argv)
    if (running === null) return end(false)
    running.once('exit', code => { end(code === 0) })
    timer = setTimeout(() => {
      failed = true
      kill()
    }, timeoutMs)
  }

  timer = setTimeout(run, 0)
  return {
    failed: () => failed,
    close: () => {
      closed = true
      clearTimeout(timer)
      kill()
    }
  }
}
