/** Epochs on disk: what is read is what was written, and what cannot be read is said and owns nothing. */
import t from 'tap'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { EpochFile } from '../../../src/workers/epochs.js'

t.test('no file: this node has no state, which is no problem to tell', async (t) => {
  const { epochs, problem } = await EpochFile.open(t.testdir())
  t.same([epochs, problem], [null, null])
})

t.test('what was written is read again, the highest of each group, whole after each write', async (t) => {
  const directory = join(t.testdir(), 'state')
  const { file } = await EpochFile.open(directory)
  await Promise.all([file.write(0, 257n), file.write(3, 2n ** 62n + 5n), file.write(0, 513n), file.write(0, 258n)])
  t.notOk(existsSync(join(directory, 'epochs.json.next')))
  t.same((await EpochFile.open(directory)).epochs, new Map([[0, 513n], [3, 2n ** 62n + 5n]]))
  const again = await EpochFile.open(directory)
  await again.file.write(3, 2n ** 62n + 6n)
  t.same((await EpochFile.open(directory)).epochs?.get(0), 513n, 'a later life keeps the others')
})

for (const [what, text] of [
  ['empty', ''], ['cut in the middle', '{"0":"25'], ['a list', '[1]'], ['null', 'null'], ['a number for an epoch', '{"0":257}'], ['words', '{"0":"many"}'], ['a negative one', '{"0":"-1"}'], ['a group that is none', '{"x":"1"}']
] as const) t.test(`a file that is ${what}: said, and as if there were none`, async (t) => {
  const directory = t.testdir({ 'epochs.json': text })
  const { epochs, problem, file } = await EpochFile.open(directory)
  t.equal(epochs, null)
  t.match(problem, /epochs\.json cannot be read .*longest lease/)
  await file.write(0, 257n)
  t.same((await EpochFile.open(directory)).epochs, new Map([[0, 257n]]), 'the next write mends it')
})

t.test('a write that fails says so, and the next one is tried', async (t) => {
  const directory = t.testdir()
  const { file } = await EpochFile.open(directory)
  mkdirSync(join(directory, 'epochs.json.next'))
  await t.rejects(file.write(0, 257n))
  await t.rejects(file.write(0, 513n))
  t.notOk(existsSync(join(directory, 'epochs.json')), 'nothing is half there')
  rmSync(join(directory, 'epochs.json.next'), { recursive: true })
  await file.write(1, 1n)
  t.same(JSON.parse(readFileSync(join(directory, 'epochs.json'), 'utf8')), { 0: '513', 1: '1' })
})
