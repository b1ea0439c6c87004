/**
 * The promise of the prebuilt package: `npm pack`, installed offline on a host without a compiler, loads its addon and runs.
 * Works on a copy of the tree, because prebuildify takes build/ apart under other tests. No network: the packages Lockstep
 * depends on are copied from this clone's node_modules, and `npm install --offline` finds them in place.
 */
import t from 'tap'
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { root } from '../architecture/repo.js'

interface Manifest {
  files: string[]
  dependencies: Record<string, string>
}

interface LockEntry {
  dev?: boolean
}

const onPath = (name: string): string | null =>
  (process.env['PATH'] ?? '').split(delimiter).map((dir) => join(dir, name)).find((file) => existsSync(file)) ?? null
const missing = ['g++', 'make', 'python3', 'npm'].filter((tool) => onPath(tool) === null)

function run(cwd: string, env: NodeJS.ProcessEnv, command: string, ...args: string[]): { status: number | null; stdout: string; output: string } {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: 'utf8', timeout: 170_000 })
  return { status, stdout, output: `${command} ${args.join(' ')}\n${stdout}${stderr}${error?.message ?? ''}` }
}

t.test('the packed prebuilt package runs where there is no compiler', { skip: missing.length > 0 && `needs ${missing.join(', ')}` }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-tarball-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const env: NodeJS.ProcessEnv = { PATH: process.env['PATH'], HOME: dir, npm_config_cache: join(dir, 'cache'), npm_config_update_notifier: 'false' }

  // A copy of what the package is made from.
  const tree = join(dir, 'tree')
  const { files, dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
  const parts = new Set(['package.json', 'LICENSE', 'README.md', 'scripts', 'binding.gyp', 'native', ...files.filter((f) => !f.startsWith('!') && !f.startsWith('prebuilds'))])
  for (const part of parts) if (existsSync(join(root, part))) cpSync(join(root, part), join(tree, part), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'))
  const built = run(tree, env, process.execPath, 'scripts/prebuild.mjs')
  t.equal(built.status, 0, 'prebuild', { output: built.output })
  const packed = run(tree, env, 'npm', 'pack', '--ignore-scripts', '--pack-destination', dir)
  t.equal(packed.status, 0, 'npm pack', { output: packed.output })
  const tarball = readdirSync(dir).find((name) => name.endsWith('.tgz')) ?? ''
  const listed = run(dir, env, 'tar', 'tzf', tarball).stdout.split('\n')
  t.ok(listed.includes(`package/prebuilds/${process.platform}-${process.arch}/core.node`), 'the addon is in the tarball')
  t.same(listed.filter((name) => /(^package\/(src(?!\/config\/schema\.json$)|test|bench|scripts|build|native\/.*\/build)\/|\.test\.js$|\/node_modules\/)/.test(name)), [], 'nothing but the product is in the tarball')

  const triple = `${process.platform}-${process.arch}`
  const ebpf = existsSync(join(root, 'native/backend/ebpf/build/Release/ebpf.node'))
  for (const part of [`native/backend/ebpf/prebuilds/${triple}/ebpf.node`, `prebuilds/${triple}/lockstep-keeper`]) t.equal(listed.includes(`package/${part}`), ebpf, part)
  t.ok(listed.includes('package/src/config/schema.json'), 'the schema of the configuration is in the tarball')

  // A host without a compiler: PATH holds node, npm and a shell.
  const app = join(dir, 'app')
  const bin = join(dir, 'bin')
  mkdirSync(join(app, 'node_modules'), { recursive: true })
  mkdirSync(bin)
  symlinkSync(process.execPath, join(bin, 'node'))
  symlinkSync(realpathSync(onPath('npm') ?? ''), join(bin, 'npm'))
  for (const tool of ['sh', 'env', 'uname']) symlinkSync(onPath(tool) ?? '', join(bin, tool))
  const bare = { ...env, PATH: bin }
  t.equal(run(app, bare, 'sh', '-c', 'command -v cc gcc g++ clang make python3').stdout, '', 'no compiler on PATH')

  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Record<string, LockEntry> }
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (path === '' || entry.dev === true || !existsSync(join(root, path)) || existsSync(join(app, path))) continue
    mkdirSync(dirname(join(app, path)), { recursive: true })
    cpSync(join(root, path), join(app, path), { recursive: true })
  }
  // npm reinstalls a package whose program links are missing.
  const links = readdirSync(join(root, 'node_modules/.bin'))
  mkdirSync(join(app, 'node_modules/.bin'))
  for (const name of links) {
    const target = readlinkSync(join(root, 'node_modules/.bin', name))
    if (existsSync(join(app, 'node_modules/.bin', target))) symlinkSync(target, join(app, 'node_modules/.bin', name))
  }
  // The host project asks for the same packages itself, so that npm keeps what it finds in node_modules.
  writeFileSync(join(app, 'package.json'), JSON.stringify({ name: 'host', version: '1.0.0', private: true, dependencies }))
  const installed = run(app, bare, 'npm', 'install', '--offline', '--no-audit', '--no-fund', join(dir, tarball))
  t.equal(installed.status, 0, 'npm install --offline', { output: installed.output })
  const home = join(app, 'node_modules/lockstep')
  t.notOk(existsSync(join(home, 'build')), 'nothing was compiled on installation')

  const loaded = run(app, bare, 'node', '-e', "const core = require('node-gyp-build')('node_modules/lockstep'); console.log(typeof core)")
  t.equal(loaded.status, 0, 'the core addon loads', { output: loaded.output })
  t.equal(loaded.stdout.trim(), 'object')

  await t.test('the ebpf addon and the keeper', { skip: !ebpf && 'they cannot be built here' }, async (t) => {
    const found = run(app, bare, 'node', '--input-type=module', '-e', `import { loadEbpf, keeperProgram } from '${home}/dist/src/native/load-ebpf.js'; console.log(loadEbpf().reason + '|' + keeperProgram())`)
    t.equal(found.stdout.trim(), `|${realpathSync(home)}/prebuilds/${triple}/lockstep-keeper`, 'both are found', { output: found.output })
  })

  const schema = run(app, bare, 'node', '-p', "require('lockstep/schema.json').$schema")
  t.match(schema.stdout, /json-schema\.org/, 'lockstep/schema.json can be required', { output: schema.output })

  const program = join(home, 'dist/src/cli/main.js')
  await t.test('lockstep --version', { skip: !existsSync(program) && 'needs src/cli/main.ts' }, async (t) => {
    const version = run(app, bare, join(app, 'node_modules/.bin/lockstep'), '--version')
    t.equal(version.status, 0, 'exits 0', { output: version.output })
    t.match(version.stdout, /\d+\.\d+\.\d+/)
  })
})
