/** The lab of a pair as one object: network, servers and two agents, taken down together whatever happens. */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { LabAgent, type AgentOptions } from './agent.js'
import { pairConfig, pairPlan, routers, type PairConfig, type RouterName } from './pair-topology.js'
import { keeperOf } from './instance.js'
import { Servers } from './servers.js'
import { must } from './shell.js'
import { nothingLeft, prefixOf } from './support.js'
import { Topology, netnsOf, type HostName } from './topology.js'

/** What the tests read of `cluster status --json`. */
export interface ClusterJson {
  readonly node: string
  readonly peers: ReadonlyArray<{ readonly node: string, readonly liveness: string, readonly paths: ReadonlyArray<{ readonly path: string, readonly liveness: string }>, readonly agent: string | null, readonly generation: number | null }>
  readonly sync: { readonly state: string, readonly refusal: string, readonly path: number | null, readonly lagMs: number | null, readonly lag?: { readonly p50Ms: number, readonly p99Ms: number }, readonly received: Readonly<Record<string, number>>, readonly sent: Readonly<Record<string, number>> }
  readonly rings: { readonly equal: number, readonly differing: readonly string[] } | null
  readonly groups: ReadonlyArray<{ readonly rg: number, readonly role: string, readonly owner: string | null, readonly ready: boolean, readonly reasons: readonly string[], readonly copy: string, readonly sessions: number, readonly epoch: string | number, readonly provenEqualAt: number | null, readonly history: ReadonlyArray<{ readonly to: string, readonly code: string }> }>
}

export class PairLab {
  readonly agents = new Map<RouterName, LabAgent>()
  private constructor (readonly topology: Topology, readonly servers: Servers, readonly keyFile: string, readonly config: string) {}

  static async open (prefix: string, config: Omit<PairConfig, 'keyFile'>, plan = pairPlan): Promise<PairLab> {
    const topology = await Topology.open({ prefix }, plan(prefix))
    try {
      const keyFile = join(topology.directory, 'cluster.key')
      writeFileSync(keyFile, randomBytes(32), { mode: 0o600 })
      return new PairLab(topology, await Servers.start(topology), keyFile, pairConfig({ ...config, keyFile }))
    } catch (error) {
      await topology.close()
      throw error
    }
  }

  get prefix (): string { return this.topology.options.prefix }
  netns (host: HostName): string { return this.topology.netns(host) }

  /** Of an interface of this host. */
  async mac (host: HostName, dev: string): Promise<string> {
    const links = JSON.parse(await must({ netns: this.netns(host), argv: ['ip', '-j', 'link', 'show', dev] })) as Array<{ readonly address: string }>
    return links[0]?.address ?? ''
  }

  /** `program`: command line of another build. */
  async start (router: RouterName, config = this.config, { program, ...options }: AgentOptions & { readonly program?: string } = { readyWithinMs: 60_000 }): Promise<LabAgent> {
    const directory = join(this.topology.directory, router)
    mkdirSync(directory, { recursive: true })
    const agent = await LabAgent.start({ directory, instance: this.netns(router), netns: this.netns(router), node: router, ...(program === undefined ? {} : { program }), remember: (pid) => { this.topology.remember(pid) } }, config, options)
    this.agents.set(router, agent)
    return agent
  }

  agent (router: RouterName): LabAgent {
    const agent = this.agents.get(router)
    if (agent === undefined) throw new Error(`${router} has no agent`)
    return agent
  }

  async status (router: RouterName): Promise<ClusterJson> { return await this.agent(router).json<ClusterJson>(['cluster', 'status']) }
  async group (router: RouterName, rg = 0): Promise<ClusterJson['groups'][number]> {
    const found = (await this.status(router)).groups.find((g) => g.rg === rg)
    if (found === undefined) throw new Error(`${router} has no group ${rg}`)
    return found
  }

  /** Both run, one owns, the other is ready. */
  async settled (owner: RouterName, withinMs = 20_000): Promise<void> {
    const other = owner === 'r1' ? 'r2' : 'r1'
    await this.until(async () => {
      const [mine, theirs] = [await this.group(owner), await this.group(other)]
      return mine.role === 'owner' && theirs.role === 'standby' && theirs.ready ? null : `${owner} is ${mine.role}, ${other} is ${theirs.role}: ${theirs.reasons.join(', ')}; ${(await this.status(other)).sync.refusal}`
    }, withinMs)
  }

  /** Asks until the answer is null; what it says last is the error. */
  async until (ask: () => Promise<string | null>, withinMs: number): Promise<void> {
    for (const end = Date.now() + withinMs; ;) {
      const said = await ask()
      if (said === null) return
      if (Date.now() > end) throw new Error(`not within ${withinMs} ms: ${said}`)
      await sleep(100)
    }
  }

  /** Of both agents' logs what is about the cluster, and what is worse than information. */
  get said (): string { return [...this.agents].map(([name, agent]) => `--- ${name}\n${agent.log.split('\n').filter((l) => l.includes('"cluster"') || /"level":[456]0/.test(l)).slice(-40).join('\n')}`).join('\n') }

  /** As if its host lost power: agent, keeper and programs at once. */
  async killNode (router: RouterName): Promise<void> {
    const instance = this.netns(router)
    const keeper = keeperOf(`/sys/fs/bpf/lockstep/${instance}`)
    if (keeper !== null) process.kill(keeper, 'SIGKILL')
    await this.agent(router).kill()
    if (existsSync(`/sys/fs/bpf/lockstep/${instance}`)) await this.agent(router).teardown()
  }

  async close (): Promise<void> {
    try {
      await Promise.all([...this.agents.values()].map(async (agent) => await agent.stop()))
      for (const r of routers) if (existsSync(`/sys/fs/bpf/lockstep/${this.netns(r)}`)) await this.agents.get(r)?.teardown()
      await this.servers.close()
    } finally {
      await this.topology.close()
    }
  }
}

/** Taken down after the test; whatever it does, nothing of it stays. */
export async function openPairLab (t: Test, name: string, config: Omit<PairConfig, 'keyFile'>, plan = pairPlan): Promise<PairLab> {
  const lab = await PairLab.open(prefixOf(name), config, plan)
  t.teardown(async () => {
    await lab.close()
    await nothingLeft(lab.prefix, lab.topology.directory)
    for (const r of routers) if (existsSync(`/sys/fs/bpf/lockstep/${netnsOf(lab.prefix, r)}`)) throw new Error(`pins of ${r} are left`)
  })
  return lab
}
