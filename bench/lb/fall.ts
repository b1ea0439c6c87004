/** A server goes: how long until no new flow finds it, by the ring that the dataplane picks from. Fall 3 at 100 ms, on an agent of its own. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { call, connectAgent, socketTarget, type AgentConnection } from '../../src/cli/client.js'
import { BenchError } from '../lib/programs.js'

const REALS = 4
const agentFile = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

/** An address of this host that a real may have; to itself it talks over loopback. `null`: it has none. */
export const ownAddress = (): string | null => Object.values(networkInterfaces()).flatMap((list) => list ?? []).find(({ family, internal, address }) => family === 'IPv4' && !internal && !address.startsWith('169.254.'))?.address ?? null

async function listen (port: number, address: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => { /* probes reset */ })
    socket.end()
  })
  await new Promise<void>((resolve, reject) => { server.once('error', reject).listen(port, address, resolve) })
  return server
}
const portOf = (server: Server): number => {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Milliseconds, one for each fall. */
export async function falls (address: string, times: number, signal: AbortSignal): Promise<number[]> {
  const directory = mkdtempSync(join(tmpdir(), 'ls-fall-'))
  const servers = await Promise.all(Array.from({ length: REALS }, async () => await listen(0, address)))
  const ports = servers.map(portOf)
  const [config, socket] = [join(directory, 'config.yaml'), join(directory, 'agent.sock')]
  writeFileSync(config, `
agent: {table: {capacity: 1k, hugepages: off}}
healthchecks: {tcp: {type: tcp, interval: 100ms, timeout: 100ms, rise: 1, fall: 3}}
vips:
  web: {address: 192.0.2.80, port: 80, healthcheck: tcp, pools: [{reals: [${ports.map((port) => `{name: r${port}, address: ${address}, port: ${port}}`).join(', ')}]}]}
`)
  const agent = spawn(process.execPath, [agentFile, 'run', config, '--socket', socket, '--state', join(directory, 'state')], { stdio: 'ignore', signal })
  agent.on('error', () => { /* its exit follows */ })
  const connection = connectAgent(socketTarget(socket))
  const out: number[] = []
  try {
    await until(async () => (await serving(connection)).size === REALS, 20_000, 'all reals are up')
    for (let i = 0; i < times; i++) {
      const at = i % REALS
      const [server, port] = [servers[at], ports[at] ?? 0]
      await sleep(300 + Math.random() * 100, null, { signal }) // anywhere in the interval
      const began = performance.now()
      server?.close()
      await until(async () => !(await serving(connection)).has(`r${port}`), 5000, 'the real leaves the ring')
      out.push(performance.now() - began)
      servers[at] = await listen(port, address)
      await until(async () => (await serving(connection)).size === REALS, 5000, 'the real is back')
    }
  } finally {
    connection.close()
    agent.kill('SIGTERM')
    await new Promise((resolve) => { agent.exitCode === null ? agent.once('exit', resolve) : resolve(null) })
    for (const server of servers) server.close()
    rmSync(directory, { recursive: true, force: true })
  }
  return out
}

async function serving ({ loadBalancer }: AgentConnection): Promise<ReadonlySet<string>> {
  const { rings } = await call(loadBalancer, loadBalancer.readBack, { vip: '' }).catch(() => ({ rings: [] }))
  return new Set(rings.flatMap(({ reals }) => reals.map(({ name }) => name)))
}

async function until (done: () => Promise<boolean>, withinMs: number, what: string): Promise<void> {
  for (const began = performance.now(); !await done(); await sleep(1)) if (performance.now() - began > withinMs) throw new BenchError(`waited in vain until ${what}`)
}
