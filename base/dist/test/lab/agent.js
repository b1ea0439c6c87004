/** The agent as a child process, and its command line as the way to ask it: what the lab shows is what an operator would see. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { LockstepError } from '../../src/contract/errors.js';
import { Background, run } from './shell.js';
const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
export function countsOf(snapshot) {
    return Object.fromEntries(snapshot.blocks.map((b) => [b.name, Object.fromEntries(b.rows.map((r) => [r.name, Number(r.values[0] ?? 0)]))]));
}
/** What grew from one reading to the next. */
export function grown(before, after, block) {
    return Object.fromEntries(Object.entries(after[block] ?? {}).map(([name, n]) => [name, n - (before[block]?.[name] ?? 0)]).filter(([, n]) => n !== 0));
}
export class LabAgent {
    socket;
    configFile;
    startMs;
    #process;
    constructor(socket, configFile, startMs, child) {
        this.socket = socket;
        this.configFile = configFile;
        this.startMs = startMs;
        this.#process = child;
    }
    /** Starts an agent on this configuration and waits until it says that it runs. */
    static async start(place, config, o = {}) {
        const directory = join(place.directory, 'agent');
        mkdirSync(directory, { recursive: true, mode: 0o755 });
        const socket = join(directory, 'agent.sock');
        const configFile = join(directory, 'lab.yaml');
        writeFileSync(configFile, config);
        const begun = performance.now();
        const child = new Background('agent', null, [process.execPath, program, 'run', configFile, '--socket', socket, '--state', join(directory, 'state'),
            '--instance', place.instance, '--log-level', o.logLevel ?? 'info']);
        place.remember?.(child.pid);
        const agent = new LabAgent(socket, configFile, 0, child);
        try {
            await child.says('"agent ready"', o.readyWithinMs ?? 30_000);
            const { state } = await agent.status();
            if (state !== 'running')
                throw new LockstepError('unavailable', 'LS_LAB_AGENT', 'the agent does not run', { found: state });
        }
        catch (error) {
            await child.stop('SIGKILL');
            throw error;
        }
        return new LabAgent(socket, configFile, performance.now() - begun, child);
    }
    get pid() { return this.#process.pid; }
    get running() { return this.#process.running; }
    get log() { return this.#process.output; }
    /** `lockstep ARGS --socket …`, as it ends. */
    async cli(args, o = {}) {
        return await run([process.execPath, program, ...args, '--socket', this.socket], { timeoutMs: o.timeoutMs ?? 60_000, ...(o.input === undefined ? {} : { input: o.input }) });
    }
    /** The same with --json; an exit code that is not expected is an error. */
    async json(args, o = {}) {
        const r = await this.cli([...args, '--json'], o);
        if (!(o.codes ?? [0]).includes(r.code))
            throw new LockstepError('unavailable', 'LS_LAB_CLI', 'the command line refused', { object: args.join(' '), found: `exit ${r.code}: ${r.stderr.trim().slice(0, 1000)}`, next: this.running ? 'see its message' : `the agent is gone: ${this.log.trim().slice(-1000)}` });
        return JSON.parse(r.stdout);
    }
    async status() { return await this.json(['status']); }
    async counters(...blocks) { return countsOf(await this.json(['counters', ...blocks])); }
    async sessions(...filter) { return await this.json(['sessions', 'list', ...filter]); }
    async count(...filter) { return Number((await this.json(['sessions', 'count', ...filter])).count); }
    async verify() { return await this.json(['table', 'verify'], { codes: [0, 1] }); }
    /** Puts a configuration in force; resolves to what the agent says about it. */
    async apply(config, ...options) {
        return await this.json(['apply', '-', ...options], { input: config });
    }
    /** Waits until no session is left, at most so long. Resolves to how many are. */
    async drained(withinMs, ...filter) {
        const deadline = Date.now() + withinMs;
        for (;;) {
            const left = await this.count(...filter);
            if (left === 0 || Date.now() > deadline)
                return left;
            await sleep(250);
        }
    }
    /** Ends it as systemd would; `null` = it had to be killed. */
    async stop() {
        const begun = performance.now();
        const code = await this.#process.stop('SIGTERM', 5000);
        return { code, ms: performance.now() - begun };
    }
    /** As if it crashed. */
    async kill() { await this.#process.stop('SIGKILL'); }
    get socketExists() { return existsSync(this.socket); }
}
//# sourceMappingURL=agent.js.map