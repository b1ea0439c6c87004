/** A real agent as a child process, and what a test asks it. Every folder, process and mount is gone when the test ends. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { credentials, type ServiceError } from '@grpc/grpc-js'
import type { Test } from 'tap'
import { AgentClient } from '../../src/generated/proto/lockstep/v1/agent.js'
import { ConfigClient, ConfigText, type ConfigGetTextResponse } from '../../src/generated/proto/lockstep/v1/config.js'
import { SessionsClient } from '../../src/generated/proto/lockstep/v1/sessions.js'
import { TelemetryClient } from '../../src/generated/proto/lockstep/v1/telemetry.js'
import { until } from '../until.js'

export const root = (() => {
  let at = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(at, 'package.json'))) at = dirname(at)
  return at
})()
const cli = join(root, 'dist/src/cli/main.js')
export const isRoot = process.getuid?.() === 0
/** Nobody: by setpriv when root, else who we are. */
export const drop = isRoot ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs', '--bounding-set=-all', '--inh-caps=-all'] : []
/** Why there is no nobody here. */
export const cannotDrop = isRoot && spawnSync('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, '-e', `require('fs').readFileSync(${JSON.stringify(join(root, 'dist/src/cli/main.js'))})`]).status !== 0

export interface Ended { readonly code: number | null, readonly signal: string | null }

export interface Calls {
  readonly agent: AgentClient
  readonly config: ConfigClient
  readonly sessions: SessionsClient
  readonly telemetry: TelemetryClient
  readonly close: () => void
}

export interface Running {
  readonly child: ChildProcess
  readonly stderr: () => string
  readonly ended: Promise<Ended>
  readonly calls: Calls
  /** SIGTERM, and the way it ended. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<Ended>
}

export interface Place {
  readonly directory: string
  readonly file: string
  readonly state: string
  readonly socket: string
  readonly write: (text: string | Uint8Array) => void
  /** Files below the directory, without state/generations and ids. */
  readonly leftovers: () => string[]
}

export function place (t: Test): Place {
  const directory = mkdtempSync(join(tmpdir(), 'ls-agent-'))
  chmodSync(directory, 0o755)
  t.teardown(() => { rmSync(directory, { recursive: true, force: true }) })
  const file = join(directory, 'config.yaml')
  return {
    directory, file, state: join(directory, 'state'), socket: join(directory, 'agent.sock'),
    write: (text) => { writeFileSync(file, text) },
    leftovers: () => readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter(name => !/^(config\.yaml|state|state\/(agent\.lock|ids\.json|state\.json|generations|generations\/\d+\.yaml))$/.test(name)).sort()
  }
}

/** Before a command: without the test runner's hooks, which it puts into the environment of every child. They slow it down, and write where an ordinary user may not. */
export const plain: readonly string[] = ['env', '-u', 'NODE_OPTIONS', 'NO_COLOR=1']

/** The agent without waiting for it. */
export function spawnAgent (t: Test, p: Place, options: { readonly prefix?: readonly string[], readonly args?: readonly string[] } = {}): Omit<Running, 'calls'> {
  const [command = process.execPath, ...args] = [...plain, ...options.prefix ?? [], process.execPath, cli, 'run', p.file, '--state', p.state, '--socket', p.socket, ...options.args ?? []]
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let text = ''
  child.stderr?.setEncoding('utf8').on('data', (part: string) => { text += part })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => { resolve({ code, signal }) })
  })
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await ended
  })
  return { child, stderr: () => text, ended, stop: async (signal = 'SIGTERM') => { child.kill(signal); return await ended } }
}

export async function startAgent (t: Test, p: Place, options: Parameters<typeof spawnAgent>[2] = {}): Promise<Running> {
  const agent = spawnAgent(t, p, options)
  await until('the agent to be ready', () => {
    if (agent.child.exitCode !== null || agent.child.signalCode !== null) throw new Error(`the agent ended: ${agent.stderr()}`)
    return agent.stderr().includes('agent ready')
  })
  const calls = connect(p.socket)
  t.teardown(calls.close)
  return { ...agent, calls }
}

/** Runs an agent that is expected to refuse: exit code and what it says. */
export async function refusedStart (t: Test, p: Place, options: Parameters<typeof spawnAgent>[2] = {}): Promise<{ readonly code: number | null, readonly signal: string | null, readonly stderr: string }> {
  const agent = spawnAgent(t, p, options)
  const accepted = until('an end', () => agent.child.exitCode !== null || agent.child.signalCode !== null || agent.stderr().includes('agent ready'))
  await accepted
  if (agent.child.exitCode === null && agent.child.signalCode === null) agent.child.kill('SIGTERM')
  const { code, signal } = await agent.ended
  return { code, signal, stderr: agent.stderr() }
}

export function connect (socket: string): Calls {
  const target = `unix:${socket}`
  const options = { 'grpc.use_local_subchannel_pool': 1, 'grpc.max_receive_message_length': 8 << 20, 'grpc.max_send_message_length': 16 << 20 }
  const clients = { agent: new AgentClient(target, credentials.createInsecure(), options), config: new ConfigClient(target, credentials.createInsecure(), options), sessions: new SessionsClient(target, credentials.createInsecure(), options), telemetry: new TelemetryClient(target, credentials.createInsecure(), options) }
  return { ...clients, close: () => { for (const c of Object.values(clients)) c.close() } }
}

/** `ask(done => client.method(request, done))`. */
export async function ask<T> (call: (done: (error: ServiceError | null, value: T) => void) => unknown): Promise<T> {
  return await new Promise<T>((resolve, reject) => { call((error, value) => { if (error === null) resolve(value); else reject(error) }) })
}

/** A debug table has a second to be read, which a busy host may exceed: then it is asked for again. */
export async function unlessSlow<T> (read: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await read()
    } catch (error) {
      if (tries === 20 || !String(error).includes('LS_D_SLOW')) throw error
    }
  }
}

export const apply = (text: string, more: { readonly confirmWithinMs?: bigint, readonly expectedGeneration?: bigint } = {}): { text: string, author: string, comment: string, requestId: string, dryRun: boolean, expectedGeneration: bigint | undefined, confirmWithinMs: bigint | undefined } =>
  ({ text, author: 'test', comment: '', requestId: '', dryRun: false, expectedGeneration: more.expectedGeneration, confirmWithinMs: more.confirmWithinMs })

/** The text in force. */
export const textOf = async (agent: Running): Promise<string> => (await ask<ConfigGetTextResponse>(done => agent.calls.config.getText({ which: ConfigText.CONFIG_TEXT_RUNNING }, done))).text

/** An agent without privileges whose traffic comes from itself. `mark` tells one configuration from another. */
export const sources = (mark = 'one', rate = 500): string => `
agent: {table: {capacity: 16k}}
interfaces:
  clients: {port: "source:clients", zone: clients, addresses: [10.0.0.1/24], neighbours: {10.0.0.2: "02:00:00:00:01:01"}}
  servers: {port: "source:servers", zone: servers, addresses: [10.0.1.1/24], neighbours: {10.0.1.2: "02:00:00:00:01:02"}}
traffic-sources:
  clients: {source: 10.0.0.2, destination: 10.0.1.2, port: 80, flows: 50, rate: ${rate}}
  servers: {mode: answer}
zones: {clients: {}, servers: {}}
policies: [{name: ${mark}, from: clients, to: servers, action: permit}]
`
/** An agent that does nothing. */
export const idle = (mark = 'one'): string => `
agent: {table: {capacity: 1k}}
interfaces: {a: {port: "pcap:,/dev/null", zone: z, addresses: [10.0.0.1/24]}}
zones: {z: {}}
policies: [{name: ${mark}, action: permit}]
`
