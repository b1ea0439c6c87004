/**
 * The owner's half: changes of the groups that this node owns leave in order, with a cut every second; what the peer asks for after a cut is answered.
 * The peer decides what it needs; this half remembers only the last cut, and whole groups that are under way.
 */
import { limits } from '../../generated/layout.js'
import { recordBytes } from '../../native/records.js'
import { frameOf, split, type Frame } from './frame.js'
import { cellsMax, cellsRange, cutBytes, frameType, groups, idBytes, keyBytes, packedCellMax, readCells, readWant, setAuditAge, sketchCells, type SketchKeys, type Surroundings, type SyncTimes } from './protocol.js'

/** Rows of a frame that was asked for: long enough for its cost, short enough for the allocator to keep its memory. */
const rowsMax = 512
const noteBytes = 2 * 32 + 64 + recordBytes
/** What was asked for is pushed while less than this is unacknowledged: changes never wait behind more. */
const BULK_AHEAD = 2 << 20
/** Questions that wait; each is of up to LS_FRAME_ROWS_MAX ids. */
const NEEDS_MAX = 1024
/** A cut that is being compared is not replaced meanwhile. */
const COMPARE_MS = 2000
/** Cells that are kept beyond the usual ones go when nobody has asked for so long. */
const CELLS_MS = 60_000

interface Group {
  epoch: bigint
  keyAtMs: number
  /** Place of the last cut. */
  cut: number
  cutAtMs: number
  wantedAtMs: number
  wantsCut: boolean
  /** The sketch has, or gets, more than the usual cells. */
  extended: boolean
}

export interface Link {
  /** Into the ordered stream. */
  readonly push: (frame: Uint8Array) => void
  /** Beside it. */
  readonly aside: (frame: Uint8Array) => void
  /** Place of the last frame that was pushed. */
  readonly lastSeq: () => number
  /** Bytes that are pushed and not acknowledged, and how many there may be. */
  readonly ahead: () => number
  readonly aheadMax: number
}

export class Outgoing {
  readonly counts = { rows: 0, sent: 0, bulks: 0, cells: 0, cuts: 0, needed: 0, keys: 0 }
  private readonly group: Group[] = Array.from({ length: groups }, () => ({ epoch: 0n, keyAtMs: -Infinity, cut: 0, cutAtMs: -Infinity, wantedAtMs: -Infinity, wantsCut: false, extended: false }))
  private owned = 0
  private scratch = new Uint8Array(0)
  private readonly cut = new Uint8Array(cutBytes)
  private bulks: Array<{ readonly rg: number, cursor: number | null }> = []
  private needs: Array<{ readonly rg: number, readonly ids: Uint8Array, at: number }> = []
  private activityCursor: number | null = null
  private activityFromNs = 0n
  private activityAtMs = -Infinity

  private readonly aheadMax: number
  private readonly rowsMax: number

  constructor (private readonly world: Surroundings, private readonly keys: SketchKeys, private readonly link: Link, private readonly times: SyncTimes, private readonly recount: () => void) {
    this.aheadMax = Math.min(BULK_AHEAD, link.aheadMax / 4)
    this.rowsMax = Math.max(1, Math.min(rowsMax, Math.floor(this.aheadMax / recordBytes)))
  }

  private room (bytes: number): Uint8Array {
    if (this.scratch.length < bytes) this.scratch = new Uint8Array(bytes)
    return this.scratch
  }

  private send (bytes: number): void {
    for (const frame of split(this.scratch.subarray(0, bytes))) this.link.push(frame)
  }

  owns (rg: number): boolean { return (this.owned >>> rg & 1) === 1 }

  /** Groups that this node owns from here on. One that is new gets a key, unless it has one, the peer's perhaps. */
  own (owned: number, epochs: readonly bigint[]): void {
    for (let rg = 0; rg < groups; rg++) {
      const group = this.group[rg]
      if (group !== undefined) group.epoch = epochs[rg] ?? 0n
      if (group === undefined || (owned >>> rg & 1) === 0 || this.owns(rg)) continue
      group.keyAtMs = this.world.nowMs()
      if (this.keys[rg] == null) this.draw(rg, group)
      group.extended = true // as a standby it may have asked for more
      group.wantsCut = true
    }
    this.owned = owned
  }

  /** Another key: our sketch is counted anew, and the next cut tells the peer, which does the same. */
  private draw (rg: number, group: Group): void {
    const key = this.keys[rg] = this.world.random(keyBytes)
    group.keyAtMs = this.world.nowMs()
    group.wantsCut = true
    this.world.replica.key(rg, key)
    this.recount()
  }

  /** A stream begins: what the peer has is not known any more. */
  begin (): void {
    this.bulks = []
    this.needs = []
    for (let rg = 0; rg < groups; rg++) {
      const group = this.group[rg]
      if (group === undefined || !this.owns(rg)) continue
      group.cut = 0
      group.wantsCut = true
    }
  }

  /** Drained records; how many changes left. */
  note (records: Uint8Array, n: number): number {
    const { bytes, rows } = this.world.replica.note(records, n, this.owned, this.room(n * noteBytes))
    this.send(bytes)
    this.counts.rows += rows
    return rows
  }

  /** A piece of the audit: what was lost leaves now. */
  audit (cursor: number, slots: number): { readonly found: number, readonly cursor: number | null } {
    const { bytes, rows, cursor: next } = this.world.replica.audit(this.owned, cursor, slots, this.room(slots * noteBytes))
    this.send(bytes)
    return { found: rows, cursor: next }
  }

  /** Once in a while, while the peer listens. `auditAgeMs`: since the last whole audit began. */
  tick (nowMs: number, counted: boolean, auditAgeMs: number | null): void {
    for (let rg = 0; rg < groups; rg++) {
      const group = this.group[rg]
      if (group === undefined || !this.owns(rg) || !counted) continue
      const due = nowMs - group.cutAtMs >= this.times.cutMs && nowMs - group.wantedAtMs >= COMPARE_MS
      // in the place of a cut that nobody asked for: no comparison is under way then
      if (due && !group.wantsCut && !group.extended && nowMs - group.keyAtMs >= this.times.keyMs && !this.answering(rg)) {
        this.draw(rg, group)
        this.counts.keys++
      } else if (group.wantsCut || due) this.takeCut(rg, group, nowMs, auditAgeMs)
      if (group.extended && nowMs - group.wantedAtMs >= CELLS_MS) group.extended = !this.world.replica.extend(rg, sketchCells)
    }
    this.pump()
    this.activity(nowMs)
  }

  /** The next tick takes a cut. */
  wantCut (rg: number): void {
    const group = this.group[rg]
    if (group !== undefined) group.wantsCut = true
  }

  /** What the peer asked for is not all pushed yet. */
  private answering (rg: number): boolean { return this.bulks.some((b) => b.rg === rg) || this.needs.some((n) => n.rg === rg) }

  private takeCut (rg: number, group: Group, nowMs: number, auditAgeMs: number | null): void {
    if (this.answering(rg) || !this.world.replica.cut(rg, this.cut)) return
    setAuditAge(this.cut, auditAgeMs)
    this.link.push(frameOf({ type: frameType.cut, rg, row: cutBytes, epoch: group.epoch, body: this.cut }))
    group.cut = this.link.lastSeq()
    group.cutAtMs = nowMs
    group.wantsCut = false
    this.counts.cuts++
  }

  private bulk (): void {
    for (let bulk = this.bulks[0]; bulk !== undefined && this.link.ahead() < this.aheadMax; bulk = this.bulks[0]) {
      const { rg, cursor } = bulk
      const group = this.group[rg]
      if (group === undefined || !this.owns(rg) || cursor === null) {
        this.bulks.shift()
        if (group === undefined || !this.owns(rg)) continue
        this.link.push(frameOf({ type: frameType.bulkEnd, rg, epoch: group.epoch, body: new Uint8Array(0) }))
        group.wantsCut = true
        continue
      }
      if (cursor === 0) this.link.push(frameOf({ type: frameType.bulkBegin, rg, row: keyBytes, epoch: group.epoch, body: this.keys[rg] ?? new Uint8Array(keyBytes) }))
      const step = this.world.replica.bulk(rg, cursor, this.rowsMax, this.room(groups * 32 + this.rowsMax * recordBytes))
      bulk.cursor = step.cursor
      this.counts.sent += step.rows
      this.send(step.bytes)
    }
  }

  private activity (nowMs: number): void {
    if (this.activityCursor === null) {
      if (nowMs - this.activityAtMs < this.times.activityMs) return
      // what was seen since the last pass began, and a second more: both clocks are this host's, but one is coarse
      this.activityFromNs = this.activityAtMs === -Infinity ? 0n : BigInt(Math.max(0, Math.round((this.activityAtMs - 1000) * 1e6)))
      this.activityAtMs = nowMs
      this.activityCursor = 0
    }
    if (this.link.ahead() > this.aheadMax) return
    const step = this.world.replica.activity(this.owned, this.activityCursor, this.rowsMax, this.activityFromNs, this.room(this.rowsMax * 56))
    this.activityCursor = step.cursor
    this.send(step.bytes)
  }

  /** The peer has room again. */
  pump (): void {
    this.needed()
    this.bulk()
  }

  /** Questions of the peer. */
  asked (frame: Frame, nowMs: number): void {
    const group = this.group[frame.rg]
    if (group === undefined || !this.owns(frame.rg)) return
    switch (frame.type) {
      case frameType.cellsWant: this.cells(frame, group, nowMs); break
      case frameType.cutWant: this.another(frame, group, nowMs); break
      case frameType.need: this.need(frame); break
      case frameType.bulkWant: if (!this.bulks.some((b) => b.rg === frame.rg)) {
        this.bulks.push({ rg: frame.rg, cursor: 0 })
        this.counts.bulks++
      }
    }
  }

  private another (frame: Frame, group: Group, nowMs: number): void {
    const cells = readWant(frame.body)
    group.wantsCut = true
    group.wantedAtMs = nowMs
    // more cells than that cost more than the group, and nobody in earnest asks for them
    if (cells <= this.world.replica.cutCells(frame.rg) || cells > limits.LS_SKETCH_MAX || cells > sketchCells + 4 * (this.world.replica.info().items[frame.rg] ?? 0)) return
    if (!this.world.replica.extend(frame.rg, cells)) return // the cut has the cells there are, and the peer decides
    group.extended = true
    this.recount()
  }

  private cells (frame: Frame, group: Group, nowMs: number): void {
    const wanted = readCells(frame.body)
    if (wanted === null) return
    group.wantedAtMs = nowMs
    const n = Math.min(wanted.n, cellsMax)
    const bytes = wanted.cut === group.cut && n > 0 ? this.world.replica.cells(frame.rg, wanted.from, n, this.room(n * packedCellMax)) : 0
    this.counts.cells += bytes === 0 ? 0 : n
    this.link.aside(frameOf({ type: frameType.cells, rg: frame.rg, body: cellsRange({ ...wanted, n: bytes === 0 ? 0 : n }, this.scratch.subarray(0, bytes)) }))
  }

  private need (frame: Frame): void {
    if (frame.row !== idBytes || frame.rows > limits.LS_FRAME_ROWS_MAX || this.needs.length >= NEEDS_MAX) return // asked for too much at once: the next cut shows what is still missing
    this.needs.push({ rg: frame.rg, ids: frame.body.slice(), at: 0 })
    this.needed()
  }

  private needed (): void {
    for (let need = this.needs[0]; need !== undefined && this.link.ahead() < this.aheadMax; need = this.needs[0]) {
      if (!this.owns(need.rg)) {
        this.needs.shift()
        continue
      }
      const n = Math.min((need.ids.length - need.at) / idBytes, this.rowsMax)
      const { bytes, rows } = this.world.replica.records(need.rg, need.ids.subarray(need.at), n, this.room(groups * 32 + n * recordBytes))
      need.at += n * idBytes
      if (need.at >= need.ids.length) this.needs.shift()
      this.counts.needed += rows
      this.send(bytes)
    }
  }
}
