/** An id belongs to a name for good; it moves to another name only when numbers run out and nobody holds it (R11, hazard 79). */
import t from 'tap';
import { IdBook, idKinds } from '../../../src/config/ids.js';
import { ConfigError } from '../../../src/config/issues.js';
import { nameBook } from '../../../src/config/names.js';
import { limits } from '../../../src/generated/layout.js';
import { desired } from './support.js';
const zones = (...names) => desired(`zones: {${names.map(n => `${n}: {}`).join(', ')}}\n`);
t.test('two nodes that start from one configuration agree, whatever the order in the file', async (t) => {
    t.same(IdBook.empty().assign(zones('c', 'a', 'b')).table(), IdBook.empty().assign(zones('b', 'c', 'a')).table());
    t.same(IdBook.empty().assign(zones('c', 'a', 'b')).table().zone, { a: 1, b: 2, c: 3 });
});
t.test('a name keeps its id when others come and go, and when it comes back itself', async (t) => {
    const first = IdBook.empty().assign(zones('b', 'd'));
    const second = first.assign(zones('a', 'd'));
    t.same(second.table().zone, { b: 1, d: 2, a: 3 });
    const third = second.assign(zones('a', 'b', 'c', 'd'));
    t.same(third.table().zone, { b: 1, d: 2, a: 3, c: 4 });
    t.same(first.table().zone, { b: 1, d: 2 }, 'a book is immutable');
});
t.test('ids run out: one that is gone is reused only when no session holds it', async (t) => {
    const names = (from, n) => Array.from({ length: n }, (_, i) => `z${from + i}`);
    const full = IdBook.empty().assign(zones(...names(0, 63)));
    t.equal(Object.keys(full.table().zone).length, limits.LS_ZONES_MAX - 1);
    const next = zones(...names(1, 63));
    const gone = full.id('zone', 'z0') ?? 0;
    t.throws(() => full.assign(next, () => new Set([gone])), { errorClass: 'exhausted', code: 'LS_C_IDS' });
    const reused = full.assign(next, () => new Set());
    t.equal(reused.id('zone', 'z63'), gone);
    t.equal(reused.id('zone', 'z0'), null);
    t.equal(reused.name('zone', gone), 'z63');
});
t.test('a book survives its JSON, and impossible ones are refused', async (t) => {
    const book = IdBook.empty().assign(zones('a', 'b'));
    t.same(IdBook.fromJSON(JSON.parse(JSON.stringify(book)))?.table(), book.table());
    for (const bad of [null, 7, { zone: 3 }, { zone: { a: 0 } }, { zone: { a: 64 } }, { zone: { a: 1, b: 1 } }, { zone: { a: 1.5 } }, { zone: { a: '1' } }])
        t.equal(IdBook.fromJSON(bad), null, JSON.stringify(bad));
});
t.test('applications beyond the last id share row 0 unless they have timeouts of their own', async (t) => {
    const app = (i, more = '') => `  a${String(i).padStart(3, '0')}: {protocol: tcp, destination-port: ${i + 1}${more}}\n`;
    const plain = desired(`zones: {z: {}}\napplications:\n${Array.from({ length: 80 }, (_, i) => app(i, i === 79 ? ', timeouts: {tcp-established: 5m}' : '')).join('')}`);
    const book = IdBook.empty().assign(plain);
    t.equal(Object.keys(book.table().app).length, limits.LS_APPS_MAX - 1);
    t.ok(book.id('app', 'a079'), 'the one with timeouts');
    t.match(book.warnings, [/80 applications, 63 ids/]);
    const special = `zones: {z: {}}\napplications:\n${Array.from({ length: 64 }, (_, i) => app(i, ', timeouts: {tcp-established: 5m}')).join('')}`;
    t.throws(() => desired(special), /no app id is free/);
    t.ok(ConfigError);
});
t.test('names for readers', async (t) => {
    const book = IdBook.empty().assign(zones('a', 'b'));
    const names = nameBook(() => book.table());
    t.equal(names.name('zone', 2), 'b');
    t.equal(names.name('zone', 0), 'none');
    t.equal(names.name('policy', 0), 'default');
    t.equal(names.name('zone', 9), '#9');
    t.equal(names.id('zone', 'a'), 1);
    t.equal(names.id('zone', 'nobody'), null);
    t.equal(names.id('zone', 'constructor'), null);
    t.equal(names.id('domain', 'default'), 0);
    t.equal(idKinds.length, 9);
});
//# sourceMappingURL=ids.test.js.map