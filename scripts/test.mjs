// `npm test`: everything a contributor or CI needs to know. Order: setup, lint, native tests, tap over the compiled tests.
// Arguments go to tap; a named test file (source or compiled) runs alone, without lint and native tests:
//   npm test -- test/unit/wire.test.ts
// The last line is always `N passed, N failed, N skipped`: tap's own totals, plus the native tests, plus one for lint.
import { spawn } from 'node:child_process'
import { createWriteStream, existsSync, mkdirSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { main, root, say, step } from './lib/common.mjs'
import { setup } from './setup.mjs'
import { nativeTest } from './native-test.mjs'

const total = { passed: 0, failed: 0, skipped: 0 }
const add = (part) => Object.keys(total).forEach((key) => (total[key] += part[key] ?? 0))

/** A stage that throws counts as one failure and does not hide the stages after it. */
async function stage(work) {
  try {
    add(await work())
  } catch (error) {
    say(error.message)
    add({ failed: 1 })
  }
}

async function lint() {
  await step('lint', process.execPath, [join(root, 'node_modules/eslint/bin/eslint.js'), '--cache', '--cache-location', 'node_modules/.cache/eslint/', '.'])
  return { passed: 1 }
}

const tapProgram = join(root, 'node_modules/tap/dist/esm/run.mjs')

/** tap keeps its set of plugins inside node_modules, linked to .tap: build it when the clone is new or was moved. */
async function tapPlugins() {
  const link = join(root, 'node_modules/@tapjs/test/test-built/node_modules')
  if (existsSync(link) && realpathSync(link).startsWith(realpathSync(root))) return
  await step('preparing the test runner', process.execPath, [tapProgram, 'build'])
}

/** Run tap; print one line per file, every skip with its reason, and the whole output of a file that fails. */
async function tap(args) {
  await tapPlugins()
  mkdirSync(join(root, '.tap'), { recursive: true })
  const log = createWriteStream(join(root, '.tap/last.tap'))
  const child = spawn(process.execPath, [tapProgram, '--reporter=tap', ...args], { cwd: root, stdio: ['inherit', 'pipe', 'inherit'] })
  const result = { passed: 0, failed: 0, skipped: 0 }
  let summary = false
  let held = []
  for await (const line of createInterface({ input: child.stdout })) {
    log.write(`${line}\n`)
    held.push(line)
    const counts = /^# \{ total: .*\}$/.test(line)
    if (counts) {
      const count = (key) => Number(new RegExp(`\\b${key}: (\\d+)`).exec(line)?.[1] ?? 0)
      Object.assign(result, { passed: count('pass'), failed: count('fail'), skipped: count('skip') + count('todo') })
      summary = true
      held = []
    } else if (/^not ok /.test(line)) {
      process.stdout.write(`${held.join('\n')}\n`)
      held = []
    } else if (/^ok /.test(line)) {
      for (const skip of held.filter((text) => /^\s+ok .*# (SKIP|TODO)/.test(text))) process.stdout.write(`    ${skip.trim()}\n`)
      process.stdout.write(`${line}\n`)
      held = []
    }
  }
  const code = await new Promise((resolve) => (child.exitCode === null ? child.on('close', resolve) : resolve(child.exitCode)))
  log.end()
  if (!summary) process.stdout.write(`${held.join('\n')}\n`)
  if (code !== 0 && result.failed === 0) {
    say(`tap ended with exit code ${code} ${summary ? 'although no test failed' : 'without a summary'}`)
    result.failed = 1
  }
  return result
}

await main(async (args) => {
  const begun = Date.now()
  const tapArgs = args.map((arg) => (/\.test\.ts$/.test(arg) ? arg.replace(/^(\.\/)?/, 'dist/').replace(/\.ts$/, '.js') : arg))
  const whole = !tapArgs.some((arg) => arg.endsWith('.js'))
  await setup({ tests: true })
  if (whole) {
    await stage(lint)
    await stage(() => nativeTest())
  }
  await stage(() => tap(tapArgs))
  say(`tests took ${((Date.now() - begun) / 1000).toFixed(0)} s; tap's full output is in .tap/last.tap`)
  process.stdout.write(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`)
  return total.failed > 0 || total.passed === 0 ? 1 : 0
})
