/** A lab as one object: network, servers and agent, built together and taken down together whatever happens. */
import { LabAgent } from './agent.js';
import { Servers } from './servers.js';
import { Topology } from './topology.js';
export class Lab {
    topology;
    servers;
    #agent = null;
    constructor(topology, servers) {
        this.topology = topology;
        this.servers = servers;
    }
    static async open(options) {
        const topology = await Topology.open(options);
        try {
            return new Lab(topology, await Servers.start(topology));
        }
        catch (error) {
            await topology.close();
            throw error;
        }
    }
    get prefix() { return this.topology.options.prefix; }
    netns(host) { return this.topology.netns(host); }
    /** The agent that runs. */
    get agent() {
        if (this.#agent === null)
            throw new Error('the lab has no agent yet');
        return this.#agent;
    }
    /** Starts an agent in place of the one before, which is ended first. */
    async startAgent(config, options = {}) {
        await this.#agent?.stop();
        this.#agent = await LabAgent.start({ directory: this.topology.directory, instance: this.prefix, remember: (pid) => this.topology.remember(pid) }, config, options);
        return this.#agent;
    }
    async close() {
        await this.#agent?.stop();
        await this.servers.close();
        await this.topology.close();
    }
}
//# sourceMappingURL=lab.js.map