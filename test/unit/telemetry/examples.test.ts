/** Alert rules and dashboard of examples/: each fires for what it is about, and all that they ask for is on the metrics page. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { healthStates, type HealthState } from '../../../src/contract/health.js'
import { createMetrics } from '../../../src/telemetry/metrics.js'
import { root } from '../config/support.js'
import { createFakeAgent } from '../rpc/fake-agent.js'
import { hasPromtool } from './promtool.js'
import { dashboard, dashboardQueries, rules, rulesFile, selectedBy, type Query } from './queries.js'

const promtool = (...args: string[]): { readonly status: number | null, readonly output: string } => {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' })
  return { status, output: stdout + stderr }
}
const skip = hasPromtool() ?? false
/** Of the scrape configuration, not of the page. */
const outside = new Set(['job', 'instance', 'pair'])
const ruleQueries = rules().map(({ alert, expr }): Query => ({ where: alert, expr }))
const cases = join(root, 'test/fixtures/prometheus/rules.test.yaml')

t.test('promtool takes rules and configuration', { skip }, async (t) => {
  t.match(promtool('check', 'rules', rulesFile), { status: 0 })
  t.match(promtool('check', 'config', join(root, 'examples/prometheus/prometheus.yaml')), { status: 0 })
})

t.test('each alert fires for what it is about, and none while all is well', { skip }, async (t) => {
  t.match(promtool('test', 'rules', cases), { status: 0, output: /SUCCESS/ })
  const text = readFileSync(cases, 'utf8')
  for (const { alert } of rules()) t.ok(text.includes(`alertname="${alert}"`), `${alert} has a case`)
})

t.test('a rule that asks for nothing would be noticed', { skip }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'ls-rules-'))
  t.teardown(() => { rmSync(directory, { recursive: true, force: true }) })
  writeFileSync(join(directory, 'lockstep.rules.yaml'), readFileSync(rulesFile, 'utf8').replaceAll('lockstep_sessions / ', 'lockstep_nothing / '))
  writeFileSync(join(directory, 'test.yaml'), readFileSync(cases, 'utf8').replace(/rule_files: .*/, 'rule_files: [lockstep.rules.yaml]'))
  t.match(promtool('test', 'rules', join(directory, 'test.yaml')), { status: 1, output: /LockstepTableNearlyFull/ })
})

t.test('queries of the dashboard are queries', { skip }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'ls-rules-'))
  t.teardown(() => { rmSync(directory, { recursive: true, force: true }) })
  const file = join(directory, 'queries.yaml')
  writeFileSync(file, stringify({ groups: [{ name: 'dashboard', rules: dashboardQueries().map(({ expr }, i) => ({ record: `query:${i}`, expr })) }] }))
  t.match(promtool('check', 'rules', file), { status: 0 })
})

t.test('every alert says what it means and what to do, and how urgent it is', async (t) => {
  t.ok(rules().length >= 13)
  for (const { alert, labels, annotations } of rules()) {
    t.match(labels['severity'], /^(page|ticket)$/, alert)
    for (const key of ['summary', 'means', 'do']) t.ok((annotations[key] ?? '').length > 15, `${alert}: ${key}`)
  }
})

t.test('every metric, label and value of a code that they name is on the page', async (t) => {
  const agent = createFakeAgent(10)
  agent.info = { ...agent.info, program: { up: true, version: '1', buildDate: '', pid: 1, since: 1, reason: '', connects: 1, operations: {}, messages: { sent: 0, received: 0, timedOut: 0, events: 0 }, nat: null } }
  const { registry, render, served } = createMetrics(agent.services)
  served.ended('/somebody.else/Asks', 'OK', 0.1, false)
  const page = await render()
  const labelsOf = new Map(registry.getMetricsAsArray().flatMap((metric) => {
    const { name, labelNames } = metric as unknown as { readonly name: string, readonly labelNames: readonly string[] }
    return [[name, labelNames], [`${name}_bucket`, [...labelNames, 'le']], [`${name}_sum`, labelNames], [`${name}_count`, labelNames]] as const
  }))
  /** Values of a label that a family always has all of. */
  const complete = new Set(['reason', 'state', 'role'])
  const queries = [...ruleQueries, ...dashboardQueries()]
  t.ok(queries.length > 50)
  for (const { where, expr } of queries) {
    const selected = selectedBy(expr)
    if (where !== 'LockstepAgentDown') t.ok(selected.length > 0, where)
    for (const { name, labels } of selected) {
      const known = labelsOf.get(name)
      t.ok(known, `${where}: ${name} exists`)
      for (const [label, values] of labels) {
        if (outside.has(label)) continue
        t.ok(known?.includes(label), `${where}: ${name} has the label ${label}`)
        if (name === 'lockstep_target_state' && label === 'state') t.same(values.filter(value => !healthStates.includes(value as HealthState)), [], `${where}: ${name}`)
        else if (complete.has(label)) for (const value of values) t.ok(new RegExp(`^${name}\\{.*\\b${label}="${value}"`, 'm').test(page), `${where}: ${name} has ${label}="${value}"`)
      }
    }
  }
})

t.test('panels have titles, and no two have the same place', async (t) => {
  const { panels } = dashboard() as unknown as { readonly panels: ReadonlyArray<{ readonly id: number, readonly title: string, readonly gridPos: { readonly x: number, readonly y: number, readonly w: number } }> }
  t.ok(panels.length > 25)
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  t.equal(new Set(panels.map(({ gridPos: { x, y } }) => `${x} ${y}`)).size, panels.length)
  for (const { title, gridPos } of panels) t.ok(title !== '' && gridPos.x + gridPos.w <= 24, title)
})
