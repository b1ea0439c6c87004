/** What the suite needs of a backend, and what it makes out of YAML. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { IdBook, parseConfig, withIds, formatIssue } from '../../src/config/index.js'
import type { DataPlane } from '../../src/contract/dataplane.js'
import type { Desired } from '../../src/contract/desired.js'
import type { NativeTable } from '../../src/native/binding.js'

/** Effects on the dataplane, in the order they happened. */
export type Effect = 'open port' | 'enable port' | 'close port' | 'flip' | 'routes' | 'neighbours' | 'sessions looked up again'

export interface Rig {
  readonly dataplane: DataPlane
  /** Folder of the captures that a configuration names, removed by close(). */
  readonly directory: string
  /** YAML -> Desired, on this backend's ports. */
  readonly desired: (text: string) => Desired
  /** Of its ports. */
  readonly kind: 'pcap' | 'packet'
  /** Bytes of the shortest frame that its ports carry. */
  readonly shortest: number
  /** Frames that its ports have received. */
  readonly received: () => number
  readonly journal: Effect[]
  /** Runs before each effect; what it throws is what the native call throws. */
  before: ((effect: Effect) => void) | null
  /** Deletions and creations become visible to deltas.drain(). */
  readonly listen: (on: boolean) => void
  /** For who writes behind the backend's back. */
  readonly table: NativeTable
  /** Most sessions the table holds. */
  readonly capacity: number
  readonly close: () => Promise<void>
}

export type MakeBackend = (options?: { readonly capacity?: number, /** Elements of the arena of rings. */ readonly arena?: number }) => Promise<Rig>

let book = IdBook.empty()

/** YAML -> Desired with ids, as the configuration authority hands it to a backend. Ids stay with their names for the whole run. */
export function desiredOf (text: string, directory = '/'): Desired {
  const { desired, issues } = parseConfig(text, { host: { node: 'n1', stateDir: '/nonexistent/state', socketPath: '/nonexistent/agent.sock' }, directory })
  if (desired === null) throw new Error(issues.map(formatIssue).join('\n'))
  book = book.assign(desired)
  return withIds(desired, book)
}

export function scratch (): { readonly directory: string, readonly remove: () => void } {
  const directory = mkdtempSync(join(tmpdir(), 'ls-conformance-'))
  return { directory, remove: () => { rmSync(directory, { recursive: true, force: true }) } }
}

export const never: AbortSignal = new AbortController().signal

/** Waits for an event of the dataplane; a loaded machine only makes it slower. */
