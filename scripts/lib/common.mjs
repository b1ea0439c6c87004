// What every script needs: the root, running programs, stamps that tell fresh from stale, one lock per clone.
// Plain Node without packages: these scripts run before anything is installed.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
export const cacheDir = join(root, '.cache')

// bpftool, nft and ethtool live in sbin, which an ordinary user's PATH lacks.
process.env.PATH = [...new Set([...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'])].filter(Boolean).join(':')

/** A failure the user can act on: printed without a stack, exit code 1. */
export class Refusal extends Error {}

export const say = (text) => process.stdout.write(`lockstep: ${text}\n`)

/** Full path of a program on PATH, or null. */
export function which(name) {
  for (const dir of (process.env.PATH ?? '').split(':')) {
    try {
      const file = join(dir, name)
      accessSync(file, constants.X_OK)
      if (statSync(file).isFile()) return file
    } catch {
      // not here
    }
  }
  return null
}

/** Exit status of a quiet command; its output as text. */
export function probe(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 30, ...options })
  return { ok: result.status === 0, out: result.stdout ?? '', err: result.error?.message ?? result.stderr ?? '' }
}

/** Run a program with our terminal; resolves to its exit code (128 + n for signal n is folded to 1). */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit', ...options })
    child.on('error', reject)
    child.on('close', (code) => resolve(code ?? 1))
  })
}

/** Run a step that must succeed: its output is shown only if it fails (or with VERBOSE=1). */
export async function step(title, command, args, options = {}) {
  const begun = Date.now()
  say(`${title} ...`)
  const verbose = process.env.VERBOSE === '1'
  const chunks = []
  const code = await new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], ...options })
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => (verbose ? process.stderr.write(data) : chunks.push(data)))
    child.on('error', reject)
    child.on('close', (c) => resolve(c ?? 1))
  })
  if (code !== 0) {
    process.stderr.write(Buffer.concat(chunks))
    throw new Refusal(`${title}: failed (exit code ${code})`)
  }
  say(`${title}: done in ${((Date.now() - begun) / 1000).toFixed(1)} s`)
}

/** Files under `path` (or the file itself) whose name passes, sorted. */
export function walk(path, accept = () => true) {
  const full = join(root, path)
  if (!existsSync(full)) return []
  if (statSync(full).isFile()) return [path]
  const found = []
  for (const entry of readdirSync(full, { withFileTypes: true })) {
    const name = `${path}/${entry.name}`
    if (entry.isDirectory()) {
      if (entry.name !== 'node_modules' && entry.name !== 'fixtures') found.push(...walk(name, accept))
    } else if (entry.isFile() && accept(name)) found.push(name)
  }
  return found.sort()
}

/** A digest of names, sizes and modification times: changes when a file is edited, added or removed. */
export function signature(files) {
  const hash = createHash('sha256').update(process.version)
  for (const file of files) {
    const info = statSync(join(root, file), { throwIfNoEntry: false })
    if (info) hash.update(`${file}\0${info.size}\0${info.mtimeMs}\n`)
  }
  return hash.digest('hex')
}

export const readStamp = (file) => {
  try {
    return readFileSync(join(root, file), 'utf8').trim()
  } catch {
    return null
  }
}

export function writeStamp(file, text) {
  mkdirSync(dirname(join(root, file)), { recursive: true })
  writeFileSync(join(root, file), `${text}\n`)
}

/** Run `work` as the entry of a script: refusals are one line on stderr, other errors keep their stack. */
export async function main(work) {
  try {
    process.exitCode = (await work(process.argv.slice(2))) ?? 0
  } catch (error) {
    if (error?.code === 'EACCES' || error?.code === 'EROFS')
      process.stderr.write(`lockstep: ${error.message}: this folder is not writable here; run as its owner, or use a clone of your own\n`)
    else process.stderr.write(error instanceof Refusal ? `lockstep: ${error.message}\n` : `${error?.stack ?? error}\n`)
    process.exitCode = 1
  }
}

/** True when the script of that URL is the program that was started. */
export const isMain = (url) => process.argv[1] !== undefined && fileURLToPath(url) === process.argv[1]
