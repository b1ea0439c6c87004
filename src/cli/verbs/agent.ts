/** status, backend list and switch, stop, version: the agent itself. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createColors } from 'picocolors'
import type { Command } from 'commander'
import { LockstepError } from '../../contract/errors.js'
import type { AgentGetInfoResponse, Backend, Program } from '../../generated/proto/lockstep/v1/agent.js'
import { changeVerb, mutationOf, type ChangeOptions } from '../changing.js'
import { call } from '../client.js'
import { socketPathOf, withAgent } from '../agent-link.js'
import { exitCode } from '../exit-codes.js'
import { count, duration, parseWait, time } from '../format.js'
import { enumWord } from '../../client/index.js'
import { toJson } from '../../lib/json.js'
import { fields, table } from '../table.js'
import { action, listVerb, onlineVerb, printList, type Cli, type CommonOptions, type ListOptions } from '../verb.js'
import { generationJson, generationLine } from './generations.js'

export function addAgent (parent: Command, cli: Cli): void {
  onlineVerb(parent, { usage: 'status', summary: 'Show who runs, what runs, and whether it is well', examples: ['status', 'status --json | jq .state'] })
    .action(action(cli, async (options: CommonOptions) => await status(cli, options)))

  const backend = parent.command('backend').summary('dataplanes this host can run').description('Backends: the dataplanes that this host can or cannot run, and why.')
  listVerb(backend, { usage: 'list', summary: 'Probe every backend and show what it can do here', examples: ['backend list', 'backend list --capabilities', 'backend list --json'] })
    .option('--capabilities', 'every capability with its reason')
    .action(action(cli, async (options: ListOptions & { readonly capabilities?: boolean }) => await backends(cli, options)))

  changeVerb(backend, { usage: 'switch <backend>', summary: 'Let another backend forward, while traffic flows', about: 'Sessions stay where they are, each port is received from at every moment. Refused, with a list, when the configuration or live sessions need what the other cannot do, unless forced. Kept over restarts until agent.backend changes in the configuration.', examples: ['backend switch ebpf', 'backend switch vpp --dry-run', 'backend switch userspace --json', 'backend switch vpp --force'] })
    .option('--force', 'also when that loses something, which is then listed; never VIPs, and ports only for a backend that has interfaces of its own')
    .action(action(cli, async (name: string, options: CommonOptions & { readonly force?: boolean }) => await switchBackend(cli, name, options)))

  onlineVerb(parent, { usage: 'stop', summary: 'Stop the agent and wait until it is gone', about: 'Sends SIGTERM to the agent that serves the socket. Forwarding ends or goes on as the backend can.', examples: ['stop', 'stop --timeout 30s'] })
    .option('--timeout <duration>', 'how long to wait', parseWait, 15_000)
    .action(action(cli, async (options: CommonOptions & { readonly timeout: number }) => await stop(cli, options)))

  onlineVerb(parent, { usage: 'version', summary: 'Show the version of this program and of the agent, if one runs', examples: ['version'] })
    .action(action(cli, async (options: CommonOptions) => {
      const agent = await withAgent(cli.io, options, async (a) => (await call(a.agent, a.agent.getInfo, {}, { deadlineMs: 2000 })).version).catch(() => null)
      const own = packageVersion()
      await cli.io.out(options.json === true ? `${toJson({ cli: own, agent })}\n` : fields([['lockstep', own], ['agent', agent ?? 'none runs here']]))
      return exitCode.ok
    }))
}

async function status ({ io }: Cli, options: CommonOptions): Promise<number> {
  const [info, config] = await withAgent(io, options, async (a) => await Promise.all([call(a.agent, a.agent.getInfo, {}), call(a.config, a.config.getStatus, {})]))
  const state = enumWord('AGENT_STATE', info.state)
  if (options.json === true) {
    await io.out(`${toJson({ ...info, state, roles: info.roles.map(({ rg, role }) => ({ rg, role: enumWord('RG_ROLE', role) })), config: { running: generationJson(config.running), unconfirmed: generationJson(config.unconfirmed), startupHash: config.startupHash ?? null, drift: config.drift } }, 2)}\n`)
    return exitCode.ok
  }
  const c = createColors(io.color)
  const paint = state === 'running' ? c.green : c.yellow
  const use = info.tableCapacity === 0n ? 0 : 100 * Number(info.tableLive) / Number(info.tableCapacity)
  await io.out(fields([
    ['state', state + (info.reasons.length === 0 ? '' : `: ${info.reasons.join('; ')}`), (text) => paint(state) + text.slice(state.length)],
    ['agent', `${info.version}, node ${info.node}, instance ${info.instance}, pid ${info.pid}, up ${duration(Date.now() - Number(info.startedAtMs))}`],
    ...info.labels.length === 0 ? [] : [['labels', labelsLine(info.labels)] as const],
    ...info.roles.length === 0 ? [] : [['roles', info.roles.map(({ rg, role }) => `group ${rg} ${enumWord('RG_ROLE', role)}`).join(', ')] as const],
    ['backend', `${info.backend}${info.hugepages ? ', huge pages' : ''}`],
    ...info.program === undefined ? [] : [['dataplane', programLine(info.program), info.program.up ? undefined : c.yellow] as const],
    ['sessions', `${info.tableLive} of ${info.tableCapacity} (${use.toFixed(1)} %)`],
    ['running', config.running === undefined ? 'no configuration' : generationLine(config.running)],
    ...(config.unconfirmed === undefined ? [] : [['unconfirmed', `rolls back at ${time(config.unconfirmed.confirmByMs ?? 0n)} unless confirmed`, c.yellow] as const]),
    ['startup', config.startupHash === undefined ? 'none: `lockstep save` keeps what runs' : config.drift ? 'differs from what runs: `lockstep save` keeps what runs' : 'same as running', config.drift && config.startupHash !== undefined ? c.yellow : undefined],
    ['event loops', `p99 ${info.eventLoopDelayP99Ms.toFixed(1)} ms, gRPC ${info.rpcLoopDelayP99Ms.toFixed(1)} ms`]
  ]))
  return exitCode.ok
}

const labelsLine = (labels: AgentGetInfoResponse['labels']): string => labels.map(({ name, value }) => `${name}=${value}`).join(' ')

const programLine = ({ up, version, pid, sinceMs, reason }: Program): string => up ? `${version}, pid ${pid}, connected ${duration(Date.now() - Number(sinceMs))}` : `not connected for ${duration(Date.now() - Number(sinceMs))}: ${reason}`

async function backends ({ io }: Cli, options: ListOptions & { readonly capabilities?: boolean }): Promise<number> {
  const { backends: found } = await withAgent(io, options, async (a) => await call(a.agent, a.agent.listBackends, {}))
  await printList(io, options, found, () => backendsText(io, found, options.capabilities === true))
  return exitCode.ok
}

function backendsText (io: Cli['io'], found: readonly Backend[], capabilities: boolean): string {
  const supported = (b: Backend): number => b.capabilities.filter((c) => c.supported).length
  const list = table<Backend>([
    { title: 'BACKEND', value: (b) => b.name },
    { title: 'HERE', value: (b) => (b.active ? 'active' : b.available ? 'yes' : 'no') },
    { title: 'CAPABILITIES', value: (b) => `${supported(b)} of ${b.capabilities.length}`, drop: 1 },
    { title: 'REASON', value: (b) => b.reason }
  ], found, io)
  if (!capabilities) return list
  const rows = found.flatMap((b) => b.capabilities.map((c) => ({ backend: b.name, ...c })))
  return list + '\n' + table<(typeof rows)[number]>([
    { title: 'BACKEND', value: (r) => r.backend }, { title: 'CAPABILITY', value: (r) => r.name },
    { title: 'HERE', value: (r) => (r.supported ? 'yes' : 'no') }, { title: 'REASON', value: (r) => r.reason }
  ], rows, io)
}

async function switchBackend ({ io }: Cli, name: string, options: ChangeOptions & { readonly force?: boolean }): Promise<number> {
  const r = await withAgent(io, options, async (a) => await call(a.agent, a.agent.switchBackend, { backend: name, force: options.force === true, ...mutationOf(io, options) }, { deadlineMs: 60_000 }))
  if (options.json === true) await io.out(`${toJson(r, 2)}\n`)
  else if (r.from === r.to) await io.out(`${r.to} forwards already\n`)
  else await io.out(r.lost.map(l => `lost: ${l.capability} (${l.needed.join(', ')}): ${l.reason}\n`).join('') + `${r.from} -> ${r.to} in ${r.totalMs.toFixed(0)} ms, ${count(r.sessions)} sessions went on, ${r.ports.length} ports: ${r.ports.map(p => `${p.name} ${p.handOverUs} us`).join(', ')}\n`)
  return exitCode.ok
}

async function stop ({ io }: Cli, options: CommonOptions & { readonly timeout: number }): Promise<number> {
  const path = await socketPathOf(io, options)
  const info = await withAgent(io, options, async (a) => await call(a.agent, a.agent.getInfo, {}))
  // 0 and 1 are our own group and the first process: no agent we could know is either.
  if (info.pid < 2) throw new LockstepError('unavailable', 'LS_U_STOP', 'the agent does not say which process it is', { object: path, found: `pid ${info.pid}`, next: 'stop it where it was started' })
  try {
    process.kill(info.pid, 'SIGTERM')
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'EPERM') throw new LockstepError('unavailable', 'LS_E_PERMISSION', 'this user may not stop the agent', { object: `pid ${info.pid}`, next: 'run as the user the agent runs as' }, cause)
    if (code !== 'ESRCH') throw cause
  }
  const deadline = Date.now() + options.timeout
  while (Date.now() < deadline) {
    if (!existsSync(path) && !isAlive(info.pid)) {
      await io.out(options.json === true ? `${toJson({ stopped: true, pid: info.pid })}\n` : `instance ${info.instance} (pid ${info.pid}) stopped, ${count(info.tableLive)} sessions at the end\n`)
      return exitCode.ok
    }
    await sleep(50, undefined, { signal: io.signal })
  }
  throw new LockstepError('unavailable', 'LS_U_STOP', 'the agent did not stop in time', { object: `pid ${info.pid}`, found: `alive after ${duration(options.timeout)}`, next: 'look at its log' })
}

function isAlive (pid: number): boolean {
  try {
    process.kill(pid, 0)
    // A zombie is gone for our purpose: its parent has not looked yet.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Version in the package.json above this file. */
export function packageVersion (): string {
  let at = dirname(fileURLToPath(import.meta.url))
  for (;;) {
    const file = join(at, 'package.json')
    if (existsSync(file)) {
      const parsed = JSON.parse(readFileSync(file, 'utf8')) as { name?: string, version?: string }
      if (parsed.name === 'lockstep') return parsed.version ?? 'unknown'
    }
    const up = dirname(at)
    if (up === at) return 'unknown'
    at = up
  }
}
