import { LockstepError } from '../contract/errors.js';
import { closeReason, column, phase } from '../generated/codes.js';
import { fromNative, native } from './errors.js';
import { packFilter, parseSessionId } from './filter.js';
import { deleteBytes, recordBytes, rowOf } from './records.js';
const BATCH_ROWS = 32768;
/** One synchronous scan holds the thread at most this long. */
const SCAN_MAX_NS = 8_000_000;
const ADMIN = closeReason.findIndex(r => r.name === 'admin');
export function createSessionStore(table, timeouts) {
    return {
        get: async (id) => await get(table, id, timeouts),
        list: (filter, columns, cursor, maxRows) => list(table, packFilter(filter), columns, cursor, maxRows),
        count: async (filter) => await rejecting(() => table.count(packFilter(filter))),
        forEachBatch: (filter, columns, signal) => batches(table, filter, columns, signal),
        install: (records, status) => native(() => table.install(records, recordBytes, status, false)),
        putClusterSynced: (records, status) => native(() => table.install(records, recordBytes, status, true)),
        deleteById: async (deletes) => deleted(await rejecting(() => table.deleteIds(whole(deletes)))),
        deleteByFilter: async (filter, signal) => {
            signal.throwIfAborted();
            return deleted(await rejecting(() => table.deleteFilter(packFilter(filter), ADMIN)));
        },
        bulkBegin: () => { native(() => { table.bulkBegin(); }); },
        reconcileClusterBulk: async ({ peerOwned, began, sourceFailed }) => {
            const r = await rejecting(() => table.reconcile(peerOwned, began, sourceFailed));
            if (r.status !== 'LS_OK') {
                throw new LockstepError('invalid', r.status, 'nothing was reconciled', { object: 'bulk', found: began ? 'the source failed' : 'an end without a begin', expected: 'a bulk that began and was read whole' });
            }
            return { scanned: r.scanned, stale: r.stale, deleted: r.deleted, walkMs: r.walkNs / 1e6, clearMs: r.clearNs / 1e6, graceMs: r.graceNs / 1e6 };
        },
        verify: async () => {
            const r = await rejecting(() => table.verify());
            return {
                ok: r.faults.length === 0, slots: r.slots, live: r.live, creating: r.creating, dying: r.dying, dead: r.dead, free: r.free, entries: r.entries,
                faults: r.faults.map(f => ({ name: f.name, count: f.count, first: `slot ${f.first}` })), durationMs: r.durationNs / 1e6
            };
        }
    };
}
const deleted = (r) => ({ matched: r.matched, deleted: r.deleted });
/** A remainder would be a delete that silently does not happen. */
function whole(deletes) {
    if (deletes.length % deleteBytes === 0)
        return deletes;
    throw new LockstepError('invalid', 'LS_E_RECORD', 'the deletes end inside a row', { object: 'deletes', found: `${deletes.length} bytes`, expected: `a multiple of ${deleteBytes}` });
}
async function rejecting(work) {
    try {
        return await work();
    }
    catch (error) {
        throw fromNative(error);
    }
}
async function get(table, id, timeouts) {
    parseSessionId(id);
    const filter = packFilter({ id });
    const out = new Uint8Array(recordBytes);
    for (let cursor = 0; cursor !== null;) {
        const at = cursor;
        const step = native(() => table.scanRecords(filter, at, out, SCAN_MAX_NS), { object: `session ${id}` });
        if (step.rows > 0)
            return rowOf(new DataView(out.buffer), 0, timeouts);
        cursor = step.cursor;
        await new Promise(resolve => { setImmediate(resolve); });
    }
    return null;
}
const wantedCache = new Map();
/** Columns come back in the order of column.def, whatever order they were asked in. */
function wantedOf(names) {
    const id = names.join(' ');
    const known = wantedCache.get(id);
    if (known !== undefined)
        return known;
    let mask = 0;
    for (const name of names) {
        const i = column.findIndex(c => c.name === name);
        if (i < 0)
            throw new LockstepError('invalid', 'LS_S_COLUMN', 'no such column', { object: 'columns', found: name, expected: column.map(c => c.name).join(' ') });
        mask |= 1 << i;
    }
    const parts = column.filter((_, i) => (mask >>> i & 1) === 1).map(c => ({ name: c.name, bytes: c.bytes }));
    const wanted = { mask: mask >>> 0, width: parts.reduce((sum, c) => sum + c.bytes, 0), parts };
    if (wantedCache.size < 256)
        wantedCache.set(id, wanted);
    return wanted;
}
function list(table, filter, columns, cursor, maxRows) {
    const wanted = wantedOf(columns);
    const rowsMax = Math.max(1, Math.min(maxRows, BATCH_ROWS));
    const out = new Uint8Array(wanted.width * rowsMax);
    const step = native(() => table.scanColumns(filter, wanted.mask, cursor, out, rowsMax, SCAN_MAX_NS));
    const map = new Map();
    let at = 0;
    for (const { name, bytes } of wanted.parts) {
        map.set(name, out.subarray(at, at + bytes * step.rows));
        at += bytes * rowsMax;
    }
    return { rows: step.rows, columns: map, cursor: step.cursor };
}
async function* batches(table, filter, columns, signal) {
    const packed = packFilter(filter);
    for (let cursor = 0; cursor !== null;) {
        signal.throwIfAborted();
        const batch = list(table, packed, columns, cursor, BATCH_ROWS);
        cursor = batch.cursor;
        if (batch.rows > 0)
            yield batch;
        await new Promise(resolve => { setImmediate(resolve); });
    }
}
export const phaseNames = phase.map(p => p.name);
//# sourceMappingURL=session-store.js.map