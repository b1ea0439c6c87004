/**
 * Fuzzer of the configuration: random, structure-aware changes of valid files must give either a Desired that compiles, or issues with
 * paths; never an exception and never a hang.   node dist/test/fuzz/config.js [SECONDS] [SEED]
 * It prints the seed first; a finding is printed with the text that caused it and ends with status 1.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parse, stringify } from 'yaml';
import { compile } from '../../src/config/compile/index.js';
import { IdBook, withIds } from '../../src/config/ids.js';
import { ConfigError } from '../../src/config/issues.js';
import { parseConfig } from '../../src/config/parse.js';
import { planConfig } from '../../src/config/plan.js';
import { configSchema } from '../../src/config/schema/index.js';
import { nextScheduleEdge } from '../../src/config/schedule.js';
/** mulberry32: small, seeded, the same everywhere. */
export function randomOf(seed) {
    let a = seed >>> 0;
    return () => {
        a = (a + 0x6d2b79f5) >>> 0;
        let x = Math.imul(a ^ a >>> 15, 1 | a);
        x = (x + Math.imul(x ^ x >>> 7, 61 | x)) ^ x;
        return ((x ^ x >>> 14) >>> 0) / 2 ** 32;
    };
}
const keys = [...new Set(JSON.stringify(configSchema).match(/"[a-z][a-z0-9-]+"(?=:)/g)?.map(key => key.slice(1, -1)) ?? [])];
const values = [
    null, true, false, 0, -1, 1, 65535, 65536, 1e308, 0.5, '', 'any', 'x'.repeat(70), 'any-ipv4', 'any-ipv6', '0.0.0.0/0', '::/0', '10.0.0.1', '10.0.0.0/8', '10.0.0.9-10.0.0.1', '255.255.255.255/32', '::1', '2001:db8::/129',
    'tcp', 'tcp/80', 'tcp/0-65535', 'icmp/8/0', 'proto/0', 'udp/1,2,3-4', '0-65535', '80-79', '5s', '1h30m', '-5s', '24:00', '00:00', '2026-02-29', 'mon-sun', 'off', 'interface', 'pool', 'tap:t0', 'pcap:,', 'pcap:a,b', 'source:x', '__proto__', 'constructor',
    'eth0', 'inside', '64k', '3G', '\u202e', '\n', [], {}, [[]], ['any', 'any'], { a: {} }, [null],
];
class Mutator {
    random;
    corpus;
    constructor(random, corpus) {
        this.random = random;
        this.corpus = corpus;
    }
    pick(list) { return list[Math.floor(this.random() * list.length)]; }
    /** Some random changes of a random file. */
    next() {
        let value = structuredClone(this.pick(this.corpus));
        for (let n = Math.floor(this.random() * 6); n >= 0; n--)
            value = this.change(value, 0);
        return value;
    }
    change(value, depth) {
        const inside = value !== null && typeof value === 'object' && (Array.isArray(value) ? value.length : Object.keys(value).length) > 0;
        if (inside && depth < 8 && this.random() < 0.85)
            return this.descend(value, depth);
        switch (Math.floor(this.random() * 5)) {
            case 0: return structuredClone(this.pick(values));
            case 1: return structuredClone(this.anywhere(this.pick(this.corpus)));
            case 2: return typeof value === 'number' ? value + this.pick([-1, 1, 1000, -1000]) : typeof value === 'string' ? this.text(value) : value;
            case 3: return [value, structuredClone(value)];
            default: return { [this.pick(keys)]: value };
        }
    }
    descend(value, depth) {
        if (Array.isArray(value)) {
            const i = Math.floor(this.random() * value.length);
            const roll = this.random();
            if (roll < 0.1)
                value.splice(i, 1);
            else if (roll < 0.2)
                value.push(structuredClone(value[i] ?? null));
            else
                value[i] = this.change(value[i] ?? null, depth + 1);
            return value;
        }
        const key = this.pick(Object.keys(value));
        const roll = this.random();
        if (roll < 0.08)
            Reflect.deleteProperty(value, key);
        else if (roll < 0.16)
            value[this.pick(keys)] = structuredClone(value[key] ?? null);
        else if (roll < 0.24)
            value[this.pick(keys)] = structuredClone(this.pick(values));
        else if (roll < 0.3)
            value[`${key}2`] = structuredClone(value[key] ?? null);
        else
            value[key] = this.change(value[key] ?? null, depth + 1);
        return value;
    }
    anywhere(value) {
        let at = value;
        while (at !== null && typeof at === 'object' && this.random() < 0.8) {
            const parts = Array.isArray(at) ? at : Object.values(at);
            if (parts.length === 0)
                break;
            at = this.pick(parts);
        }
        return at;
    }
    text(value) {
        const at = Math.floor(this.random() * (value.length + 1));
        return this.random() < 0.5 ? value.slice(0, at) + this.pick(['0', '/', '-', ':', '.', ' ', 'ff', '\t', 'é', '*', '&', '']) + value.slice(at) : value.slice(0, at) + value.slice(at + 1);
    }
    /** The text of a file, sometimes damaged as text. */
    render(value) {
        const text = stringify(value, { aliasDuplicateObjects: this.random() < 0.5 });
        if (this.random() < 0.8)
            return text;
        const at = Math.floor(this.random() * text.length);
        return this.random() < 0.5 ? text.slice(0, at) : text.slice(0, at) + this.pick(['\n', '  ', '[', '{', '*a', '&a ', '- ', ': ', '"', '\u0007', '!!x ', '---\n', '? ', '#']) + text.slice(at);
    }
}
const host = { node: 'n1', stateDir: '/var/lib/lockstep', socketPath: '/run/lockstep/agent.sock' };
function factsFor(d) {
    return { ports: Object.fromEntries(d.ports.map((port, device) => [port.name, { device, mac: '02:00:00:00:00:01', mtu: 1500, ifindex: device, addresses: [], up: true }])) };
}
/** Why the outcome is wrong, or `null`; and whether the text was accepted. */
export function judge(text, before) {
    try {
        const { desired, issues } = parseConfig(text, { host, directory: '/etc/lockstep' });
        if (desired === null) {
            if (issues.length === 0)
                return { fault: 'refused without an issue', desired };
            const bad = issues.find(i => (i.path !== '' && !i.path.startsWith('/')) || i.message === '' || i.expected === '' || i.code === '');
            return { fault: bad === undefined ? null : `incomplete issue ${JSON.stringify(bad)}`, desired };
        }
        if (issues.length > 0)
            return { fault: 'accepted with issues', desired };
        const book = IdBook.empty().assign(desired);
        const named = withIds(desired, book);
        planConfig(before, named);
        if (planConfig(named, named).length > 0)
            return { fault: 'differs from itself', desired };
        nextScheduleEdge(named, new Date('2026-03-28T20:00:00Z'));
        try {
            compile(named, factsFor(named), book.table(), {}, new Date(0));
        }
        catch (error) {
            if (!(error instanceof ConfigError) || error.errorClass !== 'exhausted')
                throw error;
        }
        return { fault: null, desired };
    }
    catch (error) {
        return { fault: `threw ${error instanceof Error ? error.stack ?? error.message : String(error)}`, desired: null };
    }
}
/** Until `seconds` are over or something is found. */
export function fuzz(corpus, seconds, seed) {
    const random = randomOf(seed);
    const mutator = new Mutator(random, corpus.map(text => parse(text)));
    const end = performance.now() + seconds * 1000;
    let [runs, accepted, slowestMs] = [0, 0, 0];
    let before = null;
    while (performance.now() < end) {
        const text = mutator.render(mutator.next());
        const start = performance.now();
        const { fault, desired } = judge(text, before);
        const ms = performance.now() - start;
        runs++;
        slowestMs = Math.max(slowestMs, ms);
        if (desired !== null)
            [accepted, before] = [accepted + 1, desired];
        if (fault !== null)
            return { runs, accepted, slowestMs, finding: { fault, text } };
        if (ms > 5000)
            return { runs, accepted, slowestMs, finding: { fault: `took ${ms.toFixed(0)} ms`, text } };
    }
    return { runs, accepted, slowestMs, finding: null };
}
if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
    const seconds = Number(process.argv[2] ?? 60);
    const seed = Number(process.argv[3] ?? Date.now() % 2 ** 32);
    const files = readdirSync('examples').filter(name => name.endsWith('.yaml')).map(name => readFileSync(join('examples', name), 'utf8'));
    process.stdout.write(`fuzz config: seed ${seed}, ${seconds} s\n`);
    const { runs, accepted, slowestMs, finding } = fuzz(files, seconds, seed);
    process.stdout.write(`${runs} texts, ${accepted} accepted, slowest ${slowestMs.toFixed(0)} ms\n`);
    if (finding !== null) {
        process.stdout.write(`FINDING (seed ${seed}): ${finding.fault}\n---\n${finding.text}\n`);
        process.exitCode = 1;
    }
}
//# sourceMappingURL=config.js.map