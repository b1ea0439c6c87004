/** One object: its value, `undefined` while there is none, whenever that changes. */
import { Watch, type Open, type WatchOptions } from './watch.js'

/** `open`: of that key alone; others are left out. */
export async function * watchOne<V> (open: Open<V>, key: string, options: Omit<WatchOptions<V>, 'filter'> = {}): AsyncGenerator<V | undefined, void> {
  const watch = new Watch(open, { ...options, filter: (_value, of) => of === key })
  try {
    for await (const { changes, cause } of watch) {
      if (changes.length === 0 && cause !== null) yield undefined
      for (const change of changes) yield change.kind === 'removed' ? undefined : change.next
    }
  } finally {
    await watch.return()
  }
}
