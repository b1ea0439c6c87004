/** Who moves the packets of a table's dataplane. One per backend that shares the table; it never touches a session or the configuration. */
import type { BackendName, Capability, DriverPort, LinkInfo, LoadBalancerSink, ProbeResult, ProgramStatus } from '../../contract/dataplane.js'
import type { Desired, Real, Vip } from '../../contract/desired.js'
import type { OpenPort } from './ports.js'

/** What a compile needs to know of a port. */
export interface PortFact { readonly device: number, readonly mac: string, readonly mtu: number, readonly ifindex: number, readonly addresses: readonly string[], readonly up: boolean }

/** A dataplane that is programmed: what it has is read back and made what it should be. */
export interface Program {
  readonly status: () => ProgramStatus
  /** Its own. */
  readonly links: () => readonly LinkInfo[]
  /** Why it cannot take over now; '': it can. */
  readonly missing: () => string
  readonly loadBalancer: LoadBalancerSink
  /** The configuration is in force, with these shares of new flows. Returns what of it is not there yet, and why. */
  readonly follow: (d: Desired, weight: (vip: Vip, real: Real) => number) => Promise<string[]>
  /** The flows of these reals, by id, end. */
  readonly flush: (reals: readonly number[]) => Promise<void>
}

/** Of who needs nothing but the kernel's interfaces. */
export const admitsAll: Forwarder['admit'] = async () => await Promise.resolve(async () => { await Promise.resolve() })

export interface Forwarder {
  readonly name: BackendName
  readonly capabilities: readonly Capability[]
  readonly probe: () => ProbeResult
  /** Packet ports stay closed in this process: they are known by their id, and something else receives from them. */
  readonly parks: boolean
  /** It receives copies of frames, as others on the same interface do: two of them at a time forward each frame twice. */
  readonly copies: boolean
  /** Ids of ports by name, of a life before this process. */
  readonly inherited: () => ReadonlyMap<string, number>
  /** `first`: nobody forwards yet. */
  readonly start: (first: boolean) => Promise<void>
  /** This process ends. Whether forwarding does too is the forwarder's nature. */
  readonly stop: () => Promise<void>
  /** Another forwarder took over: nothing of this one remains on the host. */
  readonly leave: () => Promise<void>
  /** Before the ports of `d` are opened: what they stand on. `replaced`: ports whose interface is another one now; `waits`: what cannot be had now is tried again, and refuses nothing. Resolves to what undoes it. */
  readonly admit: (d: Desired, replaced: ReadonlySet<string>, waits: boolean) => Promise<() => Promise<void>>
  /** Before a switch to this forwarder: frames can leave by the port, none is received from it yet. */
  readonly open: (port: OpenPort) => void | Promise<void>
  /** After a switch from this forwarder, when nobody sends by it any more. */
  readonly close: (port: OpenPort) => void | Promise<void>
  /** Another forwarder receives from the port already: what this one still holds of it is sent on, unless the other has copies of it, then it receives no more. */
  readonly handOver: (port: OpenPort, copied: boolean) => Promise<void>
  /** Frames of the port are received from here on. */
  readonly enable: (port: OpenPort) => void | Promise<void>
  /** No more. */
  readonly disable: (port: OpenPort) => void | Promise<void>
  /** These are all: what an earlier life left on others goes. Returns what is not as it should be. */
  readonly settle: (ports: readonly OpenPort[]) => string[] | Promise<string[]>
  /** What of it is not as it should be at this moment, one line each. */
  readonly degraded: () => string[]
  /** Why nothing at all is forwarded at this moment; '': something is. */
  readonly down?: () => string
  /** Names of ports that it should have and has not. */
  readonly lacks?: () => readonly string[]
  /** Somebody waits for its end, or for what it is doing: whatever it waits for itself, of a process that may hang, ends soon. */
  readonly hurry?: () => void
  /** What must stand on the host before the ports of `d` come into force. On error what stood before may be gone. */
  readonly guard: (d: Desired, ports: readonly OpenPort[], facts: Readonly<Record<string, PortFact>>) => Promise<void>
  readonly unguard: () => Promise<void>
  /** Changes when the guard must be written again. */
  readonly signature: () => string
  /** Ports as drivers of its own count them. */
  readonly drivers?: () => readonly DriverPort[]
  /** Of a dataplane with tables of its own, which VIPs have to be brought to; `null`: those of the session table are used. */
  readonly program: Program | null
}
