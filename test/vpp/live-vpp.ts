/**
 * A real VPP for tests, with a place, sockets and a prefix of its own. LOCKSTEP_VPP names the program; else `vpp` is looked for in PATH. Its plugins lie beside
 * it, as VPP installs them.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LockstepError } from '../../src/contract/errors.js'
import { Background, must, which } from '../lab/shell.js'
import { skipReason } from '../lab/support.js'

const program = process.env['LOCKSTEP_VPP'] ?? which('vpp')

/** The reason for tap's `skip`, or false. */
export async function vppSkip (...tools: string[]): Promise<string | false> {
  if (program === null || !existsSync(program)) return 'needs a VPP: install it, or name its program in LOCKSTEP_VPP'
  return await skipReason(...tools)
}

/** `/usr/bin/vpp` -> `/usr/lib/x86_64-linux-gnu/NAME`; `null`: it is not there. */
function beside (name: string): string | null {
  const lib = join(dirname(program ?? ''), '..', 'lib')
  return ['.', ...existsSync(lib) ? readdirSync(lib) : []].map((folder) => join(lib, folder, name)).find((path) => existsSync(path)) ?? null
}

/** VPP's own client, if it is installed. */
export const vppLibrary = (): string | null => beside('libvppapiclient.so')

function pluginFolder (): string {
  const found = beside('vpp_plugins')
  if (found === null) throw new LockstepError('unavailable', 'LS_LAB_VPP', 'the plugins of VPP are not beside it', { object: program ?? '', expected: '../lib/*/vpp_plugins' })
  return found
}

export interface LiveVppOptions {
  /** Empty folder, made if it is not there; removed with `remove`. */
  readonly directory: string
  readonly netns: string | null
  /** Of its shared memory. */
  readonly prefix: string
  readonly plugins?: readonly string[]
  /** Counters of each node too: thousands of entries. */
  readonly perNode?: boolean
  /** Told the pid, so that a crash of ours leaves none. */
  readonly remember?: (pid: number) => void
}

export class LiveVpp {
  readonly apiSocket: string
  readonly statsSocket: string
  version = ''
  private process: Background | null = null

  constructor (private readonly o: LiveVppOptions) {
    this.apiSocket = join(o.directory, 'api.sock')
    this.statsSocket = join(o.directory, 'stats.sock')
  }

  get pid (): number { return this.process?.pid ?? -1 }
  private get cliSocket (): string { return join(this.o.directory, 'cli.sock') }

  /** A life of it; the one before has ended. */
  async start (): Promise<void> {
    const { directory, netns, prefix, plugins = ['af_packet', 'lb', 'nat44_ei', 'ping'], perNode = false, remember } = this.o
    mkdirSync(directory, { recursive: true })
    for (const socket of [this.apiSocket, this.statsSocket, this.cliSocket]) rmSync(socket, { force: true })
    const config = join(directory, 'startup.conf')
    writeFileSync(config, [
      `unix { nodaemon cli-listen ${this.cliSocket} log ${directory}/vpp.log runtime-dir ${directory} poll-sleep-usec 100 }`, `api-segment { prefix ${prefix} }`, `socksvr { socket-name ${this.apiSocket} }`,
      `statseg { socket-name ${this.statsSocket} update-interval 1${perNode ? ' per-node-counters on' : ''} }`, 'memory { main-heap-size 256M main-heap-page-size 4k }', 'buffers { buffers-per-numa 4096 page-size 4k }',
      `plugins { path ${pluginFolder()} plugin default { disable } ${plugins.map((name) => `plugin ${name}_plugin.so { enable }`).join(' ')} }`, ''
    ].join('\n'))
    const child = new Background('vpp', netns, [program ?? 'vpp', '-c', config])
    this.process = child
    remember?.(child.pid)
    for (const until = Date.now() + 20_000; !existsSync(this.apiSocket) || !existsSync(this.cliSocket);) {
      if (!child.running || Date.now() > until) throw new LockstepError('unavailable', 'LS_LAB_VPP', 'VPP did not start', { object: config, found: child.output.trim().slice(-1000) })
      await sleep(50)
    }
    this.version = /v\d\S+/.exec(await this.cli('show version'))?.[0] ?? ''
  }

  async cli (command: string): Promise<string> { return (await must({ netns: null, argv: [join(dirname(program ?? ''), 'vppctl'), '-s', this.cliSocket, ...command.split(' ')] })).trim() }

  /** Without a word. */
  async kill (): Promise<void> { await this.process?.stop('SIGKILL') }

  async remove (): Promise<void> {
    await this.kill()
    rmSync(this.o.directory, { recursive: true, force: true })
    for (const name of readdirSync('/dev/shm')) if (name.startsWith(`${this.o.prefix}-`)) rmSync(join('/dev/shm', name), { force: true })
  }
}
