/** The host's end of a port that DPDK has not got: a TAP that the port takes when it comes, so that addresses and routes can be had on it meanwhile, and all else is configured. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { LockstepError } from '../../contract/errors.js'
import { toolPath } from '../table/probe.js'
import type { PortRequest } from './wire.js'

const IP_MS = 5000
type End = Pick<PortRequest, 'name' | 'netns' | 'tap'>

async function ip (netns: string, ...argv: string[]): Promise<string> {
  const [file = '', ...rest] = [...netns === '' ? [] : ['nsenter', `--net=${netns}`], 'ip', ...argv]
  try {
    await promisify(execFile)(file, rest, { timeout: IP_MS, env: { ...process.env, PATH: toolPath() } })
    return ''
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string }
    return stderr.trim() === '' ? message : stderr.trim()
  }
}

/** One that is there stays. @throws unavailable LS_B_TAP with the words of `ip`. */
export async function makeTap ({ name, netns, tap }: End): Promise<void> {
  if (await ip(netns, 'link', 'show', 'dev', tap) === '') return
  const problem = await ip(netns, 'tuntap', 'add', 'dev', tap, 'mode', 'tap')
  if (problem !== '') throw new LockstepError('unavailable', 'LS_B_TAP', 'the host’s end of the port cannot be made', { object: `port ${name}`, found: `ip tuntap add dev ${tap} mode tap: ${problem}`, next: 'it needs CAP_NET_ADMIN and /dev/net/tun' })
}

/** As the port does when it goes. One that is not there, or is no TAP, is nobody's trouble. */
export async function removeTap ({ netns, tap }: End): Promise<void> { await ip(netns, 'tuntap', 'del', 'dev', tap, 'mode', 'tap') }
