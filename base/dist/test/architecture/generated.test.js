/** src/generated is what the headers say now. */
import t from 'tap';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from './repo.js';
const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
const has = (tool) => spawnSync(tool, ['--version'], { env: { ...process.env, PATH: path } }).error === undefined;
const missing = ['clang', 'bpftool'].filter((tool) => !has(tool));
const check = (...args) => spawnSync(process.execPath, [join(root, 'scripts/generate.mjs'), '--check', ...args], { encoding: 'utf8' });
t.test('codes.ts and codes.md are fresh', async (t) => {
    const { status, stdout, stderr } = check('--codes');
    t.equal(status, 0, stdout + stderr);
});
t.test('layout.ts is fresh', { skip: missing.length > 0 && `needs ${missing.join(' and ')}` }, async (t) => {
    const { status, stdout, stderr } = check('--layout');
    t.equal(status, 0, stdout + stderr);
});
t.test('the stubs of proto/ are fresh', async (t) => {
    const { status, stdout, stderr } = check('--proto');
    t.equal(status, 0, stdout + stderr);
});
//# sourceMappingURL=generated.test.js.map