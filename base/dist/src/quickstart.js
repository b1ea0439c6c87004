/**
 * `npm start`: an agent with real traffic and nothing to set up. As root in a lab of its own (namespaces, nginx, curl); otherwise over a capture of
 * real packets and a traffic source. Prints where it can be reached and what to try next; ends on Ctrl-C and leaves nothing behind.
 */
import { spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { explain, startAgent } from './agent.js';
import { hostDefaults } from './config/index.js';
import { createLog, readConfigFile, runUntilSignal } from './main.js';
import { packageRoot } from './native/load.js';
const PREFIX = 'lockstep';
const ROUND_MS = 2000;
export async function quickstart(o) {
    const say = (text) => { process.stdout.write(`${text}\n`); };
    const socketPath = o.socketPath ?? writableSocket();
    if (await answers(socketPath)) {
        process.stderr.write(`an agent runs already on ${socketPath}; look at it with: npx lockstep status   end it with: npx lockstep stop\n`);
        return 1;
    }
    const log = createLog('info');
    const stateDirectory = mkdtempSync(join(tmpdir(), 'lockstep-quickstart-'));
    const lab = await openLab(say);
    const file = join(packageRoot(), 'examples', lab === null ? 'quickstart-unprivileged.yaml' : 'quickstart.yaml');
    let agent;
    try {
        agent = await startAgent({ config: await readConfigFile(file), socketPath, stateDirectory, instance: 'quickstart', backend: null, log, followLogLevel: true });
    }
    catch (error) {
        process.stderr.write(`${explain(error)}\n`);
        await lab?.close();
        rmSync(stateDirectory, { recursive: true, force: true });
        return 1;
    }
    const gateway = startGateway(socketPath);
    const traffic = lab === null ? null : keepTraffic(lab, (text) => { log.warn(text); });
    const flags = o.socketPath === null && socketPath === hostDefaults().socketPath ? '' : ` --socket ${socketPath}`;
    say(guide(file, agent, flags, lab !== null));
    const code = await runUntilSignal(agent, log, async () => {
        await traffic?.stop();
        await ended(gateway);
        await lab?.close();
    });
    rmSync(stateDirectory, { recursive: true, force: true });
    return code;
}
/** The default socket when its folder can be written, else one in the temporary folder. */
function writableSocket() {
    const path = hostDefaults().socketPath;
    try {
        mkdirSync(dirname(path), { recursive: true });
        accessSync(dirname(path), constants.W_OK);
        return path;
    }
    catch {
        return join(tmpdir(), `lockstep-${process.getuid?.() ?? 0}.sock`);
    }
}
async function answers(path) {
    return await new Promise((resolve) => {
        const socket = createConnection(path);
        socket.on('connect', () => { socket.destroy(); resolve(true); });
        socket.on('error', () => { resolve(false); });
    });
}
async function openLab(say) {
    const base = '../test/lab';
    let topologyModule;
    let serversModule;
    let trafficModule;
    try {
        topologyModule = await import(`${base}/topology.js`);
        serversModule = await import(`${base}/servers.js`);
        trafficModule = await import(`${base}/traffic.js`);
    }
    catch (error) {
        if (error.code !== 'ERR_MODULE_NOT_FOUND')
            throw error;
        say('lab: not in this package; playing a capture instead');
        return null;
    }
    const refusal = await topologyModule.labRefusal(['curl']);
    if (refusal !== null) {
        say(`lab: ${refusal}; playing a capture of real packets instead`);
        return null;
    }
    const topology = await topologyModule.Topology.open({ prefix: PREFIX });
    try {
        const servers = await serversModule.Servers.start(topology);
        const jobs = ['http://10.77.0.10/small.txt', 'http://[fd77::10]/small.txt', 'http://10.77.0.10/1m.bin', 'http://10.77.2.11:8080/small.txt'];
        return {
            traffic: async () => {
                const results = await Promise.all(jobs.map(async (url) => ({ url, ...await trafficModule.curl({ netns: topology.netns('client'), url, count: 4, parallel: 2, sha256: url.endsWith('.bin') ? servers.bigSha256 : null }) })));
                return results.filter(r => r.ok < r.requests).map(r => `${r.url}: ${r.requests - r.ok} of ${r.requests} downloads failed`).join('; ');
            },
            close: async () => {
                await servers.close();
                await topology.close();
            }
        };
    }
    catch (error) {
        await topology.close();
        throw error;
    }
}
/** Downloads in rounds, until stopped. */
function keepTraffic(lab, warn) {
    const stopping = new AbortController();
    const running = (async () => {
        while (!stopping.signal.aborted) {
            const problem = await lab.traffic().catch((error) => String(error));
            if (problem !== '' && !stopping.signal.aborted)
                warn(problem);
            await new Promise((resolve) => {
                const timer = setTimeout(resolve, ROUND_MS);
                stopping.signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
            });
        }
    })();
    return { stop: async () => { stopping.abort(); await running; } };
}
function startGateway(socketPath) {
    return spawn(process.execPath, [join(packageRoot(), 'dist/src/cli/main.js'), 'gateway', '--socket', socketPath], { stdio: ['ignore', 'ignore', 'inherit'] });
}
async function ended(child) {
    if (child.exitCode !== null || child.signalCode !== null)
        return;
    await new Promise((resolve) => {
        const timer = setTimeout(() => child.kill('SIGKILL'), 1000);
        child.on('close', () => { clearTimeout(timer); resolve(); });
        child.kill('SIGTERM');
    });
}
function guide(file, agent, flags, lab) {
    const what = lab
        ? `The lab: client 10.77.1.2 -> this router -> servers 10.77.2.11 and .12 (VIP 10.77.0.10 and fd77::10, port 80); curl runs every ${ROUND_MS / 1000} s.`
        : 'Traffic: a capture of real packets in a loop, and a source that opens flows to the VIP 10.77.0.10:80.';
    const gateway = agent.desired()?.agent.gateway;
    return `
Lockstep runs on ${file}
${what}

  gRPC       unix:${agent.socketPath}${gateway?.grpc == null ? '' : `   and ${gateway.grpc}`} (reflection on)
${gateway?.metrics == null ? '' : `  metrics    http://${gateway.metrics}/metrics
`}
Try in a second shell:
  npx lockstep sessions list${flags}
  npx lockstep sessions watch${flags}
  npx lockstep counters${flags}
  npx lockstep table verify${flags}
${lab ? `  nsenter --net=/run/netns/${PREFIX}-client curl http://10.77.0.10/who\n` : ''}  npx lockstep --help

Ctrl-C ends it.
`;
}
//# sourceMappingURL=quickstart.js.map