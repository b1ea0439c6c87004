/**
 * `npm start`: an agent with real traffic and nothing to set up. As root in a lab of its own (namespaces, nginx, curl); otherwise over a capture of
 * real packets and a traffic source. Prints where it can be reached and what to try next; ends on Ctrl-C and leaves nothing behind.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { explain, startAgent, type Agent } from './agent.js'
import { hostDefaults } from './config/index.js'
import { createLog, readConfigFile, listenToSignals, runUntilSignal } from './main.js'
import { packageRoot } from './native/load.js'

/** Of test/lab, which a package without it still starts without. */
interface Lab {
  readonly traffic: () => Promise<string>
  readonly close: () => Promise<void>
}
interface TopologyModule {
  readonly labRefusal: (more?: readonly string[]) => Promise<string | null>
  readonly Topology: { readonly open: (o: { readonly prefix: string }) => Promise<{ readonly netns: (host: string) => string, readonly close: () => Promise<void> }> }
}
interface ServersModule { readonly Servers: { readonly start: (topology: unknown) => Promise<{ readonly bigSha256: string, readonly close: () => Promise<void> }> } }
interface TrafficModule {
  readonly curl: (job: { readonly netns: string, readonly url: string, readonly count: number, readonly parallel: number, readonly sha256: string | null }) => Promise<{ readonly ok: number, readonly requests: number }>
}

const PREFIX = 'lockstep'
const ROUND_MS = 2000

export async function quickstart (o: { readonly socketPath: string | null }): Promise<number> {
  const say = (text: string): void => { process.stdout.write(`${text}\n`) }
  const socketPath = o.socketPath ?? writableSocket()
  if (await answers(socketPath)) {
    process.stderr.write(`an agent runs already on ${socketPath}; look at it with: npx lockstep status   end it with: npx lockstep stop\n`)
    return 1
  }
  const log = createLog('info')
  const stateDirectory = mkdtempSync(join(tmpdir(), 'lockstep-quickstart-'))
  // a signal while the lab opens is heard at once and obeyed when it is open: half a lab cannot be closed
  const signals = listenToSignals()
  const asked: { signal: string | null } = { signal: null }
  signals.end = (signal) => {
    if (asked.signal === null) say(`${signal}: what is being opened is closed first ...`)
    asked.signal = signal
  }
  let lab: Lab | null
  try {
    lab = await openLab(say)
  } catch (error) {
    rmSync(stateDirectory, { recursive: true, force: true })
    if (asked.signal !== null) return 0 // it went to the programs that open the lab, too
    throw error
  }
  if (asked.signal !== null) {
    await lab?.close()
    rmSync(stateDirectory, { recursive: true, force: true })
    return 0
  }
  const file = join(packageRoot(), 'examples', lab === null ? 'quickstart-unprivileged.yaml' : 'quickstart.yaml')
  let agent: Agent
  try {
    agent = await startAgent({ config: await readConfigFile(file), socketPath, stateDirectory, instance: 'quickstart', backend: null, log, followLogLevel: true })
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`)
    await lab?.close()
    rmSync(stateDirectory, { recursive: true, force: true })
    return 1
  }
  const gateway = startGateway(socketPath)
  const traffic = lab === null ? null : keepTraffic(lab, (text) => { log.warn(text) })
  const flags = o.socketPath === null && socketPath === hostDefaults().socketPath ? '' : ` --socket ${socketPath}`
  say(guide(file, agent, flags, lab !== null))
  const running = runUntilSignal(agent, log, async () => {
    await traffic?.stop()
    await ended(gateway)
    await lab?.close()
  }, signals)
  if (asked.signal !== null) signals.end(asked.signal)
  const code = await running
  rmSync(stateDirectory, { recursive: true, force: true })
  return code
}

/** The default socket when its folder can be written, else one in the temporary folder. */
function writableSocket (): string {
  const path = hostDefaults().socketPath
  try {
    mkdirSync(dirname(path), { recursive: true })
    accessSync(dirname(path), constants.W_OK)
    return path
  } catch {
    return join(tmpdir(), `lockstep-${process.getuid?.() ?? 0}.sock`)
  }
}

async function answers (path: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = createConnection(path)
    socket.on('connect', () => { socket.destroy(); resolve(true) })
    socket.on('error', () => { resolve(false) })
  })
}

async function openLab (say: (text: string) => void): Promise<Lab | null> {
  const base: string = '../test/lab'
  let topologyModule: TopologyModule
  let serversModule: ServersModule
  let trafficModule: TrafficModule
  try {
    topologyModule = await import(`${base}/topology.js`) as TopologyModule
    serversModule = await import(`${base}/servers.js`) as ServersModule
    trafficModule = await import(`${base}/traffic.js`) as TrafficModule
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    say('lab: not in this package; playing a capture instead')
    return null
  }
  const refusal = await topologyModule.labRefusal(['curl'])
  if (refusal !== null) {
    say(`lab: ${refusal}; playing a capture of real packets instead`)
    return null
  }
  const topology = await topologyModule.Topology.open({ prefix: PREFIX })
  try {
    const servers = await serversModule.Servers.start(topology)
    const jobs = ['http://10.77.0.10/small.txt', 'http://[fd77::10]/small.txt', 'http://10.77.0.10/1m.bin', 'http://10.77.2.11:8080/small.txt']
    return {
      traffic: async () => {
        const results = await Promise.all(jobs.map(async (url) => ({ url, ...await trafficModule.curl({ netns: topology.netns('client'), url, count: 4, parallel: 2, sha256: url.endsWith('.bin') ? servers.bigSha256 : null }) })))
        return results.filter(r => r.ok < r.requests).map(r => `${r.url}: ${r.requests - r.ok} of ${r.requests} downloads failed`).join('; ')
      },
      close: async () => {
        await servers.close()
        await topology.close()
      }
    }
  } catch (error) {
    await topology.close()
    throw error
  }
}

/** Downloads in rounds, until stopped. */
function keepTraffic (lab: Lab, warn: (text: string) => void): { readonly stop: () => Promise<void> } {
  const stopping = new AbortController()
  const running = (async () => {
    while (!stopping.signal.aborted) {
      const problem = await lab.traffic().catch((error: unknown) => String(error))
      if (problem !== '' && !stopping.signal.aborted) warn(problem)
      await sleep(ROUND_MS, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  })()
  return { stop: async () => { stopping.abort(); await running } }
}

function startGateway (socketPath: string): ChildProcess {
  return spawn(process.execPath, [join(packageRoot(), 'dist/src/cli/main.js'), 'gateway', '--socket', socketPath], { stdio: ['ignore', 'ignore', 'inherit'] })
}

async function ended (child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), 1000)
    child.on('close', () => { clearTimeout(timer); resolve() })
    child.kill('SIGTERM')
  })
}

function guide (file: string, agent: Agent, flags: string, lab: boolean): string {
  const what = lab
    ? `The lab: client 10.77.1.2 -> this router -> servers 10.77.2.11 and .12 (VIP 10.77.0.10 and fd77::10, port 80); curl runs every ${ROUND_MS / 1000} s.`
    : 'Traffic: a capture of real packets in a loop, and a source that opens flows to the VIP 10.77.0.10:80.'
  const gateway = agent.desired()?.agent.gateway
  return `
Lockstep runs on ${file}
${what}

  gRPC       unix:${agent.socketPath}${gateway?.grpc == null ? '' : `   and ${gateway.grpc}`} (reflection on)
${gateway?.metrics == null ? '' : `  web page   http://${gateway.metrics}/
  metrics    http://${gateway.metrics}/metrics
  debug      http://${gateway.metrics}/debug
`}
Try in a second shell:
  npx lockstep sessions list${flags}
  npx lockstep sessions watch${flags}
  npx lockstep counters${flags}
  npx lockstep table verify${flags}
${lab ? `  nsenter --net=/run/netns/${PREFIX}-client curl http://10.77.0.10/who\n` : ''}  npx lockstep --help

Ctrl-C ends it.
`
}
