/** Generations and plan steps as text and JSON, shared by the verbs that show them. */
import type { ConfigIssue, Generation, PlanStep } from '../../generated/proto/lockstep/v1/config.js'
import { printable, time } from '../format.js'
import { enumWord } from '../../client/index.js'
import { table, type TableColumn, type TableStyle } from '../table.js'

const stateWord = (g: Generation): string => enumWord('GENERATION_STATE', g.state)
const sourceWord = (g: Generation): string => enumWord('GENERATION_SOURCE', g.source)
const actionWord = (s: PlanStep): string => enumWord('PLAN_ACTION', s.action)

export const generationColumns: ReadonlyArray<TableColumn<Generation>> = [
  { title: 'GENERATION', value: (g) => String(g.generation), align: 'right' },
  { title: 'APPLIED', value: (g) => time(g.appliedAtMs) },
  { title: 'STATE', value: stateWord },
  { title: 'SOURCE', value: sourceWord, drop: 2 },
  { title: 'AUTHOR', value: (g) => g.author, drop: 1 },
  { title: 'HASH', value: (g) => g.hash.slice(0, 12), drop: 3 },
  { title: 'COMMENT', value: (g) => g.comment }
]

/** `generation 7 by anna at 2026-03-01 12:00:00: new VIP`. */
export function generationLine (g: Generation): string {
  const why = g.comment === '' ? '' : `: ${g.comment}`
  return printable(`generation ${g.generation} by ${g.author === '' ? 'nobody' : g.author} at ${time(g.appliedAtMs)}${why}`)
}

export function generationJson (g: Generation | undefined): Record<string, unknown> | null {
  return g === undefined ? null : { ...g, source: sourceWord(g), state: stateWord(g) }
}

export const planJson = (plan: readonly PlanStep[]): Array<Record<string, unknown>> => plan.map((s) => ({ ...s, action: actionWord(s) }))

const marks: Readonly<Record<string, string>> = { add: '+', change: '~', remove: '-', keep: '=' }

/** One line a step; what stays is only counted. */
export function planText (plan: readonly PlanStep[], style: TableStyle): string {
  const steps = plan.filter((s) => actionWord(s) !== 'keep')
  const kept = plan.length - steps.length
  const rest = kept === 0 ? '' : `${kept} ${kept === 1 ? 'object stays' : 'objects stay'} as ${kept === 1 ? 'it is' : 'they are'}\n`
  if (steps.length === 0) return rest === '' ? 'nothing changes\n' : rest
  return table<PlanStep>([
    { title: '', value: (s) => marks[actionWord(s)] ?? '?' }, { title: 'KIND', value: (s) => s.kind },
    { title: 'NAME', value: (s) => s.name }, { title: 'DETAIL', value: (s) => s.detail }
  ], steps, style) + rest
}

export interface IssueText {
  readonly path: string
  readonly line?: number | null | undefined
  readonly column?: number | null | undefined
  readonly code: string
  readonly message: string
  readonly found: string
  readonly expected: string
}

/** `file:3:5: /zones/0/name: is not a string: found 7, expected a string [LS_C_TYPE]`, as editors and compilers write it. */
export function issueLine (file: string, i: IssueText | ConfigIssue): string {
  const at = [i.line, i.column].filter((n) => typeof n === 'number')
  const place = [file, ...at].join(':')
  const found = i.found === '' ? '' : `: found ${i.found}`
  const expected = i.expected === '' ? '' : `${found === '' ? ': ' : ', '}expected ${i.expected}`
  return `${printable(`${place}: ${i.path === '' ? '/' : i.path}: ${i.message}${found}${expected} [${i.code}]`)}\n`
}
