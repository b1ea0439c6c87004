/** Which backend was chosen while the agent ran (`lockstep backend switch`): kept over restarts, until the configuration names another than it did then. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceFile } from '../lib/replace-file.js'

interface Chosen { readonly backend: string, readonly configured: string }

export class BackendChoice {
  private constructor (private readonly path: string, private chosen: Chosen | null) {}

  static async open (stateDirectory: string): Promise<BackendChoice> {
    const path = join(stateDirectory, 'backend.json')
    const text = await readFile(path, 'utf8').catch(() => '')
    try {
      const { backend, configured } = JSON.parse(text) as Partial<Chosen>
      return new BackendChoice(path, typeof backend === 'string' && typeof configured === 'string' ? { backend, configured } : null)
    } catch {
      return new BackendChoice(path, null)
    }
  }

  /** The backend to use where the configuration says `configured`. */
  of (configured: string): string { return this.chosen?.configured === configured ? this.chosen.backend : configured }

  async set (backend: string, configured: string): Promise<void> {
    this.chosen = { backend, configured }
    await replaceFile(this.path, `${JSON.stringify(this.chosen)}\n`)
  }
}
