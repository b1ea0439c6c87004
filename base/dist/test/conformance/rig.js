/** What the suite needs of a backend, and what it makes out of YAML. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IdBook, parseConfig, withIds, formatIssue } from '../../src/config/index.js';
let book = IdBook.empty();
/** YAML -> Desired with ids, as the configuration authority hands it to a backend. Ids stay with their names for the whole run. */
export function desiredOf(text, directory = '/') {
    const { desired, issues } = parseConfig(text, { host: { node: 'n1', stateDir: '/nonexistent/state', socketPath: '/nonexistent/agent.sock' }, directory });
    if (desired === null)
        throw new Error(issues.map(formatIssue).join('\n'));
    book = book.assign(desired);
    return withIds(desired, book);
}
export function scratch() {
    const directory = mkdtempSync(join(tmpdir(), 'ls-conformance-'));
    return { directory, remove: () => { rmSync(directory, { recursive: true, force: true }); } };
}
export const never = new AbortController().signal;
/** Waits for an event of the dataplane; a loaded machine only makes it slower. */
export async function until(what, condition) {
    for (let i = 0; i < 1500; i++) {
        if (await condition())
            return;
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`waited in vain for ${what}`);
}
//# sourceMappingURL=rig.js.map