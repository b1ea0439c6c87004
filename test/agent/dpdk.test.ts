/**
 * A DPDK that cannot do what is wanted of it: without privileges, without huge pages, without its port, beside another of its prefix, or not at all. What needs it is refused or
 * told by its name, the agent lives, and another backend can be had.
 */
import { mkdirSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { probeBackends } from '../../src/backend/registry.js'
import type { AgentGetInfoResponse } from '../../src/generated/proto/lockstep/v1/agent.js'
import { runCli } from '../unit/cli/run-cli.js'
import { apply, ask, cannotDrop, drop, isRoot, place, startAgent, type Place, type Running } from './agent-process.js'
import { until } from '../until.js'

const dpdk = probeBackends().find(p => p.backend === 'dpdk')
const without = dpdk?.available === true ? false : dpdk?.reason ?? 'no dpdk backend'
const unprivileged = without || (cannotDrop ? 'needs setpriv and a tree that others may read' : false)
const instance = `dpdk${process.pid}`
const config = (port: string, agent = ''): string => `agent: {backend: dpdk, instance: ${instance}, table: {capacity: 1k}, workers: 1${agent}}\n${port === '' ? '' : `interfaces: {wan: {port: ${port}, zone: z}}\nzones: {z: {host-inbound: [ping]}}\n`}`

const info = async (agent: Running): Promise<AgentGetInfoResponse> => await ask<AgentGetInfoResponse>(done => agent.calls.agent.getInfo({}, done))
const refused = async (agent: Running, text: string): Promise<string> => await ask(done => agent.calls.config.apply(apply(text), done)).then(() => 'accepted', (e: { details: string }) => e.details)
const cli = async (socket: string, ...argv: string[]) => await runCli(argv, { env: { LOCKSTEP_SOCKET: socket } })
const reasons = async (agent: Running): Promise<string> => (await info(agent)).reasons.join('\n')

/** Of nobody, with a folder of its own. */
async function nobody (t: Test, text: string): Promise<{ readonly agent: Running, readonly place: Place }> {
  const p = place(t)
  const own = join(p.directory, 'own')
  mkdirSync(own)
  p.write(text)
  if (isRoot) spawnSync('chown', ['65534:65534', own])
  const at = { ...p, state: join(own, 'state'), socket: join(own, 'agent.sock') }
  return { agent: await startAgent(t, at, { prefix: [...drop, 'env', '-u', 'XDG_RUNTIME_DIR', `HOME=${own}`, `RUNTIME_DIRECTORY=${p.directory}/own:/nowhere`] }), place: at }
}

t.test('without privileges and huge pages', { skip: unprivileged }, async (t) => {
  const { agent, place: { socket } } = await nobody(t, config(''))
  t.match(await info(agent), { backend: 'dpdk', state: 'AGENT_STATE_RUNNING' })
  for (const [port, expected] of [['lo', /AF_PACKET ports.*CAP_NET_RAW/s], ['"dpdk:t0", devargs: net_null0', /CAP_NET_ADMIN.*tun/s], ['"dpdk:t0"', /devargs/], ['"tap:ls-tap0"', /backend cannot do this/]] as const) {
    t.match(await refused(agent, config(port)), expected, port)
  }
  t.match(await info(agent), { backend: 'dpdk', state: 'AGENT_STATE_RUNNING' }, 'the agent lives, and what ran runs')
  t.match(await cli(socket, 'backend', 'switch', 'userspace'), { code: 0 })
  t.match(await info(agent), { backend: 'userspace' })
  t.match(await cli(socket, 'backend', 'switch', 'dpdk'), { code: 0 })
  t.same(await agent.stop(), { code: 0, signal: null })
})

t.test('huge pages that cannot be had, at the start: told, and another backend can be chosen', { skip: unprivileged }, async (t) => {
  const { agent, place: { socket } } = await nobody(t, config('', ', dpdk: {hugepages: "on"}'))
  t.match(await reasons(agent), /dpdk: nothing is forwarded, .*DPDK (does not start|finds no huge pages).*agent\.dpdk\.hugepages.*it is tried again/s)
  t.match(await cli(socket, 'backend', 'switch', 'userspace'), { code: 0 })
  t.match(await info(agent), { backend: 'userspace', state: 'AGENT_STATE_RUNNING', reasons: [] })
  t.match((await cli(socket, 'backend', 'switch', 'dpdk')).err, /DPDK (does not start|finds no huge pages).*huge/s, 'a switch to it is refused')
  t.same(await agent.stop(), { code: 0, signal: null })
})

t.test('a second DPDK of one prefix: told, another backend can be chosen, and the first goes on', { skip: unprivileged }, async (t) => {
  const p = place(t)
  if (isRoot) spawnSync('chown', ['65534:65534', p.directory])
  const start = async (n: number): Promise<{ readonly agent: Running, readonly socket: string }> => {
    p.write(config(''))
    const at = { ...p, state: join(p.directory, `state${n}`), socket: join(p.directory, `${n}.sock`) }
    return { agent: await startAgent(t, at, { prefix: [...drop, 'env', `HOME=${p.directory}`, `RUNTIME_DIRECTORY=${p.directory}`] }), socket: at.socket }
  }
  const first = await start(1)
  t.equal(await reasons(first.agent), '')
  const second = await start(2)
  t.match(await reasons(second.agent), /another primary process.*another agent\.instance; it is tried again/is)
  t.match(await cli(second.socket, 'backend', 'switch', 'userspace'), { code: 0 })
  t.equal(await reasons(second.agent), '')
  t.same(await second.agent.stop(), { code: 0, signal: null })
  t.match(await info(first.agent), { backend: 'dpdk', state: 'AGENT_STATE_RUNNING' })
  t.same(await first.agent.stop(), { code: 0, signal: null })
})

t.test('ports of DPDK', { skip: without || (isRoot ? false : 'needs root: TAPs in a network namespace') }, async (t) => {
  const netns = `ls-dpdk-${process.pid}`
  const ip = (...argv: string[]): number | null => spawnSync('ip', argv).status
  t.equal(ip('netns', 'add', netns), 0)
  t.teardown(() => { ip('netns', 'del', netns) })
  const tap = (): boolean => ip('-n', netns, 'link', 'show', 'dev', 'lsd0') === 0
  const text = (devargs: string, agent = ''): string => config(`"dpdk:lsd0", devargs: "${devargs}"`, `, netns: ${netns}${agent}`)
  const plain = config('', `, netns: ${netns}`).replace('backend: dpdk', 'backend: userspace')

  await t.test('DPDK does not start: the agent lives, the host has the ports’ ends, and a configuration for another backend is taken', async (t) => {
    const p = place(t)
    p.write(text('net_null0', ', dpdk: {eal-options: ["--no-such-option"]}'))
    const agent = await startAgent(t, p)
    t.match(await reasons(agent), /dpdk: nothing is forwarded, the process that runs DPDK is down.*it is tried again/s)
    t.match((await cli(p.socket, 'alarms')).out, /nothing is forwarded/)
    t.ok(tap(), 'addresses can be had on it')
    t.match(await refused(agent, text('net_null1')), /port dpdk:lsd0: the port cannot be made while DPDK is down.*lockstep status tells/s)
    t.ok(tap(), 'a refusal takes nothing away')
    t.match((await cli(p.socket, 'backend', 'switch', 'userspace')).err, /ports_dpdk/, 'what it cannot have is named')
    t.equal(await refused(agent, plain), 'accepted')
    t.match(await info(agent), { backend: 'userspace', state: 'AGENT_STATE_RUNNING', reasons: [] })
    t.notOk(tap(), 'it goes with the port')
    t.same(await agent.stop(), { code: 0, signal: null })
  })

  await t.test('devargs that lead nowhere: told and tried at the start, refused afterwards, and right ones end it', async (t) => {
    const p = place(t)
    p.write(text('net_nosuch0'))
    const agent = await startAgent(t, p)
    t.match(await reasons(agent), /^port dpdk:lsd0: DPDK has not got it.*net_nosuch0.*devargs.*it is tried again$/s)
    t.match(await refused(agent, text('net_nosuch1')), /net_nosuch1.*check its devargs/s)
    t.match(await reasons(agent), /net_nosuch0/, 'what was there before is tried on')
    t.equal(await refused(agent, text('net_null0')), 'accepted')
    await until('the port', async () => await reasons(agent) === '')
    t.equal(await refused(agent, plain), 'accepted')
    t.match(await info(agent), { backend: 'userspace' })
    t.notOk(tap())
    t.same(await agent.stop(), { code: 0, signal: null })
  })
})
