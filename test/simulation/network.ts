/** One connection between two nodes: bytes in order, late, in pieces; it breaks, and what was on its way is gone. */
import { frameType } from '../../src/ha/sync/protocol.js'
import { typeOf } from '../../src/ha/sync/frame.js'
import type { Connection, SyncEngine } from '../../src/ha/sync/engine.js'
import type { NativeReplica } from '../../src/native/binding.js'
import type { Random } from './random.js'

/** One end: null while there is no agent. `reads` false: it hangs, and what comes waits. */
export interface End { readonly name: string, readonly engine: SyncEngine | null, readonly replica: NativeReplica, readonly reads?: boolean, conn: Connection | null }

interface Piece { readonly atMs: number, readonly bytes: Uint8Array }

class Half {
  readonly queue: Piece[] = []
  bytes = 0
}

export class Wire {
  private readonly way: Record<string, Half> = {}
  private up = false
  private conns: Record<string, { send: (frame: Uint8Array) => void, close: () => void }> = {}
  delayMs = 1
  /** Bytes a millisecond. */
  speed = 1e6
  corrupt = false
  /** Nothing arrives any more, and nobody is told. */
  frozen = false
  sent = 0
  /** The latest words of moves, to be said again out of place. */
  private readonly moves: Array<{ readonly from: string, readonly frame: Uint8Array }> = []

  constructor (private readonly nodes: readonly [End, End], private readonly random: Random) {}

  get connected (): boolean { return this.up }

  connect (nowMs: number): void {
    if (this.up) this.cut('a new connection')
    this.up = true
    this.frozen = false
    for (const node of this.nodes) {
      const half = new Half()
      this.way[node.name] = half
      const conn = {
        send: (frame: Uint8Array): void => {
          if (this.conns[node.name] !== conn) return
          half.queue.push({ atMs: Math.max(this.clock + this.delayMs, half.queue.at(-1)?.atMs ?? 0) + frame.length / this.speed, bytes: Uint8Array.from(frame) })
          half.bytes += frame.length
          this.sent += frame.length
          if (typeOf(frame) === frameType.move) this.moves.splice(0, this.moves.push({ from: node.name, frame: Uint8Array.from(frame) }) - 20)
        },
        close: (): void => { if (this.conns[node.name] === conn) this.cut('the other side closed') }
      }
      this.conns[node.name] = conn
    }
    this.clock = nowMs
    for (const node of this.nodes) {
      const conn = this.conns[node.name]
      if (conn === undefined) continue
      node.conn = conn
      node.engine?.connected(conn)
    }
  }

  /** A word of a move that was said before is said again; the nth to last. */
  replayMove (nth: number): void {
    const old = this.moves.at(-1 - nth % 20)
    if (old !== undefined) this.conns[old.from]?.send(old.frame)
  }

  private clock = 0

  cut (reason: string): void {
    if (!this.up) return
    this.up = false
    const conns = this.conns
    this.conns = {}
    for (const node of this.nodes) {
      const conn = conns[node.name]
      if (conn !== undefined) node.engine?.disconnected(conn, reason)
    }
  }

  /** Delivers what is due. */
  deliver (nowMs: number): void {
    this.clock = nowMs
    if (this.frozen) return
    const [a, b] = this.nodes
    for (const [from, to] of [[a, b], [b, a]] as const) {
      const half = this.way[from.name]
      if (to.reads === false) continue
      while (this.up && half !== undefined && (half.queue[0]?.atMs ?? Infinity) <= nowMs) {
        const piece = half.queue.shift()
        const conn = this.conns[to.name]
        if (piece === undefined || conn === undefined) break
        half.bytes -= piece.bytes.length
        if (this.corrupt && this.random.chance(0.5)) {
          const at = this.random.below(piece.bytes.length)
          piece.bytes[at] = (piece.bytes[at] ?? 0) ^ 1 << this.random.below(8)
          this.corrupt = false
        }
        const split = this.random.chance(0.1) ? this.random.below(piece.bytes.length) : 0
        if (split > 0) to.engine?.receivedBytes(conn, piece.bytes.subarray(0, split))
        if (this.conns[to.name] === conn) to.engine?.receivedBytes(conn, piece.bytes.subarray(split))
        to.replica.settle()
      }
    }
  }
}
