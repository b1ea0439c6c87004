/** Names in a filter -> ids of the running configuration; an unknown name is refused with the nearest kind of help. Pure. */
import { LockstepError } from '../contract/errors.js';
const kinds = { domain: 'domain', zoneIn: 'zone', zoneOut: 'zone', policy: 'policy', vip: 'vip', real: 'real', app: 'app' };
export function resolveNamedFilter(named, names) {
    return Object.fromEntries(Object.entries(named).map(([field, name]) => {
        const kind = kinds[field];
        const id = kind === undefined ? null : names.id(kind, name);
        if (id === null) {
            throw new LockstepError('invalid', 'LS_F_NAME', `no such ${kind ?? 'field'}`, { object: `filter.${field}`, found: name, expected: 'a name of the running configuration, or #ID', next: 'lockstep counters shows the names' });
        }
        return [field, id];
    }));
}
//# sourceMappingURL=resolve-filter.js.map