/**
 * What the blocks of `struct ls_counters` mean: rows, fields, and where a row's name comes from. Metrics, gRPC and the CLI all
 * read counters through this one table. Shapes come from the generated layout, so a changed struct shows here or not at all.
 */
import type { CounterSnapshot } from '../contract/dataplane.js'
import type { NameBook, NameKind } from '../contract/services.js'
import { counter, drop, screen } from '../generated/codes.js'
import { layout } from '../generated/layout.js'

export type BlockName = 'global' | 'drops' | 'zone_in' | 'zone_out' | 'zone_drops' | 'screens' | 'iface_rx' | 'iface_tx' | 'policy' | 'vip' | 'real'

interface Code { readonly name: string, readonly text: string }

export interface BlockShape {
  readonly name: BlockName
  /** One name for each value of a row. */
  readonly fields: readonly string[]
  /** Values a row takes in the block: at least `fields.length`. */
  readonly stride: number
  /** Rows are codes … */
  readonly codes: readonly Code[] | null
  /** … or configured objects of this kind. */
  readonly kind: NameKind | null
}

const traffic = ['packets', 'bytes'] as const
const screens = screen.map((s) => s.name)

export const counterBlocks: readonly BlockShape[] = [
  { name: 'global', fields: ['value'], stride: 1, codes: counter, kind: null },
  { name: 'drops', fields: ['packets'], stride: 1, codes: drop, kind: null },
  { name: 'zone_in', fields: traffic, stride: layout.ls_counters.zone_in.dims[1], codes: null, kind: 'zone' },
  { name: 'zone_out', fields: traffic, stride: layout.ls_counters.zone_out.dims[1], codes: null, kind: 'zone' },
  { name: 'zone_drops', fields: ['packets'], stride: 1, codes: null, kind: 'zone' },
  { name: 'screens', fields: screens, stride: layout.ls_counters.screens.dims[1], codes: null, kind: 'zone' },
  { name: 'iface_rx', fields: traffic, stride: layout.ls_counters.iface_rx.dims[1], codes: null, kind: 'interface' },
  { name: 'iface_tx', fields: traffic, stride: layout.ls_counters.iface_tx.dims[1], codes: null, kind: 'interface' },
  { name: 'policy', fields: traffic, stride: layout.ls_counters.policy.dims[1], codes: null, kind: 'policy' },
  { name: 'vip', fields: ['packets', 'bytes', 'new_sessions', 'no_real'], stride: layout.ls_counters.vip.dims[1], codes: null, kind: 'vip' },
  { name: 'real', fields: ['packets', 'bytes', 'new_sessions'], stride: layout.ls_counters.real.dims[1], codes: null, kind: 'real' }
]

export interface BlockRow {
  readonly id: number
  readonly name: string
  readonly text: string
  readonly values: readonly number[]
}

/** The name of a configured object; `null` when the running configuration has none. Policy 0 is the default policy. */
export function objectName (names: NameBook, kind: NameKind, id: number): string | null {
  const name = names.name(kind, id)
  if (name !== '' && !name.startsWith('#')) return name
  return kind === 'policy' && id === 0 ? 'default' : null
}

/** Rows of one block. `known`: of objects that exist; `counted`: those and any that counted; `all`: codes at zero, too. */
export function blockRows (snapshot: CounterSnapshot, shape: BlockShape, names: NameBook, which: 'known' | 'counted' | 'all'): BlockRow[] {
  const block = snapshot.blocks[shape.name]
  if (block === undefined) return []
  const out: BlockRow[] = []
  const rows = shape.codes?.length ?? Math.floor(block.length / shape.stride)
  for (let id = 0; id < rows; id++) {
    const at = id * shape.stride
    let counted = false
    for (let f = 0; f < shape.fields.length; f++) if ((block[at + f] ?? 0) !== 0) { counted = true; break }
    const code = shape.codes?.[id]
    const name = shape.kind === null ? code?.name ?? null : objectName(names, shape.kind, id)
    if (!counted && (name === null || (which === 'counted' && code !== undefined))) continue
    if (name === null && which === 'known') continue
    out.push({ id, name: name ?? `#${id}`, text: code?.text ?? '', values: Array.from(block.subarray(at, at + shape.fields.length)) })
  }
  return out
}
