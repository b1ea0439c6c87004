/** What a view shows of each kind of object: the columns of the verbs that list them, a row or more an object, by key. */
import { enumWord, type Kind, type ObjectOf } from '../../client/index.js'
import { duration } from '../format.js'
import { layOut, tableHead, tableRows, type TableColumn } from '../table.js'
import { neighbourColumns } from '../verbs/bgp-columns.js'
import { groupTable, livenessWord } from '../verbs/cluster-status.js'
import { generationColumns } from '../verbs/generations.js'
import { linkColumns } from '../verbs/links.js'
import { targetColumns, vipColumns, vipRows } from '../verbs/load-balancer.js'

export interface SectionStyle {
  readonly width: number
  readonly color: boolean
  readonly nowMs: number
  /** How a cell looks, which is known by `key` and says `text`. */
  readonly paint: (padded: string, key: string, text: string) => string
}

/** Lines: its head, then its rows. */
export type Section<V> = (objects: ReadonlyMap<string, V>, style: SectionStyle) => string[]

/** `rowsOf`: a row has a name within its object. */
const section = <V, Row>(columnsAt: (nowMs: number) => ReadonlyArray<TableColumn<Row>>, rowsOf: (value: V) => ReadonlyArray<readonly [string, Row]>, way: 1 | -1 = 1): Section<V> => (objects, { width, color, nowMs, paint }) => {
  const keyed = [...objects].sort(([a], [b]) => way * a.localeCompare(b, 'en', { numeric: true })).flatMap(([key, value]) => rowsOf(value).map(([name, row]) => ({ key: `${key} ${name}`, row })))
  const laid = layOut(columnsAt(nowMs), keyed.map(({ row }) => row), width)
  const rows = keyed.map(({ key, row }) => tableRows(laid, [row], true, (padded, text, { title, ticks }) => ticks === true ? padded : paint(padded, `${key} ${title}`, text)))
  return [tableHead(laid, { color }), ...rows].map(text => text.trimEnd())
}

const one = <V>(value: V): ReadonlyArray<readonly [string, V]> => [['', value]]

const agentColumns = (nowMs: number): ReadonlyArray<TableColumn<ObjectOf<'agent'>>> => [
  { title: 'NODE', value: (a) => a.node },
  { title: 'STATE', value: (a) => [enumWord('AGENT_STATE', a.state), ...a.reasons].join(', ') },
  { title: 'BACKEND', value: (a) => a.backend },
  { title: 'GENERATION', value: (a) => String(a.generation), align: 'right' },
  { title: 'CAPACITY', value: (a) => String(a.tableCapacity), align: 'right', drop: 2 },
  { title: 'LABELS', value: (a) => a.labels.map(({ name, value }) => `${name}=${value}`).join(' '), drop: 3 },
  { title: 'VERSION', value: (a) => a.version, drop: 1 },
  { title: 'UP', value: (a) => duration(Math.max(0, nowMs - Number(a.startedAtMs))), align: 'right', ticks: true }
]

const peerColumns: ReadonlyArray<TableColumn<ObjectOf<'peer'>>> = [
  { title: 'PEER', value: (p) => p.node },
  { title: 'LIVENESS', value: (p) => livenessWord(p.liveness) },
  { title: 'AGENT', value: (p) => (p.agent === '' ? '-' : p.agent) },
  { title: 'GENERATION', value: (p) => String(p.generation ?? '-'), align: 'right' },
  { title: 'PATHS', value: (p) => p.paths.map(({ path, liveness }) => `${path} ${livenessWord(liveness)}`).join(', ') }
]

export const sections: { readonly [K in Kind]: Section<ObjectOf<K>> } = {
  agent: section(agentColumns, one),
  vip: section(() => vipColumns, (vip) => vipRows(vip).map(row => [`${row.real.pool}/${row.real.name}`, row])),
  target: section(() => targetColumns, one),
  link: section(() => linkColumns, one),
  generation: section(() => generationColumns, one, -1),
  group: section(groupTable, one),
  peer: section(() => peerColumns, one),
  bgp: section(neighbourColumns, one)
}
