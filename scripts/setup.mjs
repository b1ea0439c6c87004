// Makes a clone ready to run, doing only what is stale: host tools, node_modules, native core, TypeScript.
// Safe to start twice at once: work is done under a lock that the kernel drops when its holder dies.
//   setup.mjs          what npm start needs            setup.mjs --tests     what npm test needs too
import { accessSync, constants, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Refusal, cacheDir, isMain, main, readStamp, root, run, say, step, which, writeStamp } from './lib/common.mjs'
import { ensureTools, missing } from './lib/host.mjs'
import { buildNative, buildTs, nativeFresh, prebuilt, tsFresh } from './build.mjs'

const modulesStamp = 'node_modules/.lockstep-inputs'
const lockDigest = () => createHash('sha256').update(readFileSync(join(root, 'package-lock.json'))).update(process.versions.modules).digest('hex')
const modulesFresh = () => readStamp(modulesStamp) === lockDigest()

const groupsFor = (tests) => {
  const lab = process.getuid?.() === 0 ? ['lab'] : []
  return tests ? ['build', 'lab', 'test'] : ['build', ...lab]
}
const canRunPrebuilt = () => prebuilt() && missing(['build']).length > 0

/** Nearest existing ancestor is writable: npm can make its cache there. */
function writable(path) {
  for (let dir = path; ; dir = dirname(dir)) {
    try {
      accessSync(dir, constants.W_OK)
      return true
    } catch (error) {
      if (error.code !== 'ENOENT' || dirname(dir) === dir) return false
    }
  }
}

async function installModules() {
  const env = { ...process.env, NODE_ENV: 'development' }
  if (!writable(env.npm_config_cache ?? join(homedir(), '.npm'))) env.npm_config_cache = join(cacheDir, 'npm')
  // Under `npm start` the same npm that started us; without one, the one on PATH.
  const npm = env.npm_execpath?.endsWith('.js') ? [process.execPath, env.npm_execpath] : [which('npm') ?? 'npm']
  await step('npm ci (packages of package-lock.json)', npm[0], [...npm.slice(1), 'ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund'], { env })
  writeStamp(modulesStamp, lockDigest())
}

async function work(tests) {
  if (!canRunPrebuilt()) await ensureTools(groupsFor(tests))
  if (!modulesFresh()) await installModules()
  if (canRunPrebuilt()) say('no compiler here: using the prebuilt core')
  else await buildNative()
  await buildTs()
}

/** Run a program holding the lock; say so when another setup has to finish first. */
async function locked(lock, [command, ...args]) {
  if (which('flock') === null) return run(command, args)
  const busy = 75
  // -o: programs started on the way do not inherit the lock.
  const code = await run('flock', ['-n', '-E', String(busy), '-o', lock, command, ...args])
  if (code !== busy) return code
  say('another setup is running in this folder: waiting for it')
  return run('flock', ['-o', lock, command, ...args])
}

/** Bring everything up to date. `tests`: also what only the tests need. */
export async function setup({ tests = false } = {}) {
  const major = Number(process.versions.node.split('.')[0])
  if (major < 20) throw new Refusal(`Node.js ${process.versions.node} is too old: Lockstep needs 20 or newer`)
  if (process.platform !== 'linux') throw new Refusal(`Lockstep runs on Linux, not on ${process.platform}`)
  const toolsReady = canRunPrebuilt() || missing(groupsFor(tests)).length === 0
  if (toolsReady && modulesFresh() && (nativeFresh() || canRunPrebuilt()) && tsFresh()) return
  mkdirSync(cacheDir, { recursive: true })
  const self = fileURLToPath(import.meta.url)
  const args = [process.execPath, self, '--locked', ...(tests ? ['--tests'] : [])]
  const code = await locked(join(cacheDir, 'setup.lock'), args)
  if (code !== 0) process.exit(code)
  if (!existsSync(join(root, 'dist'))) throw new Refusal('setup ended without building dist')
}

if (isMain(import.meta.url)) {
  await main(async (args) => {
    const unknown = args.find((a) => a !== '--tests' && a !== '--locked')
    if (unknown !== undefined) throw new Refusal(`setup.mjs: unknown argument ${unknown}; possible: --tests`)
    const tests = args.includes('--tests')
    if (args.includes('--locked')) return work(tests)
    await setup({ tests })
    say('ready')
  })
}
