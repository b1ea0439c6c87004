/**
 * Maglev rings in the table's arena: two places per VIP, the one in force and the next. A ring is built off the main thread from the one in
 * force with the fewest moves, written to the idle place, and comes into force with the configuration flip that names it (R14).
 */
import { LockstepError } from '../../contract/errors.js';
import { native } from '../../native/errors.js';
import { packReals } from '../../native/maglev.js';
import { limits } from '../../generated/layout.js';
const elementsOf = (size) => Math.ceil(size / limits.LS_RING_ELEMENT);
export class RingArena {
    core;
    table;
    places = new Map();
    /** Free stretches, by start. Element 0 stays unused, so that 0 means no ring. */
    free;
    constructor(core, table) {
        this.core = core;
        this.table = table;
        this.free = [{ at: 1, count: table.info().arenaElements - 1 }];
    }
    /** Writes what changed and says where each ring is; nothing is in force until commit(). */
    async prepare(wanted) {
        const rings = {};
        const commits = [];
        const taken = [];
        const kept = new Set();
        const undo = () => { for (const place of taken.splice(0))
            this.release(place); };
        try {
            for (const want of wanted) {
                if (want.reals.length === 0)
                    continue;
                kept.add(want.vip);
                const known = this.places.get(want.vip);
                const place = known?.size === want.size ? known : this.take(want, taken);
                const built = await this.core.maglev(packReals(want.reals), want.size, place.ring);
                const same = place.ring !== null && built.hash === place.hash;
                const next = same ? place.active : (place.active === 0 ? 1 : 0);
                const element = place.elements[next];
                if (!same)
                    native(() => { this.table.writeArena(element, built.ring); }, { object: `vip ${want.vip}` });
                rings[want.vip] = { element, entries: want.size };
                commits.push(() => {
                    if (known !== undefined && known !== place)
                        this.release(known);
                    place.active = next;
                    place.ring = built.ring;
                    place.hash = built.hash;
                    this.places.set(want.vip, place);
                });
            }
        }
        catch (error) {
            undo();
            throw error;
        }
        return {
            rings,
            undo,
            commit: () => {
                for (const run of commits)
                    run();
                for (const [vip, place] of this.places) {
                    if (kept.has(vip))
                        continue;
                    this.release(place);
                    this.places.delete(vip);
                }
            }
        };
    }
    readBack() {
        return [...this.places].map(([vip, place]) => {
            const ring = new Uint8Array(place.size * 2);
            native(() => { this.table.readArena(place.elements[place.active], ring); }, { object: `vip ${vip}` });
            const view = new Uint16Array(ring.buffer);
            const entries = new Map();
            for (const real of view)
                entries.set(real, (entries.get(real) ?? 0) + 1);
            return { vip, size: place.size, hash: place.hash, entries };
        });
    }
    take(want, taken) {
        const count = elementsOf(want.size);
        const first = this.stretch(count, want);
        let second;
        try {
            second = this.stretch(count, want);
        }
        catch (error) {
            this.give(first, count);
            throw error;
        }
        const place = { size: want.size, elements: [first, second], active: 1, ring: null, hash: 0n };
        taken.push(place);
        return place;
    }
    stretch(count, want) {
        const found = this.free.find(f => f.count >= count);
        if (found === undefined) {
            throw new LockstepError('exhausted', 'LS_B_ARENA', 'no room for the ring', { object: `vip ${want.vip}`, found: `${want.size} entries`, expected: `at most ${Math.max(0, ...this.free.map(f => f.count)) * limits.LS_RING_ELEMENT}`, next: 'choose a smaller ring-size for some VIPs' });
        }
        const at = found.at;
        found.at += count;
        found.count -= count;
        return at;
    }
    release(place) { for (const at of place.elements)
        this.give(at, elementsOf(place.size)); }
    give(at, count) {
        this.free = [...this.free, { at, count }].sort((a, b) => a.at - b.at).reduce((out, f) => {
            const last = out.at(-1);
            if (last !== undefined && last.at + last.count === f.at)
                last.count += f.count;
            else if (f.count > 0)
                out.push({ ...f });
            return out;
        }, []);
    }
}
//# sourceMappingURL=rings.js.map