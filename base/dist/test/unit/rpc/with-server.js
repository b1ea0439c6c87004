/** A server over a fake agent and a connection to it, closed with the test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAgent, socketTarget } from '../../../src/cli/client.js';
import { startRpcServer } from '../../../src/rpc/server.js';
import { createFakeAgent } from './fake-agent.js';
export function temporaryDirectory(t) {
    const directory = mkdtempSync(join(tmpdir(), 'ls-test-'));
    t.teardown(() => rmSync(directory, { recursive: true, force: true }));
    return directory;
}
/** Resolves to true once the condition holds, to false after five seconds: a loaded machine only makes it slower. */
export async function until(condition, withinMs = 5000) {
    for (let i = 0; i < withinMs / 10 && !condition(); i++)
        await new Promise((resolve) => setTimeout(resolve, 10));
    return condition();
}
export async function withServer(t, rows = 1000, options = {}) {
    const directory = temporaryDirectory(t);
    const socketPath = join(directory, 'agent.sock');
    const agent = createFakeAgent(rows);
    const server = await startRpcServer(agent.services, { socketPath, ...options });
    server.setServing(true);
    const connection = connectAgent(socketTarget(socketPath));
    t.teardown(async () => {
        connection.close();
        await server.close(100);
    });
    return { agent, server, connection, directory, socketPath };
}
//# sourceMappingURL=with-server.js.map