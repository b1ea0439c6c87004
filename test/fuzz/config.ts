/**
 * Fuzzer of the configuration: random, structure-aware changes of valid files must give either a Desired that compiles, or issues with
 * paths; never an exception and never a hang. A text that is refused for a new reason, or accepted with a new part of the language, is
 * changed further. `npm run fuzz -- config SECONDS` runs it; by itself it is
 *   node dist/test/fuzz/config.js FOUND SECONDS [SEED]      new texts and a finding go to the folder FOUND
 *   node dist/test/fuzz/config.js FOUND merge               the corpus becomes the fewest, shortest texts that mean as much
 * It prints the seed first; a finding is printed with the text that caused it and ends with status 1.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parse, stringify } from 'yaml'
import { clusterHash } from '../../src/config/cluster-hash.js'
import { clusterRestarts } from '../../src/config/cluster-restarts.js'
import { compile } from '../../src/config/compile/index.js'
import { IdBook, withIds } from '../../src/config/ids.js'
import { ConfigError, pointerKeys } from '../../src/config/issues.js'
import { parseConfig } from '../../src/config/parse.js'
import { planConfig } from '../../src/config/plan.js'
import { configSchema } from '../../src/config/schema/index.js'
import { nextScheduleEdge } from '../../src/config/schedule.js'
import type { HostFacts } from '../../src/config/compile/index.js'
import type { Desired } from '../../src/contract/desired.js'

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** mulberry32: small, seeded, the same everywhere. */
export function randomOf (seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let x = Math.imul(a ^ a >>> 15, 1 | a)
    x = (x + Math.imul(x ^ x >>> 7, 61 | x)) ^ x
    return ((x ^ x >>> 14) >>> 0) / 2 ** 32
  }
}

const keys = [...new Set(JSON.stringify(configSchema).match(/"[a-z][a-z0-9-]+"(?=:)/g)?.map(key => key.slice(1, -1)) ?? [])]
const words = new Set(JSON.stringify(configSchema).match(/"enum":\[[^\]]*\]/g)?.flatMap(list => list.match(/(?<=")[^",]+(?="[,\]])/g) ?? []) ?? [])
const values: Json[] = [
  null, true, false, 0, -1, 1, 65535, 65536, 1e308, 0.5, '', 'any', 'x'.repeat(70), 'any-ipv4', 'any-ipv6', '0.0.0.0/0', '::/0', '10.0.0.1', '10.0.0.0/8', '10.0.0.9-10.0.0.1', '255.255.255.255/32', '::1', '2001:db8::/129',
  'tcp', 'tcp/80', 'tcp/0-65535', 'icmp/8/0', 'proto/0', 'udp/1,2,3-4', '0-65535', '80-79', '5s', '1h30m', '-5s', '24:00', '00:00', '2026-02-29', 'mon-sun', 'off', 'interface', 'pool', 'tap:t0', 'pcap:,', 'pcap:a,b', 'source:x', '__proto__', 'constructor',
  'eth0', 'inside', '64k', '3G', '\u202e', '\n', [], {}, [[]], ['any', 'any'], { a: {} }, [null],
]

/** The value of a text, or `undefined` where YAML itself gives up. */
function valueOf (text: string): Json | undefined {
  try {
    return parse(text, { logLevel: 'error' }) as Json
  } catch {
    return undefined
  }
}

class Mutator {
  private readonly corpus: Json[] = []
  private readonly good: Json[] = []
  constructor (private readonly random: () => number) {}

  add (value: Json | undefined, accepted: boolean): void {
    if (value === undefined) return
    this.corpus.push(value)
    if (accepted) this.good.push(value)
  }

  pick<T> (list: readonly T[]): T { return list[Math.floor(this.random() * list.length)] as T }

  /** Some random changes of a random file, mostly of one that is right and few: most changes are mistakes, and one hides what comes after. */
  next (): Json {
    let value = structuredClone(this.pick(this.random() < 0.8 ? this.good : this.corpus))
    for (let n = Math.floor(this.random() ** 3 * 6); n >= 0; n--) value = this.change(value, 0)
    return value
  }

  private change (value: Json, depth: number): Json {
    const inside = value !== null && typeof value === 'object' && (Array.isArray(value) ? value.length : Object.keys(value).length) > 0
    if (inside && depth < 8 && this.random() < 0.85) return this.descend(value as Json[] | { [key: string]: Json }, depth)
    switch (Math.floor(this.random() * 5)) {
      case 0: return structuredClone(this.pick(values))
      case 1: return structuredClone(this.anywhere(this.pick(this.corpus)))
      case 2: return typeof value === 'number' ? value + this.pick([-1, 1, 1000, -1000]) : typeof value === 'string' ? this.text(value) : value
      case 3: return [value, structuredClone(value)]
      default: return { [this.pick(keys)]: value }
    }
  }

  private descend (value: Json[] | { [key: string]: Json }, depth: number): Json {
    if (Array.isArray(value)) {
      const i = Math.floor(this.random() * value.length)
      const roll = this.random()
      if (roll < 0.1) value.splice(i, 1)
      else if (roll < 0.2) value.push(structuredClone(value[i] ?? null))
      else value[i] = this.change(value[i] ?? null, depth + 1)
      return value
    }
    const key = this.pick(Object.keys(value))
    const roll = this.random()
    if (roll < 0.08) Reflect.deleteProperty(value, key)
    else if (roll < 0.16) value[this.pick(keys)] = structuredClone(value[key] ?? null)
    else if (roll < 0.24) value[this.pick(keys)] = structuredClone(this.pick(values))
    else if (roll < 0.3) value[`${key}2`] = structuredClone(value[key] ?? null)
    else value[key] = this.change(value[key] ?? null, depth + 1)
    return value
  }

  private anywhere (value: Json): Json {
    let at = value
    while (at !== null && typeof at === 'object' && this.random() < 0.8) {
      const parts: Json[] = Array.isArray(at) ? at : Object.values(at)
      if (parts.length === 0) break
      at = this.pick(parts)
    }
    return at
  }

  private text (value: string): string {
    const at = Math.floor(this.random() * (value.length + 1))
    return this.random() < 0.5 ? value.slice(0, at) + this.pick(['0', '/', '-', ':', '.', ' ', 'ff', '\t', 'é', '*', '&', '']) + value.slice(at) : value.slice(0, at) + value.slice(at + 1)
  }

  /** The text of a file, sometimes damaged as text. */
  render (value: Json): string {
    const text = stringify(value, { aliasDuplicateObjects: this.random() < 0.5 })
    if (this.random() < 0.8) return text
    const at = Math.floor(this.random() * text.length)
    return this.random() < 0.5 ? text.slice(0, at) : text.slice(0, at) + this.pick(['\n', '  ', '[', '{', '*a', '&a ', '- ', ': ', '"', '\u0007', '!!x ', '---\n', '? ', '#']) + text.slice(at)
  }
}

const host = { node: 'n1', stateDir: '/var/lib/lockstep', socketPath: '/run/lockstep/agent.sock' }

function factsFor (d: Desired): HostFacts {
  return { ports: Object.fromEntries(d.ports.map((port, device) => [port.name, { device, mac: '02:00:00:00:00:01', mtu: 1500, ifindex: device, addresses: [], up: true }])) }
}

interface Schema { readonly properties?: { readonly [key: string]: Schema }, readonly items?: Schema, readonly additionalProperties?: Schema | boolean }

/** A path as the schema names it: what a user chose is `*` or a `#`, and what the schema does not know ends it. */
function shape (path: readonly string[]): string {
  const names: string[] = []
  let at = configSchema as Schema
  for (const key of path) {
    const known = Object.hasOwn(at.properties ?? {}, key) ? at.properties?.[key] : undefined
    const next = known ?? at.items ?? at.additionalProperties
    if (typeof next !== 'object') break
    names.push(known !== undefined ? key : at.items !== undefined ? '#' : '*')
    at = next
  }
  return names.join('/')
}

/** The parts of the language that a value uses. */
function parts (value: Json, path: readonly string[] = []): string[] {
  if (value !== null && typeof value === 'object') return Object.entries(value).flatMap(([key, inner]) => parts(inner, [...path, key]))
  return [`takes ${shape(path)}${typeof value === 'string' && words.has(value) ? ` ${value}` : ''}`]
}

export interface Judgement {
  /** Why the outcome is wrong, or `null`. */
  readonly fault: string | null
  /** `null`: refused. */
  readonly desired: Desired | null
  /** What the outcome was about: issues by code and place, or the parts of the language that were taken. */
  readonly marks: readonly string[]
}

export function judge (text: string, before: Desired | null): Judgement {
  try {
    const { desired, issues } = parseConfig(text, { host, anyNode: true, directory: '/etc/lockstep' })
    if (desired === null) {
      if (issues.length === 0) return { fault: 'refused without an issue', desired, marks: [] }
      const bad = issues.find(i => (i.path !== '' && !i.path.startsWith('/')) || i.message === '' || i.expected === '' || i.code === '')
      const marks = [...new Set(issues.map(i => `${i.code} ${shape(pointerKeys(i.path))}`))]
      return { fault: bad === undefined ? null : `incomplete issue ${JSON.stringify(bad)}`, desired, marks }
    }
    const marks = [...new Set(parts(valueOf(text) ?? null))]
    if (issues.length > 0) return { fault: 'accepted with issues', desired, marks }
    const book = IdBook.empty().assign(desired)
    const named = withIds(desired, book)
    planConfig(before, named)
    if (before !== null) clusterRestarts(before, named)
    if (clusterHash(named).length !== 32) return { fault: 'no hash', desired, marks }
    if (planConfig(named, named).length > 0) return { fault: 'differs from itself', desired, marks }
    nextScheduleEdge(named, new Date('2026-03-28T20:00:00Z'))
    try {
      compile(named, factsFor(named), book.table(), {}, new Date(0))
    } catch (error) {
      if (!(error instanceof ConfigError) || error.errorClass !== 'exhausted') throw error
      marks.push('exhausted')
    }
    return { fault: null, desired, marks }
  } catch (error) {
    return { fault: `threw ${error instanceof Error ? error.stack ?? error.message : String(error)}`, desired: null, marks: [] }
  }
}

const slowMs = 5000
const textMax = 16_384 /* of what is changed further: else texts only grow */

export interface FuzzResult {
  readonly runs: number
  readonly accepted: number
  readonly slowestMs: number
  /** Texts with a mark that none before had. */
  readonly fresh: readonly string[]
  readonly marks: number
  readonly finding: { readonly fault: string, readonly text: string } | null
}

/** Until `seconds` are over or something is found. */
export function fuzz (corpus: readonly string[], seconds: number, seed: number): FuzzResult {
  const random = randomOf(seed)
  const mutator = new Mutator(random)
  const seen = new Set<string>()
  const fresh: string[] = []
  const end = performance.now() + seconds * 1000
  let [runs, accepted, slowestMs] = [0, 0, 0]
  let before: Desired | null = null
  for (const text of corpus) {
    const { desired, marks } = judge(text, null)
    mutator.add(valueOf(text), desired !== null)
    for (const mark of marks) seen.add(mark)
  }
  const result = (finding: FuzzResult['finding']): FuzzResult => ({ runs, accepted, slowestMs, fresh, marks: seen.size, finding })
  while (performance.now() < end) {
    const value = mutator.next()
    const text = mutator.render(value)
    const start = process.cpuUsage() // the machine may have other work
    const { fault, desired, marks } = judge(text, before)
    const { user, system } = process.cpuUsage(start)
    const ms = (user + system) / 1000
    runs++
    slowestMs = Math.max(slowestMs, ms)
    if (desired !== null) [accepted, before] = [accepted + 1, desired]
    if (fault !== null) return result({ fault, text })
    if (ms > slowMs) return result({ fault: `took ${ms.toFixed(0)} ms`, text })
    if (text.length > textMax || marks.every(mark => seen.has(mark))) continue
    for (const mark of marks) seen.add(mark)
    fresh.push(text)
    mutator.add(value, desired !== null)
  }
  return result(null)
}

/** Without the lines that do not matter: runs of them are left out, halves first, while the marks of `wanted` stay. */
function shrunk (text: string, wanted: readonly string[]): string {
  let lines = text.split('\n')
  for (let run = lines.length >> 1; run >= 1; run >>= 1) {
    for (let at = 0; at < lines.length;) {
      const less = lines.toSpliced(at, run)
      const marks = judge(less.join('\n'), null).marks
      if (wanted.every(mark => marks.includes(mark))) lines = less
      else at += run
    }
  }
  return lines.join('\n')
}

/** The fewest texts, each as short as can be, that together have all marks: greedily, the one with most new marks first. */
export function cover (texts: readonly string[]): string[] {
  const left = new Map(texts.map(text => [text, new Set(judge(text, null).marks)]))
  const kept: string[] = []
  for (;;) {
    const [text, marks] = [...left].reduce<[string, Set<string>]>((a, b) => b[1].size > a[1].size || (b[1].size === a[1].size && b[0].length < a[0].length) ? b : a, ['', new Set()])
    if (marks.size === 0) return kept
    const short = shrunk(text, [...marks])
    kept.push(short)
    for (const mark of judge(short, null).marks) for (const other of left.values()) other.delete(mark)
  }
}

export const corpusFolder = 'test/fixtures/corpus/config'
export const textsOf = (folder: string): string[] => existsSync(folder) ? readdirSync(folder).sort().map(name => readFileSync(join(folder, name), 'utf8')) : []

/** What is changed: the examples and the corpus. */
export const seeds = (root = '.'): string[] =>
  [...readdirSync(join(root, 'examples')).filter(name => name.endsWith('.yaml')).map(name => readFileSync(join(root, 'examples', name), 'utf8')), ...textsOf(join(root, corpusFolder))]

const nameOf = (text: string): string => `${createHash('sha256').update(text).digest('hex').slice(0, 16)}.yaml`

function write (folder: string, texts: readonly string[]): void {
  mkdirSync(folder, { recursive: true })
  for (const text of texts) writeFileSync(join(folder, nameOf(text)), text)
}

/** Only files that this program named are replaced: a regression keeps its name and place. */
function merge (found: string): void {
  const texts = cover([...textsOf(corpusFolder), ...textsOf(found)])
  for (const name of existsSync(corpusFolder) ? readdirSync(corpusFolder) : []) if (/^[0-9a-f]{16}\.yaml$/.test(name)) rmSync(join(corpusFolder, name))
  write(corpusFolder, texts)
  process.stdout.write(`${texts.length} texts, ${texts.reduce((sum, text) => sum + text.length, 0)} characters in ${corpusFolder}\n`)
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [found = 'build-fuzz/found/config', what = '60', seedText] = process.argv.slice(2)
  if (what === 'merge') merge(found)
  else {
    const seconds = Number(what)
    const seed = Number(seedText ?? Date.now() % 2 ** 32)
    process.stdout.write(`fuzz config: seed ${seed}, ${seconds} s\n`)
    const { runs, accepted, slowestMs, fresh, marks, finding } = fuzz([...seeds(), ...textsOf(found)], seconds, seed)
    write(found, fresh)
    process.stdout.write(`${runs} texts, ${accepted} accepted, ${marks} kinds of outcome (${fresh.length} texts with a new one), slowest ${slowestMs.toFixed(0)} ms\n`)
    if (finding !== null) {
      writeFileSync(join(found, 'finding.yaml'), finding.text)
      process.stdout.write(`FINDING (seed ${seed}; ${join(found, 'finding.yaml')}): ${finding.fault}\n---\n${finding.text}\n`)
      process.exitCode = 1
    }
  }
}
