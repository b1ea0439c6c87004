/**
 * A program that is run for its exit code: without a shell, unprivileged (D14), and as a process group of its own, which is killed whole. What it writes
 * goes nowhere, so it can neither fill anything nor keep anything open.
 */
import { spawn, type ChildProcess } from 'node:child_process'

/** User and group nobody of Linux. */
const NOBODY = 65534
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** `null`: it cannot be run. */
export function spawnGroup ([program = '', ...args]: readonly string[]): ChildProcess | null {
  const user = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}
  try {
    const child = spawn(program, args, { ...user, cwd: '/', env: { PATH, LANG: 'C' }, stdio: 'ignore', detached: true })
    if (child.pid !== undefined) return child
    child.once('error', () => undefined)
    return null
  } catch {
    return null // arguments that cannot be passed, or no process to be had
  }
}

/** It, and what it has left behind. */
export function killGroup ({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch { /* nobody is left */ }
}
