/** The userspace backend for the suite: no privileges; its ports are the capture files and traffic sources of the configuration. */
import { UserspaceForwarder } from '../../src/backend/userspace/index.js'
import { IngressGuard } from '../../src/backend/table/ingress-guard.js'
import { loadCore } from '../../src/native/load.js'
import type { MakeBackend, Rig } from './rig.js'
import { Spy, tableRig } from './table-rig.js'

export async function makeUserspace ({ capacity = 4096, arena = 16384 }: Parameters<MakeBackend>[0] = {}): Promise<Rig> {
  const core = loadCore()
  const spy = new Spy()
  return await Promise.resolve(tableRig(spy, {
    core, capacity, table: new core.Table({ capacity, cpus: 0, threads: 2, arena, hugepages: 0, path: '' }), netns: null, backend: 'userspace', kind: 'pcap', shortest: 1,
    forwarders: native => new Map([['userspace', new UserspaceForwarder(native, new IngressGuard('conformance'))]]),
    made: (native) => { spy.on(native, 'enablePort', 'enable port') },
    bind: d => d, end: async () => { await Promise.resolve() }
  }))
}
