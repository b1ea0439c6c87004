// Native tests under sanitizers, and the check that the pipeline compiles for BPF.
//   native-test.mjs [address,undefined | thread | none]     each kind has its own build folder
import { availableParallelism } from 'node:os'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMain, main, probe, root, say, step, which } from './lib/common.mjs'

const folders = { 'address,undefined': 'build-asan', thread: 'build-tsan', none: 'build-test' }

/** {passed, failed, skipped} of the native tests, with what was missing said aloud. */
export async function nativeTest(sanitize = 'address,undefined') {
  const lists = JSON.parse(readFileSync(join(root, 'native/sources.gypi'), 'utf8')).variables
  if (which('cmake') === null) {
    say('native tests: SKIPPED (cmake is not installed)')
    return { passed: 0, failed: 0, skipped: lists.native_test_sources.length }
  }
  const folder = folders[sanitize] ?? `build-${sanitize.replace(/\W+/g, '-')}`
  const flags = ['-DNATIVE_ADDON=OFF', `-DNATIVE_SANITIZE=${sanitize === 'none' ? '' : sanitize}`]
  // gcc refuses fences under ThreadSanitizer (-Werror=tsan); clang takes them.
  const env = sanitize === 'thread' && which('clang') ? { ...process.env, CC: 'clang', CXX: 'clang++' } : process.env
  await step(`configuring ${folder}`, 'cmake', ['-S', '.', '-B', folder, ...flags], { env })
  await step(`building native tests (${sanitize})`, 'cmake', ['--build', folder, '--parallel', String(availableParallelism())])
  const result = { passed: 0, failed: 0, skipped: 0 }
  if (which('clang') === null) {
    say('BPF check: SKIPPED (clang is not installed)')
    result.skipped++
  } else {
    try {
      await step('compiling the pipeline for BPF', 'cmake', ['--build', folder, '--target', 'bpf_check'])
      result.passed++
    } catch (error) {
      say(error.message) // the tests below still have something to say
      result.failed++
    }
  }
  if (lists.native_test_sources.length > 0) {
    const { ok, out, err } = probe('ctest', ['--test-dir', folder, '--output-on-failure', '--timeout', '300'])
    process.stdout.write(out)
    if (!ok) process.stderr.write(err)
    const seen = (word) => [...out.matchAll(new RegExp(`\\*{0,3}${word}\\s+[\\d.]+ sec$`, 'gm'))].length
    result.passed += seen('Passed')
    result.skipped += seen('Skipped')
    if (seen('Skipped') > 0) for (const [line] of readFileSync(join(root, folder, 'Testing/Temporary/LastTest.log'), 'utf8').matchAll(/^SKIPPED: .*$/gm)) say(line)
    const failed = Number(/(\d+) tests failed out of/.exec(out)?.[1] ?? 0)
    result.failed += ok ? 0 : Math.max(1, failed)
    if (!out.includes('dpdk_golden_test')) {
      say(`native DPDK tests: SKIPPED (${sanitize === 'thread' ? 'DPDK is not built for ThreadSanitizer' : 'libdpdk-dev is not installed'})`)
      result.skipped += lists.native_dpdk_test_sources.length
    }
    if (!out.includes('bpf_golden_test')) {
      say(`native BPF tests: SKIPPED (${which('clang') === null ? 'clang is' : 'libbpf and its headers are'} not installed)`)
      result.skipped += lists.native_bpf_test_sources.length
    }
  }
  return result
}

if (isMain(import.meta.url)) {
  await main(async ([sanitize]) => {
    const { passed, failed, skipped } = await nativeTest(sanitize)
    say(`native: ${passed} passed, ${failed} failed, ${skipped} skipped`)
    return failed > 0 ? 1 : 0
  })
}
