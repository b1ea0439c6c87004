/** Captured answers of real daemons, and neighbours as short lines. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BgpNeighbour, BgpReading, BgpSource } from '../../../src/contract/bgp.js'
import { neighbour } from '../../../src/bgp/providers/provider.js'

const folder = join(fileURLToPath(new URL('.', import.meta.url)), '../../../../test/fixtures/bgp')
export const captured = (name: string): string => readFileSync(join(folder, name), 'utf8')

/** Without the recorder's first line. */
export const json = (text: string): unknown => JSON.parse(text.replace(/^\+.*\n/, '')) as unknown

/** Answers of one conversation, by question. */
export function answers (text: string): Map<string, string> {
  const parts = text.split(/^CMD b?'(.*)'.*\n/m)
  return new Map(parts.flatMap((part, i) => i % 2 === 1 ? [[part.replace(/\\n$/, ''), (parts[i + 1] ?? '').replace(/\n(----\n)?$/, '')] as const] : []))
}

/** What matters, in one line. */
export function line (n: BgpNeighbour): string {
  const words = [`${n.vrf}/${n.peer}`, `as ${n.remoteAs ?? '?'}`, n.established ? 'UP' : n.adminDown ? 'shut' : 'no', n.fsm ?? '?', `since ${n.since === null ? '?' : new Date(n.since).toISOString().slice(5, 23)}`]
  const more: Array<readonly [string, unknown]> = [['local', n.local], ['drops', n.drops], ['prefixes', n.prefixesReceived], ['rtt', n.rttNs], ['', n.description], ['', n.reason]]
  return [...words, ...more.flatMap(([name, value]) => value === null ? [] : [`${name} ${String(value)}`.trim()])].join(', ')
}

export const row = (peer: string, more: Partial<BgpNeighbour> = {}): BgpNeighbour => neighbour({ source: 'frr', vrf: 'default', peer, established: true, ...more })
export const good = (at: number, neighbours: readonly BgpNeighbour[], scope = 'edge', source: BgpSource = 'frr'): BgpReading => ({ source, scope, at, ok: true, neighbours: neighbours.map(n => ({ ...n, source })) })
export const bad = (at: number, reason = 'no answer', scope = 'edge', source: BgpSource = 'frr'): BgpReading => ({ source, scope, at, ok: false, reason })
