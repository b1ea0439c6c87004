/** Ports of the configuration as native devices: opened before a flip, closed after it, never in between. */
import type { Desired, Port } from '../../contract/desired.js'
import { LockstepError } from '../../contract/errors.js'
import type { NativePortSpec, NativeUserspace } from '../../native/binding.js'
import { fromNative } from '../../native/errors.js'

const kinds = { packet: 1, pcap: 2, tap: 3, source: 4 } as const

export interface OpenPort { readonly port: Port, readonly device: number, readonly mac: string, readonly mtu: number, readonly ifindex: number }

/** Name or path -> path of the namespace; empty for the agent's own. */
export const netnsPath = (netns: string | null): string => netns === null ? '' : netns.includes('/') ? netns : `/run/netns/${netns}`

function specOf (port: Port, agentNetns: string | null): NativePortSpec {
  const source = port.source
  const opens = source?.mode === 'open' ? source : null
  return {
    kind: kinds[port.kind], name: port.kind === 'pcap' ? port.name : port.device,
    netns: port.kind === 'packet' || port.kind === 'tap' ? netnsPath(port.netns ?? agentNetns) : '',
    in: port.input ?? '', out: port.output ?? '', mac: port.mac ?? '', mtu: 0, rate: opens?.rate ?? port.replay?.rate ?? 0, flows: opens?.flows ?? 0, loops: port.replay?.loops ?? 1,
    reflect: source !== null && opens === null, src: opens?.source ?? '', dst: opens?.destination ?? '', dport: opens?.port ?? 0, proto: opens?.protocol ?? 0
  }
}

export class PortSet {
  private readonly open = new Map<string, OpenPort>()

  constructor (private readonly dataplane: NativeUserspace) {}

  all (): readonly OpenPort[] { return [...this.open.values()] }

  /** Opens what is missing. On error nothing new stays open. Returns the function that takes back, and the one that closes what is no longer wanted. */
  prepare (d: Desired): { readonly undo: () => void, readonly enable: () => void, readonly closeStale: () => void } {
    const added: string[] = []
    const undo = (): void => {
      for (const name of added) this.close(name)
    }
    for (const port of d.ports) {
      if (this.open.has(port.name)) continue
      try {
        const native = this.dataplane.addPort(specOf(port, d.agent.netns))
        this.open.set(port.name, { port, ...native })
        added.push(port.name)
      } catch (error) {
        undo()
        const e = fromNative(error)
        throw new LockstepError(e.errorClass, e.code, e.message.replace(/^[A-Z_]+: /, ''), {
          object: `port ${port.name}`, next: e.code === 'LS_E_PERMISSION' ? 'run as root, or grant CAP_NET_RAW and CAP_NET_ADMIN' : 'check the name and the namespace (ip -br link)'
        }, error)
      }
    }
    const wanted = new Set(d.ports.map(p => p.name))
    return { undo, enable: () => { for (const name of added) this.dataplane.enablePort(this.open.get(name)?.device ?? 0) }, closeStale: () => { for (const name of [...this.open.keys()]) if (!wanted.has(name)) this.close(name) } }
  }

  private close (name: string): void {
    const port = this.open.get(name)
    if (port === undefined) return
    this.dataplane.removePort(port.device)
    this.open.delete(name)
  }
}
