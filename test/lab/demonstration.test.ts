/** `lockstep lab` itself: it shows, it ends well, it leaves nothing; Ctrl-C in the middle as well. */
import t from 'tap'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { steps } from './steps.js'
import { Background, run } from './shell.js'
import { prefixOf, skipReason } from './support.js'

const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
const skip = await skipReason('curl', 'ping')

const namespaces = async (prefix: string): Promise<string[]> => (await run(['ip', 'netns', 'list'])).stdout.split('\n').filter((l) => l.startsWith(prefix))

t.test('every step is as promised', { skip }, async (t) => {
  const prefix = prefixOf('demo')
  const r = await run([process.execPath, program, 'lab', '--quick', '--json', '--prefix', prefix], { timeoutMs: 140_000 })
  const result = JSON.parse(r.stdout) as { ok: boolean, steps: Array<{ name: string, ok: boolean | null, seconds: number }> }
  t.comment(result.steps.map((s) => `${s.name} ${s.seconds} s`).join(', '))
  t.same(result.steps.filter((s) => s.ok === false).map((s) => s.name), [], r.stdout.slice(0, 3000))
  t.same(result.steps.map((s) => s.name), steps.map((s) => s.name))
  t.match([r.code, result.ok], [0, true])
  t.same(await namespaces(prefix), [])
})

t.test('interrupted, it still cleans up', { skip }, async (t) => {
  const prefix = prefixOf('intr')
  const lab = new Background('lab', null, [process.execPath, program, 'lab', '--quick', '--prefix', prefix])
  await lab.says('agent ready', 60_000)
  await sleep(500)
  lab.child.kill('SIGINT')
  t.equal(await lab.ended, 130, lab.output)
  t.match(lab.output, /the lab is removed/)
  t.same(await namespaces(prefix), [])
})

t.test('quickstart, interrupted while its lab opens, leaves nothing', { skip: skip !== false ? skip : (await namespaces('lockstep-')).length > 0 && 'a quickstart runs on this host: its namespaces have fixed names' }, async (t) => {
  const folder = t.testdir({ tmp: {} })
  const quickstart = new Background('quickstart', null, [process.execPath, program, 'quickstart', '--socket', join(folder, 'agent.sock')], { env: { TMPDIR: join(folder, 'tmp') } })
  while (quickstart.running && (await namespaces('lockstep-')).length === 0) await sleep(20)
  quickstart.child.kill('SIGINT')
  t.equal(await quickstart.ended, 0, quickstart.output)
  t.match(quickstart.output, /^SIGINT: /m)
  t.same(await namespaces('lockstep-'), [])
  t.same(readdirSync(join(folder, 'tmp')), [])
})

t.test('a wrong option says what is possible', async (t) => {
  const r = await run([process.execPath, program, 'lab', '--fast'])
  t.equal(r.code, 2)
  t.match(r.stderr, /--fast.*--quick/)
  t.match((await run([process.execPath, program, 'lab', '--help'])).stdout, /Usage: lockstep lab/)
})
