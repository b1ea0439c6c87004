/** A watch as a map that is always whole: nothing before the first snapshot, and after a gap the one before until the next is there. */
import { once } from 'node:events'
import { Watch, type Batch, type Open, type WatchOptions, type WatchStatus } from './watch.js'

export interface Store<V> extends AsyncDisposable {
  /** What was given stays as it is. */
  readonly current: () => ReadonlyMap<string, V>
  /** Of `current`; 0: nothing is known yet. */
  readonly revision: number
  readonly synced: boolean
  /** When everything is known. @throws the reason of either signal; what ended the watch */
  readonly waitSynced: (options?: { readonly signal?: AbortSignal }) => Promise<void>
  /** Calls back for each batch from now on, after `current` has it; what it returns ends that. One that throws is told to `onError`, and hinders nobody. */
  readonly subscribe: (onBatch: (batch: Batch<V>) => void) => () => void
  readonly status: () => WatchStatus
  /** What ended it; `null`: it goes on. */
  readonly error: unknown
  readonly close: () => Promise<void>
}

export interface MirrorOptions<V> extends WatchOptions<V> {
  /** Of a subscriber; default: a warning of the process. */
  readonly onError?: (error: unknown) => void
}

const warn = (error: unknown): void => { process.emitWarning(error instanceof Error ? error : String(error)) }

export function mirror<V> (open: Open<V>, { onError = warn, ...options }: MirrorOptions<V> = {}): Store<V> {
  const watch = new Watch(open, options)
  const subscribers = new Set<(batch: Batch<V>) => void>()
  const first = new AbortController()
  let synced = false
  let over = false
  let error: unknown = null
  const run = async (): Promise<void> => {
    try {
      for await (const batch of watch) {
        synced = true
        first.abort()
        for (const subscriber of [...subscribers]) {
          try {
            subscriber(batch)
          } catch (cause) {
            onError(cause)
          }
        }
      }
    } catch (cause) {
      error = cause
    }
    over = true
    first.abort()
  }
  const running = run()
  const close = async (): Promise<void> => {
    await watch.return()
    await running
  }
  return {
    current: () => watch.current(),
    get revision () { return synced ? watch.status.revision : 0 },
    get synced () { return synced },
    get error () { return error },
    waitSynced: async ({ signal } = {}) => {
      const either = signal === undefined ? first.signal : AbortSignal.any([first.signal, signal])
      if (!either.aborted) await once(either, 'abort')
      if (synced) return
      signal?.throwIfAborted()
      if (over) throw error instanceof Error ? error : new Error(`the watch is over${error === null ? '' : `: ${String(error)}`}`)
    },
    subscribe: (onBatch) => {
      subscribers.add(onBatch)
      return () => { subscribers.delete(onBatch) }
    },
    status: () => watch.status,
    close,
    [Symbol.asyncDispose]: close
  }
}
