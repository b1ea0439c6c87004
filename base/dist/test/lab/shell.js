/**
 * Running programs, in a network namespace or in ours. Programs enter a namespace by `nsenter --net`, which leaves the mounts alone
 * (`ip netns exec` hides /sys/fs/bpf), and become the program asked for: a child's pid is the program's.
 */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LockstepError } from '../../src/contract/errors.js';
/** nft, ethtool, nginx and traceroute live in sbin, which an ordinary user's PATH lacks. */
const PATH = [...new Set([...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'])].filter(Boolean).join(delimiter);
export function which(program) {
    for (const directory of PATH.split(delimiter)) {
        try {
            accessSync(join(directory, program), constants.X_OK);
            return join(directory, program);
        }
        catch { /* not there */ }
    }
    return null;
}
export const inNetns = (netns, argv) => netns === null ? [...argv] : ['nsenter', `--net=/run/netns/${netns}`, '--', ...argv];
/** The same, killed by the kernel when we die, however we die. */
export const tied = (netns, argv) => ['setpriv', '--pdeathsig', 'KILL', '--', ...inNetns(netns, argv)];
/** One line as a shell would take it. */
export function commandLine(c) {
    return inNetns(c.netns, c.argv).map((a) => /^[\w@%+=:,./[\]-]+$/.test(a) ? a : `'${a.replaceAll("'", "'\\''")}'`).join(' ');
}
/** Runs to the end; a bad exit code is a result. A program that cannot be started, or not in time, is an error. */
export async function run(argv, o = {}) {
    const [program = '', ...args] = inNetns(o.netns ?? null, argv);
    return await new Promise((resolve, reject) => {
        const child = spawn(program, args, {
            stdio: [o.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'], env: { ...process.env, ...o.env, PATH }, signal: o.signal, killSignal: 'SIGKILL'
        });
        const out = [];
        const err = [];
        let late = false;
        const timer = o.timeoutMs === undefined ? null : setTimeout(() => { late = true; child.kill('SIGKILL'); }, o.timeoutMs);
        child.stdout?.on('data', (b) => out.push(b));
        child.stderr?.on('data', (b) => err.push(b));
        child.on('error', (cause) => {
            if (timer !== null)
                clearTimeout(timer);
            reject(o.signal?.aborted === true ? cause : new LockstepError('unavailable', 'LS_LAB_PROGRAM', 'cannot be run', { object: program, found: cause.message }, cause));
        });
        child.on('close', (code, signal) => {
            if (timer !== null)
                clearTimeout(timer);
            const stderr = Buffer.concat(err).toString('utf8');
            if (late)
                reject(new LockstepError('unavailable', 'LS_LAB_TIMEOUT', 'did not end in time', { object: argv.join(' '), expected: `at most ${o.timeoutMs ?? 0} ms`, found: stderr.slice(-300) }));
            else
                resolve({ code: code ?? (signal === null ? 1 : 128), stdout: Buffer.concat(out).toString('utf8'), stderr });
        });
        if (o.input !== undefined)
            child.stdin?.on('error', () => { }).end(o.input);
    });
}
/** Runs, and anything but success is an error that says what was run and what it said. */
export async function must(c, timeoutMs = 20_000) {
    const r = await run(c.argv, { netns: c.netns, timeoutMs });
    if (r.code !== 0)
        throw new LockstepError('unavailable', 'LS_LAB_COMMAND', 'failed', { object: commandLine(c), found: (r.stderr.trim() || r.stdout.trim() || `exit code ${r.code}`).slice(0, 500) });
    return r.stdout;
}
/** A program that goes on: a server, a load. It dies with us. */
export class Background {
    name;
    child;
    ended;
    #output = '';
    constructor(name, netns, argv, o = {}) {
        const [program = '', ...args] = tied(netns, argv);
        this.name = name;
        this.child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...o.env, PATH }, cwd: o.cwd });
        for (const stream of [this.child.stdout, this.child.stderr])
            stream?.on('data', (b) => { this.#output = (this.#output + b.toString('utf8')).slice(-1_000_000); });
        this.ended = new Promise((resolve) => {
            this.child.on('error', (error) => { this.#output += `${error.message}\n`; resolve(127); });
            this.child.on('close', (code) => resolve(code ?? 128));
        });
    }
    get pid() { return this.child.pid ?? -1; }
    get running() { return this.child.exitCode === null && this.child.signalCode === null && this.child.pid !== undefined; }
    /** What it printed so far, the last megabyte. */
    get output() { return this.#output; }
    /** Waits until it printed this. */
    async says(text, withinMs = 15_000) {
        const deadline = Date.now() + withinMs;
        while (!this.output.includes(text)) {
            if (!this.running || Date.now() > deadline)
                throw new LockstepError('unavailable', 'LS_LAB_SERVER', this.running ? 'is not ready in time' : 'ended', { object: this.name, found: this.output.trim().slice(-2000) });
            await sleep(20);
        }
    }
    /** Ends it; resolves to the exit code, or to `null` when it had to be killed. */
    async stop(signal = 'SIGTERM', withinMs = 3000) {
        if (!this.running)
            return await this.ended;
        this.child.kill(signal);
        const late = Symbol('late');
        const timer = new Promise((resolve) => { setTimeout(() => resolve(late), withinMs).unref(); });
        const first = await Promise.race([this.ended, timer]);
        if (first !== late)
            return first;
        this.child.kill('SIGKILL');
        await this.ended;
        return null;
    }
}
//# sourceMappingURL=shell.js.map