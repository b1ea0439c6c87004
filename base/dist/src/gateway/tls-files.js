/** The three files of mutual TLS, read while the process may still read them, and again when asked. */
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { LockstepError } from '../contract/errors.js';
/** `null` when no file is named. @throws invalid when one of three is missing or does not load. */
export function readTls(paths) {
    const named = ['cert', 'key', 'ca'].filter((name) => paths[name] !== undefined);
    if (named.length === 0)
        return null;
    const read = (name) => {
        const path = paths[name];
        if (path === undefined) {
            throw new LockstepError('invalid', 'LS_G_TLS', 'mutual TLS needs three files', { object: `--tls-${name}`, found: 'nothing', expected: '--tls-cert, --tls-key and --tls-ca' });
        }
        try {
            return readFileSync(path);
        }
        catch (cause) {
            throw new LockstepError('invalid', 'LS_G_TLS', 'the file cannot be read', { object: path, found: cause.code ?? String(cause) }, cause);
        }
    };
    const settings = { cert: read('cert'), key: read('key'), ca: read('ca'), requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' };
    try {
        createSecureContext(settings);
    }
    catch (cause) {
        throw new LockstepError('invalid', 'LS_G_TLS', 'the TLS files do not fit together', { object: named.map((name) => paths[name]).join(' '), found: cause.message }, cause);
    }
    return settings;
}
//# sourceMappingURL=tls-files.js.map