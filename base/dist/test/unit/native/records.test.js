/** Wire records: written by name, installed, scanned and drained come out as they went in; rows for people say the same; codes agree with arrays. */
import fc from 'fast-check';
import t from 'tap';
import { closeReason, column, notice, phase, status } from '../../../src/generated/codes.js';
import { layout } from '../../../src/generated/layout.js';
import { loadCore } from '../../../src/native/load.js';
import { changeKinds, changesOf, deleteBytes, recordBytes, rowOf } from '../../../src/native/records.js';
import { fromNative } from '../../../src/native/errors.js';
import { createSessionStore, phaseNames } from '../../../src/native/session-store.js';
import { concat, idText, RECORD, reversed, tuples, wireRecord } from '../../conformance/wire.js';
const seed = Number(process.env['LOCKSTEP_TEST_SEED'] ?? Date.now() % 1_000_000_007);
const core = loadCore();
const makeTable = () => new core.Table({ capacity: 1024, cpus: 0, threads: 1, arena: 64, hugepages: 0, path: '' });
const shape = layout.ls_wire_record;
const everything = new Uint8Array(layout.ls_filter.size);
const u16 = (max = 65535) => fc.integer({ min: 0, max });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const v4 = fc.ipV4();
const v6 = fc.integer({ min: 1, max: 0xffff }).map(n => `2001:db8::${n.toString(16)}`);
const key = fc.boolean().chain(six => fc.record({ src: six ? v6 : v4, dst: six ? v6 : v4, sport: u16(), dport: u16(), proto: fc.constantFrom(1, 6, 17, 47, 58, 255), domain: u16() }));
const records = key.chain(k => fc.record({
    key: fc.constant(k), reply: fc.record({ src: k.src.includes(':') ? v6 : v4, dst: k.src.includes(':') ? v6 : v4, sport: u16(), dport: u16() }).map(r => ({ ...r, proto: k.proto, domain: k.domain })),
    origin: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }), serial: u64, phase: fc.constantFrom(...phase.map(p => p.name)), closeReason: u16(closeReason.length - 1), rg: fc.constantFrom(0, 1, 15, 255), app: u16(63), flow: u16(31),
    flags: u16(1023), zoneIn: u16(63), zoneOut: u16(63), policy: u16(1023), vip: u16(511), real: u16(4095), idleMs: u16(100_000), ageMs: fc.integer({ min: 0, max: 10 ** 6 }),
    packets: fc.tuple(u64, u64), bytes: fc.tuple(u64, u64)
}));
/** Fields that do not depend on the moment. */
const still = (bytes) => {
    const copy = Uint8Array.from(bytes);
    copy.fill(0, shape.idle_ns.offset, shape.idle_ns.offset + 16);
    copy.fill(0, shape.slot.offset, shape.slot.offset + 4);
    const view = new DataView(copy.buffer);
    view.setUint32(shape.flags.offset, view.getUint32(shape.flags.offset, true) | 64, true); // from a peer, once installed
    return Buffer.from(copy).toString('hex');
};
t.test(`install -> scan gives the record back, byte for byte (LOCKSTEP_TEST_SEED=${seed})`, async (t) => {
    const table = makeTable();
    const out = new Uint8Array(RECORD * 2);
    await fc.assert(fc.asyncProperty(records, async (spec) => {
        const record = wireRecord(spec);
        const state = new Uint8Array(1);
        table.install(record, RECORD, state, false);
        if (state[0] !== 0)
            throw new Error(`refused: ${status[state[0] ?? 0]?.name}`);
        const scan = table.scanRecords(everything, 0, out, 1e9);
        if (scan.rows !== 1)
            throw new Error(`${scan.rows} rows`);
        if (still(out.subarray(0, RECORD)) !== still(record))
            throw new Error(`${still(out.subarray(0, RECORD))}\n${still(record)}`);
        const row = rowOf(new DataView(out.buffer), 0, () => 1e9);
        const text = (k) => `${k.src.includes(':') ? BigInt.asUintN(16, BigInt(`0x${k.src.split('::')[1] ?? '0'}`)).toString(16) : k.src}:${k.sport}`;
        if (`${row.source.includes(':') ? row.source.split('::')[1] : row.source}:${row.sourcePort}` !== text(spec.key))
            throw new Error(`${row.source} ${spec.key.src}`);
        if (row.id !== idText(spec.serial ?? 0n, spec.origin) || row.phase !== spec.phase || row.policy !== spec.policy || row.bytesReply !== spec.bytes?.[1] || row.idleMs < (spec.idleMs ?? 0))
            throw new Error(JSON.stringify(row, (_, v) => typeof v === 'bigint' ? String(v) : v));
        const gone = await table.deleteFilter(everything, 4);
        if (gone.deleted !== 1)
            throw new Error('not deleted');
    }), { seed, numRuns: 150 });
    t.same((await table.verify()).faults, []);
    table.close();
});
t.test(`any single byte of a record changed: taken as a valid record or refused, never half (LOCKSTEP_TEST_SEED=${seed})`, async (t) => {
    const table = makeTable();
    const good = wireRecord({ key: tuples(1)[0] ?? { src: '10.0.0.1', dst: '10.0.0.2', sport: 1, dport: 2, proto: 6 } });
    const state = new Uint8Array(1);
    const kinds = {};
    for (let at = 0; at < RECORD; at++) {
        for (const value of [0, 1, 0x7f, 0xff]) {
            const bad = Uint8Array.from(good);
            bad[at] = value;
            const r = table.install(bad, RECORD, state, false);
            const name = status[state[0] ?? 0]?.name ?? '?';
            kinds[name] = (kinds[name] ?? 0) + 1;
            if (r.installed + r.invalid + r.conflicts + r.full !== 1)
                t.fail(`byte ${at} = ${value}: ${JSON.stringify(r)}`);
            const live = await table.count(everything);
            if (live !== r.installed)
                t.fail(`byte ${at} = ${value}: ${live} live after ${name}`);
            await table.deleteFilter(everything, 4);
        }
    }
    t.comment(JSON.stringify(kinds));
    const report = await table.verify();
    t.same([report.faults, report.live, report.entries], [[], 0, 0]);
    table.close();
});
t.test('columns of a listing say what the records say', async (t) => {
    const table = makeTable();
    const specs = [...tuples(50).map((k, i) => ({ key: k, reply: { ...reversed(k), sport: 8000 + i }, serial: BigInt(i + 1), bytes: [BigInt(i) << 33n, 7n], rg: i % 16, app: i, policy: i, zoneIn: i, real: i }))];
    table.install(concat(specs.map(wireRecord)), RECORD, null, false);
    const store = createSessionStore(table, () => 1000);
    const list = store.list({}, column.map(c => c.name), 0, 100);
    t.equal(list.rows, 50);
    const cell = (name, row) => { const width = column.find(c => c.name === name)?.bytes ?? 0; return (list.columns.get(name) ?? new Uint8Array()).slice(row * width, (row + 1) * width); };
    const little = (bytes) => bytes.reduceRight((sum, b) => sum << 8n | BigInt(b), 0n);
    for (let row = 0; row < 50; row++) {
        const i = Number(little(cell('id', row)) === 0n ? 0n : little(cell('id', row).slice(8))) - 1;
        const spec = specs[i];
        if (spec === undefined) {
            t.fail(`row ${row} has id ${i}`);
            continue;
        }
        t.same([little(cell('sport', row)), little(cell('reply_sport', row)), little(cell('bytes_forward', row)), little(cell('rg', row)), little(cell('policy', row)), little(cell('real', row))], [BigInt(spec.key.sport), BigInt(8000 + i), BigInt(i) << 33n, BigInt(i % 16), BigInt(i), BigInt(i)]);
        t.same([...cell('src', row)].slice(12), spec.key.src.split('.').map(Number));
    }
    table.close();
});
t.test('codes, arrays and sizes agree', async (t) => {
    t.equal(recordBytes, 184);
    t.equal(deleteBytes, 64);
    t.same([core.wireVersion, core.layoutVersion >= 1], [1, true]);
    t.same(notice.map(n => n.name), ['none', 'create', 'update', 'recreate', 'delete']);
    t.same(changeKinds, ['update', 'create', 'update', 'recreate', 'delete']);
    t.same(phaseNames, phase.map(p => p.name));
    t.equal(new Set(column.map(c => c.name)).size, column.length);
    t.ok(column.length <= 32, 'a bit per column');
    for (const s of status) {
        if (s.name === 'ok')
            continue;
        const error = fromNative(Object.assign(new Error('x'), { code: `LS_${s.name.toUpperCase()}` }));
        t.same([error.errorClass, error.code], [s.class, `LS_${s.name.toUpperCase()}`]);
    }
    t.same([fromNative(new TypeError('x')).errorClass, fromNative(new TypeError('x')).code], ['invalid', 'LS_E_INVALID']);
    t.same([fromNative('x').errorClass, fromNative({ code: 'LS_E_OTHER' }).errorClass, fromNative(new Error('x')).code], ['bug', 'bug', 'LS_E_BUG']);
});
t.test('changes of a batch, and of one that was cut', async (t) => {
    const batch = concat([1, 4, 3].map(kind => wireRecord({ key: { src: '10.0.0.1', dst: '10.0.0.2', sport: kind, dport: 2, proto: 17 }, kind, closeReason: kind === 4 ? 3 : 0 })));
    t.match(changesOf(batch, () => 5000), [{ kind: 'create', closeReason: 'none' }, { kind: 'delete', closeReason: 'timeout' }, { kind: 'recreate', session: { sourcePort: 3, expiresMs: 5000 } }]);
    t.equal(changesOf(batch.subarray(0, batch.length - 1), () => 0).length, 2);
    const odd = new Uint8Array(batch.length + 3);
    odd.set(batch, 3);
    t.equal(changesOf(odd.subarray(3), () => 0).length, 3, 'a view with an offset');
    const unknown = Uint8Array.from(batch.subarray(0, RECORD));
    unknown[1] = 200;
    unknown[2] = 99;
    t.match(changesOf(unknown, () => 0), [{ kind: 'update', session: { phase: '#99' } }], 'a newer peer');
});
//# sourceMappingURL=records.test.js.map