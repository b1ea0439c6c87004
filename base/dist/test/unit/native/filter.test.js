/** packFilter against a decoder that reads by the generated layout; what is out of range is refused. */
import fc from 'fast-check';
import t from 'tap';
import { LockstepError } from '../../../src/contract/errors.js';
import { phase } from '../../../src/generated/codes.js';
import { layout, limits } from '../../../src/generated/layout.js';
import { addressOfBytes, formatAddress, parsePrefix } from '../../../src/lib/address.js';
import { packFilter, parseSessionId } from '../../../src/native/filter.js';
const shape = layout.ls_filter;
const seed = Number(process.env['LOCKSTEP_TEST_SEED'] ?? Date.now() % 1_000_000_007);
/** struct ls_filter -> what it means, by offset and size only. */
function decode(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const number = (field, little = true) => field.size === 1 ? view.getUint8(field.offset) : field.size === 2 ? view.getUint16(field.offset, little) : view.getUint32(field.offset, little);
    const match = number(shape.match);
    const has = (bit) => (match & bit) !== 0;
    const prefix = (addressAt, length) => {
        const value = addressOfBytes(bytes, addressAt);
        const text = formatAddress(value);
        return text.includes(':') ? `${text}/${length}` : `${text}/${length - 96}`;
    };
    const flag = (bit) => (number(shape.flags_mask) & bit) === 0 ? undefined : (number(shape.flags_value) & bit) !== 0;
    const ms = (field) => Number(view.getBigUint64(field.offset, true)) / 1e6;
    const hex = (at) => view.getBigUint64(at, true).toString(16).padStart(16, '0');
    const found = {};
    const put = (bit, name, value) => { if (has(bit))
        found[name] = value; };
    put(limits.LS_FM_SRC, 'source', prefix(shape.src.offset, number(shape.src_prefix)));
    put(limits.LS_FM_ADDR, 'address', prefix(shape.src.offset, number(shape.src_prefix)));
    put(limits.LS_FM_DST, 'destination', prefix(shape.dst.offset, number(shape.dst_prefix)));
    put(limits.LS_FM_SPORT, 'sourcePort', number(shape.sport_be, false));
    put(limits.LS_FM_PORT, 'port', number(shape.sport_be, false));
    put(limits.LS_FM_DPORT, 'destinationPort', number(shape.dport_be, false));
    for (const [bit, name, field] of [
        [limits.LS_FM_PROTO, 'protocol', shape.proto], [limits.LS_FM_FAMILY, 'family', shape.family], [limits.LS_FM_DOMAIN, 'domain', shape.domain], [limits.LS_FM_ZONE_IN, 'zoneIn', shape.zone_in], [limits.LS_FM_ZONE_OUT, 'zoneOut', shape.zone_out],
        [limits.LS_FM_POLICY, 'policy', shape.policy], [limits.LS_FM_VIP, 'vip', shape.vip], [limits.LS_FM_REAL, 'real', shape.real], [limits.LS_FM_RG, 'rg', shape.rg], [limits.LS_FM_APP, 'app', shape.app]
    ])
        put(bit, name, number(field));
    put(limits.LS_FM_PHASES, 'phases', phase.filter((_, i) => (number(shape.phases) >>> i & 1) === 1).map(p => p.name));
    if (has(limits.LS_FM_FLAGS))
        for (const [name, bit] of [['snat', limits.LS_SF_SNAT], ['dnat', limits.LS_SF_DNAT], ['fromPeer', limits.LS_SF_PEER]])
            if (flag(bit) !== undefined)
                found[name] = flag(bit);
    put(limits.LS_FM_IDLE, 'minIdleMs', ms(shape.min_idle_ns));
    if (has(limits.LS_FM_AGE))
        found[has(limits.LS_FM_YOUNGER) ? 'maxAgeMs' : 'minAgeMs'] = ms(shape.min_age_ns);
    put(limits.LS_FM_ID, 'id', hex(shape.id.offset) + hex(shape.id.offset + 8));
    return found;
}
const prefix = fc.oneof(fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })).map(([a, n]) => `${a}/${n}`), fc.tuple(fc.integer({ min: 0x2000, max: 0x3fff }), fc.integer({ min: 1, max: 0xffff }), fc.integer({ min: 0, max: 128 })).map(([a, b, n]) => `${a.toString(16)}:${b.toString(16)}::1/${n}`)).filter(text => parsePrefix(text) !== null);
const u8 = fc.integer({ min: 0, max: 255 });
const u16 = fc.integer({ min: 0, max: 65535 });
const ms = fc.integer({ min: 0, max: 2 ** 31 });
const filters = fc.record({
    source: prefix, destination: prefix, sourcePort: u16, destinationPort: u16, protocol: u8, family: fc.constantFrom(4, 6), domain: u16, zoneIn: u16, zoneOut: u16, policy: u16, vip: u16, real: u16, rg: u8, app: u8,
    phases: fc.subarray(phase.map(p => p.name)), snat: fc.boolean(), dnat: fc.boolean(), fromPeer: fc.boolean(), minIdleMs: ms, minAgeMs: ms, id: fc.stringMatching(/^[0-9a-f]{32}$/)
}, { requiredKeys: [] });
const canonical = (f) => Object.fromEntries(Object.entries(f).map(([k, v]) => [k, typeof v === 'string' && v.includes('/') ? `${formatAddress(parsePrefix(v)?.address ?? 0n)}/${parsePrefix(v)?.length}` : v]));
t.test(`every filter is read back as it was meant (LOCKSTEP_TEST_SEED=${seed})`, async (t) => {
    fc.assert(fc.property(filters, f => {
        const bytes = packFilter(f);
        if (bytes.length !== shape.size)
            throw new Error(`${bytes.length} bytes`);
        t.strictSame(decode(bytes), canonical(f)) || (() => { throw new Error('differs'); })();
    }), { seed, numRuns: 400 });
});
t.test('the fields that share a place', async (t) => {
    t.same(decode(packFilter({ address: '10.0.0.0/8', port: 53, maxAgeMs: 1500 })), { address: '10.0.0.0/8', port: 53, maxAgeMs: 1500 });
    t.same(decode(packFilter({ source: '10.0.0.1' })), { source: '10.0.0.1/32' });
    t.same(decode(packFilter({ source: '0.0.0.0/0', destination: '::/0' })), { source: '0.0.0.0/0', destination: '::/0' });
    t.same(decode(packFilter({})), {}, 'an empty filter is every session');
    t.same(decode(packFilter({ phases: ['TCP_ESTABLISHED'] })), { phases: ['tcp_established'] });
    for (const both of [{ source: '10.0.0.1', address: '10.0.0.1' }, { port: 1, sourcePort: 1 }, { minAgeMs: 1, maxAgeMs: 1 }])
        t.throws(() => packFilter(both), { code: 'LS_F_BOTH' });
});
t.test('a value that does not fit is refused, and the error names the field', async (t) => {
    const bounds = [
        ['sourcePort', 65535], ['destinationPort', 65535], ['port', 65535], ['protocol', 255], ['domain', 65535], ['zoneIn', 65535], ['zoneOut', 65535], ['policy', 65535], ['vip', 65535], ['real', 65535], ['rg', 255], ['app', 255]
    ];
    for (const [field, max] of bounds) {
        t.doesNotThrow(() => packFilter({ [field]: max }));
        for (const wrong of [max + 1, -1, 0.5, NaN, Infinity, -Infinity, 2 ** 53])
            t.throws(() => packFilter({ [field]: wrong }), { name: 'LockstepError', errorClass: 'invalid', code: 'LS_F_RANGE', detail: { object: `filter.${field}` } }, `${field} ${wrong}`);
    }
    for (const field of ['minIdleMs', 'minAgeMs', 'maxAgeMs'])
        for (const wrong of [-1, NaN, Infinity, 1e30])
            t.throws(() => packFilter({ [field]: wrong }), { code: 'LS_F_RANGE' });
    for (const wrong of ['', 'x', '10.0.0.0/33', '10.0.0', '::ffff:10.0.0.1', '2001:db8::/129', '10.0.0.0/-1', '10.0.0.0/8/8'])
        t.throws(() => packFilter({ source: wrong }), { code: 'LS_F_PREFIX' }, wrong);
    for (const wrong of ['', 'g'.repeat(32), '0'.repeat(31), '0'.repeat(33), `${'0'.repeat(31)}\n`])
        t.throws(() => parseSessionId(wrong), { code: 'LS_F_ID' });
    t.throws(() => packFilter({ phases: ['tcp'] }), LockstepError);
});
//# sourceMappingURL=filter.test.js.map