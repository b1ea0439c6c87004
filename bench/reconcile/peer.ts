/**
 * Two nodes with a million sessions that differ in d of them, a third each known to the owner alone, to the standby alone, and to both otherwise: what each way of
 * making them equal costs, side by side. From the hello to the cut that proves it, over TLS on the loopback.
 *
 *   bulk    the owner sends the whole group
 *   list    the standby sends the id and digest of each session, the owner what is missing (list_peer.c)
 *   sketch  cells until the difference decodes, then what is missing
 *   engine  as the engine decides
 *
 *   peer_<way>_d<d>_bytes    frames in both directions, before TLS, which adds 22 bytes to each 16 KiB
 *   peer_<way>_d<d>_cpu_ms   both processes
 *   peer_<way>_d<d>_wall_ms
 *   peer_picked_d<d>         what the engine decided: 0 bulk, 1 sketch
 *   peer_cheapest_d<d>       of these two, by the CPU that they took: the same
 */
import { fork, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { BenchError, root } from '../lib/programs.js'
import { median, type Samples } from '../lib/samples.js'
import type { FromPeer, Method, PeerReport, PeerSpec, ToPeer } from '../../test/lab/peer-node.js'

export interface PeerOptions {
  readonly sessions: number
  readonly differences: readonly number[]
  readonly rounds: number
  readonly progress: (text: string) => void
  readonly signal?: AbortSignal
}

export const methods = ['bulk', 'list', 'sketch', 'engine'] as const satisfies readonly Method[]

class Node {
  private readonly child: ChildProcess
  constructor (signal?: AbortSignal) {
    this.child = fork(fileURLToPath(new URL('../../test/lab/peer-node.js', import.meta.url)), [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], ...(signal === undefined ? {} : { signal }) })
    this.child.on('error', () => { /* its exit is seen by who waits for an answer */ })
  }

  async ask (message: ToPeer): Promise<FromPeer> {
    return await new Promise((resolve, reject) => {
      const late = setTimeout(() => { reject(new BenchError(`a node of the pair did not answer ${message.kind} within 120 s`)) }, 120_000)
      const gone = (): void => {
        clearTimeout(late)
        reject(new BenchError('a node of the pair ended'))
      }
      this.child.once('exit', gone)
      this.child.once('message', (answer) => {
        clearTimeout(late)
        this.child.off('exit', gone)
        resolve(answer as FromPeer)
      })
      this.child.send(message)
    })
  }

  async report (): Promise<PeerReport> {
    const answer = await this.ask({ kind: 'report' })
    if (answer.kind !== 'report') throw new BenchError('a node of the pair answered something else')
    return answer.report
  }

  async stop (): Promise<void> {
    await this.ask({ kind: 'stop' }).catch(() => { /* it ended */ })
    this.child.kill()
  }
}

interface Repair { readonly bytes: number, readonly cpuMs: number, readonly wallMs: number, readonly bulk: boolean }

/** An owner and a standby; equal, and not connected, between two repairs. */
class Pair {
  private readonly owner: Node
  private readonly standby: Node
  private from = 0

  constructor (private readonly sessions: number, private readonly method: Method, signal?: AbortSignal) {
    this.owner = new Node(signal)
    this.standby = new Node(signal)
  }

  async start (): Promise<void> {
    const spec: Omit<PeerSpec, 'role'> = { method: this.method, sessions: this.sessions, capacity: 2 ** Math.ceil(Math.log2(this.sessions * 4 / 3)), key: randomBytes(16).toString('hex'), module: join(root, 'build-bench/list_peer.node') }
    await Promise.all([this.owner.ask({ kind: 'start', spec: { ...spec, role: 'owner' } }), this.standby.ask({ kind: 'start', spec: { ...spec, role: 'standby' } })])
    await this.meet() // whoever has nothing asks for all, and all is told to be alive: not while it is measured
    await Promise.all([this.owner.ask({ kind: 'fill' }), this.standby.ask({ kind: 'fill' })])
  }

  private async meet (): Promise<readonly [PeerReport, PeerReport]> {
    const { standby, owner } = this
    const listening = await standby.ask({ kind: 'connect', port: null })
    await owner.ask({ kind: 'connect', port: listening.kind === 'done' ? listening.port : null })
    const there = await standby.report()
    const here = await owner.report()
    await owner.ask({ kind: 'disconnect' }) // first: who dials would call again
    await standby.ask({ kind: 'disconnect' })
    return [here, there]
  }

  async repair (differences: number): Promise<Repair> {
    const each = Math.floor(differences / 3)
    if (this.from + 2 * each > this.sessions) this.from = 0
    await this.standby.ask({ kind: 'differ', from: this.from, each })
    this.from += 2 * each
    if (this.method === 'sketch' || this.method === 'engine') await sleep(2100) // after a comparison the owner takes no cut for 2 s, unless it is asked
    const [here, there] = await this.meet()
    return { bytes: here.bytesOut + there.bytesOut, cpuMs: here.cpuMs + there.cpuMs, wallMs: there.wallMs, bulk: there.bulks > 0 }
  }

  async stop (): Promise<void> { await Promise.all([this.owner.stop(), this.standby.stop()]) }
}

const stem = (method: Method, d: number): string => `peer_${method}_d${d}`

/** Each way in turn for each number of differences; the first repair of many warms up. */
export async function measurePeer ({ sessions, differences, rounds, progress, signal }: PeerOptions): Promise<Samples> {
  const values = new Map<string, number[]>()
  const put = (name: string, value: number): void => { values.set(name, [...(values.get(name) ?? []), value]) }
  for (const method of methods) {
    const pair = new Pair(sessions, method, signal)
    try {
      progress(`${sessions} sessions on two nodes: ${method}`)
      await pair.start()
      if (rounds > 1) await pair.repair(differences[1] ?? 0)
      for (let round = 0; round < rounds; round++) {
        for (const d of differences) {
          const { bytes, cpuMs, wallMs, bulk } = await pair.repair(d)
          const name = stem(method, d)
          put(`${name}_bytes`, bytes)
          put(`${name}_cpu_ms`, cpuMs)
          put(`${name}_wall_ms`, wallMs)
          if (method === 'engine') put(`peer_picked_d${d}`, bulk ? 0 : 1)
        }
      }
    } finally {
      await pair.stop()
    }
  }
  return { values, notes: {} }
}

export interface PeerRow { readonly differences: number, readonly method: Method, readonly bytes: number, readonly cpuMs: number, readonly wallMs: number }

export const peerRows = (samples: Samples, differences: readonly number[]): PeerRow[] => differences.flatMap((d) => methods.map((method) => {
  const of = (unit: string): number => median(samples.values.get(`${stem(method, d)}_${unit}`) ?? [])
  return { differences: d, method, bytes: of('bytes'), cpuMs: of('cpu_ms'), wallMs: of('wall_ms') }
}))

/** Medians, with the cheaper of the engine's two ways beside the one that it took. */
export function peerFigures (samples: Samples, differences: readonly number[]): Record<string, number> {
  const rows = peerRows(samples, differences)
  const figures: Record<string, number> = {}
  for (const d of differences) {
    const at = rows.filter((row) => row.differences === d)
    for (const { method, bytes, cpuMs, wallMs } of at) Object.assign(figures, { [`${stem(method, d)}_bytes`]: Math.round(bytes), [`${stem(method, d)}_cpu_ms`]: cpuMs, [`${stem(method, d)}_wall_ms`]: wallMs })
    figures[`peer_picked_d${d}`] = median(samples.values.get(`peer_picked_d${d}`) ?? [])
    const cpu = (method: Method): number => at.find((row) => row.method === method)?.cpuMs ?? NaN
    figures[`peer_cheapest_d${d}`] = cpu('bulk') < cpu('sketch') ? 0 : 1
  }
  return figures
}


export const peerNotes = (sessions: number, differences: readonly number[]): Record<string, string> => ({
  peer: `two processes with ${sessions} sessions each, TLS 1.3 with AES-128-GCM over the loopback; ${differences.join(', ')} of them differ; from the hello to the cut that proves both equal; bytes of frames in both directions, CPU of both processes`,
  peer_list: 'the list has its digests at hand, as the sketch has its cells: what keeps them is not counted, and both install rows by the same code'
})
