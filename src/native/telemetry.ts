/** Telemetry over a shared table: one native sum over the workers, then views of it. */
import type { CounterSnapshot, Telemetry } from '../contract/dataplane.js'
import { screen } from '../generated/codes.js'
import { layout } from '../generated/layout.js'
import type { NativeTable } from './binding.js'
import { native } from './errors.js'

const shape = layout.ls_counters
const blocks = Object.entries(shape).flatMap(([name, field]) => typeof field === 'number' ? [] : [{ name, offset: field.offset, count: field.size / 8 }])

/** To what is counted of a VIP or real: four numbers, of the table's own shapes. */
export function addCounters (table: Pick<NativeTable, 'addCounters'>, kind: 'vip' | 'real', id: number, counted: readonly number[]): void {
  const { offset, dims: [, width] } = shape[kind]
  native(() => { table.addCounters(offset + id * width * 8, new Uint8Array(BigUint64Array.from(counted, BigInt).buffer)) })
}

export function createTelemetry (table: NativeTable): Telemetry {
  return {
    snapshot: () => {
      const bytes = new Uint8Array(shape.size)
      const timeNs = native(() => table.counters(bytes))
      return { timeNs, generation: table.info().generation, blocks: Object.fromEntries(blocks.map(b => [b.name, doubles(bytes, b.offset, b.count)])) } satisfies CounterSnapshot
    },
    readFloodCounters: (zone) => {
      const rates = native(() => table.rates(zone), { object: `zone ${zone}` })
      return Object.fromEntries(screen.map((s, i) => [s.name, rates[i] ?? 0]))
    },
    natUsage: async () => await table.natUsage(),
    sessionTally: async () => await table.sessionTally()
  }
}

/** Counters as doubles: exact to 2^53. */
function doubles (bytes: Uint8Array, offset: number, count: number): Float64Array {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + offset, count * 2)
  const out = new Float64Array(count)
  for (let i = 0; i < count; i++) out[i] = (words[2 * i] ?? 0) + (words[2 * i + 1] ?? 0) * 2 ** 32
  return out
}
