/** Certificates for one test run, made with the openssl command line tool in a directory of the test. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
export const hasOpenssl = () => {
    try {
        execFileSync('openssl', ['version'], { stdio: 'ignore' });
        return true;
    }
    catch {
        return false;
    }
};
const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
export function createAuthority(directory, name = 'ca') {
    const at = (file) => join(directory, file);
    const run = (...args) => { execFileSync('openssl', args, { stdio: 'pipe' }); };
    run('req', '-x509', ...curve, '-keyout', at(`${name}.key`), '-out', at(`${name}.crt`), '-days', '2', '-subj', `/CN=${name}`);
    return {
        ca: at(`${name}.crt`),
        issue: (who, subject) => {
            run('req', ...curve, '-keyout', at(`${who}.key`), '-out', at(`${who}.csr`), '-subj', subject);
            writeFileSync(at(`${who}.ext`), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
            run('x509', '-req', '-in', at(`${who}.csr`), '-CA', at(`${name}.crt`), '-CAkey', at(`${name}.key`), '-CAcreateserial', '-out', at(`${who}.crt`), '-days', '2', '-extfile', at(`${who}.ext`));
            return { cert: at(`${who}.crt`), key: at(`${who}.key`) };
        }
    };
}
export const read = (path) => readFileSync(path);
//# sourceMappingURL=certificates.js.map