/**
 * What sessions say of the reals that they go to: TCP flows in a row that a real refused (its first word was a reset) or left without an answer until they
 * timed out. One that answers begins the row anew. Of direct server return nothing is seen, and of UDP nothing follows.
 */
import { layout, limits } from '../generated/layout.js'
import { recordBytes } from '../native/records.js'

const shape = layout.ls_wire_record
const TCP = 6

export class PassiveWatch {
  /** By id of the real; 0: nobody watches it. */
  private readonly bounds = new Uint16Array(limits.LS_REALS_MAX)
  private readonly rows = new Uint16Array(limits.LS_REALS_MAX)
  private active = false

  /** Id of the real -> flows in a row that are told; rows of reals that stay go on. */
  watch (bounds: ReadonlyMap<number, number>): void {
    this.active = bounds.size > 0
    for (let real = 0; real < this.bounds.length; real++) {
      const bound = bounds.get(real) ?? 0
      if (bound === 0) this.rows[real] = 0
      this.bounds[real] = bound
    }
  }

  /** Packed records as they were drained. Reals whose row is full; it begins anew. */
  note (records: Uint8Array, n: number): number[] {
    if (!this.active) return []
    const view = new DataView(records.buffer, records.byteOffset)
    const full: number[] = []
    for (let at = 0; at < n * recordBytes; at += recordBytes) {
      const real = view.getUint16(at + shape.real.offset, true)
      const bound = this.bounds[real] ?? 0
      if (bound === 0 || view.getUint8(at + shape.key.offset + layout.ls_key.proto.offset) !== TCP || (view.getUint32(at + shape.flags.offset, true) & limits.LS_SF_HALF) !== 0) continue
      const said = this.judge(view, at)
      if (said === null) continue
      const row = said ? 0 : (this.rows[real] ?? 0) + 1
      this.rows[real] = row >= bound ? 0 : row
      if (row >= bound) full.push(real)
    }
    return full
  }

  /** True: the real answered; false: it refused, or never did; `null`: not known yet, or told before. */
  private judge (view: DataView, at: number): boolean | null {
    const [kind, phase, flow] = [view.getUint8(at + shape.kind.offset), view.getUint8(at + shape.phase.offset), view.getUint16(at + shape.flow.offset, true)]
    if ((flow & limits.LS_FLOW_ACK_REPLY) !== 0) return true // a reset alone does not set it
    if (kind === limits.LS_NOTICE_UPDATE && phase === limits.LS_TCP_CLOSE) return false
    return kind === limits.LS_NOTICE_DELETE && phase === limits.LS_TCP_SYN_SENT && view.getUint8(at + shape.close_reason.offset) === limits.LS_CLOSE_TIMEOUT ? false : null
  }
}
