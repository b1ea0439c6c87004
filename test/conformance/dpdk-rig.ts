/** The dpdk backend for the suite: its process on the near ends of links (wires.ts), by net_af_packet. Each rig is an instance of its own, of which nothing stays. */
import { DpdkForwarder } from '../../src/backend/dpdk/index.js'
import { IngressGuard } from '../../src/backend/table/ingress-guard.js'
import { counter } from '../../src/generated/codes.js'
import type { NativeUserspace } from '../../src/native/binding.js'
import { loadCore } from '../../src/native/load.js'
import type { Rig } from './rig.js'
import { settled } from './settled.js'
import { Spy, tableRig } from './table-rig.js'
import type { Wires } from './wires.js'

const RX_PACKETS = counter.findIndex(c => c.name === 'rx_packets')
/** One: frames of different flows leave in the order they came. */
const THREADS = 1
const IN_PROCESS = 2
let rigs = 0

/** What DPDK said, and its process. */
type DpdkRig = Rig & { readonly log: readonly string[], readonly forwarder: DpdkForwarder, readonly instance: string }

export function dpdkRigs (wires: Wires): (options?: { readonly capacity?: number, readonly arena?: number, readonly eal?: readonly string[] }) => Promise<DpdkRig> {
  return async ({ capacity = 4096, arena = 16384, eal = [] } = {}) => {
    const core = loadCore()
    const instance = `conformance-${process.pid}-${rigs++}`
    const table = new core.Table({ capacity, cpus: 0, threads: IN_PROCESS + THREADS, arena, hugepages: 0, path: '' })
    const log: string[] = []
    const spy = new Spy()
    const forwarder = new DpdkForwarder({
      table, instance, netns: wires.netns, first: IN_PROCESS, workers: THREADS, descriptors: [table.info().fd], ingress: new IngressGuard(instance), log: (level, text) => { log.push(`${level} ${text}`) },
      settings: { cpus: [], hugepages: 'off', memoryMib: 64, buffers: 8192, frameBytes: 2048, idle: 'sleep', eal }
    })
    spy.on(forwarder, 'enable', 'enable port')
    let native: NativeUserspace | null = null
    const rig = tableRig(spy, {
      core, table, capacity, netns: wires.netns, backend: 'dpdk', kind: 'packet', shortest: 14,
      forwarders: () => new Map([['dpdk', forwarder]]),
      made: (made) => { native = made },
      bind: d => wires.bind(d),
      received: ({ dataplane }) => dataplane.telemetry.snapshot().blocks['global']?.[RX_PACKETS] ?? 0,
      end: async () => { await wires.clear() }
    })
    settled(rig, wires, () => native)
    return await Promise.resolve(Object.assign(rig, { log, forwarder, instance }))
  }
}
