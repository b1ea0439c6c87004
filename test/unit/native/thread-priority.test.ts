/** A thread's nice value is its own. */
import t from 'tap'
import { once } from 'node:events'
import { getPriority } from 'node:os'
import { Worker } from 'node:worker_threads'

const module = new URL('../../../src/lib/thread-priority.js', import.meta.url).href

t.test('one thread goes behind others, and the rest of the process stays', async (t) => {
  const before = getPriority()
  const worker = new Worker(`
    import { readlinkSync } from 'node:fs'
    import { getPriority } from 'node:os'
    import { basename } from 'node:path'
    import { parentPort } from 'node:worker_threads'
    import { nice } from '${module}'
    const mine = () => getPriority(Number(basename(readlinkSync('/proc/thread-self'))))
    const from = mine()
    parentPort.postMessage([nice(1), from, mine(), nice(100), mine()])
  `.replaceAll(/import (.*) from '(.*)'/g, "const $1 = await import('$2')").replace(/^/, '(async () => {').concat('})()'), { eval: true })
  const [[may, from, to, again, last]] = await once(worker, 'message') as [[boolean, number, number, boolean, number]]
  t.same([may, from, to], [true, before, Math.min(19, before + 1)])
  t.same([again, last], [true, 19], 'at most the last')
  t.equal(getPriority(), before)
  await worker.terminate()
})
