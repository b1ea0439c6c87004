// Builds what is stale: the native addon (node-gyp), the TypeScript (tsc), and the web page (vite). `npm run build`, `build:ts`, `build:native`.
// Fresh means: the digest of names, sizes and times of all inputs is the one stamped after the last good build, and what can be built is the same.
import { chmodSync, existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Refusal, isMain, main, probe, readStamp, root, say, signature, step, walk, which, writeStamp } from './lib/common.mjs'

const addon = 'build/Release/core.node'
const nativeStamp = 'build/.inputs'
const tsStamp = 'dist/.inputs'
const webStamp = 'dist/.web-inputs'
const webPage = 'dist/src/web/page/index.html'

const notBuilt = (name) => !/^native\/backend\/\w+\/(build|prebuilds)\//.test(name)
/** As binding.gyp asks it: with these the ebpf addon and the keeper are built, too. */
const withEbpf = () => process.env.WITH_EBPF !== '0' && which('clang') !== null && probe('pkg-config', ['--exists', 'libbpf']).ok
const withDpdk = () => process.env.WITH_DPDK !== '0' && probe('pkg-config', ['--exists', 'libdpdk']).ok
const nativeInputs = () => `${signature(['binding.gyp', 'package-lock.json', ...walk('native').filter(notBuilt)])}${withEbpf() ? ' with ebpf' : ''}${withDpdk() ? ' with dpdk' : ''}`
const tsInputs = () => signature(['tsconfig.json', 'package-lock.json', ...['src', 'test', 'bench'].flatMap((dir) => walk(dir, (name) => name.endsWith('.ts')))])

/** Its types come from src/client and src/generated: that they still fit is checked with tsc, and by whoever changes them (`npm test` builds). */
const webInputs = () => signature(['tsconfig.json', 'package-lock.json', ...walk('src/web'), ...walk('src/client'), ...walk('src/generated/proto/lockstep')])

export const nativeFresh = () => existsSync(join(root, addon)) && readStamp(nativeStamp) === nativeInputs()
export const tsFresh = () => readStamp(tsStamp) === tsInputs() && webFresh()
const webFresh = () => existsSync(join(root, webPage)) && readStamp(webStamp) === webInputs()
/** A prebuilt addon serves where nothing can be compiled. */
export const prebuilt = () => existsSync(join(root, `prebuilds/${process.platform}-${process.arch}/core.node`))

export async function buildNative() {
  if (nativeFresh()) return
  const inputs = nativeInputs()
  const gyp = join(root, 'node_modules/node-gyp/bin/node-gyp.js')
  if (!existsSync(gyp)) throw new Refusal('node_modules is missing or incomplete: run npm run setup')
  await step('building the native core', process.execPath, [gyp, 'configure', 'build', '--nodedir=native/nodedir', '--jobs', 'max', '--loglevel=error'])
  writeStamp(nativeStamp, inputs)
}

export async function buildTs() {
  if (readStamp(tsStamp) !== tsInputs()) await compile()
  if (!webFresh()) await buildWeb()
}

async function buildWeb() {
  const inputs = webInputs()
  const [tsc, vite] = ['typescript/bin/tsc', 'vite/bin/vite.js'].map((file) => join(root, 'node_modules', file))
  if (!existsSync(vite)) throw new Refusal('node_modules is missing or incomplete: run npm run setup')
  await step('checking the web page', process.execPath, [tsc, '-p', 'src/web', '--pretty', 'false'])
  await step('building the web page', process.execPath, [vite, 'build', '--config', 'src/web/vite.config.mjs', '--logLevel', process.env.VERBOSE === '1' ? 'info' : 'warn'])
  writeStamp(webStamp, inputs)
}

async function compile() {
  const inputs = tsInputs()
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  if (!existsSync(tsc)) throw new Refusal('node_modules is missing or incomplete: run npm run setup')
  // Files whose source is gone would otherwise stay, and deleted tests would still run.
  for (const file of walk('dist', (name) => /\.js(\.map)?$/.test(name) && !name.startsWith('dist/src/web/page/')))
    if (!existsSync(join(root, file.replace(/^dist\//, '').replace(/\.js(\.map)?$/, '.ts')))) rmSync(join(root, file))
  // Without its record of the last build tsc writes every file, so a removed output comes back.
  if (readStamp(tsStamp) === null) rmSync(join(root, 'dist/.tsbuildinfo'), { force: true })
  await step('compiling TypeScript', process.execPath, [tsc, '-p', 'tsconfig.json', '--pretty', 'false'])
  const program = join(root, 'dist/src/cli/main.js')
  if (existsSync(program)) chmodSync(program, 0o755) // so that `npx lockstep` need not
  writeStamp(tsStamp, inputs)
}

if (isMain(import.meta.url)) {
  await main(async ([what]) => {
    if (what !== 'ts') await buildNative()
    if (what !== 'native') await buildTs()
    say('build is fresh')
  })
}
