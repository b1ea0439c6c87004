/** Who keeps the sessions of a NAT of VPP in the session table, in whatever way that NAT allows. */
import type { ProgramNat } from '../../../contract/dataplane.js'
import type { VppClient } from '../client.js'
import type { NatTable } from './table.js'

export interface NatKeeper {
  readonly table: NatTable
  /** A life of the connection begins. `pid`: tells lives of VPP apart from those. Never throws. */
  readonly up: (client: VppClient, pid: number) => Promise<void>
  readonly down: () => void
  readonly stop: () => Promise<void>
  /** Why this node should not take the group now; '': it may. */
  readonly missing: () => string
  readonly degraded: () => string[]
  readonly status: ProgramNat
}
