/** An instance of the eBPF backend as the kernel has it: why there can be none here, its pins, its keeper. */
import { readFileSync, readdirSync } from 'node:fs'
import { probeBackends } from '../../src/backend/registry.js'
import type { Lab } from './lab.js'
import { skipReason } from './support.js'

/** The reason for tap's `skip`, or false: a lab can be built, these programs exist and the kernel runs ours. */
export async function ebpfSkip (...tools: string[]): Promise<string | false> {
  const ebpf = probeBackends().find((p) => p.backend === 'ebpf')
  return await skipReason(...tools) || (ebpf?.available === true ? false : ebpf?.reason ?? 'no ebpf backend')
}

export const pinsOf = (lab: Lab): string => `/sys/fs/bpf/lockstep/${lab.prefix}`

/** The keeper of the lab's instance; `null`: none runs. */
export const keeperPid = (lab: Lab): number | null => keeperOf(pinsOf(lab))

/** The keeper of these pins. */
export function keeperOf (pins: string): number | null {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const [program = '', folder] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      if (program.endsWith('lockstep-keeper') && folder === pins) return Number(pid)
    } catch { /* gone meanwhile */ }
  }
  return null
}
