/**
 * The same reconciliation over JavaScript Maps, as a program of its own: forward tuple -> session, reply tuple -> forward tuple, a mark in each
 * session for "received in this bulk". Timed like the others: from bulkEnd to the last stale session out of both maps.
 *
 *   node map-peer.js SESSIONS STALE REPEATS
 */
import { fileURLToPath } from 'node:url';
export function fill(table, sessions) {
    for (let i = 0; i < sessions; i++) {
        const src = `10.${i >> 16 & 255}.${i >> 8 & 255}.${i & 255}`;
        const dst = `198.18.${i >> 4 & 255}.${i * 7 & 255}`;
        const sport = 1024 + i * 31 % 64000;
        const key = `17|${src}|${sport}|${dst}|443`;
        const reply = `17|${dst}|443|${src}|${sport}`;
        if (table.forward.has(key))
            continue;
        table.forward.set(key, { reply, rg: 0, src, dst, sport, dport: 443, packets: i & 255, bytes: (i & 255) * 100, bulk: 0 });
        table.reply.set(reply, key);
    }
}
/** Marks all but every n-th, and says how many were left out. */
export function confirm({ forward }, bulk, every) {
    let i = 0;
    let stale = 0;
    for (const session of forward.values()) {
        if (i++ % every === 0)
            stale++;
        else
            session.bulk = bulk;
    }
    return stale;
}
export function reconcile(table, bulk, owned) {
    const stale = [];
    for (const [key, session] of table.forward)
        if ((owned >> session.rg & 1) !== 0 && session.bulk !== bulk)
            stale.push(key);
    for (const key of stale) {
        const session = table.forward.get(key);
        if (session === undefined)
            continue;
        table.forward.delete(key);
        table.reply.delete(session.reply);
    }
    return stale.length;
}
function run(sessions, fraction, repeats) {
    const table = { forward: new Map(), reply: new Map() };
    const every = Math.round(1 / fraction);
    for (let r = 0; r <= repeats; r++) {
        fill(table, sessions);
        const expected = confirm(table, r + 1, every);
        const cpu = process.cpuUsage();
        const began = performance.now();
        const removed = reconcile(table, r + 1, 1);
        const wallNs = (performance.now() - began) * 1e6;
        const { user, system } = process.cpuUsage(cpu);
        if (removed !== expected || table.forward.size !== sessions - expected || table.reply.size !== sessions - expected)
            throw new Error(`${removed} of ${expected} removed`);
        if (r > 0)
            process.stdout.write(`{"sample":"reconcile_map_ns","value":${wallNs}}\n{"sample":"reconcile_map_cpu_ns","value":${(user + system) * 1000}}\n`);
    }
}
if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const [sessions, fraction, repeats] = process.argv.slice(2).map(Number);
    run(sessions ?? 1_000_000, fraction ?? 0.01, repeats ?? 5);
}
//# sourceMappingURL=map-peer.js.map