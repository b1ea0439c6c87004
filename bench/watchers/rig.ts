/** A pair of agents on the loopback and a gateway before the owner: real processes, without privileges; their traffic is made by the in-process source. */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { call, connectAgent, socketTarget, type AgentConnection } from '../../src/cli/client.js'
import { RgRole } from '../../src/generated/proto/lockstep/v1/cluster.js'
import { BenchError, root } from '../lib/programs.js'

/** The first owns. */
const nodes = ['a', 'b'] as const
export type Node = typeof nodes[number]
export const VIP = 'web'
export const REAL = 'one'
/** A flow is over so long after its last packet. */
const FLOW_TIMEOUT = '1s'
const START_MS = 40_000

/** Created, answered, ended. */
export const CHANGES_A_FLOW = 3

interface Ports { readonly sync: readonly number[], readonly heartbeat: readonly number[] }

/** `flowsPerS` 0: none gets through. */
function config (keyFile: string, { sync, heartbeat }: Ports, flowsPerS: number): string {
  return `
agent: { backend: userspace, table: { capacity: 64k } }
cluster:
  key-file: ${keyFile}
  heartbeat: { interval: 200ms, count: 10 }
  nodes:
${nodes.map((name, i) => `    ${name}: { index: ${i + 1}, sync: "127.0.0.1:${sync[i] ?? 0}", heartbeat: "127.0.0.1:${heartbeat[i] ?? 0}" }`).join('\n')}
redundancy-groups:
  0: { priority: { a: 200, b: 100 } }
interfaces:
  in: { port: "source:clients", zone: clients, addresses: [10.0.0.1/8] }
  out: { port: "source:servers", zone: servers, addresses: [198.51.100.1/24] }
zones: { clients: {}, servers: {} }
traffic-sources:
  clients: { mode: open, protocol: udp, rate: ${Math.max(1, flowsPerS)}, flows: 10000000, source: 10.1.0.1, destination: 198.51.100.2, port: 53 }
  servers: { mode: answer }
policies:
  - { name: all, from: clients, to: servers, action: ${flowsPerS > 0 ? 'permit' : 'deny'} }
timeouts: { udp-new: ${FLOW_TIMEOUT}, udp-stream: ${FLOW_TIMEOUT} }
vips:
${Array.from({ length: 8 }, (_, i) => `  ${i === 0 ? VIP : `more-${i}`}: { address: 198.51.100.${200 + i}, port: 80, pools: [{ reals: [{ name: ${REAL}, address: 198.51.100.2 }, { name: two, address: 198.51.100.3 }] }] }`).join('\n')}
`
}

/** Free now, all at once. */
async function freePorts (n: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: n }, async () => await new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
    const server = createServer().on('error', reject)
    server.listen(0, '127.0.0.1', () => { resolve(server) })
  })))
  const ports = servers.map(server => { const at = server.address(); return at !== null && typeof at === 'object' ? at.port : 0 })
  await Promise.all(servers.map(async (server) => { await new Promise<void>(resolve => { server.close(() => { resolve() }) }) }))
  return ports
}

export interface Usage { readonly cpuMs: number, readonly rssMb: number }

const PAGE_BYTES = 4096
const TICK_MS = 10

/** Of a process of this rig, with all its threads. */
export class Program {
  private said = ''
  private readonly ended: Promise<void>
  private constructor (private readonly name: string, readonly child: ChildProcess) {
    this.ended = new Promise(resolve => { child.once('close', () => { resolve() }) })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => { this.said = (this.said + text).slice(-4000) })
  }

  static start (name: string, args: readonly string[]): Program {
    return new Program(name, spawn(process.execPath, [join(root, 'dist/src/cli/main.js'), ...args], { stdio: ['ignore', 'ignore', 'pipe'] }))
  }

  check (): void { if (this.child.exitCode !== null || this.child.signalCode !== null) throw new BenchError(`${this.name} ended\n${this.said}`) }

  usage (): Usage {
    this.check()
    const fields = readFileSync(`/proc/${this.child.pid ?? 0}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')
    return { cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS, rssMb: Number(fields[21]) * PAGE_BYTES / 1e6 }
  }

  async stop (): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    this.child.kill('SIGTERM')
    const timer = setTimeout(() => { this.child.kill('SIGKILL') }, 10_000)
    await this.ended
    clearTimeout(timer)
  }
}

export interface Rig {
  readonly owner: AgentConnection
  readonly agents: Readonly<Record<Node, Program>>
  readonly gateway: Program
  /** Of the owner. */
  readonly socketPath: string
  readonly http: number
  readonly grpc: number
  /** New flows a second through the owner from now on; 0: none. */
  readonly traffic: (flowsPerS: number) => Promise<void>
  readonly close: () => Promise<void>
}

export async function until (what: string, seconds: number, signal: AbortSignal, holds: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + seconds * 1000; performance.now() < end; await sleep(100, undefined, { signal })) if (await holds()) return
  throw new BenchError(`waited ${seconds} s in vain for ${what}`)
}

export async function openRig (signal: AbortSignal): Promise<Rig> {
  const directory = mkdtempSync(join(tmpdir(), 'ls-bw-'))
  const programs: Program[] = []
  const connections: AgentConnection[] = []
  const close = async (): Promise<void> => {
    for (const connection of connections) connection.close()
    for (const program of programs.reverse()) await program.stop()
    rmSync(directory, { recursive: true, force: true })
  }
  const started = (name: string, args: readonly string[]): Program => {
    const program = Program.start(name, args)
    programs.push(program)
    return program
  }
  try {
    chmodSync(directory, 0o755) // the gateway gives up root
    const keyFile = join(directory, 'key')
    writeFileSync(keyFile, randomBytes(32), { mode: 0o600 })
    const [s1 = 0, s2 = 0, h1 = 0, h2 = 0, http = 0, grpc = 0] = await freePorts(6)
    const text = (flowsPerS: number): string => config(keyFile, { sync: [s1, s2], heartbeat: [h1, h2] }, flowsPerS)
    const socketOf = (name: Node): string => join(directory, name, 's')
    const agent = (name: Node): Program => {
      mkdirSync(join(directory, name))
      const file = join(directory, name, 'pair.yaml')
      writeFileSync(file, text(0))
      return started(`agent ${name}`, ['run', file, '--socket', socketOf(name), '--state', join(directory, name, 'state'), '--instance', `bw-${process.pid}-${name}`, '--node', name, '--log-level', 'warn'])
    }
    const agents = { a: agent('a'), b: agent('b') }
    const [owner, standby] = [connectAgent(socketTarget(socketOf('a'))), connectAgent(socketTarget(socketOf('b')))]
    connections.push(owner, standby)
    await until('the pair to have an owner and a standby that is ready', START_MS / 1000, signal, async () => {
      for (const program of programs) program.check()
      const roles = await Promise.all([owner, standby].map(async ({ cluster }) => await call(cluster, cluster.getStatus, {}).then(({ groups }) => groups[0], () => undefined)))
      return roles[0]?.role === RgRole.RG_ROLE_OWNER && roles[1]?.role === RgRole.RG_ROLE_STANDBY && roles[1]?.ready === true
    })
    // Viewers are not told the area audit: ids of events would have gaps that are no losses.
    const gateway = started('gateway', ['gateway', '--role', 'operator', '--socket', socketOf('a'), '--http', `127.0.0.1:${http}`, '--grpc', `127.0.0.1:${grpc}`])
    await until('the gateway', START_MS / 1000, signal, async () => {
      gateway.check()
      return await fetch(`http://127.0.0.1:${http}/healthz`).then(answer => answer.ok, () => false)
    })
    const traffic = async (flowsPerS: number): Promise<void> => {
      await call(owner.config, owner.config.apply, { text: text(flowsPerS), author: 'bench', comment: '', requestId: '', dryRun: false, expectedGeneration: undefined, confirmWithinMs: undefined }) // the peer follows
    }
    return { owner, agents, gateway, socketPath: socketOf('a'), http, grpc, traffic, close }
  } catch (error) {
    await close()
    throw error
  }
}
