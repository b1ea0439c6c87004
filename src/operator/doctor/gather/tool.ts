/** Runs one of the host's tools: no shell, a time limit, and a failure that says what would help. */
import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { known, unseen, type Seen } from '../seen.js'
import { quote } from '../shell.js'

const TOOL_MS = 10_000
const OUTPUT_MAX = 256 << 20

/** Debian's package of each tool. */
const packages = { ip: 'iproute2', nft: 'nftables', ethtool: 'ethtool', bpftool: 'bpftool', nsenter: 'util-linux', grep: 'grep', getconf: 'libc-bin', timedatectl: 'systemd' } as const
export type Tool = keyof typeof packages

/** sbin is not on the PATH of an ordinary user. */
const PATH = [...new Set([...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin', '/bin'])].filter((d) => d !== '').join(delimiter)

function installed (tool: Tool): boolean {
  return PATH.split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, tool), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

export interface ToolRun {
  /** Path of a network namespace to run it in. */
  readonly netns?: string | null
  readonly signal?: AbortSignal | undefined
  /** Exit codes that are answers, too. */
  readonly alsoOk?: readonly number[]
}

export async function runTool (tool: Tool, args: readonly string[], { netns = null, signal, alsoOk = [] }: ToolRun = {}): Promise<Seen<string>> {
  const argv = netns === null ? [tool, ...args] : ['nsenter', `--net=${netns}`, '--', tool, ...args]
  const source = argv.map(quote).join(' ')
  const missing = [tool, ...(netns === null ? [] : ['nsenter' as const])].find((t) => !installed(t))
  if (missing !== undefined) return unseen(`${missing} is not installed`, source, `apt install ${packages[missing]}`)
  const [program = '', ...rest] = argv
  return await new Promise((resolve, reject) => {
    execFile(program, rest, { timeout: TOOL_MS, killSignal: 'SIGKILL', maxBuffer: OUTPUT_MAX, env: { ...process.env, PATH, LC_ALL: 'C' }, signal }, (failure, stdout, stderr) => {
      if (signal?.aborted === true) reject(signal.reason as Error)
      else if (failure === null || alsoOk.includes(Number(failure.code))) resolve(known(stdout, source))
      else if (failure.killed === true) resolve(unseen(`${tool} did not answer within ${TOOL_MS / 1000} s`, source))
      else resolve(refused(tool, source, stdout, stderr, failure.code))
    })
  })
}

function refused (tool: Tool, source: string, stdout: string, stderr: string, code: unknown): Seen<string> {
  const said = (stderr.trim() || stdout.trim()).split('\n').find((line) => line !== '') ?? `exit code ${String(code)}`
  if (/not permitted|permission denied|must be root/i.test(stdout + stderr)) return notRoot(source)
  return unseen(`${tool} says: ${said.slice(0, 200)}`, source)
}

export const notRoot = (source: string): Seen<never> => unseen('only root may see it', source, 'sudo lockstep doctor')
