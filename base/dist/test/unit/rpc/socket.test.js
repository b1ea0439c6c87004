/** The unix socket: mode, stale files, a second agent, foreign files. */
import { spawn } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { call, connectAgent, socketTarget } from '../../../src/cli/client.js';
import { startRpcServer } from '../../../src/rpc/server.js';
import { createFakeAgent } from './fake-agent.js';
import { temporaryDirectory, withServer } from './with-server.js';
const services = createFakeAgent(10).services;
t.test('mode 0660, nothing else left in the directory, removed at close', async (t) => {
    const { socketPath, directory, server } = await withServer(t);
    t.equal(lstatSync(socketPath).mode & 0o777, 0o660);
    t.strictSame(readdirSync(directory), ['agent.sock']);
    await server.close(0);
    t.strictSame(readdirSync(directory), []);
});
t.test('a second agent is refused and told who runs', async (t) => {
    const { socketPath, connection } = await withServer(t);
    await t.rejects(startRpcServer(services, { socketPath }), { code: 'LS_R_AGENT_RUNNING', errorClass: 'unavailable', message: new RegExp(`instance default \\(pid ${process.pid}`) });
    t.match(await call(connection.agent, connection.agent.getInfo, {}), { node: 'edge-1' }, 'the first is unharmed');
});
t.test('the socket of a killed agent is replaced', async (t) => {
    const directory = temporaryDirectory(t);
    const socketPath = join(directory, 'agent.sock');
    const child = spawn(process.execPath, ['-e', `require('net').createServer().listen(${JSON.stringify(socketPath)}, () => console.log('up'))`], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await t.rejects(startRpcServer(services, { socketPath }), { code: 'LS_R_AGENT_RUNNING', message: /does not answer GetInfo/ });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    t.ok(existsSync(socketPath), 'the file is still there');
    const server = await startRpcServer(services, { socketPath });
    t.teardown(async () => await server.close(0));
    const connection = connectAgent(socketTarget(socketPath));
    t.match(await call(connection.agent, connection.agent.getInfo, {}), { node: 'edge-1' });
    connection.close();
});
t.test('what is not a socket is kept', async (t) => {
    const directory = temporaryDirectory(t);
    const file = join(directory, 'agent.sock');
    writeFileSync(file, 'precious');
    await t.rejects(startRpcServer(services, { socketPath: file }), { code: 'LS_R_SOCKET_PATH' });
    t.strictSame(readdirSync(directory), ['agent.sock']);
    await t.rejects(startRpcServer(services, { socketPath: join(directory, 'x'.repeat(100)) }), { code: 'LS_R_SOCKET_PATH', message: /too long/ });
});
t.test('a socket that somebody else put in its place is not removed at close', async (t) => {
    const { socketPath, server } = await withServer(t);
    const { unlinkSync } = await import('node:fs');
    unlinkSync(socketPath);
    const other = createServer();
    await new Promise((resolve) => other.listen(socketPath, () => resolve()));
    await server.close(0);
    t.ok(existsSync(socketPath));
    await new Promise((resolve) => other.close(resolve));
});
t.test('a directory that others may write is refused', async (t) => {
    const directory = join(temporaryDirectory(t), 'open');
    mkdirSync(directory);
    const { chmodSync } = await import('node:fs');
    chmodSync(directory, 0o777);
    await t.rejects(startRpcServer(services, { socketPath: join(directory, 'agent.sock') }), { code: 'LS_E_PERMISSION', message: /not safe/ });
});
//# sourceMappingURL=socket.test.js.map