/** A watch as calls, one after the other, each awaited: what is there, then what changes. */
import { FollowerError } from './errors.js'
import { Watch, type Batch, type Open, type WatchOptions } from './watch.js'

type Told = void | Promise<void>

export interface Follower<V> {
  readonly filter?: WatchOptions<V>['filter']
  readonly equals?: WatchOptions<V>['equals']
  readonly added?: (next: V, key: string) => Told
  readonly updated?: (prev: V, next: V, key: string) => Told
  /** `finalStateUnknown`: it went while nobody listened, so `prev` may be old. */
  readonly removed?: (prev: V, key: string, finalStateUnknown: boolean) => Told
  /** Once: everything that there was has been told, however little. */
  readonly synced?: () => Told
  /** After all of a batch. Never for one in which nothing changed, but for the first. */
  readonly batchDone?: (batch: Batch<V>) => Told
}

/** Runs until the signal fires, whose reason it rejects with. @throws FollowerError, after which nothing is called any more; WatchRefused */
export async function follow<V> (open: Open<V>, follower: Follower<V>, options: Omit<WatchOptions<V>, 'filter' | 'equals'> = {}): Promise<never> {
  const watch = new Watch(open, { ...options, ...follower.filter === undefined ? {} : { filter: follower.filter }, ...follower.equals === undefined ? {} : { equals: follower.equals } })
  let synced = false
  const tell = async (phase: FollowerError['phase'], key: string | null, call: () => Told): Promise<void> => {
    options.signal?.throwIfAborted()
    try {
      await call()
    } catch (cause) {
      throw new FollowerError(phase, key, cause)
    }
  }
  try {
    for await (const batch of watch) {
      for (const change of batch.changes) {
        const { kind, key } = change
        await tell(kind, key, () => {
          if (kind === 'added') return follower.added?.(change.next, key)
          if (kind === 'updated') return follower.updated?.(change.prev, change.next, key)
          return follower.removed?.(change.prev, key, change.finalStateUnknown)
        })
      }
      if (!synced) await tell('synced', null, () => follower.synced?.())
      synced = true
      await tell('batchDone', null, () => follower.batchDone?.(batch))
    }
  } finally {
    await watch.return()
  }
  throw new Error('a watch ends by its signal alone')
}
