/**
 * The standby's half: what comes in order is installed at once; at each cut the sketches of both sides are compared, and what differs is asked for.
 * By what a repair costs it takes the differences, with as many cells as they need, or the whole group.
 */
import { limits } from '../../generated/layout.js'
import { frameOf, type Frame } from './frame.js'
import {
  cellsMax, cellsRange, cutBytes, frameType, groups, idBytes, keyBytes, readCells, readCut, sketchCells, wantOf, type SketchKeys, type Surroundings
} from './protocol.js'

/**
 * What a group's copy is known to be. `unknown`: no cut yet of this stream · `equal`: the last cut proved it · `comparing`: cells are on their way ·
 * `repairing`: what differs was asked for · `bulk`: the whole group is on its way
 */
export type CopyState = 'unknown' | 'equal' | 'comparing' | 'repairing' | 'bulk'
const moves = {
  unknown: ['equal', 'comparing', 'bulk'], equal: ['equal', 'comparing', 'bulk', 'unknown'], comparing: ['comparing', 'repairing', 'bulk', 'equal', 'unknown'],
  repairing: ['equal', 'comparing', 'bulk', 'unknown'], bulk: ['equal', 'comparing', 'bulk', 'unknown']
} as const satisfies Record<CopyState, readonly CopyState[]>

interface Copy {
  state: CopyState
  /** Highest epoch of the group that was seen: a frame of an older one is refused (R24). */
  epoch: bigint
  /** The cut that is compared, and what the peer has of it. */
  cut: number
  items: number
  cells: number
  fed: number
  /** Differences, by the counts of the cells so far. */
  guess: number
  /** Cells that the next cut shall have; 0: as it is. */
  wanted: number
  /** Our sketch is being counted, for another key or more cells. */
  counting: boolean
  /** Repairs since it was last equal; what differs after them cannot be installed here, and is not asked for before `againAtMs` (R25). */
  tries: number
  againAtMs: number
  /** Rows of a bulk are on their way. */
  inBulk: boolean
  differences: number
  repairFromMs: number
  /** The peer's table equalled this one at a cut, both audited since. */
  provenAtMs: number | null
  equalAtMs: number | null
  /** Place of the last cut of this stream that was equal; 0: none. */
  equalSeq: number
}

/**
 * What repairs cost, in nanoseconds of CPU of both sides: of the whole group for each of its rows, of the differences for each session that is looked at for
 * more cells than are there, and for each difference (a session that is otherwise is two). `bench reconcile --peer` measured it: of a million sessions the
 * whole group is cheaper from about 120 000 that differ, on a link that is not slower than the hosts; on a slow one the differences are cheaper for longer.
 */
export interface RepairCosts { readonly row: number, readonly look: number, readonly difference: number }
export const defaultCosts: RepairCosts = { row: 1100, look: 150, difference: 6000 }
/** Cells from which the guess at the number of differences is good to 4 %. */
const GUESS_CELLS = 1024
/** For each difference: what nearly all need, and what hardly any does not need. */
const CELLS_EACH = 1.5
const CELLS_LEAST = 1.3

/** Repairs that are remembered, and ids of each. */
const REPAIRS_MAX = 32
const REPAIR_IDS_MAX = 256
/** What one comparison found: ids of sessions that were asked for, as the owner has them and we had not, or otherwise; and of those that only we had, which ended. */
export interface Repair { readonly rg: number, readonly atMs: number, readonly asked: number, readonly askedIds: Uint8Array, readonly ended: number, readonly endedIds: Uint8Array }

export interface GroupCopy { readonly state: CopyState, readonly epoch: bigint, readonly items: number, readonly provenAtMs: number | null, readonly equalAtMs: number | null, readonly equalSeq: number }

export class Incoming {
  readonly counts = { installed: 0, deleted: 0, unknown: 0, waiting: 0, conflicts: 0, full: 0, invalid: 0, refused: 0, cuts: 0, skippedCuts: 0, equalCuts: 0, differences: 0, repairs: 0, bulks: 0, stale: 0 }
  /** Oldest first. */
  readonly repairs: Repair[] = []
  private readonly copy: Copy[] = Array.from({ length: groups }, () => ({
    state: 'unknown', epoch: 0n, cut: 0, items: 0, cells: 0, fed: 0, guess: 0, wanted: 0, counting: false, tries: 0, againAtMs: -Infinity, inBulk: false, differences: 0, repairFromMs: 0, provenAtMs: null, equalAtMs: null, equalSeq: 0
  }))

  constructor (private readonly world: Surroundings, private readonly keys: SketchKeys, private readonly owns: (rg: number) => boolean, private readonly aside: (frame: Uint8Array) => void, private readonly recount: () => void, private readonly costs: RepairCosts = defaultCosts) {}

  /** With what waited on the reaper thread and found no place. */
  total (): Incoming['counts'] {
    const { lateConflicts, lateFull } = this.world.replica.info()
    return { ...this.counts, conflicts: this.counts.conflicts + lateConflicts, full: this.counts.full + lateFull }
  }

  /** Another cut, soon. */
  wantCut (rg: number): void { this.aside(frameOf({ type: frameType.cutWant, rg, body: wantOf(0) })) }

  group (rg: number): GroupCopy | null { return this.copy[rg] ?? null }

  private move (copy: Copy, to: CopyState): void {
    if (!(moves[copy.state] as readonly CopyState[]).includes(to)) throw new Error(`a copy goes from ${copy.state} to ${to}`)
    copy.state = to
  }

  /** Another stream: nothing is known of any group, and a bulk that was under way deletes nothing (H16). Groups of which nothing is here are asked for whole. */
  begin (nowMs: number): void {
    const { items } = this.world.replica.info()
    this.copy.forEach((copy, rg) => {
      if (copy.state !== 'unknown') this.move(copy, 'unknown')
      copy.inBulk = false
      copy.cut = copy.equalSeq = 0
      this.settle(copy)
      copy.repairFromMs = nowMs
      if (!this.owns(rg) && items[rg] === 0) this.bulk(rg, copy)
    })
  }

  /** The connection is gone: answers to what was asked will not come. A bulk that has begun is part of the stream. */
  lost (): void {
    for (const copy of this.copy) if (copy.state === 'comparing' || copy.state === 'repairing' || (copy.state === 'bulk' && !copy.inBulk)) this.move(copy, 'unknown')
  }

  /** Every sketch is whole again: whoever waited for it takes another cut. */
  counted (): void {
    this.copy.forEach((copy, rg) => {
      if (copy.counting) this.aside(frameOf({ type: frameType.cutWant, rg, body: wantOf(copy.wanted) }))
      copy.counting = false
    })
  }

  /** A numbered frame. False: it is none. `auditAtMs`: when our last whole audit began. */
  ordered (frame: Frame, nowMs: number, auditAtMs: number | null): boolean {
    const copy = this.copy[frame.rg]
    if (copy === undefined) return false
    if (this.owns(frame.rg) || frame.epoch < copy.epoch) {
      this.counts.refused += frame.rows
      return true
    }
    if (frame.epoch > copy.epoch) this.owner(copy, frame.epoch)
    switch (frame.type) {
      case frameType.upserts: case frameType.deletes: case frameType.activity: return this.apply(frame, copy)
      case frameType.bulkBegin: return this.bulkBegin(frame, copy)
      case frameType.bulkEnd: return this.bulkEnd(frame.rg, copy)
      case frameType.cut: return this.cut(frame, copy, nowMs, auditAtMs)
      default: return false
    }
  }

  /** Nothing is outstanding: the next difference is repaired at once. */
  private settle (copy: Copy): void {
    copy.wanted = copy.tries = 0
    copy.againAtMs = -Infinity
  }

  private tried (copy: Copy): void {
    if (++copy.tries > 2) copy.againAtMs = this.world.nowMs() + Math.min(60_000, 1000 * 2 ** (copy.tries - 3))
  }

  /** Epochs that this node knows of: what an older owner says is refused, and what was asked of one is over. */
  roles (epochs: readonly bigint[]): void {
    this.copy.forEach((copy, rg) => {
      const epoch = epochs[rg] ?? 0n
      if (epoch > copy.epoch) this.owner(copy, epoch)
    })
  }

  /** Another owner, or the same one again: what the one before had begun it will not end. */
  private owner (copy: Copy, epoch: bigint): void {
    copy.epoch = epoch
    copy.inBulk = false
    this.settle(copy)
    if (copy.state !== 'unknown') this.move(copy, 'unknown')
  }

  private apply (frame: Frame, copy: Copy): boolean {
    if (frame.rows > limits.LS_FRAME_ROWS_MAX) return false
    const r = this.world.replica.apply(frame.type, frame.rg, frame.body, frame.row, frame.rows, copy.inBulk)
    if (r === null) return false
    const c = this.counts
    if (frame.type !== frameType.activity) {
      c.installed += r.installed
      c.deleted += r.deleted
      c.unknown += r.unknown
    }
    c.waiting += r.waiting
    c.conflicts += r.conflicts
    c.full += r.full
    c.invalid += r.invalid
    return true
  }

  /** The owner's key comes with it, so that what follows is counted once. */
  private bulkBegin (frame: Frame, copy: Copy): boolean {
    if (frame.body.length < keyBytes) return false
    this.world.event('group.bulk', { rg: frame.rg })
    this.rekey(frame.rg, copy, frame.body.slice(0, keyBytes))
    this.world.replica.bulkBegin()
    copy.inBulk = true
    return true
  }

  /** True: the group's sketch is counted anew, under another key. */
  private rekey (rg: number, copy: Copy, key: Uint8Array): boolean {
    const known = this.keys[rg]
    if (known != null && Buffer.compare(known, key) === 0) return false
    this.keys[rg] = key
    copy.counting = true
    copy.wanted = 0
    if (copy.state === 'comparing' || copy.state === 'repairing') this.move(copy, 'unknown')
    this.world.replica.key(rg, key)
    this.recount()
    return true
  }

  /** An end without a begin of this stream deletes nothing (H5). */
  private bulkEnd (rg: number, copy: Copy): boolean {
    if (!copy.inBulk) return true
    copy.inBulk = false
    const stale = this.world.replica.bulkEnd(rg)
    this.counts.stale += stale
    this.counts.bulks++
    this.tried(copy)
    this.world.event('group.bulk-done', { rg, stale, items: this.world.replica.info().items[rg] ?? 0, ms: this.world.nowMs() - copy.repairFromMs })
    if (copy.state === 'bulk') this.move(copy, 'comparing')
    return true
  }

  private cut (frame: Frame, copy: Copy, nowMs: number, auditAtMs: number | null): boolean {
    const theirs = readCut(frame.body)
    if (theirs === null) return false
    if (copy.inBulk) this.owner(copy, copy.epoch) // the owner takes none during a bulk: it gave up
    if (copy.state === 'bulk') { // it crossed the question, or the question was not heard; one that is asked twice is answered once
      this.aside(frameOf({ type: frameType.bulkWant, rg: frame.rg, body: new Uint8Array(0) }))
      return true
    }
    if (this.rekey(frame.rg, copy, theirs.key)) return true
    const ours = new Uint8Array(cutBytes)
    if (!this.world.replica.cut(frame.rg, ours)) { // being counted, or rows wait for their tuples: the next cut will tell
      this.counts.skippedCuts++
      return true
    }
    const mine = readCut(ours)
    if (mine !== null && mine.cells < copy.wanted) { // our cells are not all counted yet
      this.counts.skippedCuts++
      return true
    }
    this.counts.cuts++
    if (mine !== null && Buffer.compare(mine.proof, theirs.proof) === 0) {
      copy.items = theirs.items
      this.equal(frame, copy, nowMs, auditAtMs === null || theirs.auditAgeMs === null ? null : Math.min(auditAtMs, nowMs - theirs.auditAgeMs))
      return true
    }
    if (nowMs < copy.againAtMs) return true
    if (copy.state !== 'comparing' && copy.state !== 'repairing') {
      this.world.event('group.differs', { rg: frame.rg, ours: mine?.items ?? 0, theirs: theirs.items })
      copy.repairFromMs = nowMs
      copy.differences = 0
    }
    this.compare(frame.rg, copy, frame.seq, theirs.items, mine?.items ?? 0, Math.min(theirs.cells, this.world.replica.cutCells(frame.rg)))
    return true
  }

  private equal ({ rg, seq }: Frame, copy: Copy, nowMs: number, provenAtMs: number | null): void {
    copy.equalSeq = seq
    if (copy.state !== 'equal') {
      if (copy.differences > 0) this.world.event('group.repaired', { rg, differences: copy.differences, ms: nowMs - copy.repairFromMs })
      this.world.event('group.proven', { rg, items: this.world.replica.info().items[rg] ?? 0 })
      if (this.world.replica.cutCells(rg) > sketchCells) this.world.replica.extend(rg, sketchCells) // not while more are counted: at a later proof
    }
    this.move(copy, 'equal')
    this.settle(copy)
    this.counts.equalCuts++
    copy.differences = 0
    copy.equalAtMs = nowMs
    if (provenAtMs !== null && (copy.provenAtMs === null || provenAtMs > copy.provenAtMs)) copy.provenAtMs = provenAtMs
  }

  private compare (rg: number, copy: Copy, cut: number, theirs: number, ours: number, cells: number): void {
    const least = Math.abs(theirs - ours)
    if (copy.wanted === 0) copy.guess = least
    copy.items = theirs
    copy.cells = cells
    if (theirs > 0xffff_ffff || !this.worth(copy, copy.guess)) {
      this.bulk(rg, copy)
      return
    }
    if (least * CELLS_LEAST > cells) { // cells that are sure not to do are not asked for
      this.more(rg, copy, least)
      return
    }
    copy.wanted = 0
    this.world.replica.compare(rg, theirs)
    this.move(copy, 'comparing')
    copy.cut = cut
    copy.fed = 0
    this.ask(rg, copy, ours)
  }

  private ask (rg: number, copy: Copy, ours: number): void {
    const least = Math.ceil(copy.guess * CELLS_LEAST) - copy.fed
    const n = Math.min(Math.max(this.world.replica.plan(ours, copy.items, copy.fed, copy.cells), least), copy.cells - copy.fed, cellsMax)
    if (n === 0) this.more(rg, copy, copy.cells)
    else this.aside(frameOf({ type: frameType.cellsWant, rg, body: cellsRange({ cut: copy.cut, items: copy.items, from: copy.fed, n }) }))
  }

  /** Are so many differences cheaper than the group? */
  private worth (copy: Copy, differences: number): boolean {
    const { row, look, difference } = this.costs
    return (differences * CELLS_LEAST > copy.cells ? copy.items * look : 0) + differences * difference < copy.items * row
  }

  /** Another cut, of cells for so many differences, if that is still cheaper than the group. */
  private more (rg: number, copy: Copy, differences: number): void {
    const wanted = Math.min(Math.max(Math.ceil(differences * CELLS_EACH), sketchCells), limits.LS_SKETCH_MAX)
    if (wanted <= copy.cells || !this.worth(copy, differences) || !this.world.replica.extend(rg, wanted)) {
      this.bulk(rg, copy)
      return
    }
    copy.wanted = wanted
    copy.counting = true
    this.move(copy, 'comparing')
    this.recount()
    this.aside(frameOf({ type: frameType.cutWant, rg, body: wantOf(wanted) })) // both count at the same time
  }

  /** The whole group, whatever is known of it. */
  all (rg: number): void {
    const copy = this.copy[rg]
    if (copy !== undefined && !this.owns(rg)) this.bulk(rg, copy)
  }

  private bulk (rg: number, copy: Copy): void {
    if (copy.state === 'bulk') return
    this.move(copy, 'bulk')
    copy.wanted = 0
    this.aside(frameOf({ type: frameType.bulkWant, rg, body: new Uint8Array(0) }))
  }

  /** Cells that were asked for. False: these are none. */
  cells (frame: Frame): boolean {
    const copy = this.copy[frame.rg]
    const cells = readCells(frame.body)
    if (copy === undefined || cells === null) return false
    if (this.owns(frame.rg) || copy.state !== 'comparing' || copy.counting || cells.cut !== copy.cut || cells.from !== copy.fed) return true // of an earlier comparison
    if (cells.n === 0) {
      this.aside(frameOf({ type: frameType.cutWant, rg: frame.rg, body: wantOf(0) })) // the peer has another cut by now
      return true
    }
    const { state, found, guess } = this.world.replica.compareCells(frame.rg, cells.packed, cells.n)
    copy.fed += cells.n
    if (state === 0) {
      if (copy.fed >= GUESS_CELLS) copy.guess = guess
      if (copy.guess * CELLS_LEAST > copy.cells) this.more(frame.rg, copy, copy.guess)
      else this.ask(frame.rg, copy, copy.items)
      return true
    }
    if (state === 2) {
      this.bulk(frame.rg, copy)
      return true
    }
    copy.differences += found
    this.counts.differences += found
    this.repair(frame.rg, copy)
    return true
  }

  private remember (rg: number, asked: number, ended: number): void {
    const [askedIds, endedIds] = [new Uint8Array(idBytes * Math.min(asked, REPAIR_IDS_MAX)), new Uint8Array(idBytes * Math.min(ended, REPAIR_IDS_MAX))]
    if (asked > 0) this.world.replica.need(rg, 0, askedIds)
    if (ended > 0) this.world.replica.gone(rg, 0, endedIds)
    this.repairs.push({ rg, atMs: this.world.nowMs(), asked, askedIds, ended, endedIds })
    if (this.repairs.length > REPAIRS_MAX) this.repairs.shift()
  }

  private repair (rg: number, copy: Copy): void {
    const { needed, extra } = this.world.replica.compareEnd(rg)
    this.counts.repairs++
    this.tried(copy)
    this.counts.stale += extra
    this.remember(rg, needed, extra)
    this.move(copy, 'repairing')
    const ids = new Uint8Array(idBytes * Math.min(needed, limits.LS_FRAME_ROWS_MAX))
    for (let from = 0; from < needed;) {
      const n = this.world.replica.need(rg, from, ids)
      this.aside(frameOf({ type: frameType.need, rg, row: idBytes, body: ids.subarray(0, n * idBytes) }))
      from += n
    }
    this.aside(frameOf({ type: frameType.cutWant, rg, body: wantOf(0) }))
  }
}
