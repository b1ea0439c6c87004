/** Who moves the packets of a table's dataplane. One per backend that shares the table; it never touches a session or the configuration. */
import type { BackendName, Capability, ProbeResult } from '../../contract/dataplane.js'
import type { Desired } from '../../contract/desired.js'
import type { OpenPort } from './ports.js'

/** What a compile needs to know of a port. */
export interface PortFact { readonly device: number, readonly mac: string, readonly mtu: number, readonly ifindex: number, readonly addresses: readonly string[], readonly up: boolean }

export interface Forwarder {
  readonly name: BackendName
  readonly capabilities: readonly Capability[]
  readonly probe: () => ProbeResult
  /** Packet ports stay closed in this process: they are known by their id, and something else receives from them. */
  readonly parks: boolean
  readonly start: () => void
  readonly stop: () => Promise<void>
  /** Frames of the port are received from here on. */
  readonly enable: (port: OpenPort) => void
  /** No more. */
  readonly disable: (port: OpenPort) => void
  /** What must stand on the host before the ports of `d` come into force. On error what stood before may be gone. */
  readonly guard: (d: Desired, ports: readonly OpenPort[], facts: Readonly<Record<string, PortFact>>) => Promise<void>
  readonly unguard: () => Promise<void>
  /** Changes when the guard must be written again. */
  readonly signature: () => string
}
