/**
 * A script that is run again and again: exit code 0 in time is well. Without a shell, unprivileged (D14), one at a time, and as a process group of its own,
 * which is killed whole: at the timeout, and what a script leaves behind when it ends. What it writes goes nowhere, so it can neither fill anything nor keep
 * anything open.
 */
import { spawn, type ChildProcess } from 'node:child_process'

export interface ScriptSettings { readonly argv: readonly string[], readonly intervalMs: number, readonly timeoutMs: number }

export interface Script {
  /** The last run that ended. */
  readonly failed: () => boolean
  readonly close: () => void
}

/** User and group nobody of Linux. */
const NOBODY = 65534
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export function startScript ({ argv: [program = '', ...args], intervalMs, timeoutMs }: ScriptSettings): Script {
  const user = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}
  let failed = false
  let closed = false
  let running: ChildProcess | null = null
  let timer: NodeJS.Timeout

  const killGroup = (): void => { if (running !== null) killAll(running) }

  const run = (): void => {
    const began = performance.now()
    const end = (well: boolean): void => {
      clearTimeout(timer)
      killGroup()
      running = null
      if (closed) return
      failed = !well
      timer = setTimeout(run, Math.max(0, began + intervalMs - performance.now()))
    }
    running = spawnGroup(program, args, user)
    if (running?.pid === undefined) {
      running?.once('error', () => undefined) // it cannot be run
      return end(false)
    }
    running.once('exit', code => { end(code === 0) })
    timer = setTimeout(() => {
      failed = true
      killGroup()
    }, timeoutMs)
  }

  timer = setTimeout(run, 0)
  return {
    failed: () => failed,
    close: () => {
      closed = true
      clearTimeout(timer)
      killGroup()
    }
  }
}

/** `null`: arguments that cannot be passed, or no process to be had. */
function spawnGroup (program: string, args: readonly string[], user: { readonly uid?: number, readonly gid?: number }): ChildProcess | null {
  try {
    return spawn(program, args, { ...user, cwd: '/', env: { PATH, LANG: 'C' }, stdio: 'ignore', detached: true })
  } catch {
    return null
  }
}

function killAll ({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch { /* nobody is left */ }
}
