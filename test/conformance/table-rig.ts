/** What the rigs of all backends over the shared table have in common: the dataplane with every native effect written to the journal. */
import { TableDataPlane, type TableDataPlaneOptions } from '../../src/backend/table/index.js'
import { compile, ringInputs } from '../../src/config/index.js'
import type { Desired } from '../../src/contract/desired.js'
import type { NativeCore, NativeTable, NativeUserspace } from '../../src/native/binding.js'
import { desiredOf, scratch, type Effect, type Rig } from './rig.js'

type Methods<T> = { [K in keyof T]: T[K] extends (...args: never[]) => unknown ? K : never }[keyof T] & string

/** Writes what is called to a journal, and lets a test fail it. */
export class Spy {
  readonly journal: Effect[] = []
  before: ((effect: Effect) => void) | null = null

  on<T extends object> (object: T, method: Methods<T>, effect: Effect): void {
    const call = (object[method] as (...args: unknown[]) => unknown).bind(object)
    Object.defineProperty(object, method, {
      value: (...args: unknown[]) => {
        this.before?.(effect)
        this.journal.push(effect)
        return call(...args)
      }
    })
  }
}

export interface TableRig extends Pick<TableDataPlaneOptions, 'core' | 'table' | 'netns' | 'backend'>, Pick<Rig, 'capacity' | 'kind' | 'shortest'> {
  readonly forwarders: (native: NativeUserspace, directory: string) => ReturnType<TableDataPlaneOptions['forwarders']>
  /** Sees every native dataplane that is made. */
  readonly made: (native: NativeUserspace) => void
  /** The configuration in terms of this backend's ports. */
  readonly bind: (d: Desired, directory: string) => Desired
  /** By default what the ports say. */
  readonly received?: (rig: Rig) => number
  /** After the table is closed. */
  readonly end: () => Promise<void>
}

export function tableRig (spy: Spy, o: TableRig): Rig {
  const { directory, remove } = scratch()
  let closed = false
  const core: NativeCore = {
    ...o.core,
    Userspace: new Proxy(o.core.Userspace, {
      construct: (target, [table, workers]: [NativeTable, number]) => {
        const native = new target(table, workers)
        spy.on(native, 'addPort', 'open port')
        spy.on(native, 'removePort', 'close port')
        spy.on(native, 'setRoutes', 'routes')
        spy.on(native, 'setNeighbours', 'neighbours')
        o.made(native)
        return native
      }
    })
  }
  spy.on(o.table, 'writeConfig', 'flip')
  spy.on(o.table, 'reevaluate', 'sessions looked up again')
  const dataplane = new TableDataPlane({
    core, table: o.table, workers: 2, netns: o.netns, backend: o.backend, inherited: false, forwarders: native => o.forwarders(native, directory),
    compiler: { rings: (d) => ringInputs(d), weight: () => (_, real) => real.weight, compile: (d, ports, rings, generation) => compile(d, { ports }, d.ids, rings, new Date(), generation) }
  })
  const rig: Rig = {
    dataplane, directory, table: o.table, journal: spy.journal, capacity: o.capacity, kind: o.kind, shortest: o.shortest,
    get before () { return spy.before },
    set before (run) { spy.before = run },
    desired: (text) => o.bind(desiredOf(text, directory), directory),
    received: () => o.received?.(rig) ?? dataplane.links.list().reduce((sum, l) => sum + l.rxPackets, 0),
    listen: (on) => { o.table.feed(on) },
    close: async () => {
      if (closed) return
      closed = true
      await dataplane.close()
      o.table.close()
      await o.end()
      remove()
    }
  }
  return rig
}
