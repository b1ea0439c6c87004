/** What the lab's tests share: a lab per test file, named skips, and proof that nothing is left behind. */
import type { Test } from 'tap'
import { existsSync } from 'node:fs'
import { Lab } from './lab.js'
import { run } from './shell.js'
import { labRefusal, netnsOf, type TopologyOptions } from './topology.js'

/** The sizes that Lockstep promises; the default ones keep `npm test` short. */
export const full = process.env['LOCKSTEP_LAB_FULL'] === '1'
/** Tests of ten minutes and more. */
export const long = process.env['LOCKSTEP_LAB_LONG'] === '1'

/** Two test processes never share namespaces. */
export const prefixOf = (name: string): string => `lt-${name}-${process.pid}`

/** The reason for tap's `skip`, or false. */
export async function skipReason (...tools: string[]): Promise<string | false> {
  return await labRefusal(tools) ?? false
}

type LabOptions = Omit<TopologyOptions, 'prefix'>

/** A whole lab for this test, taken down after it; whatever the test does, nothing of it stays. */
export async function openLab (t: Test, name: string, options: LabOptions = {}): Promise<Lab> {
  const lab = await Lab.open({ prefix: prefixOf(name), ...options })
  t.teardown(async () => {
    await lab.close()
    await nothingLeft(lab.prefix, lab.topology.directory)
  })
  return lab
}

/** Throws when namespaces or files of this lab are left. */
export async function nothingLeft (prefix: string, directory: string): Promise<void> {
  const left = (await run(['ip', 'netns', 'list'], { timeoutMs: 10_000 })).stdout.split('\n').filter((line) => line.startsWith(netnsOf(prefix, 'router').replace(/rt$/, '')))
  if (existsSync(directory)) left.push(directory)
  if (existsSync(`/run/lockstep-lab/${prefix}.json`)) left.push('its marker')
  if (existsSync(`/sys/fs/bpf/lockstep/${prefix}`)) left.push('pins')
  if (existsSync(`/var/run/dpdk/lockstep-${prefix}`)) left.push('files of DPDK')
  if (left.length > 0) throw new Error(`the lab left behind: ${left.join(', ')}`)
}

/** On failure the agent's log without the lines of single flows. */
export function agentSaid (lab: Lab): string {
  return lab.agent.log.split('\n').filter((line) => !line.includes('"msg":"policy"')).slice(-40).join('\n')
}
