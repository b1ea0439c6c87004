/** What is told of a refused program. The log is a kernel's, of a program that read a field its type does not have. */
import t from 'tap'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { objection, withLog } from '../../../src/backend/ebpf/verifier-log.js'
import { LockstepError } from '../../../src/contract/errors.js'

const log = readFileSync(new URL('../../../../test/fixtures/verifier/refused.txt', import.meta.url), 'utf8')

t.test('the useful part: the objection last, the instructions that led to it before, no statistics', async (t) => {
  const lines = objection(log).split('\n')
  t.equal(lines.at(-1), 'invalid bpf_context access off=40 size=4')
  t.ok(lines.length > 3 && lines.length < 12)
  t.notMatch(objection(log), /processed/)
  t.equal(objection(''), '')
})

t.test('the error names the file that has all of it; where none can be written it says so', async (t) => {
  const refused = new LockstepError('unsupported', 'LS_E_UNSUPPORTED', 'the kernel refuses the program')
  const directory = t.testdir({})
  const told = withLog(refused, log, directory) as LockstepError
  t.match(told.message, /invalid bpf_context access/)
  t.match(told.message, join(directory, 'verifier.log'))
  t.equal(told.errorClass, 'unsupported')
  t.equal(readFileSync(join(directory, 'verifier.log'), 'utf8'), log)
  t.match((withLog(refused, log, join(directory, 'none')) as LockstepError).message, /is in nowhere, ENOENT/)
})

t.test('other errors stay as they are', async (t) => {
  const busy = new LockstepError('unavailable', 'LS_E_BUSY', 'taken')
  t.equal(withLog(busy, log, '/'), busy)
  const silent = new LockstepError('unsupported', 'LS_E_UNSUPPORTED', 'no')
  t.equal(withLog(silent, '', '/'), silent)
  const other = new Error('x')
  t.equal(withLog(other, log, '/'), other)
})
