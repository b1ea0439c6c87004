/** `127.0.0.1:50461`, `[::1]:50461`, `off` -> where to listen; and what counts as loopback. */
import { isIP } from 'node:net';
import { LockstepError } from '../contract/errors.js';
/** @throws invalid for anything but a literal address with a port: a name could resolve to more than one asked for. */
export function parseListen(option, text) {
    if (text === 'off')
        return null;
    const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
    const host = match?.[1] ?? match?.[2] ?? '';
    const named = host === 'localhost' ? '127.0.0.1' : host;
    const port = Number(match?.[3] ?? NaN);
    if (isIP(named) === 0 || !(port >= 0 && port <= 65535)) {
        throw new LockstepError('invalid', 'LS_G_ADDRESS', 'not an address to listen on', { object: option, found: text, expected: 'ADDRESS:PORT, for example 127.0.0.1:50461 or [::1]:50461, or off' });
    }
    return { host: named, port, loopback: named === '::1' || named.startsWith('127.') };
}
//# sourceMappingURL=listen-address.js.map