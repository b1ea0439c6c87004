// Runs the libFuzzer targets, each on its corpus in test/fixtures/corpus/<name>: fuzz.mjs [name] [seconds, default 60]
import { mkdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, extname, join } from 'node:path'
import { Refusal, main, root, run, say, step, which } from './lib/common.mjs'

await main(async (args) => {
  if (which('clang') === null || which('cmake') === null) throw new Refusal('fuzzing needs clang and cmake')
  const sources = JSON.parse(readFileSync(join(root, 'native/sources.gypi'), 'utf8')).variables.native_fuzz_sources
  const known = sources.map((source) => basename(source, extname(source)))
  const seconds = Number(args.find((arg) => /^\d+$/.test(arg)) ?? 60)
  const wanted = args.find((arg) => !/^\d+$/.test(arg))
  if (wanted && !known.includes(wanted)) throw new Refusal(`no fuzzer named ${wanted}; there are: ${known.join(', ') || 'none'}`)
  const env = { ...process.env, CC: 'clang', CXX: 'clang++' }
  await step('configuring build-fuzz', 'cmake', ['-S', '.', '-B', 'build-fuzz', '-DNATIVE_ADDON=OFF', '-DNATIVE_TESTS=OFF', '-DNATIVE_FUZZ=ON'], { env })
  await step('building the fuzzers', 'cmake', ['--build', 'build-fuzz', '--parallel', String(availableParallelism())], { env })
  let failed = 0
  for (const name of wanted ? [wanted] : known) {
    // New inputs go to the build folder; what is worth keeping is copied to the corpus by hand.
    const found = join(root, 'build-fuzz/found', name)
    const corpus = join(root, 'test/fixtures/corpus', name)
    for (const dir of [found, corpus]) mkdirSync(dir, { recursive: true })
    say(`fuzzing ${name} for ${seconds} s`)
    const code = await run(join(root, 'build-fuzz', name), [`-max_total_time=${seconds}`, '-print_final_stats=1', `-artifact_prefix=${found}-`, found, corpus])
    if (code !== 0) failed++
  }
  say(`${known.length === 0 ? 'no fuzzers yet' : failed === 0 ? 'no findings' : `${failed} fuzzer(s) found something`}`)
  return failed > 0 ? 1 : 0
})
