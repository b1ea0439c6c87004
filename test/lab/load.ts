/** The lab's C programs: heavy traffic that no shell tool makes. Compiled when first needed, into the lab's own directory. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Quantiles } from './figures.js'
import { Background, must, run } from './shell.js'
import { macs, type HostName, type Topology } from './topology.js'

const sources = {
  tcp_flows: 'test/lab/load', udp_tuples: 'test/lab/load', flood: 'test/lab/load', collide: 'test/lab/load', probe: 'test/lab/load', udp_flows: 'bench/peers'
} as const
type LoadProgram = keyof typeof sources

/** The program, compiled. Sources are in the repository, not in the package. */
async function loadProgram (topology: Topology, name: LoadProgram): Promise<string> {
  const file = join(topology.directory, name)
  if (existsSync(file)) return file
  const root = fileURLToPath(new URL('../../../', import.meta.url))
  await must({ netns: null, argv: ['cc', '-std=gnu11', '-O2', '-Wall', `-I${root}native/include`, `-I${root}native`, `-I${root}test/lab/load`, '-o', file, `${root}${sources[name]}/${name}.c`] }, 60_000)
  return file
}

export interface TcpFlowsFigures {
  readonly attempted: number
  readonly ok: number
  /** Needed more than 0.9 s: a segment was lost and sent again. */
  readonly late: number
  readonly seconds: number
  /** From connect to the end of the answer. */
  readonly ms: Quantiles
  readonly failures: Readonly<Record<string, number>>
}

export interface TcpFlowsJob { readonly to: string, readonly port: number, readonly rate: number, readonly seconds: number, readonly from: readonly string[], readonly timeoutMs?: number }

/** Short connections at a rate, from several addresses of the client so that no address runs out of ports. */
export async function tcpFlows (topology: Topology, job: TcpFlowsJob): Promise<TcpFlowsFigures> {
  return await (await tcpFlowing(topology, job)).ended
}

/** The same going on, for `seconds` at most; stopped, it opens no more and waits for those that are open. */
export async function tcpFlowing (topology: Topology, job: TcpFlowsJob): Promise<{ readonly ended: Promise<TcpFlowsFigures>, readonly stop: () => Promise<TcpFlowsFigures> }> {
  const program = await loadProgram(topology, 'tcp_flows')
  const client = new Background('tcp_flows', topology.netns('client'), [program, 'client', job.to, String(job.port), String(job.rate), String(job.seconds), String(job.timeoutMs ?? 10_000), job.from.join(',')])
  const ended = client.ended.then((code) => {
    if (code !== 0) throw new Error(`tcp_flows: exit ${code}: ${client.output}`)
    return JSON.parse(client.output) as TcpFlowsFigures
  })
  return {
    ended,
    stop: async () => {
      await client.stop('SIGTERM', 60_000)
      return await ended
    }
  }
}

/** A server that prints `ready`; its figures come at SIGTERM. */
export async function loadServer (topology: Topology, host: HostName, program: LoadProgram, args: readonly string[]): Promise<{ readonly stop: () => Promise<unknown> }> {
  const server = new Background(program, topology.netns(host), [await loadProgram(topology, program), 'server', ...args])
  await server.says('ready')
  return {
    stop: async () => {
      await server.stop()
      return JSON.parse(server.output.trim().split('\n').at(-1) ?? '{}') as unknown
    }
  }
}

export interface ProbeFigures {
  readonly flows: number
  readonly sent: number
  readonly received: number
  /** Flows that were never answered. */
  readonly silent: number
  /** The longest silence of each flow. */
  readonly longestMs: { readonly p50: number, readonly p99: number, readonly max: number }
  /** When nothing at all was heard, Unix ms. */
  readonly silences: ReadonlyArray<{ readonly from: number, readonly to: number }>
}
export interface ProbeJob { readonly to: string, readonly port: number, readonly flows: number, /** Datagrams a second of each. */ readonly rate: number, readonly seconds: number }

/** UDP flows that are answered, and how long each was not; ends early when stopped. */
export async function probing (topology: Topology, job: ProbeJob): Promise<{ readonly ended: Promise<ProbeFigures>, readonly stop: () => Promise<ProbeFigures>, readonly silences: () => ProbeFigures['silences'] }> {
  const program = await loadProgram(topology, 'probe')
  const client = new Background('probe', topology.netns('client'), [program, 'client', job.to, String(job.port), String(job.flows), String(job.rate), String(job.seconds)])
  await client.says('ready')
  const silences = (): ProbeFigures['silences'] => client.output.split('\n').filter((line) => line.startsWith('{"from"') && line.endsWith('}')).map((line) => {
    const { from, to } = JSON.parse(line) as { from: number, to: number }
    return { from: from / 1000, to: to / 1000 }
  })
  const ended = client.ended.then((code) => {
    if (code !== 0) throw new Error(`probe: exit ${code}: ${client.output}`)
    const { longest_ms: longestMs, ...figures } = JSON.parse(client.output.trim().split('\n').at(-1) ?? '{}') as Omit<ProbeFigures, 'longestMs' | 'silences'> & { readonly longest_ms: ProbeFigures['longestMs'] }
    return { ...figures, longestMs, silences: silences() }
  })
  ended.catch(() => { /* told to who waits for it */ })
  return {
    ended, silences,
    stop: async () => {
      await client.stop('SIGTERM', 10_000)
      return await ended
    }
  }
}

/** New UDP flows of one datagram each, from addresses of 10.128.0.0/9, until stopped. Nobody answers. */
export async function newFlows (topology: Topology, job: { readonly to: string, readonly rate: number }): Promise<{ readonly stop: () => Promise<{ readonly sent: number, readonly seconds: number }> }> {
  const program = await loadProgram(topology, 'udp_flows')
  const client = new Background('udp_flows', topology.netns('client'), ['setpriv', '--bounding-set=-sys_nice', '--', program, job.to, '0', String(2 ** 31), String(job.rate)]) // not realtime: routers run beside it
  return {
    stop: async () => {
      await client.stop()
      return JSON.parse(client.output) as { sent: number, seconds: number }
    }
  }
}

export interface UdpTuplesFigures { readonly datagrams: number, readonly flows: number, readonly sources: number, readonly shared: number, readonly moved: number, readonly low: number, readonly high: number }

/** One datagram for each of `flows` UDP flows to one destination. */
export async function udpTuples (topology: Topology, job: { readonly to: string, readonly port: number, readonly flows: number, readonly rate: number, readonly from: readonly string[] }): Promise<{ readonly sent: number }> {
  const program = await loadProgram(topology, 'udp_tuples')
  return JSON.parse(await must({ netns: topology.netns('client'), argv: [program, 'client', job.to, String(job.port), String(job.flows), String(job.rate), job.from.join(',')] }, 120_000)) as { sent: number }
}

/** One datagram of each of `flows` UDP flows that share both candidate buckets of the table's index, `rounds` times. `header`: where it is pinned. */
export async function collide (topology: Topology, job: { readonly header: string, readonly to: string, readonly port: number, readonly flows: number, readonly rounds: number, readonly rate: number, readonly from: readonly string[] }): Promise<{ readonly flows: number, readonly buckets: number, readonly sent: number }> {
  const program = await loadProgram(topology, 'collide')
  const argv = [program, job.header, job.to, String(job.port), String(job.flows), String(job.rounds), String(job.rate), job.from.join(',')]
  return JSON.parse(await must({ netns: topology.netns('client'), argv }, 120_000)) as { flows: number, buckets: number, sent: number }
}

export type FloodKind = 'syn' | 'udp' | 'icmp' | 'land' | 'syn-fin' | 'no-flags' | 'fin-no-ack' | 'teardrop' | 'ping-of-death' | 'source-route'

/** Frames of an attacker on its own link. `from` null: from many addresses. */
export async function flood (topology: Topology, job: { readonly from: string | null, readonly to: string, readonly kind: FloodKind, readonly rate: number, readonly seconds: number, readonly signal?: AbortSignal }): Promise<{ readonly sent: number, readonly seconds: number }> {
  const program = await loadProgram(topology, 'flood')
  const r = await run([program, 'eth0', macs.routerAttack, job.from ?? 'many', job.to, job.kind, String(job.rate), String(job.seconds)], { netns: topology.netns('attacker'), timeoutMs: (job.seconds + 30) * 1000 })
  if (r.code !== 0) throw new Error(`flood: ${r.stderr}`)
  return JSON.parse(r.stdout) as { sent: number, seconds: number }
}
