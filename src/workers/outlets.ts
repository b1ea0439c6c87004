/**
 * Where drained records go beside the peer: to listeners on other threads, and lines of policies and ended sessions to the main thread. Everything is
 * bounded: what a reader cannot take is counted, and delays nobody.
 */
import type { MessagePort } from 'node:worker_threads'
import { layout, limits } from '../generated/layout.js'
import type { NativeTable } from '../native/binding.js'
import { recordBytes } from '../native/records.js'
import type { Changes, FromSync, ToListened } from './protocol.js'

/** Lines of policies per LOG_MS: what a person or a log store can take. More is counted, and never delays the main thread. */
const LOGS = 256
const LOG_MS = 50
/** Messages that may wait for one reader: 48 MiB of changes. */
export const UNDER_WAY_MAX = 64

const shape = layout.ls_wire_record

/** Who hears changes: a port of another thread, and what it has missed. */
interface Ear { readonly port: MessagePort, readonly waiting: Int32Array, listens: boolean, lost: number }

export class Outlets {
  private readonly ears = new Set<Ear>()
  private readonly waiting: Int32Array
  private readonly view: DataView
  private readonly logBuffer = new Uint8Array(LOGS * layout.ls_log.size)
  private lostClosed = 0
  private logsAt = 0
  private closedLeft = LOGS

  /** `buffer`: where drained records are. */
  constructor (private readonly port: MessagePort, underWay: SharedArrayBuffer, private readonly table: NativeTable, private readonly buffer: Uint8Array) {
    this.waiting = new Int32Array(underWay)
    this.view = new DataView(buffer.buffer)
  }

  private full (counter: Int32Array = this.waiting): boolean { return Atomics.load(counter, 0) >= UNDER_WAY_MAX }
  private send (message: FromSync, transfer: ArrayBuffer[]): void {
    Atomics.add(this.waiting, 0, 1)
    this.port.postMessage(message, transfer)
  }

  tell (records: number, overruns: number, nowMs: number): void {
    const logTime = nowMs - this.logsAt >= LOG_MS
    if (logTime) {
      this.logsAt = nowMs
      this.closedLeft = LOGS
    }
    this.tellClosed(records)
    if (records > 0 || overruns > 0) for (const ear of this.ears) if (ear.listens) this.tellChanges(ear, records, overruns)
    // rows that stay in the rings are not lost; what the rings cannot hold the dataplane counts (logs_lost)
    const logs = logTime && !this.full() ? this.table.drainLogs(this.logBuffer) : 0
    if (logs === 0) return
    const copy = this.logBuffer.slice(0, logs * layout.ls_log.size)
    this.send({ kind: 'logs', rows: copy }, [copy.buffer])
  }

  private tellChanges (ear: Ear, records: number, overruns: number): void {
    if (this.full(ear.waiting)) {
      ear.lost += records + overruns
      return
    }
    const copy = this.buffer.slice(0, records * recordBytes)
    Atomics.add(ear.waiting, 0, 1)
    ear.port.postMessage({ records: copy, lost: overruns + ear.lost } satisfies Changes, [copy.buffer])
    ear.lost = 0
  }

  listen (from: MessagePort, underWay: SharedArrayBuffer): void {
    const ear: Ear = { port: from, waiting: new Int32Array(underWay), listens: false, lost: 0 }
    this.ears.add(ear)
    from.on('message', ({ listen }: ToListened) => {
      ear.listens = listen
      ear.lost = 0
      if (!listen) return
      Atomics.add(ear.waiting, 0, 1)
      from.postMessage({ records: new Uint8Array(), lost: 0 } satisfies Changes)
    })
    from.on('close', () => { this.ears.delete(ear) })
  }

  /** Ended sessions with the log flag; found by two loads per record, decoded by nobody here. */
  private tellClosed (records: number): void {
    const found: Uint8Array[] = []
    for (let base = 0; base < records * recordBytes; base += recordBytes) {
      if (this.view.getUint8(base + shape.kind.offset) !== limits.LS_NOTICE_DELETE || (this.view.getUint32(base + shape.flags.offset, true) & limits.LS_SF_LOG_CLOSE) === 0) continue
      if (this.closedLeft > 0) {
        this.closedLeft--
        found.push(this.buffer.slice(base, base + recordBytes))
      } else this.lostClosed++
    }
    if (this.full()) {
      this.lostClosed += found.length
      return
    }
    if (found.length === 0) return
    const rows = new Uint8Array(found.length * recordBytes)
    found.forEach((row, i) => { rows.set(row, i * recordBytes) })
    this.send({ kind: 'closed', records: rows, lost: this.lostClosed }, [rows.buffer])
    this.lostClosed = 0
  }

  close (): void { for (const ear of this.ears) ear.port.close() }
}
