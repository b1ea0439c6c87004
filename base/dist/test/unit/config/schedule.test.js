/** Schedules follow the wall clock of their zone, over midnight, weeks and changes of daylight saving time. */
import fc from 'fast-check';
import t from 'tap';
import { activeAt, nextEdge, nextScheduleEdge } from '../../../src/config/schedule.js';
import { base, desired } from './support.js';
const make = (yaml) => desired(`schedules: {s: ${yaml}}\n`).schedules[0] ?? (() => { throw new Error('none'); })();
const at = (text) => new Date(text);
t.test('office hours', async (t) => {
    const s = make('{time-zone: Europe/Berlin, weekly: [{days: mon-fri, from: "08:00", to: "17:30"}]}');
    for (const [when, on] of [
        ['2026-06-01T05:59:59Z', false], ['2026-06-01T06:00:00Z', true], ['2026-06-01T15:29:59Z', true], ['2026-06-01T15:30:00Z', false],
        ['2026-06-06T10:00:00Z', false], ['2026-01-05T06:30:00Z', false], ['2026-01-05T07:00:00Z', true],
    ])
        t.equal(activeAt(s, at(when)), on, when);
    t.equal(nextEdge(s, at('2026-06-05T16:00:00Z'))?.toISOString(), '2026-06-08T06:00:00.000Z', 'over the weekend');
    t.equal(nextEdge(s, at('2026-06-01T06:00:00Z'))?.toISOString(), '2026-06-01T15:30:00.000Z');
});
t.test('over midnight the window belongs to the day it begins on', async (t) => {
    const s = make('{weekly: [{days: sat, from: "23:00", to: "03:00"}]}');
    for (const [when, on] of [['2026-06-06T22:59:00Z', false], ['2026-06-06T23:00:00Z', true], ['2026-06-07T02:59:00Z', true], ['2026-06-07T03:00:00Z', false], ['2026-06-07T23:30:00Z', false], ['2026-06-06T01:00:00Z', false]])
        t.equal(activeAt(s, at(when)), on, when);
});
t.test('days: lists, ranges over the week\'s end, groups', async (t) => {
    const days = (text) => make(`{weekly: [{days: ${text}, from: "00:00", to: "24:00"}]}`).weekly[0]?.days ?? [];
    t.same(days('[mon, wed]'), [1, 3]);
    t.same(days('fri-mon'), [0, 1, 5, 6]);
    t.same(days('weekend'), [0, 6]);
    t.same(days('Friday'), [5]);
});
t.test('always on has no edge', async (t) => {
    const s = make('{weekly: [{from: "00:00", to: "24:00"}]}');
    t.ok(activeAt(s, at('2026-03-29T01:30:00Z')));
    t.equal(nextEdge(s, at('2026-03-29T01:30:00Z')), null);
});
t.test('dates are local to the zone', async (t) => {
    const s = make('{time-zone: America/New_York, dates: [{from: 2026-12-24, to: 2026-12-27T12:00}]}');
    for (const [when, on] of [['2026-12-24T04:59:00Z', false], ['2026-12-24T05:00:00Z', true], ['2026-12-27T16:59:00Z', true], ['2026-12-27T17:00:00Z', false]])
        t.equal(activeAt(s, at(when)), on, when);
    t.equal(nextEdge(s, at('2026-01-01T00:00:00Z'))?.toISOString(), '2026-12-24T05:00:00.000Z');
    t.equal(nextEdge(s, at('2027-01-01T00:00:00Z')), null);
});
t.test('daylight saving time', async (t) => {
    const s = make('{time-zone: Europe/Berlin, weekly: [{from: "02:15", to: "02:45"}]}');
    // 2026-03-29: 02:00 becomes 03:00. 2026-10-25: 03:00 becomes 02:00.
    t.equal(nextEdge(s, at('2026-03-28T12:00:00Z'))?.toISOString(), '2026-03-30T00:15:00.000Z', 'the window of the short night does not exist');
    const edges = [];
    for (let now = at('2026-10-24T12:00:00Z'), i = 0; i < 4; i++) {
        now = nextEdge(s, now) ?? now;
        edges.push(now.toISOString().slice(5, 16));
    }
    t.same(edges, ['10-25T00:15', '10-25T00:45', '10-25T01:15', '10-25T01:45'], 'in the long night it happens twice');
});
t.test('nextEdge is the first change, for random schedules and moments', async (t) => {
    const zone = fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe');
    const minute = fc.nat(95).map(q => q * 15);
    const window = fc.record({ days: fc.uniqueArray(fc.integer({ min: 0, max: 6 }).map(d => d), { minLength: 1, maxLength: 3 }), from: minute, to: minute }).filter(w => w.from !== w.to);
    const moment = fc.constantFrom('2026-03-08', '2026-03-29', '2026-04-05', '2026-06-10', '2026-10-04', '2026-10-25', '2026-11-01').chain(day => fc.nat(2 * 96).map(q => new Date(Date.parse(`${day}T00:00Z`) - 86_400_000 + q * 900_000)));
    fc.assert(fc.property(zone, fc.array(window, { minLength: 1, maxLength: 3 }), moment, (timeZone, weekly, now) => {
        const s = { name: 's', timeZone, weekly, dates: [] };
        const edge = nextEdge(s, now);
        const state = activeAt(s, now);
        const end = edge?.getTime() ?? now.getTime() + 14 * 86_400_000;
        for (let at = now.getTime(); at < Math.min(end, now.getTime() + 3 * 86_400_000); at += 900_000)
            if (activeAt(s, new Date(at)) !== state)
                return false;
        return edge === null || activeAt(s, edge) !== state;
    }), { numRuns: 300 });
    t.pass();
});
t.test('only schedules that policies use wake anybody', async (t) => {
    const d = desired(`${base}schedules:\n  used: {weekly: [{from: "10:00", to: "11:00"}]}\n  idle: {weekly: [{from: "08:00", to: "09:00"}]}\npolicies: [{name: p, schedule: used, action: permit}]\n`);
    t.equal(nextScheduleEdge(d, at('2026-06-01T00:00:00Z'))?.toISOString(), '2026-06-01T10:00:00.000Z');
    t.equal(nextScheduleEdge({ ...d, policies: [] }, at('2026-06-01T00:00:00Z')), null);
});
//# sourceMappingURL=schedule.test.js.map