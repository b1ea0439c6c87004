/**
 * The sync thread: drains notices and deletions of the shared table into packed records. It polls, because a wake-up per event would cost the
 * dataplane a system call: fast while there is something, slowly while there is not. Nobody listening: drained all the same, so that rings do not
 * overrun and the first listener starts fresh.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { layout, limits } from '../generated/layout.js'
import { loadCore } from '../native/load.js'
import { recordBytes } from '../native/records.js'
import type { FromSync, SyncWorkerData, ToSync } from './protocol.js'

const BATCH = 4096
const LOGS = 256
const FAST_MS = 1
const SLOW_MS = 50

const port = parentPort
if (port === null) throw new Error('sync.ts runs as a worker thread')
const { tableId } = workerData as SyncWorkerData
const table = new (loadCore().Table)({ attach: tableId })
const buffer = new Uint8Array(BATCH * recordBytes)
const view = new DataView(buffer.buffer)
const shape = layout.ls_wire_record
const logBuffer = new Uint8Array(LOGS * layout.ls_log.size)
let listening = false
let delay = SLOW_MS
let timer: NodeJS.Timeout | null = null

const tell = (message: FromSync, transfer: ArrayBuffer[] = []): void => { port.postMessage(message, transfer) }

function round (): void {
  const { records, overruns } = table.drain(buffer)
  tellClosed(records)
  if (listening && (records > 0 || overruns > 0)) {
    const copy = buffer.slice(0, records * recordBytes)
    tell({ kind: 'changes', records: copy, lost: overruns }, [copy.buffer])
  }
  const logs = table.drainLogs(logBuffer)
  if (logs > 0) {
    const copy = logBuffer.slice(0, logs * layout.ls_log.size)
    tell({ kind: 'logs', rows: copy }, [copy.buffer])
  }
  delay = records === BATCH ? 0 : records > 0 || logs > 0 ? FAST_MS : Math.min(SLOW_MS, Math.max(FAST_MS, delay * 2))
  timer = setTimeout(round, delay)
}

/** Ended sessions with the log flag; found by two loads per record, decoded by nobody here. */
function tellClosed (records: number): void {
  const found: Uint8Array[] = []
  for (let base = 0; base < records * recordBytes; base += recordBytes) {
    if (view.getUint8(base + shape.kind.offset) !== limits.LS_NOTICE_DELETE || (view.getUint32(base + shape.flags.offset, true) & limits.LS_SF_LOG_CLOSE) === 0) continue
    found.push(buffer.slice(base, base + recordBytes))
  }
  if (found.length > 0) tell({ kind: 'closed', records: Buffer.concat(found) })
}

port.on('message', (message: ToSync) => {
  if (message.kind === 'listen') {
    listening = message.on
    return
  }
  if (timer !== null) clearTimeout(timer)
  table.feed(false)
  table.close()
  tell({ kind: 'stopped' })
  port.close()
})
table.feed(true)
round()
