/** A lab as one object: network, servers and agent, built together and taken down together whatever happens. */
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { LabAgent, type AgentOptions, type AgentPlace } from './agent.js'
import { Servers } from './servers.js'
import { Topology, type HostName, type TopologyOptions } from './topology.js'

export class Lab {
  readonly topology: Topology
  readonly servers: Servers
  #agent: LabAgent | null = null

  private constructor (topology: Topology, servers: Servers) {
    this.topology = topology
    this.servers = servers
  }

  static async open (options: TopologyOptions): Promise<Lab> {
    const topology = await Topology.open(options)
    try {
      return new Lab(topology, await Servers.start(topology))
    } catch (error) {
      await topology.close()
      throw error
    }
  }

  get prefix (): string { return this.topology.options.prefix }
  netns (host: HostName): string { return this.topology.netns(host) }

  /** The agent that runs. */
  get agent (): LabAgent {
    if (this.#agent === null) throw new Error('the lab has no agent yet')
    return this.#agent
  }

  /** Starts an agent in place of the one before, which is ended first. */
  async startAgent (config: string, options: AgentOptions = {}): Promise<LabAgent> {
    await this.#agent?.stop()
    this.#agent = await LabAgent.start(this.#place(), config, options)
    return this.#agent
  }

  /** Starts one that is killed after so long, wherever it is by then. */
  async killStartingAgent (config: string, afterMs: number): Promise<void> {
    const { child } = LabAgent.begin(this.#place(), config)
    await sleep(afterMs)
    await child.stop('SIGKILL')
  }

  #place (): AgentPlace {
    return { directory: this.topology.directory, instance: this.prefix, remember: (pid) => this.topology.remember(pid) }
  }

  async close (): Promise<void> {
    await this.#agent?.stop()
    // Programs go on without an agent, on purpose: a lab leaves none.
    if (existsSync(`/sys/fs/bpf/lockstep/${this.prefix}`)) await this.#agent?.teardown()
    await this.servers.close()
    await this.topology.close()
  }
}
