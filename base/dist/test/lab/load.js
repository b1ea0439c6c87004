/** The lab's C programs: heavy traffic that no shell tool makes. Compiled when first needed, into the lab's own directory. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Background, must, run } from './shell.js';
import { macs } from './topology.js';
/** The program, compiled. Sources are in the repository, not in the package. */
export async function loadProgram(topology, name) {
    const file = join(topology.directory, name);
    if (existsSync(file))
        return file;
    const source = fileURLToPath(new URL(`../../../test/lab/load/${name}.c`, import.meta.url));
    await must({ netns: null, argv: ['cc', '-std=gnu11', '-O2', '-Wall', '-o', file, source] }, 60_000);
    return file;
}
/** Short connections at a rate, from several addresses of the client so that no address runs out of ports. */
export async function tcpFlows(topology, job) {
    const program = await loadProgram(topology, 'tcp_flows');
    const out = await must({ netns: topology.netns('client'), argv: [program, 'client', job.to, String(job.port), String(job.rate), String(job.seconds), String(job.timeoutMs ?? 10_000), job.from.join(',')] }, (job.seconds + 60) * 1000);
    return JSON.parse(out);
}
/** A server that prints `ready`; its figures come at SIGTERM. */
export async function loadServer(topology, host, program, args) {
    const server = new Background(program, topology.netns(host), [await loadProgram(topology, program), 'server', ...args]);
    await server.says('ready');
    return {
        stop: async () => {
            await server.stop();
            return JSON.parse(server.output.trim().split('\n').at(-1) ?? '{}');
        }
    };
}
/** One datagram for each of `flows` UDP flows to one destination. */
export async function udpTuples(topology, job) {
    const program = await loadProgram(topology, 'udp_tuples');
    return JSON.parse(await must({ netns: topology.netns('client'), argv: [program, 'client', job.to, String(job.port), String(job.flows), String(job.rate), job.from.join(',')] }, 120_000));
}
/** Frames of an attacker on its own link. `from` null: from many addresses. */
export async function flood(topology, job) {
    const program = await loadProgram(topology, 'flood');
    const r = await run([program, 'eth0', macs.routerAttack, job.from ?? 'many', job.to, job.kind, String(job.rate), String(job.seconds)], { netns: topology.netns('attacker'), timeoutMs: (job.seconds + 30) * 1000 });
    if (r.code !== 0)
        throw new Error(`flood: ${r.stderr}`);
    return JSON.parse(r.stdout);
}
//# sourceMappingURL=load.js.map