/**
 * Which backend was chosen while the agent ran (`lockstep backend switch`), and what was given up for it: kept over restarts, until the configuration names
 * another than it did then.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceFile } from '../lib/replace-file.js'

interface Chosen {
  readonly backend: string
  readonly configured: string
  /** Capabilities that the configuration goes without. */
  readonly without: readonly string[]
}

export class BackendChoice {
  private constructor (private readonly path: string, private chosen: Chosen | null) {}

  static async open (stateDirectory: string): Promise<BackendChoice> {
    const path = join(stateDirectory, 'backend.json')
    const text = await readFile(path, 'utf8').catch(() => '')
    try {
      const { backend, configured, without = [] } = JSON.parse(text) as Partial<Chosen>
      const read = typeof backend === 'string' && typeof configured === 'string' && Array.isArray(without) && without.every(name => typeof name === 'string')
      return new BackendChoice(path, read ? { backend, configured, without } : null)
    } catch {
      return new BackendChoice(path, null)
    }
  }

  /** The backend to use where the configuration says `configured`. */
  of (configured: string): string { return this.chosen?.configured === configured ? this.chosen.backend : configured }

  /** Capabilities that were given up for this backend. */
  without (backend: string): readonly string[] { return this.chosen?.backend === backend ? this.chosen.without : [] }

  /** A second choice of the same keeps what was given up for it. */
  async set (backend: string, configured: string, without: readonly string[] = []): Promise<void> {
    this.chosen = { backend, configured, without: [...new Set([...this.without(backend), ...without])] }
    await replaceFile(this.path, `${JSON.stringify(this.chosen)}\n`)
  }
}
