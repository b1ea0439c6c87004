/** Whose a BPF program is: everything of ours is pinned in one folder. */
import type { BpfLink, BpfProgram } from './facts.js'

export const PINS = '/sys/fs/bpf/lockstep/'

export function isOurs (id: number, programs: readonly BpfProgram[], links: readonly BpfLink[]): boolean {
  const pins = [...programs.filter((p) => p.id === id), ...links.filter((l) => l.programId === id)].flatMap((o) => o.pinned)
  return pins.some((path) => path.startsWith(PINS))
}
