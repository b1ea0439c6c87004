/** What the host and the ring builder contribute to a compile. */
import type { ApplyResult } from '../../contract/dataplane.js'
import type { PortRange } from '../../contract/desired.js'

export interface PortFacts {
  /** Dense id that the backend gave the port. */
  readonly device: number
  readonly mac: string
  /** Layer 3. */
  readonly mtu: number
  /** The kernel's; 0 = none. */
  readonly ifindex: number
  /** With prefix length, as the kernel has them now. */
  readonly addresses: readonly string[]
  readonly up: boolean
}

export interface HostFacts {
  /** By Port.name. */
  readonly ports: Readonly<Record<string, PortFacts>>
  /** The kernel's ephemeral range, when it is known. */
  readonly ephemeralPorts?: PortRange
  /** Ports on which sshd listens, when they are known: added to the management allow (D1). */
  readonly sshPorts?: readonly number[]
}

export interface RingFacts {
  /** First arena element of the ring in force. */
  readonly element: number
  /** Its entries; 0 = no usable real. */
  readonly entries: number
  /** Names of reals that take no new flows although their weight is above 0. */
  readonly down?: ReadonlySet<string>
}
/** By VIP name; a VIP without one has no usable real. */
export type Rings = Readonly<Record<string, RingFacts>>

export interface CompiledConfig {
  /** struct ls_config. */
  readonly bank: Uint8Array
  /** Packed routes and static neighbours, see compile/routes.ts. */
  readonly routes: Uint8Array
  readonly neighbours: Uint8Array
  /** By redundancy group, see compile/announcements.ts. */
  readonly announcements: Readonly<Record<number, Uint8Array>>
  readonly result: Omit<ApplyResult, 'generation' | 'capabilities' | 'durations'>
  readonly warnings: readonly string[]
}
