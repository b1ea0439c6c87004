/**
 * Running programs, in a network namespace or in ours. Programs enter a namespace by `nsenter --net`, which leaves the mounts alone
 * (`ip netns exec` hides /sys/fs/bpf), and become the program asked for: a child's pid is the program's.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LockstepError } from '../../src/contract/errors.js'

/** `netns` is a name under /run/netns; `null` = ours. */
export interface Command { readonly netns: string | null, readonly argv: readonly string[] }

export interface RunResult { readonly code: number, readonly stdout: string, readonly stderr: string }
export interface RunOptions {
  readonly netns?: string | null
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** Written to its standard input. */
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
}

/** nft, ethtool, nginx and traceroute live in sbin, which an ordinary user's PATH lacks. */
const PATH = [...new Set([...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'])].filter(Boolean).join(delimiter)

export function which (program: string): string | null {
  for (const directory of PATH.split(delimiter)) {
    try {
      accessSync(join(directory, program), constants.X_OK)
      return join(directory, program)
    } catch { /* not there */ }
  }
  return null
}

export const inNetns = (netns: string | null, argv: readonly string[]): string[] => netns === null ? [...argv] : ['nsenter', `--net=/run/netns/${netns}`, '--', ...argv]

/** The same, killed by the kernel when we die, however we die. */
export const tied = (netns: string | null, argv: readonly string[]): string[] => ['setpriv', '--pdeathsig', 'KILL', '--', ...inNetns(netns, argv)]

/** One line as a shell would take it. */
export function commandLine (c: Command): string {
  return inNetns(c.netns, c.argv).map((a) => /^[\w@%+=:,./[\]-]+$/.test(a) ? a : `'${a.replaceAll("'", "'\\''")}'`).join(' ')
}

/** Runs to the end; a bad exit code is a result. A program that cannot be started, or not in time, is an error. */
export async function run (argv: readonly string[], o: RunOptions = {}): Promise<RunResult> {
  const [program = '', ...args] = inNetns(o.netns ?? null, argv)
  return await new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: [o.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'], env: { ...process.env, ...o.env, PATH }, signal: o.signal, killSignal: 'SIGKILL'
    })
    const out: Buffer[] = []
    const err: Buffer[] = []
    let late = false
    const timer = o.timeoutMs === undefined ? null : setTimeout(() => { late = true; child.kill('SIGKILL') }, o.timeoutMs)
    child.stdout?.on('data', (b: Buffer) => out.push(b))
    child.stderr?.on('data', (b: Buffer) => err.push(b))
    child.on('error', (cause) => {
      if (timer !== null) clearTimeout(timer)
      reject(o.signal?.aborted === true ? cause : new LockstepError('unavailable', 'LS_LAB_PROGRAM', 'cannot be run', { object: program, found: cause.message }, cause))
    })
    child.on('close', (code, signal) => {
      if (timer !== null) clearTimeout(timer)
      const stderr = Buffer.concat(err).toString('utf8')
      if (late) reject(new LockstepError('unavailable', 'LS_LAB_TIMEOUT', 'did not end in time', { object: argv.join(' '), expected: `at most ${o.timeoutMs ?? 0} ms`, found: stderr.slice(-300) }))
      else resolve({ code: code ?? (signal === null ? 1 : 128), stdout: Buffer.concat(out).toString('utf8'), stderr })
    })
    if (o.input !== undefined) child.stdin?.on('error', () => {}).end(o.input)
  })
}

/** Runs, and anything but success is an error that says what was run and what it said. */
export async function must (c: Command, timeoutMs = 20_000): Promise<string> {
  const r = await run(c.argv, { netns: c.netns, timeoutMs })
  if (r.code !== 0) throw new LockstepError('unavailable', 'LS_LAB_COMMAND', 'failed', { object: commandLine(c), found: (r.stderr.trim() || r.stdout.trim() || `exit code ${r.code}`).slice(0, 500) })
  return r.stdout
}

/** A program that goes on: a server, a load. It dies with us. */
export class Background {
  readonly name: string
  readonly child: ChildProcess
  readonly ended: Promise<number>
  #output = ''

  constructor (name: string, netns: string | null, argv: readonly string[], o: { readonly env?: Readonly<Record<string, string>>, readonly cwd?: string } = {}) {
    const [program = '', ...args] = tied(netns, argv)
    this.name = name
    this.child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...o.env, PATH }, cwd: o.cwd })
    for (const stream of [this.child.stdout, this.child.stderr]) stream?.on('data', (b: Buffer) => { this.#output = (this.#output + b.toString('utf8')).slice(-1_000_000) })
    this.ended = new Promise((resolve) => {
      this.child.on('error', (error) => { this.#output += `${error.message}\n`; resolve(127) })
      this.child.on('close', (code) => resolve(code ?? 128))
    })
  }

  get pid (): number { return this.child.pid ?? -1 }
  get running (): boolean { return this.child.exitCode === null && this.child.signalCode === null && this.child.pid !== undefined }
  /** What it printed so far, the last megabyte. */
  get output (): string { return this.#output }

  /** Waits until it printed this. */
  async says (text: string, withinMs = 15_000): Promise<void> {
    const deadline = Date.now() + withinMs
    while (!this.output.includes(text)) {
      if (!this.running || Date.now() > deadline) throw new LockstepError('unavailable', 'LS_LAB_SERVER', this.running ? 'is not ready in time' : 'ended', { object: this.name, found: this.output.trim().slice(-2000) })
      await sleep(20)
    }
  }

  /** Ends it; resolves to the exit code, or to `null` when it had to be killed. */
  async stop (signal: NodeJS.Signals = 'SIGTERM', withinMs = 3000): Promise<number | null> {
    if (!this.running) return await this.ended
    this.child.kill(signal)
    const late = Symbol('late')
    const timer = new Promise<typeof late>((resolve) => { setTimeout(() => resolve(late), withinMs).unref() })
    const first = await Promise.race([this.ended, timer])
    if (first !== late) return first
    this.child.kill('SIGKILL')
    await this.ended
    return null
  }
}
