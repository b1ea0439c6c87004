/**
 * Generations on disk. One file is the truth: state.json names what runs, what waits for its confirmation and the history; it is replaced
 * by write, fsync, rename, fsync of the directory. Texts and ids are written before it refers to them, so a crash at any point leaves
 * either the old state or the new one, and at most a file that nobody refers to.
 *
 *   DIR/state.json           pointers and history
 *   DIR/ids.json             ids of names (R11): only grows, so it may be ahead of state.json
 *   DIR/generations/N.yaml   texts, as they were applied
 *   DIR/startup.yaml         unless the operator names another file
 */
import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import { LockstepError } from '../contract/errors.js'
import { noOverlay, type Overlay } from '../contract/overlay.js'
import type { GenerationInfo } from '../contract/services.js'
import { IdBook } from './ids.js'
import { readOverlay } from './overlay.js'
import { fileIo, type StoreIo } from './store-io.js'

export const historyMax = 50

export interface Unconfirmed {
  readonly generation: number
  /** What a rollback returns to; `null` = nothing ran before. */
  readonly previous: number | null
  /** Unix milliseconds. */
  readonly confirmBy: number
}

export interface StoreState {
  readonly running: number | null
  readonly unconfirmed: Unconfirmed | null
  /** Oldest first, at most historyMax. */
  readonly history: readonly GenerationInfo[]
  readonly next: number
  /** Of the startup text that was last started with or saved: tells an edit from an unsaved change. */
  readonly startupHash: string | null
  /** What was put while the agent runs. */
  readonly overlay: Overlay
  /** Of the host's boot in which `running` was applied. */
  readonly bootId: string | null
}

const fresh: StoreState = { running: null, unconfirmed: null, history: [], next: 1, startupHash: null, overlay: noOverlay, bootId: null }

export const textHash = (text: string): string => createHash('sha256').update(text).digest('hex')

export class ConfigStore {
  private constructor (
    private readonly directory: string,
    private readonly startupPath: string,
    private readonly io: StoreIo,
    private current: StoreState,
    private book: IdBook,
    /** What was found damaged and how it was dealt with. */
    readonly notes: readonly string[]
  ) {}

  /** Creates or recovers the store. Damaged files are set aside, never trusted and never fatal. */
  static async open (directory: string, options: { readonly startupPath?: string, readonly io?: StoreIo } = {}): Promise<ConfigStore> {
    const io = options.io ?? fileIo
    const notes: string[] = []
    await io.mkdir(join(directory, 'generations'))
    const state = await readState(io, directory, notes)
    const ids = await readIds(io, directory, notes)
    const store = new ConfigStore(directory, options.startupPath ?? join(directory, 'startup.yaml'), io, state, ids, notes)
    await store.sweep()
    return store
  }

  get state (): StoreState { return this.current }
  get ids (): IdBook { return this.book }

  info (generation: number): GenerationInfo | null { return this.current.history.find(g => g.generation === generation) ?? null }

  /** Throws `stale` when the history does not hold the generation, `unavailable` when its text is damaged. */
  async text (generation: number): Promise<string> {
    const info = this.info(generation)
    if (info === null) throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'no such generation in the history', { object: `generation ${generation}`, expected: this.range() })
    const text = await this.io.read(this.textPath(generation))
    if (text === null || textHash(text) !== info.hash) throw new LockstepError('unavailable', 'LS_C_STORE', 'the stored text is missing or damaged', { object: `generation ${generation}`, next: 'apply the configuration from its file' })
    return text
  }

  /** Takes the next number, or one that is given: a higher one, or one whose attempt failed. Stores the text under it; the number is not used for anything else, whatever happens. */
  async begin (text: string, given = 0): Promise<number> {
    const generation = given < this.current.next && this.info(given)?.state === 'failed' ? given : Math.max(given, this.current.next)
    await this.replace(this.textPath(generation), text)
    this.current = { ...this.current, next: Math.max(this.current.next, generation + 1) }
    return generation
  }

  /** Before a dataplane may use them. */
  async saveIds (book: IdBook): Promise<void> {
    const json = JSON.stringify(book.toJSON())
    if (json !== JSON.stringify(this.book.toJSON())) await this.replace(join(this.directory, 'ids.json'), sealed(json))
    this.book = book
  }

  async commit (change: Partial<StoreState>): Promise<void> { await (await this.stage(change))() }

  /** Writes the state that would be, durable and referred to by nobody; what is returned makes it the state: the commit point. The next stage replaces it. */
  async stage (change: Partial<StoreState>): Promise<() => Promise<void>> {
    const merged = { ...this.current, ...change }
    const pinned = new Set([merged.running, merged.unconfirmed?.generation, merged.unconfirmed?.previous])
    const surplus = merged.history.length - historyMax
    const old = merged.history.filter((g, i) => i < surplus && !pinned.has(g.generation))
    const next: StoreState = { ...merged, history: merged.history.filter(g => !old.includes(g)) }
    const path = join(this.directory, 'state.json')
    await this.io.write(`${path}.tmp`, sealed(JSON.stringify(next)), 0o600)
    return async () => {
      await this.io.rename(`${path}.tmp`, path)
      await this.io.syncDirectory(this.directory)
      this.current = next
      for (const { generation } of old) await this.io.remove(this.textPath(generation)).catch(() => undefined) // swept when opened
    }
  }

  async startup (): Promise<{ readonly text: string, readonly hash: string } | null> {
    const text = await this.io.read(this.startupPath)
    return text === null ? null : { text, hash: textHash(text) }
  }

  async saveStartup (text: string): Promise<void> {
    // It may be the operator's own file: behind a link, with permissions of its own.
    const real = await this.io.real(this.startupPath)
    await this.replace(real?.path ?? this.startupPath, text, real?.mode)
    await this.commit({ startupHash: textHash(text) })
  }

  private textPath (generation: number): string { return join(this.directory, 'generations', `${generation}.yaml`) }

  private range (): string {
    const numbers = this.current.history.map(g => g.generation)
    return numbers.length === 0 ? 'none is stored' : `one of ${numbers.join(', ')}`
  }

  private async replace (path: string, text: string, mode = 0o600): Promise<void> {
    const temporary = `${path}.tmp`
    await this.io.write(temporary, text, mode)
    await this.io.rename(temporary, path)
    await this.io.syncDirectory(dirname(path))
  }

  /** Files of an apply that did not reach its commit: removed, and their numbers never used again. */
  private async sweep (): Promise<void> {
    for (const name of await this.io.list(this.directory)) if (name.endsWith('.tmp')) await this.io.remove(join(this.directory, name))
    const known = new Set(this.current.history.map(g => `${g.generation}.yaml`))
    let next = this.current.next
    const orphans: string[] = []
    for (const name of await this.io.list(join(this.directory, 'generations'))) {
      if (known.has(name)) continue
      next = Math.max(next, Number(/^(\d{1,15})\.yaml/.exec(name)?.[1] ?? 0) + 1)
      orphans.push(join(this.directory, 'generations', name))
    }
    if (next !== this.current.next) await this.commit({ next })
    for (const path of orphans) await this.io.remove(path)
  }
}

/** First line: SHA-256 of the rest. */
const sealed = (json: string): string => `${textHash(json)}\n${json}\n`
function unsealed (text: string): unknown {
  const end = text.indexOf('\n')
  const json = text.slice(end + 1, -1)
  if (end !== 64 || textHash(json) !== text.slice(0, 64)) return undefined
  return JSON.parse(json) as unknown
}

async function readSealed (io: StoreIo, path: string, notes: string[]): Promise<unknown> {
  const text = await io.read(path)
  if (text === null) return undefined
  const value = unsealed(text)
  if (value === undefined) {
    await io.rename(path, `${path}.damaged`)
    notes.push(`${path} was damaged and is set aside as ${path}.damaged`)
  }
  return value
}

async function readState (io: StoreIo, directory: string, notes: string[]): Promise<StoreState> {
  const value = await readSealed(io, join(directory, 'state.json'), notes)
  if (value === undefined || value === null || typeof value !== 'object') return fresh
  const state: StoreState = { ...fresh, ...value }
  const overlay = readOverlay(JSON.stringify(state.overlay))
  if (overlay === null) notes.push('state.json holds an impossible overlay, which is dropped')
  return { ...state, overlay: overlay ?? noOverlay }
}

async function readIds (io: StoreIo, directory: string, notes: string[]): Promise<IdBook> {
  const value = await readSealed(io, join(directory, 'ids.json'), notes)
  if (value === undefined) return IdBook.empty()
  const book = IdBook.fromJSON(value)
  if (book === null) notes.push('ids.json holds impossible ids and is ignored')
  return book ?? IdBook.empty()
}
