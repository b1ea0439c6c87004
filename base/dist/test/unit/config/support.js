/** What the tests of the configuration share. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile } from '../../../src/config/compile/index.js';
import { IdBook } from '../../../src/config/ids.js';
import { formatIssue } from '../../../src/config/issues.js';
import { parseConfig } from '../../../src/config/parse.js';
/** The repository: the nearest folder above with the headers. */
export const root = (() => {
    let at = dirname(fileURLToPath(import.meta.url));
    while (!existsSync(join(at, 'native/include/lockstep')))
        at = dirname(at);
    return at;
})();
export const fixture = (...names) => join(root, 'test/fixtures/config', ...names);
export const options = { host: { node: 'n1', stateDir: '/var/lib/lockstep', socketPath: '/run/lockstep/agent.sock' }, directory: '/etc/lockstep' };
export const read = (text) => parseConfig(text, options);
/** Throws with every issue when the text is refused. */
export function desired(text) {
    const result = read(text);
    if (result.desired === null)
        throw new Error(result.issues.map(formatIssue).join('\n'));
    return result.desired;
}
/** Every port of the configuration exists, in order of name. */
export function factsFor(d, change = {}) {
    return {
        ports: Object.fromEntries(d.ports.map((port, i) => [port.name, { device: i, mac: `02:00:00:00:00:${(i + 1).toString(16).padStart(2, '0')}`, mtu: 1500, ifindex: i + 10, addresses: [], up: true }])),
        ...change,
    };
}
export function compiled(d, rings = {}, now = new Date('2026-06-01T12:00:00Z')) {
    return compile(d, factsFor(d), IdBook.empty().assign(d).table(), rings, now, 7);
}
/** A configuration with two zones to which a test adds. */
export const base = `
interfaces:
  eth0: {zone: inside, addresses: [10.1.0.1/24, "2001:db8:1::1/64"]}
  eth1: {zone: outside, addresses: [192.0.2.1/24, "2001:db8:2::1/64"]}
zones:
  inside: {host-inbound: [ping, ssh]}
  outside: {}
`;
//# sourceMappingURL=support.js.map