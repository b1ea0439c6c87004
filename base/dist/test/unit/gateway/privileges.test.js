/** Started as root the gateway becomes somebody else, for good, and still reaches the agent through the socket's group. */
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { withServer } from '../rpc/with-server.js';
const main = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
const root = process.getuid?.() === 0;
t.test('privileges are dropped after the listeners are open', { skip: root ? false : 'needs root' }, async (t) => {
    const { socketPath, directory } = await withServer(t);
    const group = 4242;
    for (const path of [directory, socketPath])
        chownSync(path, 0, group);
    chmodSync(directory, 0o750);
    const gateway = spawn(process.execPath, [main, 'gateway', '--socket', socketPath, '--http', '127.0.0.1:0', '--grpc', 'off', '--user', '4243:4244'], { stdio: ['ignore', 'pipe', 'inherit'] });
    t.teardown(() => gateway.kill('SIGKILL'));
    const text = await new Promise((resolve) => gateway.stdout.once('data', (d) => resolve(d.toString())));
    const ids = readFileSync(`/proc/${gateway.pid ?? 0}/status`, 'utf8');
    t.match(ids, /^Uid:\t4243\t4243\t4243\t4243$/m);
    t.match(ids, /^Gid:\t4244\t4244\t4244\t4244$/m);
    t.match(ids, /^Groups:\t4242 $/m);
    t.match(ids, /^CapEff:\t0+$/m);
    t.match(ids, /^CapPrm:\t0+$/m);
    const url = /http:\S+/.exec(text)?.[0] ?? '';
    const status = await new Promise((resolve, reject) => get(url, { agent: false }, (response) => { response.resume(); resolve(response.statusCode); }).on('error', reject));
    t.equal(status, 200);
    gateway.kill('SIGTERM');
    t.equal(await new Promise((resolve) => gateway.once('exit', resolve)), 0);
});
t.test('a socket that it cannot reach is said at once', { skip: root ? false : 'needs root' }, async (t) => {
    const { socketPath, directory } = await withServer(t);
    chmodSync(directory, 0o700);
    const gateway = spawn(process.execPath, [main, 'gateway', '--socket', socketPath, '--http', '127.0.0.1:0', '--grpc', 'off', '--user', '4243:4244'], { stdio: ['ignore', 'ignore', 'pipe'] });
    let err = '';
    gateway.stderr.on('data', (d) => { err += d.toString(); });
    t.equal(await new Promise((resolve) => gateway.once('exit', resolve)), 5);
    t.match(err, /may not reach the agent.*found uid 4243, groups .*open the directory/);
});
t.test('it does not stay root, and a user must exist', { skip: root ? false : 'needs root' }, async (t) => {
    const { socketPath } = await withServer(t);
    for (const [user, why] of [['root', /does not run as root/], ['0:0', /does not run as root/], ['nobody-of-that-name', /no such user/]]) {
        const gateway = spawn(process.execPath, [main, 'gateway', '--socket', socketPath, '--http', '127.0.0.1:0', '--grpc', 'off', '--user', user], { stdio: ['ignore', 'ignore', 'pipe'] });
        let err = '';
        gateway.stderr.on('data', (d) => { err += d.toString(); });
        t.equal(await new Promise((resolve) => gateway.once('exit', resolve)), 1);
        t.match(err, why);
    }
});
//# sourceMappingURL=privileges.test.js.map