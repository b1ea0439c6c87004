/**
 * Replication between two processes over TLS on the loopback, and what differs found again.
 *
 *   deltas_per_s_core   changes a second for each second of CPU of the busier side (drained, packed, sketched, encrypted | decrypted, installed, sketched)
 *   send_us, receive_us CPU for a change on each side
 *   cpu_us_flow         CPU for a new flow of both sides together: it is created, answered, and ends
 *   lag_p50_ms, p99     from a change to the peer's acknowledgement, at changes_per_s, once flows come and go
 *   growth_mib          of the memory of the side that grew more, in the same time; the notes have it over time
 *   most_changes_per_s  the highest rate of those tried at which both tables are equal in the end and 99 of 100 changes are acknowledged within 100 ms
 *   full_resync_1m_s    from a connection of a peer that has nothing to the proof that it has all; the median
 *   vs_conntrackd_cpu   CPU of conntrackd (FT-FW, both daemons) for a new flow, one upsert, to ours of both sides for a change, each as fast as it goes
 *   vs_conntrackd_rate  our changes a second to the new flows a second that it takes without a loss, in its better mode
 *   equal               1: the last cut after the traffic proved both tables equal
 */
import { fork, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { median, spreadOf, type SuiteResult } from '../lib/samples.js'
import { highestRate, measureConntrackd, type Skipped } from '../peers/conntrackd.js'
import { BenchError } from '../lib/programs.js'
import type { FromNode, NodeReport, NodeSpec, ToNode } from '../../test/lab/sync-node.js'

export interface SyncBenchOptions {
  readonly sessions?: number
  readonly seconds: number
  /** New flows a second that are offered, one rate after the other. */
  readonly rates: readonly number[]
  readonly resyncs: number
  /** conntrackd beside it: about two minutes, as root. */
  readonly peer: boolean
  readonly progress: (text: string) => void
  readonly signal: AbortSignal
}

class Node {
  private readonly child: ChildProcess
  constructor (signal: AbortSignal) {
    this.child = fork(fileURLToPath(new URL('../../test/lab/sync-node.js', import.meta.url)), [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], serialization: 'advanced', signal })
    this.child.on('error', () => { /* its exit is seen by who waits for an answer */ })
  }

  private async ask (message: ToNode): Promise<FromNode> {
    return await new Promise((resolve, reject) => {
      const gone = (): void => { reject(new BenchError('a node of the pair ended')) }
      this.child.once('exit', gone)
      this.child.once('message', (answer) => {
        this.child.off('exit', gone)
        resolve(answer as FromNode)
      })
      this.child.send(message)
    })
  }

  async start (spec: NodeSpec): Promise<void> { await this.ask({ kind: 'start', spec }) }
  async traffic (): Promise<void> { await this.ask({ kind: 'traffic' }) }
  async report (anew = false): Promise<NodeReport> {
    const answer = await this.ask({ kind: 'report', anew })
    if (answer.kind !== 'report') throw new BenchError('a node of the pair answered something else')
    return answer.report
  }

  async stop (): Promise<void> {
    if (!this.child.connected) return
    await this.ask({ kind: 'stop' }).catch(() => { /* it ended */ })
    this.child.kill()
  }
}

type Shape = Pick<NodeSpec, 'capacity' | 'sessions' | 'flowsPerS' | 'timeoutMs'>

async function listener (standby: Node, shape: Shape, key: string, port = 0): Promise<number> {
  await standby.start({ ...shape, role: 'standby', sessions: 0, flowsPerS: 0, key, port })
  const address = (await standby.report()).pair?.listening[0]
  if (address == null) throw new BenchError('the standby does not listen')
  return address.port
}

async function pair<T> (shape: Shape, signal: AbortSignal, run: (owner: Node, standby: Node) => Promise<T>): Promise<T> {
  const key = randomBytes(16).toString('hex')
  const nodes = { owner: new Node(signal), standby: new Node(signal) }
  try {
    await nodes.owner.start({ ...shape, role: 'owner', key, port: await listener(nodes.standby, shape, key) })
    return await run(nodes.owner, nodes.standby)
  } finally {
    await Promise.all([nodes.owner.stop(), nodes.standby.stop()])
  }
}

const equal = (r: NodeReport): boolean => r.pair?.groups[0]?.state === 'equal'

async function until (what: string, seconds: number, holds: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + seconds * 1000; performance.now() < end; await sleep(20)) if (await holds()) return
  throw new BenchError(`waited ${seconds} s in vain for ${what}`)
}

/** Looks at the memory of both nodes in the steady part. */
const MEMORY_SAMPLES = 10

interface Steady { readonly changesPerS: number, readonly flowsPerS: number, readonly sendUs: number, readonly receiveUs: number, readonly cpuUsFlow: number, readonly p50: number, readonly p99: number, readonly max: number, readonly growthMib: number, readonly memory: string, readonly equal: number }

/** New flows at a steady rate, each answered once and gone after a second. */
async function steady (flowsPerS: number, seconds: number, signal: AbortSignal): Promise<Steady> {
  return await pair({ capacity: 1 << 18, sessions: 0, flowsPerS, timeoutMs: 1000 }, signal, async (owner, standby) => {
    await owner.traffic()
    await sleep(3500) // flows come and go by then
    const [a0, b0] = [await owner.report(true), await standby.report()]
    const began = performance.now()
    const memory = [[a0.rssMib, b0.rssMib]]
    for (let i = 1; i <= MEMORY_SAMPLES; i++) {
      await sleep(Math.max(0, began + seconds * 1000 * i / MEMORY_SAMPLES - performance.now()))
      if (i < MEMORY_SAMPLES) memory.push([(await owner.report()).rssMib, (await standby.report()).rssMib])
    }
    const [a1, b1] = [await owner.report(), await standby.report()]
    const took = (performance.now() - began) / 1000
    const rows = (a1.pair?.sent.rows ?? 0) - (a0.pair?.sent.rows ?? 0)
    const [send, receive] = [a1.cpuMs - a0.cpuMs, b1.cpuMs - b0.cpuMs]
    const flows = rows / 3
    const lag = a1.pair?.lag ?? { p50Ms: NaN, p99Ms: NaN, maxMs: NaN }
    return {
      changesPerS: rows / took, flowsPerS: flows / took, sendUs: send * 1000 / rows, receiveUs: receive * 1000 / rows, cpuUsFlow: (send + receive) * 1000 / flows, p50: lag.p50Ms, p99: lag.p99Ms, max: lag.maxMs,
      memory: [...memory, [a1.rssMib, b1.rssMib]].map((both) => both.map(Math.round).join('/')).join(' '), growthMib: Math.max(a1.rssMib - a0.rssMib, b1.rssMib - b0.rssMib), equal: equal(b1) ? 1 : 0
    }
  })
}

/** Seconds. An owner that has been there for a while; its peer starts anew, with nothing. */
async function resync (sessions: number, signal: AbortSignal): Promise<number> {
  const shape = { capacity: 2 ** Math.ceil(Math.log2(sessions)), sessions, flowsPerS: 0, timeoutMs: 3_600_000 }
  const key = randomBytes(16).toString('hex')
  const [gone, owner, standby] = [new Node(signal), new Node(signal), new Node(signal)]
  try {
    const port = await listener(gone, shape, key)
    await gone.stop()
    await owner.start({ ...shape, role: 'owner', key, port })
    await until('the owner to have counted its sessions', 60, async () => (await owner.report()).pair?.counted === true)
    await listener(standby, shape, key, port)
    await until('the proof', 60, async () => equal(await standby.report()))
    const { events } = await standby.report()
    const from = events.find((e) => e.name === 'sync.connected')?.atMs
    const proven = events.find((e) => e.name === 'group.proven' && Number(e.fields['items']) === sessions)
    if (from === undefined || proven === undefined) throw new BenchError(`the standby says that it is equal, but not with ${sessions} sessions`)
    return (proven.atMs - from) / 1000
  } finally {
    await Promise.all([gone, owner, standby].map(async (n) => { await n.stop() }))
  }
}

/** Changes a second that the pair carries: the best of the rates, until one is too much. */
async function highest (rates: readonly number[], seconds: number, signal: AbortSignal, progress: (text: string) => void): Promise<Steady> {
  let best: Steady | null = null
  for (const rate of rates) {
    progress(`${rate} new flows a second, three changes each`)
    const run = await steady(rate, seconds, signal)
    const keptUp = run.equal === 1 && run.p99 < 100 && run.flowsPerS > 0.9 * rate
    if (best === null || (keptUp && run.changesPerS > best.changesPerS)) best = run
    if (!keptUp) break
  }
  if (best === null) throw new BenchError('no rate was given')
  return best
}

interface Theirs { readonly flowsPerS: number, readonly usPerFlow: number, readonly version: string }

/** The better of its modes; CPU at the rate at which it takes least, the median of three. */
async function conntrackd (signal: AbortSignal, progress: (text: string) => void): Promise<Theirs | Skipped> {
  const rates: number[] = []
  for (const externalCache of [true, false]) {
    const found = await highestRate({ seconds: 3, externalCache, signal, progress })
    if ('skipped' in found) return found
    rates.push(found.flowsPerS ?? 0)
  }
  const runs: Array<{ readonly us: number, readonly version: string }> = []
  for (let i = 0; i < 3; i++) {
    const run = await measureConntrackd({ seconds: 4, flowsPerS: Math.round(Math.max(...rates) / 2), externalCache: true, signal, progress })
    if ('skipped' in run) return run
    runs.push({ us: run.sendUsPerFlow + run.receiveUsPerFlow, version: run.version })
  }
  return { flowsPerS: Math.max(...rates), usPerFlow: median(runs.map((r) => r.us)), version: runs[0]?.version ?? '' }
}

export async function bench ({ sessions = 1_000_000, seconds, rates, resyncs, peer, progress, signal }: SyncBenchOptions): Promise<SuiteResult> {
  progress('changes at about 100 000 a second')
  const usual = await steady(33_500, seconds, signal)
  const most = await highest(rates, Math.min(seconds, 5), signal, progress)
  progress(`${sessions} sessions to a peer that has none`)
  const wholes: number[] = []
  for (let i = 0; i < resyncs; i++) wholes.push(await resync(sessions, signal))
  const theirs = peer ? await conntrackd(signal, progress) : { skipped: 'not asked for (--quick)' }
  return {
    suite: 'sync',
    figures: {
      changes_per_s: Math.round(usual.changesPerS), lag_p50_ms: usual.p50, lag_p99_ms: usual.p99, lag_max_ms: usual.max, cpu_us_flow: usual.cpuUsFlow, growth_mib: usual.growthMib, equal: usual.equal,
      most_changes_per_s: Math.round(most.changesPerS), send_us: most.sendUs, receive_us: most.receiveUs, deltas_per_s_core: Math.round(1e6 / Math.max(most.sendUs, most.receiveUs)),
      full_resync_1m_s: median(wholes) * 1_000_000 / sessions,
      ...('skipped' in theirs
        ? {}
        : { conntrackd_flows_per_s: theirs.flowsPerS, conntrackd_us_flow: theirs.usPerFlow, vs_conntrackd_rate: most.changesPerS / theirs.flowsPerS, vs_conntrackd_cpu: theirs.usPerFlow / (most.sendUs + most.receiveUs) })
    },
    notes: { memory_mib: `owner/standby, every ${Math.round(seconds / MEMORY_SAMPLES)} s: ${usual.memory}`, ...('skipped' in theirs ? { conntrackd_skipped: theirs.skipped } : { conntrackd: theirs.version }), method: 'two processes on one host, TLS 1.3 with AES-128-GCM over the loopback; flows of the in-process source, each created, answered and ended: three changes; CPU of all threads but those that forward and expire; lag to the acknowledgement' },
    spread: spreadOf({ values: new Map([['full_resync_1m_s', wholes]]), notes: {} })
  }
}
