/** Words of the configuration and of callers, and what of the code they name. */
import type { BackendName } from '../contract/dataplane.js'
import type { VppSettings } from '../contract/desired.js'
import { LockstepError } from '../contract/errors.js'

const backendNames: readonly BackendName[] = ['userspace', 'ebpf', 'dpdk', 'vpp']

export function backendOf (name: string): BackendName {
  const found = backendNames.find(b => b === name)
  if (found === undefined) throw new LockstepError('invalid', 'LS_A_BACKEND', 'there is no such backend', { object: 'agent.backend', found: name, expected: backendNames.join(', ') })
  return found
}

export function transportOf (name: string): VppSettings['transport'] {
  const found = (['auto', 'socket', 'shm'] as const).find(t => t === name)
  if (found === undefined) throw new LockstepError('invalid', 'LS_A_TRANSPORT', 'there is no such transport to VPP', { object: '--vpp-transport', found: name, expected: 'auto, socket or shm' })
  return found
}
