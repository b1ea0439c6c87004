/** Main thread's end of the sync worker: fans changes out to subscribers and policy logs to the log. */
import { Worker } from 'node:worker_threads'
import { LockstepError } from '../contract/errors.js'
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
  /** Ended sessions whose policy asks for a line; `lost` more came before them and are only counted. */
  readonly onClosed: (changes: readonly SessionChange[], lost: number) => void
  /** The worker is gone, or a subscriber threw. */
  readonly onProblem: (error: unknown) => void
}

export function startFeed ({ tableId, timeouts, onLogs, onClosed, onProblem }: FeedOptions): Feed {
  const underWay = new SharedArrayBuffer(4)
  const waiting = new Int32Array(underWay)
  const worker = new Worker(new URL('./sync.js', import.meta.url), { workerData: { tableId, underWay } satisfies SyncWorkerData })
  const subscribers = new Set<(records: Uint8Array, lost: number) => void>()
  let closing = false
  const exited = new Promise<void>(resolve => {
    worker.once('exit', (code) => {
      if (!closing) onProblem(new LockstepError('bug', 'LS_E_BUG', 'the sync worker ended', { object: 'sync worker', found: `exit code ${code}`, next: 'restart the agent: session changes and policy logs are no longer read' }))
      resolve()
    })
  })
  const tell = (message: ToSync): void => { worker.postMessage(message) }
  /** What one reader does wrong is told, and the others go on. */
  const guarded = (run: () => void): void => {
    try {
      run()
    } catch (error) {
      onProblem(error)
    }
  }
  worker.on('message', (message: FromSync) => {
    if (message.kind === 'stopped') return
    Atomics.sub(waiting, 0, 1)
    if (message.kind === 'changes') for (const run of [...subscribers]) guarded(() => { run(message.records, message.lost) })
    else if (message.kind === 'logs') guarded(() => { onLogs(message.rows) })
    else guarded(() => { onClosed(changesOf(message.records, timeouts), message.lost) })
  })
  worker.on('error', onProblem)
  return {
    subscribe: (onBatch) => {
      subscribers.add(onBatch)
      if (subscribers.size === 1) tell({ kind: 'listen', on: true })
      return () => {
        if (subscribers.delete(onBatch) && subscribers.size === 0) tell({ kind: 'listen', on: false })
      }
    },
    decode: (records) => changesOf(records, timeouts),
    close: async () => {
      closing = true
      tell({ kind: 'stop' }) // to a worker that is gone: nothing happens
      await exited
    }
  }
}
