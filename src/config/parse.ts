/**
 * Text -> Desired, or every reason why not: yaml.ts (text), shape.ts (schema), build/ (meaning), then a trial compile for the limits of
 * the compiled tables. Nothing throws and nothing outside is asked; what the host must tell comes in `options`.
 */
import { createHash } from 'node:crypto'
import type { Adjustment, Desired, Vip } from '../contract/desired.js'
import { noOverlay, type Overlay } from '../contract/overlay.js'
import type { ConfigIssue } from '../contract/services.js'
import { AddressBook } from './build/addresses.js'
import { allTimeouts, buildAgent, buildReload, buildTimeouts } from './build/agent.js'
import { ApplicationBook } from './build/applications.js'
import { buildBgpReport } from './build/bgp-report.js'
import { checkWhole } from './build/checks.js'
import { buildCluster } from './build/cluster.js'
import { Build, type HostDefaults } from './build/context.js'
import { buildHealthChecks } from './build/health.js'
import { buildInterfaces } from './build/interfaces.js'
import { buildNat } from './build/nat.js'
import { forNode } from './build/nodes.js'
import { checkPair, compareNodes } from './build/pair.js'
import { buildPolicies } from './build/policies.js'
import { buildSchedules } from './build/schedules.js'
import { buildRoutes, buildVips } from './build/vips.js'
import { buildGroups, buildScreens, buildZones } from './build/zones.js'
import { compileRules } from './compile/rules.js'
import { emptyIds, IdBook, withIds } from './ids.js'
import { ConfigError, oneOf, type Issues } from './issues.js'
import { laidOver } from './overlay.js'
import { namePattern } from './schema/common.js'
import { checkShape, type Shape } from './shape.js'
import { readYaml } from './yaml.js'

export interface ParseOptions {
  /** Which node of the file this is, whatever `agent.node` says; default: that, else the host's name. */
  readonly node?: string
  /** A host that is no node of the file stands for the first one: a check away from the pair. */
  readonly anyNode?: boolean
  /** Fills `agent.node`, `agent.state-dir` and `agent.socket`. */
  readonly host: HostDefaults
  /** What was put while the agent runs. */
  readonly overlay?: Overlay
  /** Base of relative capture file names; default: the working directory. */
  readonly directory?: string
}

export interface ParseResult {
  /** `null` when there are issues. */
  readonly desired: Desired | null
  /** In file order, at most issuesMax and a count of the rest. */
  readonly issues: readonly ConfigIssue[]
  readonly warnings: readonly string[]
  readonly text: string
  /** SHA-256 of the text, hexadecimal. */
  readonly hash: string
  /** Gives issues found later, by a backend, their place in the text. */
  readonly located: (issues: readonly ConfigIssue[]) => readonly ConfigIssue[]
}

export function parseConfig (input: string | Uint8Array, options: ParseOptions): ParseResult {
  const yaml = readYaml(input)
  const hash = createHash('sha256').update(input).digest('hex')
  const done = (desired: Desired | null, issues: Issues): ParseResult => ({ desired: issues.count > 0 ? null : desired, issues: issues.list(), warnings: issues.warnings, text: yaml.text, hash, located })
  const located: ParseResult['located'] = list => list.map(issue => {
    const at = issue.line === null ? yaml.locate(issue.path) : null
    return at === null ? issue : { ...issue, line: at.line, column: at.column }
  })
  if (yaml.value === undefined) return done(null, yaml.issues)
  const issues = yaml.issues
  const whole = laidOver(yaml.value, options.overlay ?? noOverlay, text => { issues.warn('/vips', text) })
  const shape = checkShape(whole, issues)
  if (shape === null) return done(null, issues)
  const { agent, cluster, nodes } = shape.config
  const names = [...new Set([...Object.keys(cluster?.nodes ?? {}), ...Object.keys(nodes ?? {})])]
  const named = options.node ?? agent?.node
  const own = named ?? (options.anyNode === true && !names.includes(options.host.node) ? names[0] : undefined) ?? options.host.node
  if (options.node !== undefined && !new RegExp(namePattern).test(options.node)) issues.add('/agent/node', 'LS_C_VALUE', 'not usable as a name', options.node, 'letters, digits, _ . - and at most 63 of them')
  else if (cluster === undefined && options.node !== undefined && names.length > 0 && !names.includes(options.node)) issues.add('/nodes', 'LS_C_REFERENCE', 'no such node', options.node, oneOf(names))
  const { desired } = buildDesired(own, whole, shape, issues, options)
  for (const name of names) {
    if (name === own) continue
    const other = buildDesired(name, whole, shape, issues, options)
    compareNodes(other.b, desired, other.desired)
  }
  if (issues.count > 0) return done(null, issues)
  return tryCompile(desired, issues, done)
}

function buildDesired (node: string, whole: unknown, shape: Shape, issues: Issues, options: ParseOptions): { readonly b: Build, readonly desired: Desired } {
  const { config: raw, origin } = forNode(shape.config, node)
  const b = new Build(issues, shape, whole, origin)
  const redundancyGroups = buildGroups(raw['redundancy-groups'])
  const agent = buildAgent(b, raw, { ...options.host, node }, redundancyGroups)
  const screens = buildScreens(b, raw.screens)
  const zones = buildZones(b, raw, redundancyGroups, screens)
  const { ports, interfaces } = buildInterfaces(b, raw, agent, zones, redundancyGroups, options.directory ?? process.cwd())
  const cluster = buildCluster(b, raw, node, redundancyGroups, interfaces)
  const schedules = buildSchedules(b, raw.schedules)
  const applications = new ApplicationBook(b, raw.applications)
  const books = { addresses: new AddressBook(b, raw['address-book']), applications, zones }
  const policies = buildPolicies(b, raw.policies, books, schedules)
  const nat = buildNat(b, raw.nat, books, redundancyGroups)
  const healthChecks = buildHealthChecks(b, raw.healthchecks)
  const vips = buildVips(b, raw.vips, { applications, pools: nat.pools, groups: redundancyGroups, checks: healthChecks })
  const routes = buildRoutes(b, raw.routes, interfaces)
  const domains = [...new Set(['default', ...interfaces.map(i => i.domain), ...nat.pools.map(p => p.domain), ...nat.static.map(s => s.domain), ...vips.map(v => v.domain)])].sort()
  const desired: Desired = {
    agent, reload: buildReload(raw), timeouts: allTimeouts(buildTimeouts(b, '/timeouts', raw.timeouts)), applications: applications.all(),
    redundancyGroups, screens, schedules, zones, ports, interfaces, policies, nat, healthChecks, vips, adjustments: adjustments(vips, options.overlay ?? noOverlay), routes, cluster, bgp: { report: buildBgpReport(b, raw.bgp?.report) }, domains, ids: emptyIds,
  }
  checkWhole(b, desired)
  checkPair(b, desired)
  return { b, desired }
}

/** Of reals that are there. */
function adjustments (vips: readonly Vip[], { adjusted }: Overlay): Adjustment[] {
  if (adjusted.length === 0) return []
  const reals = new Set(vips.flatMap(({ name, pools }) => pools.flatMap(({ reals }) => reals.map(real => `${name}/${real.name}`))))
  return adjusted.filter(({ vip, real }) => reals.has(`${vip}/${real}`)).map(({ vip, real, weight, drained }) => ({ vip, real, weight, drained }))
    .sort((a, b) => `${a.vip}/${a.real}` < `${b.vip}/${b.real}` ? -1 : 1)
}

/** The classifier has limits that no single section shows. */
function tryCompile (desired: Desired, issues: Issues, done: (desired: Desired | null, issues: Issues) => ParseResult): ParseResult {
  try {
    const book = IdBook.empty().assign(desired)
    compileRules(withIds(desired, book))
    for (const line of book.warnings) issues.warn('', line)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const issue of error.issues) issues.add(issue.path, 'LS_C_LIMIT', issue.message, issue.found, issue.expected)
  }
  return done(desired, issues)
}
