/** Which boot of the host this is: CLOCK_MONOTONIC and kernel state are comparable within one only. Where the kernel does not say, each process is one. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

export function kernelBootId (): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return createHash('sha256').update(String(process.pid)).digest('hex')
  }
}
