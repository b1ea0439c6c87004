const formatters = new Map();
const offsets = new Map();
/** Minutes that local time is ahead of UTC at an instant. Cached per hour: zones change at whole quarter hours of UTC. */
function offsetAt(timeZone, ms) {
    const quarter = Math.floor(ms / 900_000);
    const key = `${timeZone} ${quarter}`;
    const known = offsets.get(key);
    if (known !== undefined)
        return known;
    let formatter = formatters.get(timeZone);
    if (formatter === undefined) {
        formatter = new Intl.DateTimeFormat('en-US', { timeZone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric' });
        formatters.set(timeZone, formatter);
    }
    const at = quarter * 900_000;
    const part = Object.fromEntries(formatter.formatToParts(at).map(p => [p.type, Number(p.value)]));
    const local = Date.UTC(part['year'] ?? 0, (part['month'] ?? 1) - 1, part['day'] ?? 1, part['hour'] ?? 0, part['minute'] ?? 0);
    const minutes = Math.round((local - at) / 60_000);
    if (offsets.size > 10_000)
        offsets.clear();
    offsets.set(key, minutes);
    return minutes;
}
function wallAt(timeZone, ms) {
    const local = new Date(ms + offsetAt(timeZone, ms) * 60_000);
    return { date: local.toISOString().slice(0, 10), minutes: local.getUTCHours() * 60 + local.getUTCMinutes(), weekday: local.getUTCDay() };
}
const clock = (minutes) => `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;
export function activeAt(schedule, now) {
    const wall = wallAt(schedule.timeZone, now.getTime());
    const stamp = `${wall.date}T${clock(wall.minutes)}`;
    if (schedule.dates.some(window => stamp >= window.from && stamp < window.to))
        return true;
    const yesterday = (wall.weekday + 6) % 7;
    return schedule.weekly.some(({ days, from, to }) => from < to
        ? days.includes(wall.weekday) && wall.minutes >= from && wall.minutes < to
        : (days.includes(wall.weekday) && wall.minutes >= from) || (days.includes(yesterday) && wall.minutes < to));
}
/** Instants at which the local clock shows this minute: none, one or two. */
function instantsOf(timeZone, localMs) {
    const around = new Set([offsetAt(timeZone, localMs - 86_400_000), offsetAt(timeZone, localMs + 86_400_000), offsetAt(timeZone, localMs)]);
    return [...around].map(offset => localMs - offset * 60_000).filter(ms => ms + offsetAt(timeZone, ms) * 60_000 === localMs);
}
/** Instants in [from, to] at which the zone changes its offset. */
function changesIn(timeZone, from, to) {
    const out = [];
    const step = 86_400_000;
    for (let at = from; at < to; at += step) {
        let low = Math.floor(at / 900_000);
        let high = Math.floor(Math.min(at + step, to) / 900_000);
        if (offsetAt(timeZone, low * 900_000) === offsetAt(timeZone, high * 900_000))
            continue;
        const before = offsetAt(timeZone, low * 900_000);
        while (high - low > 1) {
            const middle = (low + high) >> 1;
            if (offsetAt(timeZone, middle * 900_000) === before)
                low = middle;
            else
                high = middle;
        }
        out.push(high * 900_000);
    }
    return out;
}
const horizonMs = 16 * 86_400_000;
/** The first instant after `now` at which activeAt changes; `null` = never (weekly windows repeat, so 16 days show them all). */
export function nextEdge(schedule, now) {
    const { timeZone } = schedule;
    const start = now.getTime();
    const candidates = new Set();
    const add = (localMs) => { for (const ms of instantsOf(timeZone, localMs))
        candidates.add(ms); };
    if (schedule.weekly.length > 0) {
        const minutes = new Set(schedule.weekly.flatMap(w => [w.from, w.to % 1440]));
        const today = Date.parse(`${wallAt(timeZone, start).date}T00:00Z`);
        for (let day = -1; day <= 16; day++)
            for (const m of minutes)
                add(today + day * 86_400_000 + m * 60_000);
        for (const ms of changesIn(timeZone, start, start + horizonMs))
            candidates.add(ms);
    }
    for (const window of schedule.dates) {
        for (const text of [window.from, window.to]) {
            const local = Date.parse(`${text}Z`);
            const instants = instantsOf(timeZone, local);
            if (instants.length > 0)
                instants.forEach(ms => candidates.add(ms));
            // A wall time that clocks jump over: the window begins or ends with the jump.
            else
                changesIn(timeZone, local - 2 * 86_400_000, local + 2 * 86_400_000).forEach(ms => candidates.add(ms));
        }
    }
    const state = activeAt(schedule, now);
    for (const ms of [...candidates].filter(c => c > start).sort((x, y) => x - y)) {
        if (activeAt(schedule, new Date(ms)) !== state)
            return new Date(ms);
    }
    return null;
}
/** The next change among the schedules that policies use. */
export function nextScheduleEdge(d, now) {
    const used = new Set(d.policies.map(policy => policy.schedule));
    const edges = d.schedules.filter(s => used.has(s.name)).flatMap(s => nextEdge(s, now) ?? []);
    return edges.length === 0 ? null : new Date(Math.min(...edges.map(edge => edge.getTime())));
}
//# sourceMappingURL=schedule.js.map