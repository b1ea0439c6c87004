/**
 * Reports as lines of JSON in a file. It is opened for each batch, so whoever rotates it just renames it. A batch that does not fit on the disk is taken back whole;
 * after a crash the lines themselves say whether they were written.
 */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import type { BgpLook, BgpReport } from '../../contract/bgp.js'
import type { BgpFileSink } from '../../contract/bgp-report.js'
import { causeOf } from '../../lib/cause-of.js'
import { OwnRecord, sessionOf } from './own-record.js'
import { SinkError, each, type BgpSink, type Outcome, type Prepared, type SubjectReading } from './sink.js'

/** What is read of the end of a file to find a batch again: more than the largest batch. */
const TAIL_BYTES = 4 << 20
const BATCH_MAX = 1000

export class FileSink implements BgpSink {
  readonly kind = 'file'
  readonly name: string
  readonly batchMax = BATCH_MAX
  readonly record = new OwnRecord()

  constructor (private readonly settings: BgpFileSink, private readonly node: string) { this.name = settings.name }

  async start (): Promise<void> {
    const file = await this.opened()
    await file.close()
  }

  async subjects (look: BgpLook): Promise<SubjectReading> { return await Promise.resolve({ mark: null, subjects: this.record.subjects(look) }) }

  async prepare (batch: readonly BgpReport[]): Promise<Prepared> {
    const ticket = randomUUID()
    return await Promise.resolve({ ticket, send: async () => await this.append(ticket, batch) })
  }

  async resolve (ticket: string, batch: readonly BgpReport[]): Promise<readonly Outcome[]> {
    const { path } = this.settings
    const written = new Set([...await linesOf(`${path}.1`, ticket), ...await linesOf(path, ticket)])
    return batch.map((_, i): Outcome => written.has(i) ? { kind: 'landed', mark: null } : { kind: 'transient', reason: 'the line was not written before the agent ended', afterMs: 0 })
  }

  stop (): void { /* Nothing is kept open. */ }

  private async append (ticket: string, batch: readonly BgpReport[]): Promise<readonly Outcome[]> {
    const file = await this.opened().catch((error: unknown) => causeOf(error))
    if (typeof file === 'string') return each(batch, { kind: 'transient', reason: file, afterMs: null })
    try {
      const { size } = await file.stat()
      const text = `${await endsInLine(file, size) ? '' : '\n'}${batch.map((report, i) => lineOf(this.node, ticket, i, report)).join('')}`
      try {
        await file.appendFile(text)
        await file.datasync()
      } catch (error) {
        const reason = `${this.settings.path}: ${causeOf(error)}`
        const taken = await file.truncate(size).then(() => true, () => false)
        return each(batch, taken ? { kind: 'transient', reason, afterMs: null } : { kind: 'uncertain', reason })
      }
      return each(batch, { kind: 'landed', mark: null })
    } finally {
      await file.close()
    }
  }

  private async opened (): Promise<FileHandle> {
    const { path } = this.settings
    const file = await open(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK, 0o640)
      .catch((error: unknown) => { throw new SinkError('transient', `${path}: ${causeOf(error)}`) })
    if ((await file.stat()).isFile()) return file
    await file.close()
    throw new SinkError('permanent', `${path}: not a plain file`)
  }
}

export const lineOf = (node: string, batch: string, line: number, { subject, state, rttNs, cause, decidedAt }: BgpReport): string =>
  `${JSON.stringify({ at: new Date(decidedAt).toISOString(), node, ...sessionOf(subject), state, rttNs, cause, batch, line })}\n`

/** A line that was cut off stays one of its own: what follows begins a new one. */
async function endsInLine (file: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return true
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1)
  return buffer[0] === 0x0a
}

/** Places in the batch `ticket` that have a whole line. A file that is not there has none. */
async function linesOf (path: string, ticket: string): Promise<number[]> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  })
  if (file === null) return []
  try {
    const stat = await file.stat()
    if (!stat.isFile()) return []
    const { size } = stat
    const length = Math.min(size, TAIL_BYTES)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length)
    return buffer.subarray(0, bytesRead).toString('utf8').split('\n').slice(0, -1).flatMap(text => {
      if (!text.includes(ticket)) return []
      try {
        const { batch, line } = JSON.parse(text) as { batch?: unknown, line?: unknown }
        return batch === ticket && typeof line === 'number' ? [line] : []
      } catch {
        return []
      }
    })
  } finally {
    await file.close()
  }
}
