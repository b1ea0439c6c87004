/** What lockstep.v1.Debug answers, in the words of contract/debug.ts. */
import { debugTones, debugTypes, type DebugCell, type DebugColumn, type DebugTone, type DebugType } from '../contract/debug.js'
import type { DebugCell as CellMessage, DebugColumn as ColumnMessage, DebugRow as RowMessage } from '../generated/proto/lockstep/v1/debug.js'

export interface ReadRow { readonly key: string, readonly cells: readonly DebugCell[], readonly tone: DebugTone }

const isType = (type: string): type is DebugType => debugTypes.some(one => one === type)
const isTone = (tone: string): tone is DebugTone => debugTones.some(one => one === tone)

/** What a newer agent has and this does not know is text, or plain. */
export const columnOf = ({ name, type, tables }: ColumnMessage): DebugColumn => ({ name, type: isType(type) ? type : 'text', tables })

export function rowOf ({ cells, tone }: RowMessage): ReadRow {
  const values = cells.map(cellOf)
  const [first = null] = values
  return { key: typeof first === 'string' || typeof first === 'number' ? String(first) : '', cells: values, tone: isTone(tone) ? tone : '' }
}

function cellOf ({ value }: CellMessage): DebugCell {
  if (value === undefined || (value.$case === 'number' && !Number.isFinite(value.value))) return null
  return value.$case === 'links' ? value.value.links : value.value
}

/** For programs: cells by the names of their columns. */
export const plainRow = (columns: readonly DebugColumn[], { key, tone, cells }: ReadRow): { readonly key: string, readonly tone: DebugTone, readonly cells: Readonly<Record<string, DebugCell>> } =>
  ({ key, tone, cells: Object.fromEntries(columns.map(({ name }, i) => [name, cells[i] ?? null])) })
