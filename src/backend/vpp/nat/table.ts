/** The sessions of a NAT in the session table: those of one redundancy group. Thread: the event loop, in slices. */
import { closeReason } from '../../../generated/codes.js'
import { limits } from '../../../generated/layout.js'
import type { NativeTable } from '../../../native/binding.js'
import { native } from '../../../native/errors.js'
import { packFilter } from '../../../native/filter.js'
import { recordBytes } from '../../../native/records.js'
import type { HaEvent } from './ha-wire.js'
import { deletionOf, eventOf, idOf, recordOf, type SessionId } from './session.js'

export interface Held { readonly id: SessionId, readonly event: HaEvent }

export interface NatTable {
  /** This node owns the group. */
  readonly owns: () => boolean
  readonly all: () => Promise<Held[]>
  /** In force here and told to peers. How many were refused: their tuples are taken, or there is no room. */
  readonly open: (held: readonly Held[]) => number
  readonly end: (held: readonly Held[]) => Promise<void>
}

const SLICE_RECORDS = 4096
const SLICE_NS = 8_000_000
const FINISHED = closeReason.findIndex(reason => reason.name === 'timeout')

export function natTable (table: Pick<NativeTable, 'groups' | 'scanRecords' | 'open' | 'deleteIds'>, rg: number): NatTable {
  return {
    owns: () => native(() => table.groups())[rg]?.role === limits.LS_ROLE_OWNER,
    all: async () => {
      const found: Held[] = []
      const out = new Uint8Array(SLICE_RECORDS * recordBytes)
      const view = new DataView(out.buffer)
      const filter = packFilter({ rg, program: true })
      for (let cursor: number | null = 0; cursor !== null;) {
        const step: { rows: number, cursor: number | null } = native(() => table.scanRecords(filter, cursor ?? 0, out, SLICE_NS))
        for (let row = 0; row < step.rows; row++) found.push({ id: idOf(view, row * recordBytes), event: eventOf(view, row * recordBytes) })
        cursor = step.cursor
        if (cursor !== null) await new Promise((resolve) => { setImmediate(resolve) })
      }
      return found
    },
    open: (held) => {
      let refused = 0
      for (let at = 0; at < held.length; at += limits.LS_WRITER_BATCH) {
        const part = held.slice(at, at + limits.LS_WRITER_BATCH)
        refused += part.length - native(() => table.open(Buffer.concat(part.map(({ event, id }) => recordOf(event, id, rg))), null)).installed
      }
      return refused
    },
    end: async (held) => { if (held.length > 0) await table.deleteIds(Buffer.concat(held.map(({ event, id }) => deletionOf(event, id, FINISHED)))) }
  }
}
