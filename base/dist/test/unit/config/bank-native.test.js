/** The packet path's own C readers agree with the second reading of the bank, table by table, over many queries. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { addressBytes, parseAddress } from '../../../src/lib/address.js';
import { compile } from '../../../src/config/compile/index.js';
import { IdBook } from '../../../src/config/ids.js';
import { parseConfig } from '../../../src/config/parse.js';
import { BankReader } from './bank-reader.js';
import { factsFor, options, root } from './support.js';
const missing = ['cc', 'gcc', 'clang'].find(tool => spawnSync(tool, ['--version']).status === 0);
const source = join(root, 'test/unit/config/bank-reader.c');
const readers = ['pipeline/classify.h', 'pipeline/lookup.h', 'backend/userspace/port_impl.h'].map(name => join(root, 'native', name));
const skip = missing === undefined ? 'needs a C compiler' : [...readers, source].every(existsSync) ? false : 'needs the native sources';
t.test('C and TypeScript find the same things in the banks of the examples', { skip }, async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'lockstep-bank-'));
    t.teardown(() => { rmSync(dir, { recursive: true, force: true }); });
    const built = spawnSync(missing ?? 'cc', ['-O1', '-I', join(root, 'native'), '-I', join(root, 'native/include'), source, '-o', join(dir, 'reader')], { encoding: 'utf8' });
    t.equal(built.status, 0, built.stderr);
    for (const name of ['quickstart', 'quickstart-unprivileged', 'edge-pair']) {
        const text = readFileSync(join(root, `examples/${name}.yaml`), 'utf8');
        const { desired: d, issues } = parseConfig(text, { ...options, host: { ...options.host, node: 'edge-2' } });
        t.same(issues, []);
        if (d === null)
            continue;
        const { bank } = compile(d, factsFor(d), IdBook.empty().assign(d).table(), {}, new Date('2026-06-05T10:00:00Z'));
        writeFileSync(join(dir, 'bank'), bank);
        const reader = new BankReader(bank);
        const queries = [];
        const expected = [];
        const ask = (query, answer) => {
            queries.push(query);
            expected.push(answer);
        };
        const literals = [...new Set([...text.matchAll(/(?:\d+\.){3}\d+|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}/g)].map(([m]) => parseAddress(m)).filter(v => v !== null))];
        const addresses = literals.flatMap(v => [v - 1n, v, v + 1n, v + 200n]).filter(v => v >= 0n);
        const hex = (value) => Buffer.from(addressBytes(value)).toString('hex');
        for (const device of [0, 1, 2, 3, 4])
            for (const vlan of [0, 10, 20])
                ask(`iface ${device} ${vlan} 0`, reader.iface(device, vlan, 0));
        for (const a of addresses) {
            ask(`local ${hex(a)} 0`, reader.local(a, 0)?.kind ?? 0);
            ask(`static ${hex(a)} 0`, reader.static('outside', a)?.id ?? 0);
            for (const port of [53, 80, 443])
                for (const proto of [6, 17])
                    ask(`vip ${hex(a)} ${port} ${proto} 0`, reader.vip(a, port, proto));
        }
        const none = 0xffffffff;
        let turn = 12345;
        const random = (n) => { turn = (Math.imul(turn, 1103515245) + 12345) >>> 0; return (turn >>> 8) % n; };
        for (let i = 0; i < 4000; i++) {
            const p = {
                zoneIn: random(7), zoneOut: random(7), proto: [1, 6, 17, 58, 47][random(5)] ?? 6, src: addresses[random(addresses.length)] ?? 0n, dst: addresses[random(addresses.length)] ?? 0n,
                sport: [8, 1024, 40000][random(3)] ?? 0, dport: [0, 22, 23, 25, 53, 80, 443, 2222, 5060, 8080, 8443, 9005, 33434][random(13)] ?? 0,
            };
            for (const which of ['policy', 'snat', 'dnat']) {
                ask(`${which} ${p.zoneIn} ${p.zoneOut} ${p.proto} ${hex(p.src)} ${hex(p.dst)} ${p.sport} ${p.dport}`, reader.classify(which, p) ?? none);
            }
        }
        const run = spawnSync(join(dir, 'reader'), [join(dir, 'bank')], { input: queries.join('\n'), encoding: 'utf8', maxBuffer: 1 << 26 });
        const answers = run.stdout.trim().split('\n').map(Number);
        t.equal(run.status, 0);
        const wrong = queries.map((query, i) => ({ query, c: answers[i], ts: expected[i] })).filter(x => x.c !== x.ts);
        t.same(wrong.slice(0, 5), [], `${name}: ${queries.length} queries, ${new Set(expected).size} different answers`);
    }
});
//# sourceMappingURL=bank-native.test.js.map