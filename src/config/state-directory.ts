/** The directory that an agent keeps its state in: held by one process, its disk errors typed. */
import { closeSync, ftruncateSync, writeSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LockstepError } from '../contract/errors.js'
import { fileIo, type StoreIo } from './store-io.js'
import { ConfigStore } from './store.js'

/** A disk that is full or read-only is no bug: retry when there is room. */
async function typed<T> (path: unknown, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw new LockstepError('unavailable', 'LS_A_STATE', 'the state directory cannot be used', { object: String(path), found: (error as Error).message, next: 'make room or check its permissions; the configuration in force stays' }, error)
  }
}
const storeIo = Object.fromEntries(Object.entries(fileIo).map(([name, run]: [string, (...args: never[]) => Promise<unknown>]) =>
  [name, async (...args: never[]) => await typed(args[0], run(...args))])) as unknown as StoreIo

export interface HeldState {
  readonly directory: string
  readonly store: ConfigStore
  readonly release: () => void
}

/** Held for this process alone: opening it sweeps what an unfinished apply left, and another agent's apply may be just that. */
export async function openState (directory: string, startupPath: string | null, lockFile: (path: string) => number): Promise<HeldState> {
  const path = join(directory, 'agent.lock')
  let fd: number | null = null
  const release = (): void => {
    if (fd !== null) closeSync(fd)
    fd = null
  }
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    fd = lockFile(path)
    ftruncateSync(fd)
    writeSync(fd, `pid ${process.pid}\n`, 0)
    return { directory, store: await ConfigStore.open(directory, { io: storeIo, ...(startupPath === null ? {} : { startupPath }) }), release }
  } catch (error) {
    release()
    if (error instanceof LockstepError) throw error
    if ((error as { code?: unknown }).code === 'LS_E_BUSY') {
      const holder = await readFile(path, 'utf8').catch(() => '')
      throw new LockstepError('unavailable', 'LS_A_STATE_BUSY', 'another agent keeps its state here', { object: directory, found: holder.trim() || 'a lock', next: 'stop it, or give this one another --state' }, error)
    }
    throw new LockstepError('unavailable', 'LS_A_STATE', 'the state directory cannot be used', { object: directory, found: (error as Error).message, next: 'name another with --state' }, error)
  }
}
