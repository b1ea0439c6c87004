/** Ports of the configuration as native devices: opened before a flip, closed after it, never in between. */
import { isDeepStrictEqual } from 'node:util'
import type { Desired, Port } from '../../contract/desired.js'
import { LockstepError } from '../../contract/errors.js'
import { limits } from '../../generated/layout.js'
import type { NativePortSpec, NativeUserspace } from '../../native/binding.js'
import { fromNative, native } from '../../native/errors.js'
import type { Forwarder } from './forwarder.js'

/** A port of DPDK is a TAP to everybody else. */
const kinds = { packet: 1, dpdk: 1, pcap: 2, tap: 3, source: 4 } as const

/** The kernel has an interface for it, whose links, addresses and neighbours count. */
export const inKernel = ({ kind }: Pick<Port, 'kind'>): boolean => kind === 'packet' || kind === 'dpdk'

export interface OpenPort { readonly port: Port, readonly spec: NativePortSpec, readonly device: number, readonly mac: string, readonly mtu: number, readonly ifindex: number }

export interface PreparedPorts {
  /** As they will be when the configuration is in force. */
  readonly all: readonly OpenPort[]
  /** Closes what was opened for it. */
  readonly undo: () => void
  /** After the flip: the new ones receive, and what is no longer wanted is closed. */
  readonly enable: () => Promise<void>
  readonly closeStale: () => Promise<void>
}

/** Name or path -> path of the namespace; empty for the agent's own. */
export const netnsPath = (netns: string | null): string => netns === null ? '' : netns.includes('/') ? netns : `/run/netns/${netns}`

function specOf (port: Port, agentNetns: string | null): NativePortSpec {
  const source = port.source
  const opens = source?.mode === 'open' ? source : null
  return {
    kind: kinds[port.kind], name: port.kind === 'pcap' ? port.name : port.device,
    netns: inKernel(port) || port.kind === 'tap' ? netnsPath(port.netns ?? agentNetns) : '',
    in: port.devargs ?? port.input ?? '', out: port.output ?? '', mac: port.mac ?? '', mtu: 0, rate: opens?.rate ?? port.replay?.rate ?? 0, flows: opens?.flows ?? 0, loops: port.replay?.loops ?? 1,
    reflect: source !== null && opens === null, src: opens?.source ?? '', dst: opens?.destination ?? '', dport: opens?.port ?? 0, proto: opens?.protocol ?? 0, device: 0, parked: false
  }
}

export class PortSet {
  private open = new Map<string, OpenPort>()

  /** `netns`: of the ports whose links are mirrored. */
  constructor (private readonly dataplane: NativeUserspace, private readonly netns: string | null, private readonly forwarder: () => Forwarder) {}

  all (): readonly OpenPort[] { return [...this.open.values()] }

  /** Names of ports whose interface is another one by now: the one they were opened on is gone, and what ran there with it. */
  replaced (): ReadonlySet<string> {
    const links = native(() => this.dataplane.links())
    return new Set(this.mirrored().filter(p => links.some(l => l.name === p.spec.name && l.ifindex !== p.ifindex)).map(p => p.port.name))
  }

  /** Those whose interface is gone, and there is no other of its name. */
  gone (): readonly OpenPort[] {
    const links = native(() => this.dataplane.links())
    return this.mirrored().filter(p => !links.some(l => l.name === p.spec.name))
  }

  /** On interfaces of the namespace whose links are known. */
  private mirrored (): readonly OpenPort[] { return this.all().filter(p => inKernel(p.port) && p.spec.netns === netnsPath(this.netns)) }

  /** Opens what is missing, and anew what has other settings now (another traffic source, MAC or replay) or another interface. On error nothing new stays open. */
  prepare (d: Desired): PreparedPorts {
    const next = new Map<string, OpenPort>()
    const added: OpenPort[] = []
    const replaced = this.replaced()
    const undo = (): void => { for (const { device } of added.splice(0)) this.dataplane.removePort(device) }
    for (const port of d.ports) {
      const spec = specOf(port, d.agent.netns)
      const known = this.open.get(port.name)
      if (known !== undefined && isDeepStrictEqual(known.spec, spec) && !replaced.has(port.name)) {
        next.set(port.name, { ...known, port })
        continue
      }
      try {
        const opened: OpenPort = { port, spec, ...this.dataplane.addPort({ ...spec, device: this.freeId(port.name, next), parked: inKernel(port) && this.forwarder().parks }) }
        next.set(port.name, opened)
        added.push(opened)
      } catch (error) {
        undo()
        throw refusal(port, error)
      }
    }
    return {
      all: [...next.values()],
      undo,
      enable: async () => {
        for (const port of added) await this.forwarder().open(port) // frames from one may leave by another
        for (const port of added) await this.forwarder().enable(port)
      },
      closeStale: async () => {
        const stale = this.all().filter(({ port, device }) => next.get(port.name)?.device !== device)
        this.open = next
        for (const port of stale) {
          if (!next.has(port.port.name)) await this.forwarder().disable(port)
          this.dataplane.removePort(port.device)
        }
      }
    }
  }

  /** What an earlier life gave the port, so that what forwards meanwhile and the next configuration mean the same; else the lowest that is free. */
  private freeId (name: string, next: ReadonlyMap<string, OpenPort>): number {
    const taken = new Set([...this.open.values(), ...next.values()].map(p => p.device))
    const inherited = this.forwarder().inherited()
    const mine = inherited.get(name)
    if (mine !== undefined && !taken.has(mine)) return mine
    for (const id of inherited.values()) taken.add(id)
    for (let id = 1; id < limits.LS_DEVICES_MAX; id++) if (!taken.has(id)) return id
    throw new LockstepError('exhausted', 'LS_B_PORTS', 'too many ports', { object: `port ${name}`, expected: `at most ${limits.LS_DEVICES_MAX - 1}`, next: 'remove some' })
  }
}

function refusal (port: Port, error: unknown): LockstepError {
  const e = fromNative(error)
  const next = e.code === 'LS_E_PERMISSION' ? 'run as root, or grant CAP_NET_RAW and CAP_NET_ADMIN' : port.kind === 'pcap' ? 'check the capture files' : 'check the name and the namespace (ip -br link)'
  return new LockstepError(e.errorClass, e.code, e.message.replace(/^[A-Z_]+: /, ''), { object: `port ${port.name}`, next }, error)
}
