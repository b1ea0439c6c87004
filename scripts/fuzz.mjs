// Runs the fuzzers: native ones (libFuzzer, `native_fuzz_sources` of native/sources.gypi) and `config` (test/fuzz/config.ts).
// Each starts from its corpus in test/fixtures/corpus/NAME, which `npm test` replays; what it finds goes to build-fuzz/found/NAME.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, extname, isAbsolute, join } from 'node:path'
import { buildTs } from './build.mjs'
import { Refusal, main, root, run, say, step, which } from './lib/common.mjs'

const sources = JSON.parse(readFileSync(join(root, 'native/sources.gypi'), 'utf8')).variables.native_fuzz_sources
const native = sources.map((source) => basename(source, extname(source)))
const known = [...native, 'config']
const usage = `usage: npm run fuzz -- [NAME] [SECONDS | merge]
  NAME      ${known.join(', ')}; without it, each in turn
  SECONDS   how long each runs (60)
  merge     take what earlier runs found into the corpus, with as few and as small inputs as reach the same
An input that breaks something is kept in build-fuzz/found; its fix takes it into test/fixtures/corpus/NAME as regression-WHAT.
`
const lengthMax = 1024 // bytes of an input: programs stay short, and so does the corpus

async function buildNative() {
  if (which('clang') === null || which('cmake') === null) throw new Refusal('native fuzzers need clang and cmake; only config runs without them')
  const runtime = execFileSync('clang', [`--print-file-name=libclang_rt.fuzzer-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.a`], { encoding: 'utf8' }).trim()
  if (!isAbsolute(runtime)) throw new Refusal('native fuzzers need the runtime of clang (libFuzzer): install libclang-rt-14-dev; only config runs without it')
  const env = { ...process.env, CC: 'clang', CXX: 'clang++' }
  await step('configuring build-fuzz', 'cmake', ['-S', '.', '-B', 'build-fuzz', '-DNATIVE_ADDON=OFF', '-DNATIVE_TESTS=OFF', '-DNATIVE_FUZZ=ON'], { env })
  await step('building the fuzzers', 'cmake', ['--build', 'build-fuzz', '--parallel', String(availableParallelism())], { env })
}

const foundOf = (name) => join(root, 'build-fuzz/found', name)
const corpusOf = (name) => join(root, 'test/fixtures/corpus', name)

/** Files that libFuzzer named by their digest are replaced; a regression keeps its name and place. */
async function mergeNative(name) {
  const kept = join(root, 'build-fuzz/merged', name)
  const corpus = corpusOf(name)
  rmSync(kept, { recursive: true, force: true })
  mkdirSync(kept, { recursive: true })
  // By edges alone: how often each is taken would keep ten times as many.
  const flags = ['-merge=1', '-use_counters=0', `-max_len=${lengthMax}`]
  await step(`merging ${name}`, join(root, 'build-fuzz', name), [...flags, kept, corpus, foundOf(name)])
  for (const file of readdirSync(corpus)) if (/^[0-9a-f]{40}$/.test(file)) rmSync(join(corpus, file))
  for (const file of readdirSync(kept)) renameSync(join(kept, file), join(corpus, file))
  say(`${readdirSync(corpus).length} inputs in test/fixtures/corpus/${name}`)
  return 0
}

function fuzz(name, what) {
  const [found, corpus] = [foundOf(name), corpusOf(name)]
  for (const dir of [found, corpus]) mkdirSync(dir, { recursive: true })
  if (name === 'config') return run(process.execPath, [join(root, 'dist/test/fuzz/config.js'), found, what])
  if (what === 'merge') return mergeNative(name)
  const flags = [`-max_total_time=${what}`, `-max_len=${lengthMax}`, '-len_control=10', '-timeout=20', '-print_final_stats=1', `-artifact_prefix=${found}-`]
  return run(join(root, 'build-fuzz', name), [...flags, found, corpus])
}

await main(async (args) => {
  if (args.some((arg) => ['--help', '-h', 'help', 'list'].includes(arg))) return void process.stdout.write(usage)
  const named = args.length > 0 && !/^(\d+|merge)$/.test(args[0])
  const wanted = named ? [args[0]] : known
  const [what = '60', ...more] = named ? args.slice(1) : args
  if (!known.includes(wanted[0])) throw new Refusal(`no fuzzer named ${wanted[0]}; there are: ${known.join(', ')}`)
  if (!/^([1-9]\d*|merge)$/.test(what)) throw new Refusal(`"${what}" is neither a number of seconds nor merge; see npm run fuzz -- --help`)
  if (more.length > 0) throw new Refusal(`"${more[0]}" is one argument too many; see npm run fuzz -- --help`)
  if (wanted.some((name) => native.includes(name))) await buildNative()
  if (wanted.includes('config')) await buildTs()
  const failed = []
  for (const name of wanted) {
    say(what === 'merge' ? `merging the corpus of ${name}` : `fuzzing ${name} for ${what} s`)
    if ((await fuzz(name, what)) !== 0) failed.push(name)
  }
  if (failed.length === 0) say(what === 'merge' ? 'merged; see git status' : 'no findings')
  else say(`failed: ${failed.join(', ')}; see build-fuzz/found`)
  return failed.length > 0 ? 1 : 0
})
