/**
 * The sync thread: drains notices and deletions of the shared table into packed records. It polls, because a wake-up per event would cost the
 * dataplane a system call: fast while there is something, slowly while there is not. Nobody listening: drained all the same, so that rings do not
 * overrun and the first listener starts fresh.
 */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { layout, limits } from '../generated/layout.js'
import { loadCore } from '../native/load.js'
import { recordBytes } from '../native/records.js'
import type { Changes, FromSync, SyncWorkerData, ToListened, ToSync } from './protocol.js'

const BATCH = 4096
/** Lines of policies per LOG_MS: what a person or a log store can take. More is counted, and never delays the main thread. */
const LOGS = 256
const LOG_MS = 50
const FAST_MS = 1
const SLOW_MS = 50
/** Messages that may wait for one reader: 48 MiB of changes. */
const UNDER_WAY_MAX = 64

const port = parentPort
if (port === null) throw new Error('sync.ts runs as a worker thread')
const { tableId, underWay } = workerData as SyncWorkerData
const waiting = new Int32Array(underWay)
const table = new (loadCore().Table)({ attach: tableId })
const buffer = new Uint8Array(BATCH * recordBytes)
const view = new DataView(buffer.buffer)
const shape = layout.ls_wire_record
const logBuffer = new Uint8Array(LOGS * layout.ls_log.size)
let delay = SLOW_MS
let timer: NodeJS.Timeout | null = null
let lostClosed = 0
let logsAt = 0
let closedLeft = LOGS

/** Who hears changes: a port of another thread, and what it has missed. */
interface Ear { readonly port: MessagePort, readonly waiting: Int32Array, listens: boolean, lost: number }
const ears = new Set<Ear>()

const full = (counter: Int32Array = waiting): boolean => Atomics.load(counter, 0) >= UNDER_WAY_MAX
const send = (message: FromSync, transfer: ArrayBuffer[]): void => {
  Atomics.add(waiting, 0, 1)
  port.postMessage(message, transfer)
}

function round (): void {
  const { records, overruns } = table.drain(buffer)
  const now = performance.now()
  const logTime = now - logsAt >= LOG_MS
  if (logTime) {
    logsAt = now
    closedLeft = LOGS
  }
  tellClosed(records)
  if (records > 0 || overruns > 0) for (const ear of ears) if (ear.listens) tellChanges(ear, records, overruns)
  // rows that stay in the rings are not lost; what the rings cannot hold the dataplane counts (logs_lost)
  const logs = logTime && !full() ? table.drainLogs(logBuffer) : 0
  if (logs > 0) {
    const copy = logBuffer.slice(0, logs * layout.ls_log.size)
    send({ kind: 'logs', rows: copy }, [copy.buffer])
  }
  delay = records === BATCH ? 0 : records > 0 ? FAST_MS : Math.min(SLOW_MS, Math.max(FAST_MS, delay * 2))
  timer = setTimeout(round, delay)
}

function tellChanges (ear: Ear, records: number, overruns: number): void {
  if (full(ear.waiting)) {
    ear.lost += records + overruns
    return
  }
  const copy = buffer.slice(0, records * recordBytes)
  Atomics.add(ear.waiting, 0, 1)
  ear.port.postMessage({ records: copy, lost: overruns + ear.lost } satisfies Changes, [copy.buffer])
  ear.lost = 0
}

function listenTo (from: MessagePort, underWay: SharedArrayBuffer): void {
  const ear: Ear = { port: from, waiting: new Int32Array(underWay), listens: false, lost: 0 }
  ears.add(ear)
  from.on('message', ({ listen }: ToListened) => {
    ear.listens = listen
    ear.lost = 0
  })
  from.on('close', () => { ears.delete(ear) })
}

/** Ended sessions with the log flag; found by two loads per record, decoded by nobody here. */
function tellClosed (records: number): void {
  const found: Uint8Array[] = []
  for (let base = 0; base < records * recordBytes; base += recordBytes) {
    if (view.getUint8(base + shape.kind.offset) !== limits.LS_NOTICE_DELETE || (view.getUint32(base + shape.flags.offset, true) & limits.LS_SF_LOG_CLOSE) === 0) continue
    if (closedLeft > 0) {
      closedLeft--
      found.push(buffer.slice(base, base + recordBytes))
    } else lostClosed++
  }
  if (full()) {
    lostClosed += found.length
    return
  }
  if (found.length === 0) return
  const rows = new Uint8Array(found.length * recordBytes)
  found.forEach((row, i) => { rows.set(row, i * recordBytes) })
  send({ kind: 'closed', records: rows, lost: lostClosed }, [rows.buffer])
  lostClosed = 0
}

port.on('message', (message: ToSync) => {
  if (message.kind === 'listener') {
    listenTo(message.port, message.underWay)
    return
  }
  if (timer !== null) clearTimeout(timer)
  table.feed(false)
  table.close()
  for (const ear of ears) ear.port.close()
  port.close()
})
table.feed(true)
round()
