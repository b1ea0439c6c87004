/**
 * The composition root: builds an agent from a configuration and takes it down again. The only place that names concrete classes.
 *
 * Order up: configuration read -> state directory held (a second agent stops here) -> table -> backend (touches nothing yet) -> socket claimed (or
 * here) -> backend started -> configuration applied -> serving. Down in reverse; each step runs whatever the one before it did.
 */
import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, readFileSync, writeSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { UserspaceDataPlane } from './backend/userspace/index.js';
import { Authority, ConfigError, ConfigStore, formatIssue, hostDefaults, nextScheduleEdge, parseConfig, ringInputs } from './config/index.js';
import { fileIo } from './config/store-io.js';
import { LockstepError } from './contract/errors.js';
import { drop } from './generated/codes.js';
import { layout, limits } from './generated/layout.js';
import { formatAddress, addressOfBytes } from './lib/address.js';
import { fromNative } from './native/errors.js';
import { heldIds } from './native/held-ids.js';
import { loadCore } from './native/load.js';
import { resolveNamedFilter } from './rpc/resolve-filter.js';
import { startRpcServer } from './rpc/server.js';
import { version } from './native/version.js';
import { startFeed } from './workers/feed.js';
import { startPool } from './workers/pool.js';
const REFRESH_MS = 2000;
export async function startAgent(o) {
    const defaults = hostDefaults();
    const host = { ...defaults, stateDir: o.stateDirectory ?? defaults.stateDir, socketPath: o.socketPath ?? defaults.socketPath };
    const parse = { host, ...(o.config?.path == null ? {} : { directory: dirname(o.config.path) }) };
    const early = o.config === null ? await openState(host.stateDir, null) : null;
    const { agent } = await firstDesired(o, parse, early).catch((error) => { early?.release(); throw error; });
    const stateDirectory = o.stateDirectory ?? agent.stateDir;
    if (early !== null && early.directory !== stateDirectory)
        early.release();
    const held = early?.directory === stateDirectory ? early : await openState(stateDirectory, o.config?.path ?? null);
    try {
        return await startWith(o, parse, agent, held);
    }
    catch (error) {
        held.release();
        throw error;
    }
}
async function startWith(o, parse, agent, held) {
    const { log } = o;
    const { store } = held;
    const socketPath = o.socketPath ?? agent.socketPath;
    const setLevel = (d) => { if (o.followLogLevel === true)
        log.level = d.logLevel; };
    setLevel(agent);
    refuseBackend(o.backend ?? agent.backend);
    for (const note of store.notes)
        log.warn({ note }, 'the state directory was repaired');
    const core = loadCore();
    const workers = agent.workers === 0 ? Math.min(availableParallelism(), limits.LS_THREADS_MAX) : agent.workers;
    const pool = startPool();
    const table = createTable(core.Table, agent, workers);
    const dataplane = new UserspaceDataPlane({ core, table, workers, instance: o.instance ?? agent.instance, netns: agent.netns, compiler: compilerOf(pool) });
    const loop = monitorEventLoopDelay({ resolution: 5 });
    loop.enable();
    const problem = (what, error) => { log.error({ err: error }, what); };
    /** What keeps the agent from being as it should, by subject. */
    const reasons = new Map();
    const authority = new Authority({
        sink: sinkOf(dataplane, o.backend, agent), store, parse, bootId: bootId(), capabilities: () => dataplane.capabilities, held: (kind) => heldIds(table, kind),
        onApplied: (applied, desired) => {
            setLevel(desired.agent);
            log.info({ generation: applied.info.generation, author: applied.info.author, totalMs: Math.round(applied.result.durations.totalMs), warnings: applied.result.warnings }, 'configuration in force');
            scheduleEdge();
        },
        onProblem: problem
    });
    const timeouts = (app, phase) => {
        const d = authority.desired();
        if (d === null)
            return 0;
        const key = Object.keys(d.timeouts)[phase] ?? '';
        return d.applications.find(a => d.ids.app[a.name] === app)?.timeouts[key] ?? d.timeouts[key] ?? 0;
    };
    const feed = startFeed({
        tableId: table.info().id, timeouts, onLogs: (rows) => { logPolicies(log, rows, authority); },
        onClosed: (changes, lost) => { logClosed(log, changes, lost, authority); },
        onProblem: (error) => {
            problem('the sync worker failed', error);
            reasons.set('sync worker', error instanceof Error ? error.message : String(error));
        }
    });
    let state = 'starting';
    const startedAt = Date.now();
    const services = {
        info: () => {
            const t = table.info();
            return {
                version, node: agent.node, instance: o.instance ?? agent.instance, pid: process.pid, startedAt, backend: 'userspace', generation: authority.status().running?.generation ?? 0,
                state: state === 'running' && reasons.size > 0 ? 'degraded' : state, reasons: [...reasons].map(([what, why]) => `${what}: ${why}`), tableCapacity: t.capacity, tableLive: t.live, hugepages: t.hugepages, eventLoopDelayP99Ms: loop.percentile(99) / 1e6,
                gateway: (authority.desired()?.agent ?? agent).gateway
            };
        },
        dataplane: () => dataplane,
        probeAll: async () => [await dataplane.probe(), ...absent],
        config: authority, names: authority.names, feed,
        resolveFilter: (named) => resolveNamedFilter(named, authority.names)
    };
    let edge = null;
    /** False: it failed, and what ran goes on. */
    const refresh = async (why) => {
        try {
            await dataplane.refresh(AbortSignal.timeout(30_000));
            reasons.delete('refresh');
            log.debug({ why }, 'recompiled');
            return true;
        }
        catch (error) {
            if (state === 'stopping')
                return false;
            reasons.set('refresh', `recompiling after ${why} failed; the previous configuration stays in force`);
            problem(`recompiling after ${why} failed; the previous configuration stays in force`, error);
            return false;
        }
    };
    function scheduleEdge() {
        if (edge !== null)
            clearTimeout(edge);
        edge = null;
        if (state === 'stopping')
            return;
        const d = authority.desired();
        const at = d === null ? null : nextScheduleEdge(d, new Date());
        if (at === null)
            return;
        edge = setTimeout(() => { void refresh('a schedule').then(scheduleEdge); }, Math.min(at.getTime() - Date.now() + 50, 2 ** 31 - 1));
    }
    /** Looks every REFRESH_MS; after a refresh that failed it waits longer each time, up to a minute. */
    const watchHost = () => {
        let signature = dataplane.hostSignature();
        let [failures, pause, busy] = [0, 0, false];
        return setInterval(() => {
            if (busy || pause-- > 0)
                return;
            let now;
            try {
                now = dataplane.hostSignature();
            }
            catch (error) {
                problem('the links cannot be read', error);
                pause = 30;
                return;
            }
            if (now === signature)
                return;
            busy = true;
            void refresh('a change of links or addresses').then((done) => {
                busy = false;
                failures = done ? 0 : failures + 1;
                pause = done ? 0 : Math.min(2 ** failures, 30);
                if (done)
                    signature = now;
            });
        }, REFRESH_MS);
    };
    let rpc = null;
    let watcher = null;
    const takeDown = async () => {
        state = 'stopping';
        if (watcher !== null)
            clearInterval(watcher);
        if (edge !== null)
            clearTimeout(edge);
        authority.close();
        const failed = [];
        const steps = [
            async () => { await rpc?.close(500); }, async () => { await feed.close(); }, async () => { await dataplane.close(); }, async () => { await closeTable(table); }, async () => { await pool.close(); },
            () => { loop.disable(); }, held.release
        ];
        for (const step of steps) {
            try {
                await step();
            }
            catch (error) {
                failed.push(error);
            }
        }
        if (failed.length > 0)
            throw failed.length === 1 ? failed[0] : new AggregateError(failed, failed.map(e => e instanceof Error ? e.message : String(e)).join('; '));
    };
    let stopping = null;
    const stop = async () => { await (stopping ??= takeDown()); };
    const within = (ms) => AbortSignal.any([AbortSignal.timeout(ms), ...(o.signal === undefined ? [] : [o.signal])]);
    try {
        rpc = await startRpcServer(services, { socketPath, onBug: (method, error) => { problem(`${method} failed`, error); } });
        await dataplane.start(within(30_000));
        const applied = await authority.start(within(60_000));
        if (applied === null)
            log.warn('no configuration: apply one with `lockstep apply FILE`');
        o.signal?.throwIfAborted();
        watcher = watchHost();
        state = 'running';
        rpc.setServing(true);
        return { services, socketPath, desired: () => authority.desired(), reload: async () => { await authority.reload(AbortSignal.timeout(60_000)); }, stop };
    }
    catch (error) {
        await stop().catch((cause) => { problem('stopping after a failed start', cause); });
        throw error;
    }
}
function refuseBackend(backend) {
    if (backend !== 'userspace')
        throw new LockstepError('unsupported', 'LS_A_BACKEND', 'this backend is not in this version', { object: 'agent.backend', found: backend, expected: 'userspace', next: 'lockstep backend list shows what this host can do' });
}
/** The dataplane's sink, and what an apply cannot change while the agent runs: refused when the next start would fail, else a warning. */
function sinkOf(dataplane, backend, started) {
    const settings = [
        ['agent.table.capacity', a => a.table.capacity], ['agent.table.hugepages', a => a.table.hugepages], ['agent.workers', a => a.workers], ['agent.socket', a => a.socketPath], ['agent.state-dir', a => a.stateDir],
        ['agent.instance', a => a.instance], ['agent.node', a => a.node]
    ];
    return {
        apply: async (desired, generation, signal) => {
            refuseBackend(backend ?? desired.agent.backend);
            const result = await dataplane.config.apply(desired, generation, signal);
            const later = settings.filter(([, of]) => of(desired.agent) !== of(started)).map(([name, of]) => `${name}: ${String(of(desired.agent))} holds from the next start; ${String(of(started))} until then`);
            return { ...result, warnings: [...result.warnings, ...later] };
        },
        lastApplyResult: () => dataplane.config.lastApplyResult()
    };
}
/** Work of a call that was cut may still be on its way: a verify of a large table takes a second. */
async function closeTable(table) {
    for (let tries = 0;; tries++) {
        try {
            table.close();
            return;
        }
        catch (error) {
            if (fromNative(error).code !== 'LS_E_BUSY' || tries === 300)
                throw fromNative(error, { object: 'session table' });
            await new Promise(resolve => { setTimeout(resolve, 10); });
        }
    }
}
const absent = ['ebpf', 'dpdk', 'vpp'].map(backend => ({ backend, available: false, reason: 'not built into this version', capabilities: [] }));
/** The settings that must be known before anything is opened; the authority parses again and applies. */
async function firstDesired(o, parse, state) {
    const text = o.config?.text ?? (await state?.store.startup())?.text;
    if (text === undefined)
        throw new LockstepError('invalid', 'LS_A_NO_CONFIG', 'there is no configuration', { object: state?.directory ?? 'run', next: 'name a file: lockstep run FILE' });
    const result = parseConfig(text, parse);
    if (result.desired === null)
        throw new ConfigError(result.issues, 'invalid');
    return result.desired;
}
/** A disk that is full or read-only is no bug: retry when there is room. */
async function typed(path, work) {
    try {
        return await work;
    }
    catch (error) {
        throw new LockstepError('unavailable', 'LS_A_STATE', 'the state directory cannot be used', { object: String(path), found: error.message, next: 'make room or check its permissions; the configuration in force stays' }, error);
    }
}
const storeIo = Object.fromEntries(Object.entries(fileIo).map(([name, run]) => [name, async (...args) => await typed(args[0], run(...args))]));
/** Held for this process alone: opening it sweeps what an unfinished apply left, and another agent's apply may be just that. */
async function openState(directory, startupPath) {
    const path = join(directory, 'agent.lock');
    let fd = null;
    const release = () => {
        if (fd !== null)
            closeSync(fd);
        fd = null;
    };
    try {
        await mkdir(directory, { recursive: true, mode: 0o700 });
        fd = loadCore().lockFile(path);
        ftruncateSync(fd);
        writeSync(fd, `pid ${process.pid}\n`, 0);
        return { directory, store: await ConfigStore.open(directory, { io: storeIo, ...(startupPath === null ? {} : { startupPath }) }), release };
    }
    catch (error) {
        release();
        if (error instanceof LockstepError)
            throw error;
        if (error.code === 'LS_E_BUSY') {
            const holder = await readFile(path, 'utf8').catch(() => '');
            throw new LockstepError('unavailable', 'LS_A_STATE_BUSY', 'another agent keeps its state here', { object: directory, found: holder.trim() || 'a lock', next: 'stop it, or give this one another --state' }, error);
        }
        throw new LockstepError('unavailable', 'LS_A_STATE', 'the state directory cannot be used', { object: directory, found: error.message, next: 'name another with --state' }, error);
    }
}
function createTable(Table, agent, workers) {
    try {
        return new Table({ capacity: agent.table.capacity, cpus: 0, threads: workers, arena: 0, hugepages: { off: 0, auto: 1, on: 2 }[agent.table.hugepages], path: '' });
    }
    catch (error) {
        throw fromNative(error, { object: 'agent.table', found: `capacity ${agent.table.capacity}`, next: 'lower agent.table.capacity or free memory (huge pages: vm.nr_hugepages)' });
    }
}
function compilerOf(pool) {
    return {
        rings: (d) => ringInputs(d),
        compile: async (desired, ports, rings, generation, signal) => await pool.compile({ desired, ports, rings, nowMs: Date.now(), generation }, signal)
    };
}
/** CLOCK_MONOTONIC and kernel state are comparable within one boot only. */
function bootId() {
    try {
        return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    }
    catch {
        return createHash('sha256').update(String(process.pid)).digest('hex');
    }
}
/** Policy decisions that asked to be logged, one line each. */
function logPolicies(log, rows, authority) {
    const shape = layout.ls_log;
    const key = layout.ls_key;
    const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
    for (let base = 0; base + shape.size <= rows.length; base += shape.size) {
        const k = base + shape.key.offset;
        const reason = view.getUint8(base + shape.drop.offset);
        log.info({
            action: ['deny', 'permit', 'reject'][view.getUint8(base + shape.action.offset)] ?? 'deny',
            policy: authority.names.name('policy', view.getUint16(base + shape.policy.offset, true)),
            from: authority.names.name('zone', view.getUint16(base + shape.zone_in.offset, true)), to: authority.names.name('zone', view.getUint16(base + shape.zone_out.offset, true)),
            source: formatAddress(addressOfBytes(rows, k + key.src.offset)), sourcePort: view.getUint16(k + key.sport_be.offset, false),
            destination: formatAddress(addressOfBytes(rows, k + key.dst.offset)), destinationPort: view.getUint16(k + key.dport_be.offset, false),
            protocol: view.getUint8(k + key.proto.offset), ...(reason === 0 ? {} : { reason: drop[reason]?.name })
        }, 'policy');
    }
}
/** Ended sessions of policies with `log: close`. */
function logClosed(log, changes, lost, authority) {
    if (lost > 0)
        log.warn({ lost }, 'sessions closed without a line: more ended than can be logged');
    for (const { session: s, closeReason } of changes) {
        log.info({
            policy: authority.names.name('policy', s.policy), reason: closeReason, source: s.source, sourcePort: s.sourcePort, destination: s.destination, destinationPort: s.destinationPort,
            protocol: s.protocol, seconds: Math.round(s.ageMs / 1000), packets: [Number(s.packetsForward), Number(s.packetsReply)], bytes: [Number(s.bytesForward), Number(s.bytesReply)]
        }, 'session closed');
    }
}
/** For messages: every issue of a refused configuration, one line each. */
export function explain(error) {
    if (error instanceof ConfigError)
        return error.issues.map(formatIssue).join('\n');
    return error instanceof Error ? error.message : String(error);
}
//# sourceMappingURL=agent.js.map