import { familyOf, formatAddress } from '../../lib/address.js';
import { pointer } from '../issues.js';
import { singleAddress } from './addresses.js';
import { entries } from './context.js';
export function buildSources(b, raw) {
    return new Map(entries(raw).map(([name, entry]) => {
        const path = pointer('/traffic-sources', name);
        const mode = entry.mode ?? 'open';
        const [source = null, destination = null] = ['source', 'destination'].map(key => {
            const value = entry[key];
            if (mode === 'answer') {
                if (value !== undefined)
                    b.issue(pointer(path, key), 'LS_C_CONFLICT', 'a source that answers has no addresses', value, 'mode: open, or no addresses');
                return null;
            }
            if (value === undefined) {
                b.issue(path, 'LS_C_REQUIRED', `${key} is missing`, b.raw(path), `${key}: an address, with mode: open`);
                return null;
            }
            return singleAddress(b, pointer(path, key), value);
        });
        if (source !== null && destination !== null && familyOf(source) !== familyOf(destination)) {
            b.issue(pointer(path, 'destination'), 'LS_C_CONFLICT', 'source and destination are of two address families', entry.destination, `IPv${familyOf(source)}, as source`);
        }
        return [name, {
                name, mode, rate: entry.rate ?? 1000, flows: entry.flows ?? 100, port: entry.port ?? 80, protocol: entry.protocol === 'udp' ? 17 : 6,
                source: source === null ? null : formatAddress(source), destination: destination === null ? null : formatAddress(destination),
            }];
    }));
}
//# sourceMappingURL=sources.js.map