/** The C bench programs: built on demand into build-bench, run with their samples collected. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseSamples, type Samples } from './samples.js'

/** This file is dist/bench/lib/programs.js. */
export const root = fileURLToPath(new URL('../../../', import.meta.url))

/** What the user can act on; printed without a stack. */
export class BenchError extends Error {}

const folder = join(root, 'build-bench')

/** The suites are built from sources, and compare with peers and labs, that the npm package does not have. */
export function requireClone (at: string = root): void {
  if (!existsSync(join(at, 'CMakeLists.txt'))) throw new BenchError('the sources of the suites are not in this package: run them in a clone of the repository, npm run -s bench -- SUITE')
}

export async function buildPrograms (progress: (text: string) => void, signal?: AbortSignal): Promise<void> {
  progress('building the bench programs')
  const steps: string[][] = [
    ['-S', root, '-B', folder, '-DCMAKE_BUILD_TYPE=Release', '-DNATIVE_ADDON=OFF', '-DNATIVE_TESTS=OFF', '-DNATIVE_BENCH=ON'],
    ['--build', folder, '--parallel', String(availableParallelism()), '--target', 'bench']
  ]
  for (const args of steps) {
    const { code, out, err } = await capture('cmake', args, signal)
    if (code !== 0) throw new BenchError(`cmake ${args.join(' ')}: exit code ${code}\n${out}${err}`)
  }
}

/** Programs that need an optional library are left out without it. */
export const isBuilt = (name: string): boolean => existsSync(join(folder, name))

export async function runProgram (name: string, options: Readonly<Record<string, string | number>>, signal?: AbortSignal): Promise<Samples> {
  const args = Object.entries(options).flatMap(([key, value]) => [`--${key}`, String(value)])
  return await collect(join(folder, name), args, signal)
}

/** Runs a program that prints samples; its standard error is the user's. */
export async function collect (program: string, args: readonly string[], signal?: AbortSignal): Promise<Samples> {
  const { code, out, err } = await capture(program, args, signal)
  if (code !== 0) throw new BenchError(`${program} ${args.join(' ')}: exit code ${code}\n${err}`)
  return parseSamples(out)
}

async function capture (program: string, args: readonly string[], signal?: AbortSignal): Promise<{ code: number, out: string, err: string }> {
  return await new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], ...(signal === undefined ? {} : { signal }) })
    let out = ''
    let err = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => { out += text })
    child.stderr.setEncoding('utf8').on('data', (text: string) => { err += text })
    child.on('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'ENOENT' && program === 'cmake' ? new BenchError('cmake is not installed: apt-get install -y --no-install-recommends cmake g++ pkg-config libmnl-dev nettle-dev libbpf-dev') : error)
    })
    child.on('close', (code) => { resolve({ code: code ?? 1, out, err }) })
  })
}
