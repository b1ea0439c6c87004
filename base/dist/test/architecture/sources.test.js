/** native/sources.gypi is the one source list: what it names exists, what exists is named, and both builds can read it. */
import t from 'tap';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { filesBelow, read, root } from './repo.js';
const lists = JSON.parse(read('native/sources.gypi')).variables;
const named = Object.entries(lists).filter(([name]) => name.endsWith('_sources')).flatMap(([, files]) => files);
t.test('every listed source exists', async (t) => t.same(named.filter((file) => !existsSync(join(root, file))), []));
t.test('every native source file is listed', async (t) => {
    t.same(filesBelow('native', ['.c', '.cc']).filter((file) => !named.includes(file)), []);
});
t.test('no source is listed twice in one list', async (t) => {
    for (const [name, files] of Object.entries(lists))
        t.equal(new Set(files).size, files.length, name);
});
t.test('list names do not end in what gyp takes for a path', async (t) => {
    t.same(Object.keys(lists).filter((name) => /_(dir|file|path)s?$/.test(name)), []);
});
t.test('core is the first addon in the alphabet: node-gyp-build takes the first', async (t) => {
    const targets = [...read('binding.gyp').replace(/^\s*#.*$/gm, '').matchAll(/"target_name": "(\w+)", *\n? *(?!"type": "executable")/g)].map((match) => match[1]);
    t.equal([...targets].sort()[0], 'core');
});
//# sourceMappingURL=sources.test.js.map