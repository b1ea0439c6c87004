/** Roles and leases of the redundancy groups in the shared table. One call sets all of a group's words, so what is not said is kept here. */
import type { HaController } from '../../contract/dataplane.js'
import type { NativeTable } from '../../native/binding.js'
import { native } from '../../native/errors.js'
import { roleNumbers } from '../../native/roles.js'

const FOR_EVER = 2n ** 64n - 1n

interface Group { readonly role: number, readonly epoch: bigint, readonly deadlineNs: bigint }
/** As a new table has it: no peer, so ours without end (R23). */
const fresh: Group = { role: roleNumbers.owner, epoch: 0n, deadlineNs: FOR_EVER }

export function haController (table: Pick<NativeTable, 'setRole'>): HaController {
  const groups = new Map<number, Group>()
  const set = (rg: number, change: Partial<Group>): void => {
    const group = { ...groups.get(rg) ?? fresh, ...change }
    native(() => { table.setRole(rg, group.role, group.epoch, group.deadlineNs) }, { object: `redundancy group ${rg}` })
    groups.set(rg, group)
  }
  return {
    setRole: (rg, role, epoch) => { set(rg, { role: roleNumbers[role], epoch }) },
    stampLease: (rg, deadlineNs) => { set(rg, { deadlineNs }) }
  }
}
