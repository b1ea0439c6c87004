/** The fuzzer's corpus, replayed, and a short run with a seed that changes: `node dist/test/fuzz/config.js FOUND SECONDS SEED` repeats it. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { corpusFolder, fuzz, judge, seeds } from '../../fuzz/config.js'
import { root } from './support.js'

t.test('every text of the corpus gives a Desired that compiles, or issues with paths', t => {
  const folder = join(root, corpusFolder)
  const names = readdirSync(folder)
  t.ok(names.length > 0, `${corpusFolder} is not empty`)
  for (const name of names) t.equal(judge(readFileSync(join(folder, name), 'utf8'), null).fault, null, name)
  t.end()
})

t.test('random changes of the examples and the corpus give a Desired that compiles, or issues with paths', async t => {
  const seed = Date.now() % 2 ** 32
  const { runs, accepted, finding } = fuzz(seeds(root), 5, seed)
  t.equal(finding, null, `seed ${seed}: ${JSON.stringify(finding)}`)
  t.comment(`seed ${seed}: ${runs} texts, ${accepted} accepted`)
  t.ok(runs > 10 && accepted > 0)
})
