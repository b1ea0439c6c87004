/** The sync worker and its main-thread end: bounded when the main thread is busy, alive when a reader throws, and no hang when the worker is gone. */
import t from 'tap';
import { loadCore } from '../../src/native/load.js';
import { startFeed } from '../../src/workers/feed.js';
import { concat, RECORD, tuples, wireRecord } from '../conformance/wire.js';
import { until } from './agent-process.js';
import { layout } from '../../src/generated/layout.js';
const LOG_CLOSE = 256;
const everything = new Uint8Array(layout.ls_filter.size);
function setup(capacity = 4096) {
    const table = new (loadCore().Table)({ capacity, cpus: 0, threads: 1, arena: 64, hugepages: 0, path: '' });
    const problems = [];
    const closed = [];
    let lines = 0;
    const feed = startFeed({ tableId: table.info().id, timeouts: () => 1000, onLogs: () => { }, onClosed: (changes, lost) => { closed.push(...changes); lines += lost; }, onProblem: (error) => { problems.push(error); } });
    return { table, feed, problems, closed, lostLines: () => lines };
}
const made = new Map();
const fill = (table, n, flags = 0) => {
    const records = made.get(`${n} ${flags}`) ?? concat(tuples(n).map(key => wireRecord({ key, flags })));
    made.set(`${n} ${flags}`, records);
    table.install(records, RECORD, null, false);
};
t.test('a reader that throws is told about, and the others hear everything', async (t) => {
    const { table, feed, problems } = setup();
    const heard = [];
    const off = [feed.subscribe(() => { throw new Error('mine'); }), feed.subscribe((records) => { heard.push(records.length / RECORD); })];
    // until the worker listens, deletions are drained and not told
    await until('a first change', async () => { fill(table, 1); await table.deleteFilter(everything, 4); await new Promise(resolve => setTimeout(resolve, 5)); return heard.length > 0; });
    heard.length = 0;
    fill(table, 100);
    await table.deleteFilter(everything, 4);
    await until('a hundred deletions', () => heard.reduce((x, y) => x + y, 0) >= 100);
    t.ok(problems.length > 0 && problems.every(e => e instanceof Error && e.message === 'mine'));
    for (const stop of [...off, ...off])
        stop();
    await feed.close();
    table.close();
});
t.test('a busy main thread costs changes, which are counted, not memory', async (t) => {
    const { table, feed } = setup(1 << 17);
    let [records, lost] = [0, 0];
    feed.subscribe((rows, gone) => { records += rows.length / RECORD; lost += gone; });
    await until('a first change', async () => { fill(table, 1); await table.deleteFilter(everything, 4); await new Promise(resolve => setTimeout(resolve, 5)); return records > 0; });
    [records, lost] = [0, 0];
    let sent = 0;
    for (let round = 0; round < 8; round++) {
        fill(table, 30_000);
        sent += (await table.deleteFilter(everything, 4)).deleted;
        for (const until = performance.now() + 60; performance.now() < until;)
            ; // the main thread is somewhere else
    }
    await until('all to be told or counted', async () => {
        fill(table, 1);
        sent += (await table.deleteFilter(everything, 4)).deleted;
        await new Promise(resolve => setTimeout(resolve, 5));
        return records + lost >= sent - 1;
    });
    t.ok(records + lost <= sent, `${records} told and ${lost} lost of ${sent}`);
    await feed.close();
    table.close();
});
t.test('lines of ended sessions: some are written, all are counted', async (t) => {
    const { table, feed, closed, lostLines } = setup(16384);
    await until('a first line', async () => { fill(table, 1, LOG_CLOSE); await table.deleteFilter(everything, 4); await new Promise(resolve => setTimeout(resolve, 5)); return closed.length > 0; });
    await new Promise(resolve => setTimeout(resolve, 120));
    const before = closed.length + lostLines();
    fill(table, 10_000, LOG_CLOSE);
    t.equal((await table.deleteFilter(everything, 4)).deleted, 10_000);
    await until('the count', async () => { fill(table, 1, LOG_CLOSE); await table.deleteFilter(everything, 4); await new Promise(resolve => setTimeout(resolve, 60)); return closed.length + lostLines() - before >= 10_000; });
    t.ok(lostLines() > 0 && closed.length < 9000, `${closed.length} lines, ${lostLines()} counted`);
    await feed.close();
    table.close();
});
t.test('close ends whether or not the worker lives', async (t) => {
    const { table, feed, problems } = setup();
    await feed.close();
    await feed.close();
    t.same(problems, []);
    table.close();
    const gone = startFeed({ tableId: 4_000_000_000, timeouts: () => 0, onLogs: () => { }, onClosed: () => { }, onProblem: (error) => { problems.push(error); } });
    await until('the worker to fail', () => problems.length >= 2);
    t.match(problems.map(String), [/is closed/, /sync worker ended/]);
    gone.subscribe(() => { })();
    await gone.close();
});
//# sourceMappingURL=feed.test.js.map