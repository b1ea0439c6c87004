/** A short run of the fuzzer with a seed that changes: `node dist/test/fuzz/config.js SECONDS SEED` repeats it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fuzz } from '../../fuzz/config.js';
import { root } from './support.js';
t.test('random changes of the examples give a Desired that compiles, or issues with paths', async (t) => {
    const corpus = readdirSync(join(root, 'examples')).filter(name => name.endsWith('.yaml')).map(name => readFileSync(join(root, 'examples', name), 'utf8'));
    const seed = Date.now() % 2 ** 32;
    const { runs, accepted, finding } = fuzz(corpus, 5, seed);
    t.equal(finding, null, `seed ${seed}: ${JSON.stringify(finding)}`);
    t.comment(`seed ${seed}: ${runs} texts, ${accepted} accepted`);
    t.ok(runs > 10 && accepted >= 0);
});
//# sourceMappingURL=fuzz.test.js.map