/** Misuse of the addon ends in a typed error, never in a crash: each case in a process of its own. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { plain } from '../../agent/agent-process.js';
import { cases } from './misuse-cases.js';
const script = fileURLToPath(new URL('./misuse-cases.js', import.meta.url));
async function run(name) {
    const [command = '', ...args] = [...plain, process.execPath, '--expose-gc', script, name];
    // some misuse is a path: what it makes is made here
    const cwd = mkdtempSync(join(tmpdir(), 'ls-misuse-'));
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => { stdout += text; });
    child.stderr.setEncoding('utf8').on('data', (text) => { stderr += text; });
    return await new Promise((resolve, reject) => {
        child.on('error', reject);
        child.on('close', (code, signal) => {
            rmSync(cwd, { recursive: true, force: true });
            resolve({ code, signal, stdout, stderr });
        });
    });
}
t.jobs = 2;
for (const name of Object.keys(cases)) {
    t.test(name, async (t) => {
        const { code, signal, stdout, stderr } = await run(name);
        t.same({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
        const outcome = JSON.parse(stdout === '' ? 'null' : stdout);
        t.same(outcome?.odd, [], 'every refusal is a TypeError or has a code of ours');
        if (outcome?.faults !== undefined)
            t.same(outcome.faults, [], 'the table is whole');
        t.comment(JSON.stringify({ refused: outcome?.refused, accepted: outcome?.accepted }));
    });
}
//# sourceMappingURL=misuse.test.js.map