/** Waiting for what must come about. No test is about how long it takes on a busy host: the bound is for what never does. */
import { setTimeout as sleep } from 'node:timers/promises'

const PATIENCE_MS = 60_000

/** Whether it came about; a shorter time is for what must not. */
export async function comesAbout (holds: () => boolean | Promise<boolean>, withinMs = PATIENCE_MS): Promise<boolean> {
  for (const end = performance.now() + withinMs; !await holds();) {
    if (performance.now() > end) return false
    await sleep(10)
  }
  return true
}

/** @throws naming what did not come about. */
export async function until (what: string | (() => string), holds: () => boolean | Promise<boolean>): Promise<void> {
  if (!await comesAbout(holds)) throw new Error(`waited in vain for ${typeof what === 'string' ? what : what()}`)
}
