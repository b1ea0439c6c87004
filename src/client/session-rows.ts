/** Column batches -> one object a row, for what a person or a script asked to see. Columns keep the names of column.def. */
import { phase } from '../generated/codes.js'
import { limits } from '../generated/layout.js'
import type { SessionBatch } from '../generated/proto/lockstep/v1/sessions.js'
import { addressText } from '../lib/address-text.js'
import { sessionId } from '../lib/session-id.js'

/** A cell: numbers while exact, names for ids once known, text for addresses and ids. */
export type Cell = string | number | readonly string[]
export type SessionCells = Readonly<Record<string, Cell>>

const addresses = new Set(['src', 'dst', 'reply_src', 'reply_dst'])
const kinds: Readonly<Record<string, string>> = { zone_in: 'zone', zone_out: 'zone', policy: 'policy', vip: 'vip', real: 'real', app: 'app', domain: 'domain' }
const flagNames = [
  [limits.LS_SF_SNAT, 'SNAT'], [limits.LS_SF_DNAT, 'DNAT'], [limits.LS_SF_VIP, 'VIP'], [limits.LS_SF_HALF, 'HALF'], [limits.LS_SF_HOST, 'HOST'],
  [limits.LS_SF_HAIRPIN, 'HAIRPIN'], [limits.LS_SF_PEER, 'PEER'], [limits.LS_SF_NO_SYNC, 'NO_SYNC'], [limits.LS_SF_STATIC, 'STATIC'], [limits.LS_SF_LATE, 'LATE'], [limits.LS_SF_PROGRAM, 'PROGRAM']
] as const
const flowNames = [[1, 'REPLIED'], [2, 'FIN_FORWARD'], [4, 'FIN_REPLY']] as const

/** Keeps the names of a stream; feed it every batch in order. */
export class SessionRows {
  readonly #names: Map<string, string>
  constructor () { this.#names = new Map() }

  * rows (batch: SessionBatch): Generator<SessionCells> {
    for (const { kind, id, name } of batch.names) this.#names.set(`${kind}/${id}`, name)
    for (let row = 0; row < batch.rows; row++) {
      const cells: Record<string, Cell> = {}
      for (const { name, width, data } of batch.columns) cells[name] = this.#cell(name, width, data, row * width)
      yield cells
    }
  }

  #cell (name: string, width: number, data: Buffer, at: number): Cell {
    if (name === 'id') return sessionId(data.readBigUInt64LE(at), data.readBigUInt64LE(at + 8))
    if (addresses.has(name)) return addressText(data, at)
    if (width === 8) {
      const value = data.readBigUInt64LE(at)
      return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : String(value)
    }
    const value = width === 4 ? data.readUInt32LE(at) : width === 2 ? data.readUInt16LE(at) : data.readUInt8(at)
    if (name === 'phase') return (phase[value]?.name ?? `#${value}`).toUpperCase()
    if (name === 'flags') return bitNames(flagNames, value)
    if (name === 'flow') return bitNames(flowNames, value)
    const kind = kinds[name]
    if (kind === undefined) return value
    if (value === 0 && (kind === 'vip' || kind === 'real')) return ''
    return this.#names.get(`${kind}/${value}`) ?? `#${value}`
  }
}

const bitNames = (names: ReadonlyArray<readonly [number, string]>, value: number): string[] => names.filter(([bit]) => (value & bit) !== 0).map(([, name]) => name)
