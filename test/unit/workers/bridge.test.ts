/** Calls between threads: errors arrive whole, a cancel reaches the work, order holds, and whoever is gone leaves nobody waiting. */
import t, { type Test } from 'tap'
import { MessageChannel, Worker } from 'node:worker_threads'
import { ConfigError } from '../../../src/config/index.js'
import { LockstepError } from '../../../src/contract/errors.js'
import { answerCalls, Caller, CALLS_MAX } from '../../../src/workers/bridge.js'
import type { PackedError } from '../../../src/workers/errors.js'
import { unpackError } from '../../../src/workers/errors.js'
import type { BridgeCall } from '../../../src/workers/protocol.js'
import { until } from '../../until.js'

interface Calls {
  echo: (value: unknown) => unknown
  fail: (which: number) => Promise<never>
  wait: (name: string, signal: AbortSignal) => Promise<string>
  step: (n: number) => Promise<number>
  [name: string]: (...args: never[]) => unknown
}

const cause = new TypeError('below')
const issue = { path: '/zones/a', line: 3, column: 5, code: 'LS_C_TYPE', message: 'is not a string', found: '7', expected: 'a string' }
const errors: readonly Error[] = [
  new LockstepError('stale', 'LS_C_STALE', 'another runs', { object: 'config', found: '7', expected: '8', next: 'look' }, cause),
  new LockstepError('exhausted', 'LS_E_FULL', 'full'),
  new ConfigError([issue, { ...issue, line: null, column: null }], 'unsupported', 'LS_C_X'),
  new TypeError('x is undefined')
]

function pair (t: Test, over: Partial<Calls> = {}): { readonly caller: Caller<Calls>, readonly pushed: unknown[], readonly push: (value: unknown) => void, readonly seen: AbortSignal[], readonly close: () => void } {
  const { port1, port2 } = new MessageChannel()
  const pushed: unknown[] = []
  const seen: AbortSignal[] = []
  const answering = answerCalls<Calls>(port1, {
    echo: (value) => value,
    fail: async (which) => { throw errors[which] ?? new Error('no such error') },
    wait: async (name, signal) => {
      seen.push(signal)
      await new Promise<void>((resolve) => { signal.addEventListener('abort', () => { resolve() }) })
      throw signal.reason as Error
    },
    step: async (n) => {
      answering.push(n)
      return await Promise.resolve(n)
    },
    ...over
  } as Calls)
  const caller = new Caller<Calls>(port2, (value) => { pushed.push(value) })
  t.teardown(() => { answering.close(); caller.close() })
  return { caller, pushed, push: answering.push, seen, close: answering.close }
}
t.test('values cross as they are', async (t) => {
  const { caller } = pair(t)
  for (const value of [null, 0, 'text', 7n, [1, { a: null }], new Uint8Array([1, 2]), Infinity]) t.strictSame(await caller.call('echo', [value]), value)
  t.equal(await caller.call('echo', [undefined]), undefined)
  await t.rejects(caller.call('echo', [() => 1]), { name: 'DataCloneError' }, 'what cannot cross is the caller\'s mistake')
  await t.rejects(caller.call('constructor' as 'echo', [1]), { errorClass: 'bug', code: 'LS_E_BUG', message: /no such call/ }, 'only what is offered can be called')
})

t.test('errors keep class, code, fields, issues, text, stack and cause', async (t) => {
  const { caller } = pair(t)
  for (const [which, sent] of errors.entries()) {
    const got = await caller.call('fail', [which]).then(() => { throw new Error('was not refused') }, (error: Error) => error)
    t.equal(got.message, sent.message)
    t.equal(got.name, sent.name)
    t.equal(got.stack, sent.stack)
    t.equal(got instanceof LockstepError, sent instanceof LockstepError)
    if (!(sent instanceof LockstepError) || !(got instanceof LockstepError)) continue
    t.equal(got.errorClass, sent.errorClass)
    t.equal(got.code, sent.code)
    t.same(got.detail, sent.detail)
    t.equal(got instanceof ConfigError, sent instanceof ConfigError)
    if (sent instanceof ConfigError) t.same((got as ConfigError).issues, sent.issues)
    if (sent.cause !== undefined) t.match(got.cause, { name: 'TypeError', message: 'below' })
  }
})

t.test('a cancel reaches the work with its reason; the answer is still the truth', async (t) => {
  const { caller, seen } = pair(t)
  const abort = new AbortController()
  const call = caller.call('wait', ['one'], abort.signal)
  await until('the call to arrive', () => seen.length === 1)
  abort.abort(new LockstepError('unavailable', 'LS_E_CANCELLED', 'the caller cancelled'))
  await t.rejects(call, { code: 'LS_E_CANCELLED', errorClass: 'unavailable' })
  t.match(seen[0]?.reason, { code: 'LS_E_CANCELLED' })
  await t.rejects(caller.call('wait', ['two'], abort.signal), { code: 'LS_E_CANCELLED' })
  t.equal(seen.length, 1, 'cancelled before: never sent')
  const late = new AbortController()
  const done = pair(t, { wait: async (name, signal) => { await new Promise((resolve) => { signal.addEventListener('abort', resolve) }); return `${name} was done` } })
  const finished = done.caller.call('wait', ['it'], late.signal)
  await new Promise((resolve) => setTimeout(resolve, 10))
  late.abort(new Error('too late'))
  t.equal(await finished, 'it was done')
})

t.test('what was pushed before an answer is there when the answer is', async (t) => {
  const { caller, pushed } = pair(t)
  await Promise.all(Array.from({ length: 200 }, async (_, n) => {
    t.equal(await caller.call('step', [n]), n)
    t.ok(pushed.includes(n))
  }))
  t.strictSame(pushed, Array.from({ length: 200 }, (_, n) => n), 'in order')
})

t.test('the side that answers is gone: every call ends at once, also later ones', async (t) => {
  const { caller, seen, close } = pair(t)
  const calls = [caller.call('wait', ['a'], new AbortController().signal), caller.call('wait', ['b'], new AbortController().signal)]
  const ends = Promise.allSettled(calls)
  await until('both', () => seen.length === 2)
  close()
  for (const end of await ends) t.match(end, { status: 'rejected', reason: { errorClass: 'unavailable', code: 'LS_R_THREAD_GONE' } })
  await t.rejects(caller.call('echo', [1]), { code: 'LS_R_THREAD_GONE' })
})

t.test('the thread that asked dies: its work is aborted', async (t) => {
  const { port1, port2 } = new MessageChannel()
  const seen: AbortSignal[] = []
  const answering = answerCalls(port1, { wait: async (signal: AbortSignal) => { seen.push(signal); await new Promise(() => {}) } })
  const call: BridgeCall = { kind: 'call', id: 1, name: 'wait', args: [] }
  const worker = new Worker('const { workerData } = require("worker_threads"); workerData.port.postMessage(workerData.call); setInterval(() => {}, 1000)', { eval: true, workerData: { port: port2, call }, transferList: [port2] })
  await until('the call', () => seen.length === 1)
  t.equal(seen[0]?.aborted, false)
  await worker.terminate()
  await until('the abort', () => seen[0]?.aborted === true)
  t.match(seen[0]?.reason, { errorClass: 'unavailable' })
  answering.close()
})

t.test('calls under way have an end', async (t) => {
  const { caller, close } = pair(t)
  const calls = Promise.allSettled(Array.from({ length: CALLS_MAX }, async () => await caller.call('wait', ['x'], new AbortController().signal)))
  await t.rejects(caller.call('echo', [1]), { errorClass: 'exhausted', code: 'LS_R_TOO_MANY', message: new RegExp(`at most ${CALLS_MAX}`) })
  close()
  await calls
})

t.test('a chain of causes is cut, not followed for ever', async (t) => {
  const round = new Error('round')
  round.cause = round
  const { caller } = pair(t, { fail: async () => { throw round } })
  const got = await caller.call('fail', [0]).catch((error: Error) => error)
  let depth = 0
  for (let at: unknown = got; at instanceof Error; at = at.cause) depth++
  t.ok(depth > 1 && depth < 10)
  t.equal(unpackError({ name: 'Error', message: 'plain', stack: null, typed: null, cause: null } satisfies PackedError).message, 'plain')
})
