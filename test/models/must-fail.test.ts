/** Each rule of the protocols is needed: without it the search finds an error, so the search can find one. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { describe, findTools, modelsDirectory, readVerdict, verify } from './spin.js'

const tools = await findTools()
const skip = typeof tools === 'string' ? tools : false
const compiler = typeof tools === 'string' ? '' : tools.compiler

for (const file of (await readdir(join(modelsDirectory, 'must_fail'))).sort()) {
  t.test(`must_fail/${file} fails`, { skip }, async t => {
    const verdict = await verify(join('must_fail', file), compiler, 'firstError')
    t.comment(describe(verdict))
    t.ok(verdict.errors >= 1, 'the error was found')
    t.match(verdict.failure, /^assertion violated/, 'a property failed, not the model')
  })
}

t.test('a search that stopped early does not count as exhaustive', async t => {
  const done = 'State-vector 20 byte, depth reached 9, errors: 0\n     1234 states, stored\n'
  t.match(readVerdict(done, 1), { exhaustive: true, errors: 0, states: 1234, failure: '' })
  for (const sign of ['error: max search depth too small', 'Warning: Search not completed', 'pan: out of memory', 'pan: reached -DMEMLIM bound'])
    t.equal(readVerdict(`${sign}\n${done}`, 1).exhaustive, false, sign)
  t.equal(readVerdict(`pan:1: assertion violated (0) (at depth 3)\n${done.replace('errors: 0', 'errors: 1')}`, 1).failure, 'assertion violated (0) (at depth 3)')
  t.throws(() => readVerdict('', 1), /no result/)
})
