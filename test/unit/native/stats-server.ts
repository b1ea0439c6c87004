/** A VPP's stats socket without VPP: stats-server.c, compiled for the test, serves recorded images and changes them while they are read. */
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'

const root = fileURLToPath(new URL('../../../../', import.meta.url))
const compiler = ['cc', 'gcc', 'clang'].find(tool => spawnSync(tool, ['--version']).status === 0)
export const skip = compiler === undefined ? 'needs a C compiler' : false

export interface Write { readonly off: number, readonly hex: string }
export interface Entry {
  readonly i: number
  readonly name: string
  readonly kind: string
  readonly value: unknown
  readonly len?: number
  readonly value_first8?: readonly string[]
  readonly ring?: Ring
}
export interface Ring {
  readonly entry_size: number
  readonly ring_size: number
  readonly schema_version: number
  readonly threads: ReadonlyArray<{ readonly sequence: number, readonly schema_hex: string, readonly records: ReadonlyArray<{ readonly seq: number, readonly hex: string }> }>
}
export interface Expected {
  readonly size: number
  readonly sha256: string
  readonly header: { readonly epoch: number }
  readonly n_entries: number
  readonly names_sha256: string
  readonly routes?: ReadonlyArray<{ readonly stats_index: number, readonly to: unknown, readonly via: unknown }>
  readonly entries: readonly Entry[]
}
export interface Mutation { readonly name: string, readonly writes: readonly Write[], readonly expect: string, readonly when?: string }

const fixture = (name: string): Buffer => readFileSync(join(root, 'test/fixtures/vpp/stats', name))
export const expected = (image: string): Expected => JSON.parse(fixture(`${image}.expected.json`).toString()) as Expected
export const mutations = (): readonly Mutation[] => (JSON.parse(fixture('mutations.json').toString()) as { readonly cases: readonly Mutation[] }).cases
export const sha256 = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Of pages of 4096 bytes, each behind its number. */
function rebuild (image: string): Buffer {
  const pages = gunzipSync(fixture(`${image}.pages.gz`))
  const { size, sha256: sum } = expected(image)
  const whole = Buffer.alloc(size)
  for (let at = 0; at < pages.length; at += 4100) pages.copy(whole, pages.readUInt32LE(at) * 4096, at + 4, at + 4100)
  if (sha256(whole) !== sum) throw new Error(`${image} is not what was recorded`)
  return whole
}

export class StatsServer {
  readonly path: string
  private constructor (private readonly dir: string, private readonly child: ChildProcessWithoutNullStreams, private readonly lines: AsyncIterator<string>) {
    this.path = join(dir, 'stats.sock')
  }

  static async start (image: string): Promise<StatsServer> {
    const dir = mkdtempSync(join(tmpdir(), 'lockstep-stats-'))
    const program = join(dir, 'server')
    const built = spawnSync(compiler ?? 'cc', ['-D_GNU_SOURCE', '-O1', '-pthread', join(root, 'test/unit/native/stats-server.c'), '-o', program], { encoding: 'utf8' })
    if (built.status !== 0) throw new Error(built.stderr)
    writeFileSync(join(dir, image), rebuild(image))
    const child = spawn(program, [join(dir, image), join(dir, 'stats.sock')])
    child.stderr.pipe(process.stderr)
    const server = new StatsServer(dir, child, createInterface({ input: child.stdout })[Symbol.asyncIterator]())
    await server.answer('ok')
    return server
  }

  async image (name: string): Promise<void> {
    writeFileSync(join(this.dir, name), rebuild(name))
    await this.ask(`image ${join(this.dir, name)}`)
  }

  async write (writes: readonly Write[]): Promise<void> { await this.ask(`write ${StatsServer.text(writes)}`) }

  /** Writes and puts back for that long; `meanwhile` runs beside it. */
  async shake (ms: number, writes: readonly Write[], meanwhile: () => void): Promise<void> {
    this.child.stdin.write(`shake ${ms} ${StatsServer.text(writes)}\n`)
    await this.answer('begun')
    meanwhile()
    await this.answer('ok')
  }

  stop (): void {
    this.child.kill()
    rmSync(this.dir, { recursive: true, force: true })
  }

  private static text (writes: readonly Write[]): string { return writes.map(w => `${w.off} ${w.hex}`).join(' ') }

  private async ask (line: string): Promise<void> {
    this.child.stdin.write(`${line}\n`)
    await this.answer('ok')
  }

  private async answer (wanted: string): Promise<void> {
    const line = await this.lines.next()
    if (line.done === true || line.value !== wanted) throw new Error(`stats-server ended or said ${String(line.value)}, not ${wanted}`)
  }
}
