/** The pool that reads configurations: whoever gives up, at whatever moment, costs a job and never the process. */
import t from 'tap'
import { LockstepError } from '../../src/contract/errors.js'
import { startPool } from '../../src/workers/pool.js'
import { idle } from './agent-process.js'

const options = { host: { node: 'n1', stateDir: '/nonexistent/state', socketPath: '/nonexistent/agent.sock' } }
const never = new AbortController().signal
const large = `${idle()}address-book:\n${Array.from({ length: 8000 }, (_, i) => `  a${i}: [10.0.0.${i & 255}]`).join('\n')}\n`

t.test('closed at once, and at any moment while its threads load', async t => {
  for (const delay of [0, 20, 60, 100, 150, 200]) {
    const pool = startPool()
    const jobs = Promise.allSettled([1, 2, 3].map(async () => await pool.reader.read({ text: idle(), options, capabilities: [] }, never)))
    await new Promise(resolve => setTimeout(resolve, delay))
    await pool.close()
    await jobs
  }
  t.pass('the process lives')
})

t.test('a job that is given up ends with the reason of who gave up; others go on', async t => {
  const pool = startPool()
  for (const delay of [0, 10, 50, 200]) {
    const abort = new AbortController()
    const given = pool.reader.check({ text: large, from: large, options, capabilities: [] }, abort.signal)
    const kept = pool.reader.read({ text: idle(), options, capabilities: [] }, never)
    setTimeout(() => { abort.abort(new LockstepError('unavailable', 'LS_E_CANCELLED', 'enough')) }, delay)
    const end = await given.then(() => null, (error: unknown) => error)
    if (end !== null) t.match(end, { code: 'LS_E_CANCELLED', errorClass: 'unavailable' })
    t.not((await kept).desired, null)
  }
  await t.rejects(pool.reader.read({ text: idle(), options, capabilities: [] }, AbortSignal.abort(new Error('before'))), /before/)
  await pool.close()
})

t.test('what a text is wrong about comes back whole, with its places', async t => {
  const pool = startPool()
  const read = await pool.reader.read({ text: 'zones: {a: {}}\nzoness: {}\n', options, capabilities: [] }, never)
  t.match(read, { desired: null, issues: [{ path: '/zoness', line: 2, code: 'LS_C_UNKNOWN_KEY' }] })
  t.match(await pool.reader.locate({ text: 'zones:\n  a: {}\n', options, issues: [{ path: '/zones/a', line: null, column: null, code: 'LS_C_LIMIT', message: 'm', found: 'f', expected: 'e' }] }, never), [{ path: '/zones/a', line: 2 }])
  t.match(await pool.reader.check({ text: 'zones: {a: {}, b: {}}\n', from: 'zones: {a: {}}\n', options, capabilities: [] }, never), { ok: true, plan: [{ action: 'add', kind: 'zone', name: 'b' }] })
  t.equal(await pool.reader.compare({ text: 'zones: {a: {}}\n', from: '[', options, capabilities: [] }, never), null)
  await pool.close()
})
