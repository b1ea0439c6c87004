/**
 * One node of the pair, a process of its own: `owner` makes sessions with the traffic sources of the userspace backend, or has them already; `standby`
 * installs what comes. CPU time is that of all threads but those that forward packets or end sessions.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { TableDataPlane } from '../../src/backend/table/index.js'
import { IngressGuard } from '../../src/backend/table/ingress-guard.js'
import { UserspaceForwarder } from '../../src/backend/userspace/index.js'
import { compile, formatIssue, IdBook, parseConfig, ringInputs, withIds } from '../../src/config/index.js'
import { limits } from '../../src/generated/layout.js'
import type { NativeTable } from '../../src/native/binding.js'
import { loadCore } from '../../src/native/load.js'
import type { PairReport } from '../../src/workers/pair.js'
import { startSyncThread, type SyncThread } from '../../src/workers/sync-thread.js'
import { fill } from '../../bench/api/filled-table.js'

export interface NodeSpec {
  readonly role: 'owner' | 'standby'
  readonly capacity: number
  /** Sessions that are there before the peer is. */
  readonly sessions: number
  /** New flows a second; 0: none. */
  readonly flowsPerS: number
  /** Milliseconds after which a flow that is over goes. */
  readonly timeoutMs: number
  readonly key: string
  /** Where the standby listens, and the owner dials; 0: the standby takes one that is free. */
  readonly port: number
}

export interface NodeReport {
  readonly pair: PairReport | null
  /** Milliseconds of CPU for replication since the process began. */
  readonly cpuMs: number
  readonly live: number
  readonly rssMib: number
  /** Time at which each event came, in ms since the pair was opened. */
  readonly events: ReadonlyArray<{ readonly name: string, readonly atMs: number, readonly fields: Readonly<Record<string, string | number | null>> }>
}

export type ToNode = { readonly kind: 'start', readonly spec: NodeSpec } | { readonly kind: 'traffic' } | { readonly kind: 'report', readonly anew: boolean } | { readonly kind: 'stop' }
export type FromNode = { readonly kind: 'done' } | { readonly kind: 'report', readonly report: NodeReport }

const ticksMs = 10
function cpuOf (stat: string): number {
  const fields = stat.replace(/^.*\) /s, '').split(' ')
  return (Number(fields[11]) + Number(fields[12])) * ticksMs
}

/** All threads but those of packets and expiry. */
function replicationCpuMs (): number {
  let others = 0
  for (const task of readdirSync('/proc/self/task')) {
    try {
      const stat = readFileSync(`/proc/self/task/${task}/stat`, 'utf8')
      const name = /\((.*)\)/s.exec(stat)?.[1] ?? ''
      if (name.startsWith('ls-') && name !== 'ls-reaper') others += cpuOf(stat)
    } catch { /* ended meanwhile */ }
  }
  return cpuOf(readFileSync('/proc/self/stat', 'utf8')) - others
}

const config = (spec: NodeSpec): string => `
interfaces:
  in: { port: "source:clients", zone: clients, addresses: [10.0.0.1/8] }
  out: { port: "source:servers", zone: servers, addresses: [198.51.100.1/24] }
zones: { clients: {}, servers: {} }
traffic-sources:
  clients: { mode: open, protocol: udp, rate: ${spec.flowsPerS}, flows: 10000000, source: 10.1.0.1, destination: 198.51.100.2, port: 53 }
  servers: { mode: answer }
policies:
  - { name: all, from: clients, to: servers, action: permit }
timeouts: { udp-new: ${spec.timeoutMs / 1000}s, udp-stream: ${spec.timeoutMs / 1000}s }
`

let table: NativeTable | null = null
let sync: SyncThread | null = null
let dataplane: TableDataPlane | null = null
let spec: NodeSpec | null = null
const events: Array<NodeReport['events'][number]> = []

const never = new AbortController().signal

async function start (of: NodeSpec): Promise<void> {
  spec = of
  const core = loadCore()
  table = new core.Table({ capacity: of.capacity, cpus: 0, threads: 1, arena: 16384, hugepages: 0, path: '' })
  const owner = of.role === 'owner'
  const owned = owner ? 1 : 0
  const epochs = Array.from({ length: limits.LS_RGS_MAX }, () => 256n)
  table.setRole(0, owner ? limits.LS_ROLE_OWNER : limits.LS_ROLE_STANDBY, 256n, 0xffff_ffff_ffff_ffffn)
  if (of.sessions > 0) fill(table, of.sessions)
  const opened = performance.now()
  sync = startSyncThread({
    tableId: table.info().id, timeouts: () => of.timeoutMs, onLogs: () => { /* no policy logs */ }, onClosed: () => { /* nobody asks */ },
    onPair: (name, fields) => { events.push({ name, fields, atMs: performance.now() - opened }) }, onProblem: (error) => { throw error }
  })
  sync.pair({
    self: { node: of.role, table: new Uint8Array(16), generation: 1, ids: new Uint8Array(0), capacity: of.capacity }, credentials: { kind: 'psk', key: Buffer.from(of.key, 'hex') },
    listen: owner ? [] : [{ host: '127.0.0.1', port: of.port }], dial: owner ? [{ host: '127.0.0.1', port: of.port }] : [], windowBytes: null, owned, epochs
  })
  for (let i = 0; !owner && i < 3000 && (await sync.report())?.listening[0] == null; i++) await new Promise((resolve) => setTimeout(resolve, 10))
}

async function traffic (): Promise<void> {
  if (table === null || spec === null) return
  const core = loadCore()
  const parsed = parseConfig(config(spec), { host: { node: 'owner', stateDir: '/nonexistent/state', socketPath: '/nonexistent/agent.sock' }, directory: '/' })
  if (parsed.desired === null) throw new Error(parsed.issues.map(formatIssue).join('\n'))
  const desired = withIds(parsed.desired, IdBook.empty().assign(parsed.desired))
  dataplane = new TableDataPlane({
    core, table, workers: 1, netns: null, backend: 'userspace', inherited: false, forwarders: (native) => new Map([['userspace', new UserspaceForwarder(native, new IngressGuard('bench'))]]),
    compiler: { rings: (d) => ringInputs(d), weight: () => (_, real) => real.weight, compile: (d, ports, rings, generation) => compile(d, { ports }, d.ids, rings, new Date(), generation) }
  })
  await dataplane.start(never)
  await dataplane.config.apply(desired, 1, never)
}

async function report (anew: boolean): Promise<NodeReport> {
  return { pair: await sync?.report(anew) ?? null, cpuMs: replicationCpuMs(), live: table?.info().live ?? 0, rssMib: process.memoryUsage().rss / 2 ** 20, events }
}

async function stop (): Promise<void> {
  await dataplane?.close()
  await sync?.close()
  table?.close()
}

process.on('message', (message: ToNode) => {
  const answer = async (): Promise<FromNode> => {
    switch (message.kind) {
      case 'start': await start(message.spec); return { kind: 'done' }
      case 'traffic': await traffic(); return { kind: 'done' }
      case 'report': return { kind: 'report', report: await report(message.anew) }
      case 'stop': await stop(); return { kind: 'done' }
    }
  }
  answer().then((sent) => {
    process.send?.(sent)
    if (message.kind === 'stop') process.disconnect()
  }, (error: unknown) => {
    console.error(error)
    process.exit(1)
  })
})
