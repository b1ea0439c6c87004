import { LockstepError } from '../../contract/errors.js';
import { fromNative, native } from '../../native/errors.js';
import { createSessionStore } from '../../native/session-store.js';
import { createTelemetry } from '../../native/telemetry.js';
import { capabilitiesOf } from './capabilities.js';
import { haController } from './ha.js';
import { ingressChains, ingressTable } from './ingress.js';
import { HeldTable } from './nft.js';
import { netnsPath, PortSet } from './ports.js';
import { probeHost } from './probe.js';
import { RingArena } from './rings.js';
const kindNames = ['packet', 'packet', 'pcap', 'tap', 'source'];
const neighbourStates = ['incomplete', 'incomplete', 'valid', 'failed'];
const IFF_UP = 1;
export class UserspaceDataPlane {
    o;
    name = 'userspace';
    sessions;
    deltas;
    telemetry;
    capabilities;
    config = { apply: async (d, generation, signal) => await this.apply(d, generation, signal), lastApplyResult: () => structuredClone(this.last) };
    links = { list: () => this.listLinks(), neighbours: () => this.listNeighbours() };
    ha;
    loadBalancer = { readBack: () => this.readBack() };
    dataplane;
    ports;
    rings;
    last = null;
    desired = null;
    /** Ingress chains by path of their namespace; empty = the agent's own. */
    ingress = new Map();
    started = false;
    closed = false;
    turns = Promise.resolve();
    constructor(o) {
        this.o = o;
        const { core, table } = o;
        this.dataplane = native(() => new core.Userspace(table, o.workers), { object: 'agent.workers' });
        this.ports = new PortSet(this.dataplane);
        this.rings = new RingArena(core, table);
        this.capabilities = capabilitiesOf(probeHost());
        this.sessions = createSessionStore(table, (app, phase) => this.timeoutMs(app, phase));
        this.telemetry = createTelemetry(table);
        this.deltas = { drain: (out) => native(() => table.drain(out)) };
        this.ha = haController(table);
    }
    async probe() {
        return await Promise.resolve({ backend: 'userspace', available: true, reason: '', capabilities: capabilitiesOf(probeHost()) });
    }
    async start(signal) {
        signal.throwIfAborted();
        if (this.started)
            return;
        native(() => { this.dataplane.startLinks(netnsPath(this.o.netns)); }, { object: `netns ${this.o.netns ?? '(own)'}` });
        native(() => { this.o.table.startFreer(); });
        native(() => { this.dataplane.start(); });
        this.started = true;
        await Promise.resolve();
    }
    async close() { await this.turn(async () => { await this.stop(); }); }
    /** Sessions go with the reason `admin`, so that whoever listens hears of it. */
    async teardown() {
        await this.turn(async () => {
            if (this.closed)
                return;
            await this.sessions.deleteByFilter({}, new AbortController().signal);
            await this.stop();
        });
    }
    async stop() {
        if (this.closed)
            return;
        this.closed = true;
        if (this.started)
            this.dataplane.stop();
        this.started = false;
        await this.releaseIngress();
        this.dataplane.close();
        this.o.table.stopFreer();
    }
    /** Applies again what runs, because the host changed: addresses, links, schedules. */
    async refresh(signal) {
        await this.turn(async () => { if (this.desired !== null && this.last !== null)
            await this.replace(this.desired, this.last.generation, signal); });
    }
    /** What a compile depends on besides the configuration; a change calls for refresh(). */
    hostSignature() { return JSON.stringify([this.facts(this.ports.all()), [...this.ingress.values()].map(table => table.deaths)]); }
    async apply(d, generation, signal) {
        return await this.turn(async () => await this.replace(d, generation, signal));
    }
    /** One change after another: an apply that overtook a refresh would be undone by it. */
    async turn(task) {
        const before = this.turns;
        const mine = (async () => { await before; return await task(); })();
        this.turns = mine.catch(() => undefined);
        return await mine;
    }
    async replace(d, generation, signal) {
        const began = performance.now();
        signal.throwIfAborted();
        if (this.closed)
            throw new LockstepError('unavailable', 'LS_B_CLOSED', 'the dataplane is closed', { object: `generation ${generation}`, next: 'start the agent again' });
        if (d.agent.netns !== this.o.netns)
            throw new LockstepError('stale', 'LS_B_RESTART', 'agent.netns changes only with a restart', { object: 'agent.netns', found: String(d.agent.netns), expected: String(this.o.netns), next: 'restart the agent with this configuration' });
        const ports = this.ports.prepare(d);
        const opened = performance.now();
        let rings = null;
        let compiled;
        let compiledAt;
        let flipping = false;
        try {
            rings = await this.rings.prepare(this.o.compiler.rings(d));
            compiled = await this.o.compiler.compile(d, this.facts(ports.all), rings.rings, generation, signal);
            compiledAt = performance.now();
            flipping = true;
            await this.writeIngress(d, ports.all);
            signal.throwIfAborted();
            native(() => { this.o.table.writeConfig(compiled.bank); }, { object: `generation ${generation}` });
        }
        catch (error) {
            ports.undo();
            rings?.undo();
            if (flipping)
                await this.restoreIngress();
            throw error;
        }
        // In force. What follows is told as a warning when it fails: the generation runs, whatever the caller hears.
        const warnings = [...compiled.warnings];
        const after = async (what, run) => {
            try {
                await run();
            }
            catch (error) {
                warnings.push(`${what}: ${fromNative(error).message}`);
            }
        };
        rings.commit();
        this.desired = d;
        const flipped = performance.now();
        const unsupported = this.capabilities.filter(c => !c.supported);
        const result = () => ({
            ...compiled.result, generation,
            capabilities: { supported: this.capabilities.filter(c => c.supported).map(c => c.name), unsupportedReasons: Object.fromEntries(unsupported.map(c => [c.name, c.reason])) },
            warnings,
            durations: { portsMs: opened - began, compileMs: compiledAt - opened, flipMs: flipped - compiledAt, totalMs: performance.now() - began }
        });
        this.last = result();
        await after('routes', () => { this.dataplane.setRoutes(compiled.routes); });
        await after('neighbours', () => { this.dataplane.setNeighbours(compiled.neighbours); });
        await after('new ports', ports.enable);
        await after('old ports', ports.closeStale);
        if (d.reload.policyRematch)
            await after('sessions were not looked up in the new policies', async () => { await this.o.table.reevaluate(); });
        this.last = result();
        return structuredClone(this.last);
    }
    /** The mirror of the kernel's links covers the agent's namespace: a port elsewhere has what it was opened with. */
    facts(open) {
        const links = native(() => this.dataplane.links());
        const ports = new Map(native(() => this.dataplane.ports()).map(p => [p.device, p]));
        return Object.fromEntries(open.map(({ port, spec, device, mac, mtu, ifindex }) => {
            const link = port.kind === 'packet' && spec.netns === netnsPath(this.o.netns) ? links.find(l => l.ifindex === ifindex) : undefined;
            return [port.name, { device, mac: link?.mac ?? mac, mtu: link?.mtu ?? mtu, ifindex, addresses: link?.addresses ?? [], up: link === undefined ? ports.get(device)?.up ?? true : (link.flags & IFF_UP) !== 0 }];
        }));
    }
    /** One chain set per namespace that has a packet port, and none where there was one and is no more. */
    async writeIngress(d, open) {
        const facts = this.facts(open);
        const wanted = new Map();
        const packet = open.filter(o => o.port.kind === 'packet');
        for (const { port, spec } of packet) {
            const interfaces = d.interfaces.filter(i => i.port === port.name);
            const names = new Set(interfaces.map(i => i.zone));
            wanted.set(spec.netns, [...wanted.get(spec.netns) ?? [], {
                    device: port.device, zones: d.zones.filter(z => names.has(z.name)), addresses: packet.filter(o => o.spec.netns === spec.netns).flatMap(o => facts[o.port.name]?.addresses ?? []), // any address of the host, whichever port the packet came by
                    management: d.agent.management.interfaces.length === 0 || interfaces.some(i => d.agent.management.interfaces.includes(i.name))
                }]);
        }
        for (const [netns, ports] of wanted) {
            const table = this.ingress.get(netns) ?? new HeldTable(netns, ingressTable(this.o.instance));
            this.ingress.set(netns, table);
            await table.write(ingressChains(ports, d));
        }
        await this.releaseIngress(netns => !wanted.has(netns));
    }
    /** The chains of what still runs, after a flip that did not happen. The first error is the one that is told. */
    async restoreIngress() {
        if (this.desired !== null) {
            await this.writeIngress(this.desired, this.ports.all()).catch(() => undefined);
            return;
        }
        await this.releaseIngress();
    }
    async releaseIngress(which = () => true) {
        for (const [netns, table] of [...this.ingress].filter(([name]) => which(name))) {
            await table.release();
            this.ingress.delete(netns);
        }
    }
    timeoutMs(app, phase) {
        const d = this.desired;
        if (d === null)
            return 0;
        const name = this.last?.appNames[app];
        const phases = Object.keys(d.timeouts);
        const key = phases[phase] ?? '';
        return d.applications.find(a => a.name === name)?.timeouts[key] ?? d.timeouts[key] ?? 0;
    }
    listLinks() {
        const facts = this.facts(this.ports.all());
        const names = new Map(this.ports.all().map(p => [p.device, p.port.name]));
        return native(() => this.dataplane.ports()).map(p => {
            const name = names.get(p.device) ?? p.name;
            return { name, device: p.device, kind: kindNames[p.kind] ?? 'packet', ifindex: p.ifindex, mac: p.mac, mtu: p.mtu, up: p.up, addresses: facts[name]?.addresses ?? [], rxPackets: p.rxPackets, txPackets: p.txPackets, rxDropped: p.rxDropped, txDropped: p.txDropped };
        });
    }
    listNeighbours() {
        return native(() => this.dataplane.neighbours()).map(n => ({ address: n.address, device: n.device, mac: n.mac, state: neighbourStates[n.state] ?? 'failed' }));
    }
    readBack() {
        const vips = this.last?.vips ?? {};
        return this.rings.readBack().map(r => ({
            vip: vips[r.vip]?.id ?? 0, ringSize: r.size, ringHash: r.hash.toString(16).padStart(16, '0'),
            reals: [...r.entries].map(([id, slots]) => ({ id, slots })).sort((a, b) => a.id - b.id)
        }));
    }
}
//# sourceMappingURL=index.js.map