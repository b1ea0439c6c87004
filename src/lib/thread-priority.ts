/** Who runs first when there is more work than processors. Linux has a nice value for each thread. */
import { readlinkSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'
import { basename } from 'node:path'

/** Of the thread that calls it, and of those that it starts, by so much; false: it may not. */
export function nice (by: number): boolean {
  try {
    const thread = Number(basename(readlinkSync('/proc/thread-self')))
    setPriority(thread, Math.max(-20, Math.min(19, getPriority(thread) + by)))
    return true
  } catch {
    return false
  }
}
