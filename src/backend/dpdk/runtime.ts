/** Files of EAL: one folder for each process, by its prefix. They stay when the process is killed. */
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Where EAL makes its folder `dpdk`: it would take a list of systemd's (`/run/a:/run/b`) for one name. Pure. */
export function runtimeBase (environment: Readonly<Record<string, string | undefined>>, root: boolean): string {
  const [given = ''] = (environment['RUNTIME_DIRECTORY'] ?? '').split(':')
  return given !== '' ? given : root ? '/var/run' : environment['XDG_RUNTIME_DIR'] ?? '/tmp'
}

/** What the process gets as RUNTIME_DIRECTORY. */
export const runtimeDirectory = (): string => runtimeBase(process.env, process.getuid?.() === 0)

/** Of a process that is gone. Another one that runs has the prefix if it holds the lock of `config`: its files stay. */
export function removeRuntime (prefix: string, base = runtimeDirectory()): void {
  const folder = join(base, 'dpdk', prefix)
  try {
    const config = join(folder, 'config')
    const held = existsSync(config) && readFileSync('/proc/locks', 'utf8').includes(`:${statSync(config).ino} `)
    if (!held) rmSync(folder, { recursive: true, force: true })
  } catch { /* they are in nobody's way */ }
}
