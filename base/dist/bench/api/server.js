/**
 * The server side of the bench, a process of its own as in production: an agent's gRPC server over a table of N rows. Answers
 * its parent: `reset` starts a new measurement of the event loop, `read` returns it.
 *
 * `table`: a shared table of the addon, walked by the same native scan as in production. `fabricated`: column buffers made once,
 * which leaves the way from a buffer to the client alone.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { startRpcServer } from '../../src/rpc/server.js';
import { createFakeAgent } from '../../test/unit/rpc/fake-agent.js';
const [socketPath = '', rows = '0', source = 'table'] = process.argv.slice(2);
const services = source === 'table'
    ? await (await import('./table-services.js')).createServices(Number(rows))
    : createFakeAgent(Number(rows)).services;
const delay = monitorEventLoopDelay({ resolution: 1 });
const server = await startRpcServer(services, { socketPath });
server.setServing(true);
let cpu = process.cpuUsage();
process.on('message', (message) => {
    if (message === 'reset') {
        delay.enable();
        delay.reset();
        cpu = process.cpuUsage();
        process.send?.('ready');
    }
    else if (message === 'read') {
        const used = process.cpuUsage(cpu);
        const report = { loopDelayP99Ms: delay.percentile(99) / 1e6, loopDelayMaxMs: delay.max / 1e6, rssMiB: process.memoryUsage.rss() / 2 ** 20, cpuMs: (used.user + used.system) / 1000 };
        process.send?.(report);
    }
});
process.on('disconnect', () => { void server.close(0).then(() => process.exit(0)); });
process.send?.('ready');
//# sourceMappingURL=server.js.map