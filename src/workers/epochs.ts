/** The epochs this node has used, on disk before they are used (R24): a file that is replaced whole, and a folder that is synced. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Epoch } from '../ha/rg.js'
import { replaceFile } from '../lib/replace-file.js'

export class EpochFile {
  private writing: Promise<void> = Promise.resolve()
  private constructor (private readonly path: string, private readonly epochs: Map<number, Epoch>) {}

  /** `epochs` null: there is none, or it cannot be read, and this node listens before it owns anything. */
  static async open (directory: string): Promise<{ readonly file: EpochFile, readonly epochs: ReadonlyMap<number, Epoch> | null, readonly problem: string | null }> {
    const path = join(directory, 'epochs.json')
    try {
      const known = parse(await readFile(path, 'utf8'))
      return { file: new EpochFile(path, new Map(known)), epochs: known, problem: null }
    } catch (error) {
      const absent = (error as NodeJS.ErrnoException).code === 'ENOENT'
      return { file: new EpochFile(path, new Map()), epochs: null, problem: absent ? null : `${path} cannot be read (${(error as Error).message}): this node listens for the longest lease before it owns a group` }
    }
  }

  /** Resolves once it is on disk. One write after another; the last has all. */
  async write (rg: number, epoch: Epoch): Promise<void> {
    if ((this.epochs.get(rg) ?? 0n) < epoch) this.epochs.set(rg, epoch)
    const mine = this.writing.then(async () => { await replaceFile(this.path, JSON.stringify(Object.fromEntries([...this.epochs].map(([n, e]) => [n, String(e)])))) })
    this.writing = mine.catch(() => undefined)
    await mine
  }
}

function parse (text: string): Map<number, Epoch> {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) throw new Error('not a list of epochs')
  return new Map(Object.entries(value).map(([rg, epoch]) => {
    if (!/^\d{1,2}$/.test(rg) || typeof epoch !== 'string' || !/^\d{1,20}$/.test(epoch)) throw new Error(`not an epoch: ${rg}`)
    return [Number(rg), BigInt(epoch)]
  }))
}
