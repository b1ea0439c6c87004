/**
 * The backends of this build, and the memory they share. Where the kernel can run our programs the session table lies in maps from the start, also for
 * the userspace backend, so that a switch shares it and copies nothing (R12); else in anonymous memory.
 */
import { readFileSync } from 'node:fs'
import type { BackendName, ProbeResult } from '../contract/dataplane.js'
import type { Desired } from '../contract/desired.js'
import { LockstepError } from '../contract/errors.js'
import { limits } from '../generated/layout.js'
import type { NativeCore, NativeTable, NativeUserspace } from '../native/binding.js'
import type { NativeEbpf } from '../native/binding-ebpf.js'
import { dpdkProgram } from '../native/load-dpdk.js'
import { monotonicMs } from '../lib/monotonic.js'
import { addCounters } from '../native/telemetry.js'
import { fromNative, native } from '../native/errors.js'
import { loadEbpf } from '../native/load-ebpf.js'
import type { LogLine } from './dpdk/child.js'
import { DpdkForwarder, probeDpdk } from './dpdk/index.js'
import { EbpfForwarder, pinFolder, probeEbpf, removeInstance } from './ebpf/index.js'
import { Keeper } from './ebpf/keeper.js'
import { KeeperWatch } from './ebpf/keeper-watch.js'
import type { Forwarder } from './table/forwarder.js'
import { IngressGuard } from './table/ingress-guard.js'
import { netnsPath } from './table/ports.js'
import type { WorkBook } from '../lib/work.js'
import { probeUserspace, UserspaceForwarder } from './userspace/index.js'
import { keepsSessions, probeVpp, VppForwarder } from './vpp/index.js'

export { removeInstance }

export interface Backends {
  readonly table: NativeTable
  /** Forwarders over one native dataplane, by name; those that cannot run here are not in it. */
  readonly forwarders: (dataplane: NativeUserspace) => ReadonlyMap<BackendName, Forwarder>
  /** Where programs and their keeper are pinned; `null`: there can be none. */
  readonly folder: string | null
  /** A predecessor's programs forward on this table already. */
  readonly inherited: boolean
  /** Packets may be on their way through what an earlier life left: those programs, or a daemon. */
  readonly forwarding: boolean
  readonly close: () => void
}

export interface BackendOptions {
  readonly core: NativeCore
  readonly agent: Desired['agent']
  readonly instance: string
  readonly stateDirectory: string
  readonly workers: number
  /** The one that is started with. */
  readonly backend: BackendName
  /** What happens to a dataplane that is programmed: name and fields of events. */
  readonly tell: (name: string, fields: Readonly<Record<string, string | number | null>>) => void
  /** Told of who waits to try again. */
  readonly work?: WorkBook
  /** Lines of the process that runs DPDK. */
  readonly dpdkLog: LogLine
}

export const probeBackends = (vppSocket?: string): readonly ProbeResult[] => [probeUserspace(), probeEbpf(), probeDpdk(), probeVpp(vppSocket)]

/** Their packets go through a daemon of its own, which may start after the agent and forwards on without it. */
const daemons: ReadonlySet<BackendName> = new Set(['vpp'])

/** To begin with. @throws unsupported LS_A_BACKEND */
export function requireStart (backend: BackendName): void { if (!daemons.has(backend)) requireBackend(backend) }

/** To switch to. @throws unsupported LS_A_BACKEND: the backend cannot run here, with what is missing. */
export function requireBackend (backend: BackendName, vppSocket?: string): void {
  const all = probeBackends(vppSocket)
  const found = all.find(p => p.backend === backend)
  if (found?.available !== true) throw new LockstepError('unsupported', 'LS_A_BACKEND', 'this backend cannot run here', { object: 'agent.backend', found: `${backend}: ${found?.reason ?? 'unknown'}`, expected: all.filter(p => p.available).map(p => p.backend).join(' or '), next: 'lockstep backend list shows what this host can do' })
}

/** CPU numbers that this host may ever have, `0-3` or `0,2-5`: each is a worker id. */
export function possibleCpus (): number {
  const text = readFileSync('/sys/devices/system/cpu/possible', 'utf8').trim()
  return Math.max(...text.split(',').map(part => Number(part.split('-').at(-1)))) + 1
}

export async function openBackends (o: BackendOptions): Promise<Backends> {
  const { addon } = loadEbpf()
  const vpp = (table: NativeTable): readonly [BackendName, Forwarder] => ['vpp', new VppForwarder({ core: o.core, table, settings: o.agent.vpp, name: `lockstep-${o.instance}`, nowMs: monotonicMs, tell: o.tell, ...o.work === undefined ? {} : { work: o.work }, count: (kind, id, counted) => { addCounters(table, kind, id, counted) } })]
  const ingress = new IngressGuard(o.instance)
  /** Whoever works on the table whatever memory it lies in. */
  const common = (table: NativeTable, dataplane: NativeUserspace, descriptors: readonly number[]): ReadonlyArray<readonly [BackendName, Forwarder]> => [
    ['userspace', new UserspaceForwarder(dataplane, ingress)],
    ...dpdkProgram().path === null ? [] : [['dpdk', new DpdkForwarder({ table, settings: o.agent.dpdk, instance: o.instance, netns: o.agent.netns, first: o.workers, workers: o.workers, descriptors, ingress, log: o.dpdkLog, ...o.work === undefined ? {} : { work: o.work } })] as const],
    vpp(table)
  ]
  // Huge pages are not for maps: who insists on them has a table that cannot be switched.
  const ebpf = addon !== null && probeEbpf().available && (o.agent.table.hugepages !== 'on' || o.backend === 'ebpf') ? openMaps(o) : null
  if (ebpf === null) {
    const table = openMemory(o)
    return { table, forwarders: dataplane => new Map<BackendName, Forwarder>(common(table, dataplane, [table.info().fd])), inherited: false, forwarding: daemons.has(o.backend), folder: null, close: () => undefined }
  }
  const { existed, links, regions } = ebpf.info()
  const folder = pinFolder(o.instance)
  let keeper: Keeper | null = null
  let table: NativeTable
  try {
    // Whoever frees sessions of this table lets go before it is adopted.
    if (existed) keeper = await Keeper.meet(folder)
    native(() => { ebpf.freer(5000) }, { object: folder })
    table = new o.core.Table({ regions, created: !existed, programs: links.length > 0 })
    // Programs that forward meanwhile live on what they hold: nobody waits for the rest of the start, and a freer that is silent for long is killed.
    if (existed && daemons.has(o.backend)) table.programmed(false, keepsSessions(o.agent.vpp)) // before anything ends by time
    if (existed) native(() => { table.startFreer() }, { object: folder })
  } catch (error) {
    keeper?.leave()
    ebpf.close()
    throw fromNative(error, { object: folder })
  }
  return {
    table,
    forwarders: dataplane => new Map<BackendName, Forwarder>([...common(table, dataplane, regions), ['ebpf', new EbpfForwarder(ebpf, table, folder, new KeeperWatch(folder, netnsPath(o.agent.netns), keeper, o.work), o.stateDirectory)]]),
    inherited: existed,
    forwarding: existed || daemons.has(o.backend),
    folder,
    close: () => { ebpf.close() }
  }
}

/** Packet threads of the table: those of this process, and of the one that runs DPDK where worker ids suffice for both and the agent. */
const threadsOf = (o: BackendOptions, cpus: number): number => dpdkProgram().path === null || cpus + 2 * o.workers + 1 > limits.LS_WORKERS_MAX ? o.workers : 2 * o.workers

function openMaps (o: BackendOptions): NativeEbpf {
  const { addon } = loadEbpf()
  if (addon === null) throw new LockstepError('bug', 'LS_B_ADDON', 'the ebpf addon is gone')
  const header = native(() => o.core.tableHeader({ capacity: o.agent.table.capacity, cpus: possibleCpus(), threads: threadsOf(o, possibleCpus()), arena: 0 }), { object: 'agent.table' })
  return native(() => new addon.Ebpf(pinFolder(o.instance), header), { object: pinFolder(o.instance), next: 'lower agent.table.capacity, stop the other agent of this instance, or remove what an old version pinned: lockstep teardown' })
}

function openMemory (o: BackendOptions): NativeTable {
  const { capacity, hugepages } = o.agent.table
  try {
    return new o.core.Table({ capacity, cpus: 0, threads: threadsOf(o, 0), arena: 0, hugepages: { off: 0, auto: 1, on: 2 }[hugepages], path: '' })
  } catch (error) {
    throw fromNative(error, { object: 'agent.table', found: `capacity ${capacity}`, next: 'lower agent.table.capacity or free memory (huge pages: vm.nr_hugepages)' })
  }
}
