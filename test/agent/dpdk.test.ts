/** An agent that may do little: DPDK starts without huge pages and without privileges, what needs them is refused by its name, and another backend can be had. */
import { mkdirSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { probeBackends } from '../../src/backend/registry.js'
import type { AgentGetInfoResponse } from '../../src/generated/proto/lockstep/v1/agent.js'
import { runCli } from '../unit/cli/run-cli.js'
import { apply, ask, cannotDrop, drop, isRoot, place, startAgent } from './agent-process.js'

const dpdk = probeBackends().find(p => p.backend === 'dpdk')
const without = dpdk?.available === true ? false : dpdk?.reason ?? 'no dpdk backend'
const config = (port: string): string => `agent: {backend: dpdk, table: {capacity: 1k}, workers: 1}\n${port === '' ? '' : `interfaces: {wan: {port: ${port}, zone: z}}\nzones: {z: {host-inbound: [ping]}}\n`}`

t.test('without privileges and huge pages', { skip: without || (cannotDrop ? 'needs setpriv and a tree that others may read' : false) }, async (t) => {
  const p = place(t)
  const own = join(p.directory, 'own')
  mkdirSync(own)
  p.write(config(''))
  if (isRoot) spawnSync('chown', ['65534:65534', own])
  const socket = join(own, 'agent.sock')
  const agent = await startAgent(t, { ...p, state: join(own, 'state'), socket }, { prefix: [...drop, 'env', '-u', 'XDG_RUNTIME_DIR', `HOME=${own}`] })
  const info = async (): Promise<AgentGetInfoResponse> => await ask<AgentGetInfoResponse>(done => agent.calls.agent.getInfo({}, done))
  t.match(await info(), { backend: 'dpdk', state: 'AGENT_STATE_RUNNING' })
  for (const [port, expected] of [['lo', /AF_PACKET ports.*CAP_NET_RAW/s], ['"dpdk:t0", devargs: net_null0', /CAP_NET_ADMIN.*tun/s], ['"dpdk:t0"', /devargs/], ['"tap:ls-tap0"', /backend cannot do this/]] as const) {
    const text = config(port)
    const error = await ask(done => agent.calls.config.apply(apply(text), done)).then(() => null, (e: { details: string }) => e.details)
    t.match(error, expected, `${port}: ${error ?? 'accepted'}`)
  }
  t.match(await info(), { backend: 'dpdk', state: 'AGENT_STATE_RUNNING' }, 'the agent lives, and what ran runs')
  const cli = async (...argv: string[]) => await runCli(argv, { env: { LOCKSTEP_SOCKET: socket } })
  t.match(await cli('backend', 'switch', 'userspace'), { code: 0 })
  t.match(await info(), { backend: 'userspace' })
  t.match(await cli('backend', 'switch', 'dpdk'), { code: 0 })
  t.same(await agent.stop(), { code: 0, signal: null })
})
