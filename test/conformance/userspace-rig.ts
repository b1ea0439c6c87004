/** The userspace backend for the suite: no privileges, every native effect written to the journal. */
import { TableDataPlane } from '../../src/backend/table/index.js'
import { UserspaceForwarder } from '../../src/backend/userspace/index.js'
import { compile, ringInputs } from '../../src/config/index.js'
import type { NativeCore, NativeTable, NativeUserspace } from '../../src/native/binding.js'
import { loadCore } from '../../src/native/load.js'
import { scratch, type Effect, type Rig } from './rig.js'

type Methods<T> = { [K in keyof T]: T[K] extends (...args: never[]) => unknown ? K : never }[keyof T]

export async function makeUserspace (options: { readonly capacity?: number } = {}): Promise<Rig> {
  const core = loadCore()
  const capacity = options.capacity ?? 4096
  const { directory, remove } = scratch()
  const table = new core.Table({ capacity, cpus: 0, threads: 2, arena: 16384, hugepages: 0, path: '' })
  const journal: Effect[] = []
  let closed = false
  function spy<T extends NativeTable | NativeUserspace> (object: T, method: Methods<T> & string, effect: Effect): void {
    const call = (object[method] as (...args: unknown[]) => unknown).bind(object)
    Object.defineProperty(object, method, {
      value: (...args: unknown[]) => {
        rig.before?.(effect)
        journal.push(effect)
        return call(...args)
      }
    })
  }
  const spied: NativeCore = {
    ...core,
    Userspace: new Proxy(core.Userspace, {
      construct: (target, [t, workers]: [NativeTable, number]) => {
        const native = new target(t, workers)
        spy(native, 'addPort', 'open port')
        spy(native, 'enablePort', 'enable port')
        spy(native, 'removePort', 'close port')
        spy(native, 'setRoutes', 'routes')
        spy(native, 'setNeighbours', 'neighbours')
        return native
      }
    })
  }
  spy(table, 'writeConfig', 'flip')
  spy(table, 'reevaluate', 'sessions looked up again')
  const dataplane = new TableDataPlane({
    core: spied, table, workers: 2, netns: null, backend: 'userspace', inherited: false, forwarders: native => new Map([['userspace', new UserspaceForwarder(native, 'conformance')]]),
    compiler: { rings: (d) => ringInputs(d), compile: (d, ports, rings, generation) => compile(d, { ports }, d.ids, rings, new Date(), generation) }
  })
  const rig: Rig = {
    dataplane, directory, journal, before: null, capacity,
    listen: (on) => { table.feed(on) },
    close: async () => {
      if (closed) return
      closed = true
      await dataplane.close()
      table.close()
      remove()
    }
  }
  return await Promise.resolve(rig)
}
