// `npm start`: make the clone ready, then run the quickstart agent in our place (signals and exit code pass through).
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { isatty } from 'node:tty'
import { Refusal, main, root } from './lib/common.mjs'
import { setup } from './setup.mjs'

await main(async (args) => {
  await setup()
  const program = join(root, 'dist/src/cli/main.js')
  if (!existsSync(program)) throw new Refusal('dist/src/cli/main.js is missing although dist is stamped as fresh: remove dist, then run npm start again')
  const child = spawn(process.execPath, [program, 'quickstart', ...args], { cwd: root, stdio: 'inherit' })
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2']) process.on(signal, () => child.kill(signal))
  // A terminal sends Ctrl-C to the child as well; a second one would mean "at once".
  process.on('SIGINT', () => isatty(0) || child.kill('SIGINT'))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve(code ?? 128 + (constants.signals[signal] ?? 0)))
  })
})
