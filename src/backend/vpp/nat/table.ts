/** The sessions of a NAT in the session table: those of one redundancy group. Thread: the event loop, in slices. */
import { closeReason } from '../../../generated/codes.js'
import { limits } from '../../../generated/layout.js'
import type { NativeTable } from '../../../native/binding.js'
import { native } from '../../../native/errors.js'
import { packFilter } from '../../../native/filter.js'
import { recordBytes } from '../../../native/records.js'
import type { HaEvent } from './ha-wire.js'
import { deletionOf, eventOf, idOf, recordOf } from './session.js'
import type { SessionId } from '../../../native/session-ids.js'

export interface Held { readonly id: SessionId, readonly event: HaEvent }

export interface NatTable {
  /** This node owns the group, or gives it away at this moment. */
  readonly owns: () => boolean
  /** Changes when sessions came or went. */
  readonly version: () => string
  readonly all: () => Promise<Held[]>
  /** In force here and told to peers. Those that were refused: their tuples are taken, or there is no room. */
  readonly open: (held: readonly Held[]) => Held[]
  /** Counters and last seen. Those that are not there. */
  readonly touch: (held: readonly Held[]) => Held[]
  readonly end: (held: readonly Held[]) => Promise<void>
  /** Sessions of other groups, of an earlier configuration. */
  readonly clear: () => Promise<void>
}

export type NatNative = Pick<NativeTable, 'groups' | 'info' | 'scanRecords' | 'open' | 'touch' | 'deleteIds' | 'deleteFilter'>

const SLICE_RECORDS = 4096
const SLICE_NS = 8_000_000
const FINISHED = closeReason.findIndex(reason => reason.name === 'timeout')

export function natTable (table: NatNative, rg: number): NatTable {
  const put = (held: readonly Held[], how: (records: Uint8Array, status: Uint8Array) => unknown): Held[] => {
    const refused: Held[] = []
    for (let at = 0; at < held.length; at += limits.LS_WRITER_BATCH) {
      const part = held.slice(at, at + limits.LS_WRITER_BATCH)
      const status = new Uint8Array(part.length)
      native(() => how(Buffer.concat(part.map(({ event, id }) => recordOf(event, id, rg))), status))
      refused.push(...part.filter((_, i) => status[i] !== 0))
    }
    return refused
  }
  return {
    owns: () => {
      const role = native(() => table.groups())[rg]?.role
      return role === limits.LS_ROLE_OWNER || role === limits.LS_ROLE_YIELD
    },
    version: () => {
      const { installed, freed } = native(() => table.info())
      return `${installed} ${freed}`
    },
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
    open: held => put(held, (records, status) => table.open(records, status)),
    touch: held => put(held, (records, status) => table.touch(records, status)),
    end: async (held) => { if (held.length > 0) await table.deleteIds(Buffer.concat(held.map(({ event, id }) => deletionOf(event, id, FINISHED)))) },
    clear: async () => { for (let other = 0; other < limits.LS_RGS_MAX; other++) if (other !== rg) await native(() => table.deleteFilter(packFilter({ rg: other, program: true }), FINISHED)).done }
  }
}
