/** The eBPF backend for the suite: its programs on the near ends of links (wires.ts). Each rig is an instance of its own, of which nothing stays. */
import { EbpfForwarder, pinFolder } from '../../src/backend/ebpf/index.js'
import { KeeperWatch } from '../../src/backend/ebpf/keeper-watch.js'
import { possibleCpus } from '../../src/backend/registry.js'
import { counter } from '../../src/generated/codes.js'
import type { NativeUserspace } from '../../src/native/binding.js'
import { loadEbpf } from '../../src/native/load-ebpf.js'
import { loadCore } from '../../src/native/load.js'
import type { Rig } from './rig.js'
import { settled } from './settled.js'
import { Spy, tableRig } from './table-rig.js'
import type { Wires } from './wires.js'

const RX_PACKETS = counter.findIndex(c => c.name === 'rx_packets')
let rigs = 0

/** `folder`: where it is pinned. */
type EbpfRig = Rig & { readonly folder: string }

export function ebpfRigs (wires: Wires): (options?: { readonly capacity?: number }) => Promise<EbpfRig> {
  return async ({ capacity = 4096 } = {}) => {
    const core = loadCore()
    const { addon, reason } = loadEbpf()
    if (addon === null) throw new Error(reason)
    const folder = pinFolder(`conformance-${process.pid}-${rigs++}`)
    const ebpf = new addon.Ebpf(folder, core.tableHeader({ capacity, cpus: possibleCpus(), threads: 2, arena: 16384 }))
    const table = new core.Table({ regions: ebpf.info().regions, created: true, programs: false })
    const keeper = new KeeperWatch(folder, wires.netns, null)
    const spy = new Spy()
    spy.on(ebpf, 'attach', 'enable port')
    let native: NativeUserspace | null = null
    const rig = tableRig(spy, {
      core, table, capacity, netns: wires.netns, backend: 'ebpf', kind: 'packet', shortest: 14,
      forwarders: (_, directory) => new Map([['ebpf', new EbpfForwarder(ebpf, table, folder, keeper, directory)]]),
      made: (made) => { native = made },
      bind: d => wires.bind(d),
      // Links count what belongs to an interface; frames of an unknown VLAN were received too.
      received: ({ dataplane }) => dataplane.telemetry.snapshot().blocks['global']?.[RX_PACKETS] ?? 0,
      end: async () => {
        await wires.clear()
        await keeper.end()
        ebpf.close()
        addon.remove(folder)
      }
    })
    settled(rig, wires, () => native)
    return await Promise.resolve(Object.assign(rig, { folder }))
  }
}
