/** Queries of examples/: those of rules and of the dashboard, and what of the metrics page they name. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { root } from '../config/support.js'

export interface Query { readonly where: string, readonly expr: string }
interface Rules { readonly groups: ReadonlyArray<{ readonly rules: ReadonlyArray<Rule> }> }
export interface Rule { readonly alert: string, readonly expr: string, readonly labels: Readonly<Record<string, string>>, readonly annotations: Readonly<Record<string, string>> }
interface Panel { readonly title: string, readonly targets?: readonly Query[] }
export interface Dashboard { readonly panels: readonly Panel[], readonly annotations: { readonly list: ReadonlyArray<{ readonly name: string, readonly expr: string }> } }

export const rulesFile = join(root, 'examples/prometheus/lockstep.rules.yaml')
export const rules = (): readonly Rule[] => (parse(readFileSync(rulesFile, 'utf8')) as Rules).groups.flatMap(group => group.rules)
export const dashboard = (): Dashboard => JSON.parse(readFileSync(join(root, 'examples/grafana/lockstep.json'), 'utf8')) as Dashboard

/** As Prometheus takes them: without the variables of Grafana. */
export const dashboardQueries = (): Query[] => {
  const { panels, annotations } = dashboard()
  const all = [...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ where: title, expr }))), ...annotations.list.map(({ name, expr }) => ({ where: name, expr }))]
  return all.map(({ where, expr }) => ({ where, expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*') }))
}

/** A series or several: name, and what its labels must be. */
export interface Selected { readonly name: string, readonly labels: ReadonlyArray<readonly [name: string, values: readonly string[]]> }

export const selectedBy = (expr: string): Selected[] => [...expr.matchAll(/\b(lockstep_\w+)(?:\{([^}]*)\})?/g)].map(([, name = '', labels = '']) =>
  ({ name, labels: [...labels.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"/g)].map(([, label = '', value = '']) => [label, value.split('|')] as const) }))
