import { LockstepError } from '../../../src/contract/errors.js';
import { counter, drop } from '../../../src/generated/codes.js';
import { layout } from '../../../src/generated/layout.js';
import { decodeFakeRecords, FakeSessions } from './fake-sessions.js';
export function createFakeAgent(rows = 1000) {
    const sessions = new FakeSessions(rows);
    const config = new FakeConfig();
    const subscribers = new Set();
    const names = {
        zone: { 1: 'clients', 2: 'servers' }, policy: { 1: 'allow-web' }, vip: { 1: 'web', 2: 'dns' }, real: { 11: 'web/a', 12: 'dns/a' },
        pool: { 1: 'out' }, app: { 0: 'any' }, interface: { 1: 'eth0', 2: 'eth1' }, domain: { 0: 'default' }
    };
    const blocks = emptyBlocks();
    const counters = { timeNs: 123456789n, generation: 7, blocks };
    const links = [{ name: 'eth0', device: 1, kind: 'packet', ifindex: 2, mac: '02:00:00:00:00:01', mtu: 1500, up: true, addresses: ['192.0.2.1/24'], rxPackets: 10, txPackets: 20, rxDropped: 1, txDropped: 0 }];
    const nat = {
        walks: 0,
        rows: [
            { pool: 1, address: '203.0.113.1', ports: 64_512, inUse: 16_128, created: 70_000, failed: 0 },
            { pool: 1, address: '2001:db8:7::1', ports: 64_512, inUse: 80_640, created: 90_000, failed: 12 }
        ]
    };
    const dataplane = {
        name: 'userspace',
        sessions,
        telemetry: { snapshot: () => counters, readFloodCounters: (zone) => ({ syn_flood: zone * 10 }), natUsage: async () => { nat.walks++; return nat.rows; } },
        links: { list: () => links, neighbours: () => [] }
    };
    const agent = {
        sessions,
        config,
        counters,
        names,
        nat,
        info: {
            version: '0.1.0', node: 'edge-1', instance: 'default', pid: process.pid, startedAt: 1_700_000_000_000, backend: 'userspace', generation: 7,
            state: 'running', reasons: [], tableCapacity: 1 << 20, tableLive: rows, hugepages: false, eventLoopDelayP99Ms: 1.25, gateway: { grpc: '127.0.0.1:50461', metrics: null }
        },
        publish: (records, lost = 0) => { for (const s of subscribers)
            s(records, lost); },
        watchers: () => subscribers.size,
        services: {
            info: () => agent.info,
            dataplane: () => dataplane,
            probeAll: async () => [
                { backend: 'userspace', available: true, reason: '', capabilities: [{ name: 'snat', supported: true, reason: '' }] },
                { backend: 'ebpf', available: false, reason: 'kernel 5.10 is older than 6.1', capabilities: [{ name: 'snat', supported: false, reason: 'not probed' }] }
            ],
            config,
            names: {
                name: (kind, id) => names[kind][id] ?? `#${id}`,
                id: (kind, name) => Number(Object.entries(names[kind]).find(([, n]) => n === name)?.[0] ?? NaN) || null
            },
            feed: {
                subscribe: (onBatch) => { subscribers.add(onBatch); return () => { subscribers.delete(onBatch); }; },
                decode: decodeFakeRecords
            },
            resolveFilter: (named) => Object.fromEntries(Object.entries(named).map(([key, name]) => {
                const kind = (key === 'zoneIn' || key === 'zoneOut' ? 'zone' : key);
                const found = Object.entries(names[kind]).find(([, n]) => n === name);
                if (found === undefined)
                    throw new LockstepError('invalid', 'LS_F_NAME', 'no such name', { object: `filter.${key}`, found: name, expected: Object.values(names[kind]).join(' ') });
                return [key, Number(found[0])];
            }))
        }
    };
    return agent;
}
function emptyBlocks() {
    const { size, ...members } = layout.ls_counters;
    const blocks = Object.fromEntries(Object.entries(members).map(([name, m]) => [name, new Float64Array(m.count)]));
    const put = (block, at, value) => { const b = blocks[block]; if (b !== undefined)
        b[at] = value; };
    put('global', counter.findIndex((c) => c.name === 'rx_packets'), 1000);
    put('drops', drop.findIndex((d) => d.name === 'policy_deny'), 5);
    put('zone_in', 2, 700);
    put('zone_in', 3, 70_000);
    put('vip', 4, 40);
    put('real', 44, 41);
    put('screens', layout.ls_counters.screens.dims[1], 3);
    return size > 0 ? blocks : {};
}
/** Generations of plain text; a text with the word `bad` is refused with two issues. */
export class FakeConfig {
    generations = [];
    lastOptions = null;
    saved = null;
    constructor() { this.#add('version: 1\n', { author: 'boot', comment: 'first', source: 'startup', confirmWithinMs: null }); }
    status = () => {
        const running = this.generations.at(-1)?.info ?? null;
        return { running, startupHash: this.saved === null ? null : 'aa', drift: this.saved !== this.generations.at(-1)?.text, unconfirmed: running?.state === 'unconfirmed' ? running : null };
    };
    text = (which) => {
        if (which === 'running')
            return this.generations.at(-1)?.text ?? '';
        if (this.saved === null)
            throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'there is no startup configuration', { object: 'config', next: 'run `lockstep save`' });
        return this.saved;
    };
    check = async (text) => text.includes('bad')
        ? {
            ok: false,
            issues: [
                { path: '/zones/0/name', line: 3, column: 5, code: 'LS_C_TYPE', message: 'is not a string', found: '7', expected: 'a string' },
                { path: '/polices', line: 9, column: 1, code: 'LS_C_UNKNOWN_KEY', message: 'unknown key', found: 'polices', expected: 'policies' }
            ],
            warnings: [],
            plan: []
        }
        : { ok: true, issues: [], warnings: ['no policy permits anything'], plan: [{ action: 'add', kind: 'zone', name: 'dmz', detail: '2 interfaces' }] };
    apply = async (text, options) => {
        this.lastOptions = options;
        const running = this.generations.at(-1)?.info.generation ?? 0;
        if (text.includes('bad'))
            throw new LockstepError('invalid', 'LS_C_REFUSED', '2 errors', { object: 'config' });
        if (options.expectedGeneration !== null && options.expectedGeneration !== running) {
            throw new LockstepError('stale', 'LS_C_GENERATION', 'another generation runs', { object: 'config', found: String(running), expected: String(options.expectedGeneration), next: 'compare and apply again' });
        }
        const info = options.dryRun ? { ...this.#info(options), generation: running + 1 } : this.#add(text, options);
        return { info, result: result(info.generation), plan: (await this.check(text)).plan };
    };
    confirm = async (generation) => {
        const last = this.generations.at(-1);
        if (last === undefined || last.info.generation !== generation)
            throw new LockstepError('stale', 'LS_C_GENERATION', 'not the generation that waits');
        last.info = { ...last.info, state: 'running', confirmBy: null };
        return last.info;
    };
    rollback = async (generation, options, signal) => {
        const found = this.generations.find((g) => g.info.generation === generation);
        if (found === undefined)
            throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'no such generation', { object: `generation ${generation}` });
        return await this.apply(found.text, options, signal);
    };
    history = () => this.generations.map((g) => g.info);
    compare = (from, to) => [
        { action: 'change', kind: 'policy', name: 'allow-web', detail: `${from} -> ${to}` }, { action: 'keep', kind: 'zone', name: 'clients', detail: '' }
    ];
    save = async () => { this.saved = this.text('running'); };
    #info(options) {
        return {
            generation: this.generations.length + 1,
            appliedAt: 1_700_000_000_000 + this.generations.length * 60_000,
            author: options.author,
            comment: options.comment,
            source: options.source,
            hash: 'ab'.repeat(32),
            state: options.confirmWithinMs === null ? 'running' : 'unconfirmed',
            confirmBy: options.confirmWithinMs === null ? null : 1_700_000_000_000 + options.confirmWithinMs
        };
    }
    #add(text, options) {
        const last = this.generations.at(-1);
        if (last !== undefined)
            last.info = { ...last.info, state: 'superseded' };
        const info = this.#info(options);
        this.generations.push({ info, text });
        return info;
    }
}
function result(generation) {
    return {
        generation, zoneIds: {}, managedInterfaces: [], filterIds: {}, filterSpans: {}, natCounterIds: {}, poolIds: {}, policyNames: {}, appNames: {},
        policyScheduleRuleSlots: {}, vips: {}, capabilities: { supported: [], unsupportedReasons: {} }, warnings: ['no policy permits anything'],
        durations: { compileMs: 1, portsMs: 1, flipMs: 1, totalMs: 3 }
    };
}
//# sourceMappingURL=fake-agent.js.map