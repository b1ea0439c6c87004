/**
 * The sync thread: drains notices and deletions of the shared table into packed records. It polls, because a wake-up per event would cost the
 * dataplane a system call: fast while there is something, slowly while there is not. Nobody listening: drained all the same, so that rings do not
 * overrun and the first listener starts fresh.
 */
import { readFileSync } from 'node:fs'
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { layout, limits } from '../generated/layout.js'
import { loadCore } from '../native/load.js'
import { recordBytes } from '../native/records.js'
import { openPair, type Pair } from './pair.js'
import type { Changes, FromSync, SyncWorkerData, ToListened, ToSync } from './protocol.js'

const BATCH = 4096
/** Lines of policies per LOG_MS: what a person or a log store can take. More is counted, and never delays the main thread. */
const LOGS = 256
const LOG_MS = 50
const FAST_MS = 1
/** With a peer that waits: how long to let changes gather, and how long after the last one. */
const NAP_MS = 0.6
const BUSY_MS = 50
const SLOW_MS = 50
/** Between two rounds while nothing changes, with a peer: cuts and activity are due then. */
const PAIR_MS = 10
/** Records that are worth sending at once. */
const GATHERED = 256
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
let immediate: NodeJS.Immediate | null = null
let pair: Pair | null = null
let changedAt = -Infinity
let working = false
const nap = new Int32Array(new SharedArrayBuffer(4))
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
  if (pair !== null) {
    pair.drained(buffer, records, overruns)
    working = pair.tick()
  }
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
  delay = records === BATCH ? 0 : records > 0 ? FAST_MS : Math.min(pair === null ? SLOW_MS : PAIR_MS, Math.max(FAST_MS, delay * 2))
  if (records > 0) changedAt = now
  if (pair !== null && (working || now - changedAt < BUSY_MS)) {
    // A timer takes a millisecond at least. Sockets are served between two rounds.
    if (!working && records < GATHERED) Atomics.wait(nap, 0, 0, NAP_MS)
    immediate = setImmediate(round)
  } else {
    timer = setTimeout(round, delay)
  }
}

/** CPU time of this thread: fields 14 and 15 of its stat, in ticks of 10 ms. */
function cpuMs (): number {
  const fields = readFileSync('/proc/thread-self/stat', 'utf8').replace(/^.*\) /, '').split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

function setPair (message: Extract<ToSync, { readonly kind: 'pair' }>): void {
  const event = (name: Extract<FromSync, { readonly kind: 'event' }>['name'], fields: Readonly<Record<string, string | number | null>>): void => {
    port?.postMessage({ kind: 'event', name, fields } satisfies FromSync)
  }
  try {
    pair = openPair(message.spec, { table, cpuMs, onEvent: event, onProblem: (text) => { event('', { text }) } })
  } catch (error) {
    event('', { text: `there is no peer: ${error instanceof Error ? error.message : String(error)}` }) // keys that are none: the rest of this thread goes on
  }
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

async function stop (): Promise<void> {
  if (timer !== null) clearTimeout(timer)
  if (immediate !== null) clearImmediate(immediate)
  await pair?.close()
  table.feed(false)
  table.close()
  for (const ear of ears) ear.port.close()
  port?.close()
}

port.on('message', (message: ToSync) => {
  switch (message.kind) {
    case 'listener': listenTo(message.port, message.underWay); break
    case 'pair': setPair(message); break
    case 'own': pair?.own(message.owned, message.epochs); break
    case 'report': port.postMessage({ kind: 'pair', report: pair?.report(message.anew) ?? null } satisfies FromSync); break
    case 'stop': void stop()
  }
})
table.feed(true)
round()
