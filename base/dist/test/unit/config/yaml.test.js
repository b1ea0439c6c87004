/** Hostile text ends in issues, quickly: never in an exception, a hang or a polluted prototype. */
import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { readYaml } from '../../../src/config/yaml.js';
import { fixture, read } from './support.js';
/** What must be said about a fixture; those not listed here must only be refused. `null` = accepted. */
const verdicts = {
    'billion-laughs.yaml': /too many values/,
    'self-alias.yaml': /inside its own anchor/,
    'alias-in-key.yaml': /key must be a short plain value/,
    'merge-key.yaml': /unknown key/,
    'not-utf8.yaml': /offset 13/,
    'nul.yaml': /control character/,
    'bom.yaml': null,
    'crlf.yaml': null,
    'empty.yaml': null,
    'comment-only.yaml': null,
    'null.yaml': null,
    'deep-flow.yaml': /nested too deeply/,
    'deep-block.yaml': /nested too deeply/,
    'duplicate-keys.yaml': /given twice/,
    'two-documents.yaml': /multiple documents/i,
    'shared-anchors.yaml': /two policies have one name/,
};
for (const name of readdirSync(fixture('hostile')).sort()) {
    t.test(`hostile/${name}`, async (t) => {
        const start = performance.now();
        const { desired, issues } = read(readFileSync(fixture('hostile', name)));
        t.ok(performance.now() - start < 15_000, 'answered in time');
        const verdict = verdicts[name];
        if (verdict === null)
            return t.same(issues, []);
        t.equal(desired, null);
        t.ok(issues.length > 0);
        for (const issue of issues)
            t.ok(issue.message !== '' && issue.expected !== '' && (issue.path === '' || issue.path.startsWith('/')), issue.path);
        if (verdict !== undefined)
            t.match(issues.map(i => `${i.code} ${i.message}: ${i.found}`).join('\n'), verdict);
        t.equal({}['polluted'], undefined);
    });
}
const quick = (what, text, says) => {
    t.test(what, async (t) => {
        const start = performance.now();
        const { desired, issues } = read(text);
        const ms = performance.now() - start;
        t.equal(desired, null);
        t.match(issues.map(i => i.message).join('\n'), says);
        t.ok(ms < 30_000, `${ms.toFixed(0)} ms`);
    });
};
const mib4 = 4 * 1024 * 1024;
quick('more than 4 MiB is not even decoded', new Uint8Array(mib4 + 1).fill(0x20), /too large/);
quick('four million brackets', '['.repeat(mib4), /nested too deeply/);
quick('two million dashes', '- '.repeat(mib4 / 2), /nested too deeply/);
quick('two million question marks', '? '.repeat(mib4 / 2), /nested too deeply/);
quick('many keys: the search for duplicates is not quadratic', Array.from({ length: 30_000 }, (_, i) => `k${i}: 1`).join('\n'), /unknown key|too many values/);
quick('many anchors and aliases', Array.from({ length: 20_000 }, (_, i) => `- &a${i} x\n- *a${i}`).join('\n'), /wrong type|too many values/);
quick('one long line', `zones: "${'x'.repeat(3_000_000)}"`, /wrong type/);
quick('many errors of syntax', 'a: b: c\n'.repeat(30_000), /./);
quick('only quotes', '"'.repeat(200_000), /./);
quick('only directives', '%\n'.repeat(100_000), /./);
quick('only tags', '!'.repeat(200_000), /./);
quick('deep indentation of keys', Array.from({ length: 2000 }, (_, i) => `${' '.repeat(i)}k:`).join('\n'), /nested too deeply/);
quick('a dash at every indentation', Array.from({ length: 1500 }, (_, i) => `${' '.repeat(i)}-`).join('\n'), /nested too deeply/);
t.test('numbers and texts are those of YAML 1.2', async (t) => {
    t.same({ ...readYaml('a: on\nb: 0x10\nc: 08:30\nd: no\ne: 1_000\nf: ~\n').value }, { a: 'on', b: 16, c: '08:30', d: 'no', e: '1_000', f: null });
});
t.test('places: line and column of keys and items, also behind anchors', async (t) => {
    const { locate } = readYaml('zones:\n  a: {}\n  b:\n    - x\n    - y\n');
    t.same(locate('/zones/b/1'), { line: 5, column: 7 });
    t.same(locate('/zones/a'), { line: 2, column: 3 });
    t.same(locate('/zones/nothing'), { line: 1, column: 1 }, 'the nearest parent');
});
//# sourceMappingURL=yaml.test.js.map