/** Main thread's end of the sync worker: fans changes out to subscribers and policy logs to the log. */
import { Worker } from 'node:worker_threads'
import type { SessionFeed } from '../contract/services.js'
import type { SessionChange } from '../contract/session.js'
import { changesOf } from '../native/records.js'
import type { Timeouts } from '../native/session-store.js'
import type { FromSync, SyncWorkerData, ToSync } from './protocol.js'

export interface Feed extends SessionFeed {
  readonly close: () => Promise<void>
}

export interface FeedOptions {
  readonly tableId: number
  readonly timeouts: Timeouts
  /** Rows of struct ls_log. */
  readonly onLogs: (rows: Uint8Array) => void
  /** Ended sessions whose policy asks for a line. */
  readonly onClosed: (changes: readonly SessionChange[]) => void
  readonly onProblem: (error: unknown) => void
}

export function startFeed ({ tableId, timeouts, onLogs, onClosed, onProblem }: FeedOptions): Feed {
  const worker = new Worker(new URL('./sync.js', import.meta.url), { workerData: { tableId } satisfies SyncWorkerData })
  const subscribers = new Set<(records: Uint8Array, lost: number) => void>()
  let stopped: (() => void) | null = null
  const tell = (message: ToSync): void => { worker.postMessage(message) }
  worker.on('message', (message: FromSync) => {
    if (message.kind === 'changes') for (const run of subscribers) run(message.records, message.lost)
    else if (message.kind === 'logs') onLogs(message.rows)
    else if (message.kind === 'closed') onClosed(changesOf(message.records, timeouts))
    else stopped?.()
  })
  worker.on('error', onProblem)
  return {
    subscribe: (onBatch) => {
      subscribers.add(onBatch)
      if (subscribers.size === 1) tell({ kind: 'listen', on: true })
      return () => {
        subscribers.delete(onBatch)
        if (subscribers.size === 0) tell({ kind: 'listen', on: false })
      }
    },
    decode: (records) => changesOf(records, timeouts),
    close: async () => {
      const exited = new Promise<void>(resolve => { worker.once('exit', () => { resolve() }) })
      await new Promise<void>(resolve => {
        stopped = resolve
        worker.once('exit', () => { resolve() })
        tell({ kind: 'stop' })
      })
      await exited
    }
  }
}
