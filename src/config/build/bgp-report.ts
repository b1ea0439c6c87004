/** `bgp.report`. Files are named, not opened: a sink that cannot start says why, and is tried again. */
import { bgpLedgerPrograms, bgpReportDefaults as usual, bgpReportLimits as max, type BgpReportSettings, type BgpSinkSettings } from '../../contract/bgp-report.js'
import { Harmless, oneOf, pointer } from '../issues.js'
import type { RawBgpReport, RawBgpSink, Scalar } from '../raw.js'
import { formatDuration, parseDuration } from '../units.js'
import { absolute } from './agent.js'
import { entries, type Build } from './context.js'
import { checkEndpoint } from './endpoint.js'

const root = '/bgp/report'
/** Keys that a type may have, those that it must have first. */
const keys = {
  file: { must: ['path'], may: [] },
  webhook: { must: ['url'], may: ['secret-file', 'timeout', 'batch'] },
  solana: { must: ['url', 'program', 'device', 'keypair-file'], may: ['dry-run', 'commitment', 'compute-unit-price', 'balance-min'] },
} as const satisfies Record<RawBgpSink['type'], { must: ReadonlyArray<keyof RawBgpSink>, may: ReadonlyArray<keyof RawBgpSink> }>
const every = [...new Set(Object.values(keys).flatMap(({ must, may }): ReadonlyArray<keyof RawBgpSink> => [...must, ...may]))]

export function buildBgpReport (b: Build, raw: RawBgpReport | undefined): BgpReportSettings | null {
  if (raw === undefined) return null
  const list = entries(raw.sinks)
  b.limit(pointer(root, 'sinks'), 'sinks', list.length, max.sinksMax, 'sinksMax')
  const sinks = list.flatMap(([name, sink]) => buildSink(b, pointer(root, 'sinks', name), name, sink) ?? []).sort((x, y) => x.name < y.name ? -1 : 1)
  onePlaceEach(b, sinks)
  const span = (key: string, value: Scalar | undefined, fallback: number, from: number, to: number): number => bounded(b, pointer(root, key), value, fallback, from, to)
  return {
    intervalMs: span('interval', raw.interval, usual.intervalMs, max.intervalMsMin, max.intervalMsMax),
    graceMs: span('grace', raw.grace, usual.graceMs, 0, max.graceMsMax),
    debounceMs: span('debounce', raw.debounce, usual.debounceMs, 0, max.graceMsMax),
    refreshMs: span('refresh', raw.refresh, usual.refreshMs, max.refreshMsMin, max.refreshMsMax),
    refreshJitter: (raw['refresh-jitter'] ?? usual.refreshJitterPct) / 100,
    spacingMs: span('spacing', raw.spacing, usual.spacingMs, 0, max.graceMsMax),
    sinks,
  }
}

/** Each takes what is there as its own work: of two in one file one would take back lines of the other, two on one ledger would pay twice. */
function onePlaceEach (b: Build, sinks: readonly BgpSinkSettings[]): void {
  const names = new Map<string, string>()
  for (const sink of sinks) {
    if (sink.type === 'webhook') continue
    const place = sink.type === 'file' ? sink.path : `${sink.program} ${sink.device}`
    const other = names.get(place)
    if (other === undefined) names.set(place, sink.name)
    else b.issue(pointer(root, 'sinks', sink.name), 'LS_C_DUPLICATE', 'two sinks are one place', new Harmless(place), `another one than that of ${other}`)
  }
}

function buildSink (b: Build, path: string, name: string, raw: RawBgpSink): BgpSinkSettings | null {
  const { must, may } = keys[raw.type]
  const its: ReadonlyArray<keyof RawBgpSink> = [...must, ...may]
  for (const key of every) if (raw[key] !== undefined && !its.includes(key)) b.issue(pointer(path, key), 'LS_C_CONFLICT', `type ${raw.type} has no ${key}`, raw[key], oneOf(its))
  const missing = must.filter(key => raw[key] === undefined && b.raw(pointer(path, key)) === undefined)
  for (const key of missing) b.issue(path, 'LS_C_REQUIRED', `type ${raw.type} without ${key}`, b.raw(path), key)
  const file = (key: 'path' | 'secret-file' | 'keypair-file', value: string): string => absolute(b, pointer(path, key), value)
  if (raw.url !== undefined && its.includes('url')) checkEndpoint(b, pointer(path, 'url'), raw.url)
  switch (raw.type) {
    case 'file': return raw.path === undefined ? null : { type: 'file', name, path: file('path', raw.path) }
    case 'webhook': return raw.url === undefined
      ? null
      : {
          type: 'webhook', name, url: raw.url, secretFile: raw['secret-file'] === undefined ? null : file('secret-file', raw['secret-file']),
          timeoutMs: bounded(b, pointer(path, 'timeout'), raw.timeout, usual.webhook.timeoutMs, max.timeoutMsMin, max.timeoutMsMax), batch: raw.batch ?? usual.webhook.batch,
        }
    case 'solana': {
      const { url, program: named, device, 'keypair-file': keypair } = raw
      if (url === undefined || named === undefined || device === undefined || keypair === undefined) return null
      const program = Object.hasOwn(bgpLedgerPrograms, named) ? bgpLedgerPrograms[named] ?? '' : named
      for (const [key, value] of [['program', program], ['device', device]] as const) {
        if (!isAddress(value)) b.issue(pointer(path, key), 'LS_C_VALUE', 'not an address', value, `32 bytes in base58${key === 'program' ? `, or one of ${Object.keys(bgpLedgerPrograms).join(', ')}` : ''}`)
      }
      return {
        type: 'solana', name, url, program, device, keypairFile: file('keypair-file', keypair), dryRun: raw['dry-run'] ?? false, commitment: raw.commitment ?? usual.solana.commitment,
        computeUnitPrice: raw['compute-unit-price'] ?? 0, balanceMin: raw['balance-min'] ?? usual.solana.balanceMin,
      }
    }
  }
}

function bounded (b: Build, path: string, value: Scalar | undefined, fallback: number, from: number, to: number): number {
  const ms = value === undefined ? fallback : parseDuration(value)
  if (ms !== null && ms >= from && ms <= to) return ms
  b.issue(path, 'LS_C_VALUE', 'not a usable duration', value, `${formatDuration(from)} to ${formatDuration(to)}`)
  return fallback
}

const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/** Base58 of 32 bytes. The ledger's library is not loaded for that: it is there for a ledger only. */
function isAddress (text: string): boolean {
  if (!/^[1-9A-HJ-NP-Za-km-z]{32,44}$/.test(text)) return false
  const value = [...text].reduce((sum, letter) => sum * 58n + BigInt(alphabet.indexOf(letter)), 0n)
  const zeros = text.length - text.replace(/^1+/, '').length
  return zeros + Math.ceil(value.toString(16).length / 2) - (value === 0n ? 1 : 0) === 32
}
