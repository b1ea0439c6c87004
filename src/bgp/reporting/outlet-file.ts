/** What a sink must not forget over a restart: the batch that is out, and the record of a sink that cannot be asked. What cannot be read is as if it had never been, and is told. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BgpReport } from '../../contract/bgp.js'
import { causeOf } from '../../lib/cause-of.js'
import { replaceFile } from '../../lib/replace-file.js'
import type { OwnRecordJson } from '../sinks/own-record.js'
import type { Entry } from './queue.js'

export interface OutBatch { readonly ticket: string, readonly entries: readonly Entry[] }
export interface OutletState { readonly out: OutBatch | null, readonly record: OwnRecordJson | null }

const pathOf = (directory: string, sink: string): string => join(directory, `bgp-report.${sink}.json`)

interface Kept {
  readonly out: OutBatch | null
  readonly record: unknown
  /** Why there is nothing, or not all of it, although there was something; `null`: it is whole, or there was never any. */
  readonly damage: string | null
}

/** `target`: what the sink writes to. What was kept of another one is of no use. */
export function readOutlet (directory: string, sink: string, target: string): Kept {
  const path = pathOf(directory, sink)
  const nothing = (damage: string | null): Kept => ({ out: null, record: null, damage: damage === null ? null : `${path}: ${damage}; it is as if it had never been` })
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    return nothing((error as NodeJS.ErrnoException).code === 'ENOENT' ? null : causeOf(error))
  }
  try {
    const file = JSON.parse(text) as { version?: unknown, target?: unknown, out?: unknown, record?: unknown }
    if (file.version !== 1) return nothing('of another version')
    if (file.target !== target) return nothing(null)
    const out = batchOf(file.out)
    return { out, record: file.record ?? null, damage: out === null && file.out !== null ? `${path}: the batch that was out cannot be read; its sink is not asked what became of it` : null }
  } catch {
    return nothing(`damaged (${text.length} characters)`)
  }
}

export async function writeOutlet (directory: string, sink: string, target: string, { out, record }: OutletState): Promise<void> {
  await replaceFile(pathOf(directory, sink), JSON.stringify({ version: 1, target, out: out === null ? null : { ticket: out.ticket, entries: out.entries.map(({ report, incarnation, queuedAt, attempts }) => ({ report, incarnation, queuedAt, attempts })) }, record }))
}

function batchOf (value: unknown): OutBatch | null {
  const { ticket, entries } = (value ?? {}) as { ticket?: unknown, entries?: unknown }
  if (typeof ticket !== 'string' || !Array.isArray(entries) || entries.length === 0) return null
  const list = (entries as unknown[]).map(entryOf)
  return list.every(entry => entry !== null) ? { ticket, entries: list } : null
}

function entryOf (value: unknown): Entry | null {
  const { report, incarnation, queuedAt, attempts } = (value ?? {}) as { report?: unknown, incarnation?: unknown, queuedAt?: unknown, attempts?: unknown }
  if (!isReport(report) || typeof incarnation !== 'string' || typeof queuedAt !== 'number' || typeof attempts !== 'number') return null
  return { report, incarnation, queuedAt, attempts, retryAt: null, lastError: 'the agent ended while it was sent', stage: 'uncertain', gone: false, held: false }
}

function isReport (value: unknown): value is BgpReport {
  const { subject, state, rttNs, cause, decidedAt } = (value ?? {}) as { readonly [key: string]: unknown }
  return typeof subject === 'string' && (state === 'up' || state === 'down') && typeof rttNs === 'number' && typeof decidedAt === 'number' &&
    (cause === 'changed' || cause === 'refresh' || cause === 'first')
}
