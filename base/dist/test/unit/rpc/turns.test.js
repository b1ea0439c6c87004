/** Standing in line: bounds, order, cancellation, and one step a turn. */
import t from 'tap';
import { Seats, TableTurns, Turnstile } from '../../../src/rpc/turns.js';
const never = new AbortController().signal;
t.test('a turnstile lets so many work, so many wait in order, and refuses the rest', async (t) => {
    const gate = new Turnstile('walks', 2, 3);
    const done = [];
    const release = [];
    const runs = Array.from({ length: 6 }, async (_, i) => await gate.run(never, async () => {
        await new Promise((resolve) => release.push(resolve));
        done.push(i);
    }));
    await t.rejects(runs[5] ?? Promise.resolve(), { errorClass: 'exhausted', code: 'LS_R_TOO_MANY', detail: { found: '3', expected: 'at most 3' } });
    for (let i = 0; i < 5; i++) {
        t.ok(release.length - i <= 2, 'two at once');
        release[i]?.();
        await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(runs.slice(0, 5));
    t.strictSame(done, [0, 1, 2, 3, 4]);
    t.equal(await gate.run(never, async () => 7), 7, 'free again');
});
t.test('who cancels leaves the line, work that fails frees its place', async (t) => {
    const gate = new Turnstile('walks', 1, 2);
    let finish = () => { };
    const first = gate.run(never, async () => { await new Promise((resolve) => { finish = resolve; }); throw new Error('broke'); });
    const abort = new AbortController();
    const second = gate.run(abort.signal, async () => { t.fail('ran although cancelled'); });
    const third = gate.run(never, async () => 3);
    abort.abort(new Error('gone'));
    await t.rejects(second, /gone/);
    await t.rejects(gate.run(AbortSignal.abort(new Error('late')), async () => 0), /late/);
    finish();
    await t.rejects(first, /broke/);
    t.equal(await third, 3);
});
t.test('seats are free or not', async (t) => {
    const seats = new Seats('listings', 1);
    let finish = () => { };
    const first = seats.hold(async () => await new Promise((resolve) => { finish = resolve; }));
    await t.rejects(seats.hold(async () => { }), { code: 'LS_R_TOO_MANY', message: /listings/ });
    finish();
    await first;
    t.equal(await seats.hold(async () => 1), 1);
});
t.test('a hundred listings take one step in a turn, each in its turn', async (t) => {
    const turns = new TableTurns();
    let turn = 0;
    let over = false;
    const count = () => { turn++; if (!over)
        setImmediate(count); };
    setImmediate(count);
    const steps = new Map();
    const taken = Array.from({ length: 100 }, () => 0);
    await Promise.all(taken.map(async (_, i) => {
        for (let n = 0; n < 3; n++) {
            await turns.next(never);
            steps.set(turn, (steps.get(turn) ?? 0) + 1);
            taken[i] = n + 1;
        }
    }));
    over = true;
    t.equal(Math.max(...steps.values()), 1);
    t.ok(taken.every((n) => n === 3));
    await t.rejects(turns.next(AbortSignal.abort(new Error('gone'))), /gone/);
});
//# sourceMappingURL=turns.test.js.map