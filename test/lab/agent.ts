/** The agent as a child process, and its command line as the way to ask it: what the lab shows is what an operator would see. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { LockstepError } from '../../src/contract/errors.js'
import { Background, run } from './shell.js'

/** This build's command line. */
const ours = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

/** A row of `sessions list --json`; 64-bit counters beyond 2^53 are text. */
export interface SessionJson {
  readonly id: string
  readonly proto: number
  readonly src: string
  readonly sport: number
  readonly dst: string
  readonly dport: number
  readonly reply_src: string
  readonly reply_sport: number
  readonly reply_dst: string
  readonly reply_dport: number
  readonly zone_in: string
  readonly zone_out: string
  readonly policy: string
  readonly vip: string
  readonly real: string
  readonly phase: string
  readonly flags: readonly string[]
  readonly packets_forward: number
  readonly packets_reply: number
  readonly bytes_forward: number
  readonly bytes_reply: number
  readonly expires_ms: number
}

export interface VerifyJson { readonly ok: boolean, readonly slots: number, readonly live: number, readonly creating: number, readonly dying: number, readonly dead: number, readonly free: number, readonly entries: number, readonly faults: ReadonlyArray<{ readonly name: string, readonly count: number, readonly first: string }>, readonly durationMs: number }
export interface StatusJson { readonly state: string, readonly pid: number, readonly tableLive: number, readonly tableCapacity: number, readonly eventLoopDelayP99Ms: number, readonly config: { readonly running: { readonly generation: number } | null } }
export interface CliResult { readonly code: number, readonly stdout: string, readonly stderr: string }

/** Block -> row name -> first value, the rows that counted. */
export type Counts = Readonly<Record<string, Readonly<Record<string, number>>>>

interface SnapshotJson { readonly blocks: ReadonlyArray<{ readonly name: string, readonly rows: ReadonlyArray<{ readonly name: string, readonly values: ReadonlyArray<number | string> }> }> }

export function countsOf (snapshot: SnapshotJson): Counts {
  return Object.fromEntries(snapshot.blocks.map((b) => [b.name, Object.fromEntries(b.rows.map((r) => [r.name, Number(r.values[0] ?? 0)]))]))
}

/** What grew from one reading to the next. */
export function grown (before: Counts, after: Counts, block: string): Record<string, number> {
  return Object.fromEntries(Object.entries(after[block] ?? {}).map(([name, n]) => [name, n - (before[block]?.[name] ?? 0)] as const).filter(([, n]) => n !== 0))
}

/** Where an agent keeps its files and what it is called; a later one at the same place takes over. */
export interface AgentPlace {
  readonly directory: string
  readonly instance: string
  /** Namespace that the process itself is in; default: ours. */
  readonly netns?: string
  /** Which node of the file it is. */
  readonly node?: string
  /** Command line of another build; default: this one's. */
  readonly program?: string
  /** Told the pid, so that a crash of ours leaves no agent. */
  readonly remember?: (pid: number) => void
}

export interface AgentOptions {
  readonly logLevel?: string
  readonly readyWithinMs?: number
}

export class LabAgent {
  readonly socket: string
  readonly configFile: string
  readonly startMs: number
  readonly instance: string
  readonly #program: string
  readonly #process: Background

  private constructor (socket: string, configFile: string, startMs: number, place: AgentPlace, child: Background) {
    this.socket = socket
    this.instance = place.instance
    this.#program = place.program ?? ours
    this.configFile = configFile
    this.startMs = startMs
    this.#process = child
  }

  /** Only begins: for who wants to see it die before it is ready. */
  static begin (place: AgentPlace, config: string, o: AgentOptions = {}): { readonly child: Background, readonly socket: string, readonly configFile: string } {
    const directory = join(place.directory, 'agent')
    mkdirSync(directory, { recursive: true, mode: 0o755 })
    const socket = join(directory, 'agent.sock')
    const configFile = join(directory, 'lab.yaml')
    writeFileSync(configFile, config)
    const child = new Background('agent', place.netns ?? null, [process.execPath, place.program ?? ours, 'run', configFile, '--socket', socket, '--state', join(directory, 'state'),
      '--instance', place.instance, '--log-level', o.logLevel ?? 'info', ...(place.node === undefined ? [] : ['--node', place.node])])
    place.remember?.(child.pid)
    return { child, socket, configFile }
  }

  /** Starts an agent on this configuration and waits until it says that it runs. */
  static async start (place: AgentPlace, config: string, o: AgentOptions = {}): Promise<LabAgent> {
    const begun = performance.now()
    const { child, socket, configFile } = LabAgent.begin(place, config, o)
    const agent = new LabAgent(socket, configFile, 0, place, child)
    try {
      await child.says('"agent ready"', o.readyWithinMs ?? 30_000)
      const { state } = await agent.status()
      // degraded: a table that is nearly full says so
      if (state !== 'running' && state !== 'degraded') throw new LockstepError('unavailable', 'LS_LAB_AGENT', 'the agent does not run', { found: state })
    } catch (error) {
      await child.stop('SIGKILL')
      throw error
    }
    return new LabAgent(socket, configFile, performance.now() - begun, place, child)
  }

  get pid (): number { return this.#process.pid }
  get running (): boolean { return this.#process.running }
  get log (): string { return this.#process.output }

  /** `lockstep ARGS --socket …` as a command. */
  argv (args: readonly string[]): string[] { return [process.execPath, this.#program, ...args, '--socket', this.socket] }

  /** The same, as it ends. */
  async cli (args: readonly string[], o: { readonly input?: string, readonly timeoutMs?: number } = {}): Promise<CliResult> {
    return await run(this.argv(args), { timeoutMs: o.timeoutMs ?? 60_000, ...(o.input === undefined ? {} : { input: o.input }) })
  }

  /** With --json; an exit code that is not expected is an error. */
  async json<T> (args: readonly string[], o: { readonly input?: string, readonly codes?: readonly number[] } = {}): Promise<T> {
    const r = await this.cli([...args, '--json'], o)
    if (!(o.codes ?? [0]).includes(r.code)) throw new LockstepError('unavailable', 'LS_LAB_CLI', 'the command line refused', { object: args.join(' '), found: `exit ${r.code}: ${r.stderr.trim().slice(0, 1000)}`, next: this.running ? 'see its message' : `the agent is gone: ${this.log.trim().slice(-1000)}` })
    return JSON.parse(r.stdout) as T
  }

  async status (): Promise<StatusJson> { return await this.json<StatusJson>(['status']) }
  async counters (...blocks: string[]): Promise<Counts> { return countsOf(await this.json<SnapshotJson>(['counters', ...blocks])) }
  async sessions (...filter: string[]): Promise<SessionJson[]> { return await this.json<SessionJson[]>(['sessions', 'list', ...filter]) }
  async count (...filter: string[]): Promise<number> { return Number((await this.json<{ count: number }>(['sessions', 'count', ...filter])).count) }
  async verify (): Promise<VerifyJson> { return await this.json<VerifyJson>(['table', 'verify'], { codes: [0, 1] }) }

  /** Puts a configuration in force; resolves to what the agent says about it. */
  async apply (config: string, ...options: string[]): Promise<{ readonly generation: { readonly generation: number }, readonly totalMs: number, readonly warnings: readonly string[] }> {
    return await this.json(['apply', '-', ...options], { input: config })
  }

  /** Waits until no session is left, at most so long. Resolves to how many are. */
  async drained (withinMs: number, ...filter: string[]): Promise<number> {
    const deadline = Date.now() + withinMs
    for (;;) {
      const left = await this.count(...filter)
      if (left === 0 || Date.now() > deadline) return left
      await sleep(250)
    }
  }

  /** Ends it as systemd would; `null` = it had to be killed. */
  async stop (): Promise<{ readonly code: number | null, readonly ms: number }> {
    const begun = performance.now()
    const code = await this.#process.stop('SIGTERM', 5000)
    return { code, ms: performance.now() - begun }
  }

  /** `lockstep teardown` of its instance, once it is gone. */
  async teardown (): Promise<CliResult> { return await run([process.execPath, this.#program, 'teardown', '--instance', this.instance, '--json'], { timeoutMs: 30_000 }) }

  /** As if it crashed. */
  async kill (): Promise<void> { await this.#process.stop('SIGKILL') }

  get socketExists (): boolean { return existsSync(this.socket) }
}
