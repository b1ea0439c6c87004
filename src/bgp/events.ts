/** What is told of neighbours: transitions alone, and of many at once the sum. */
import type { EventLevel } from '../contract/balancing.js'
import type { BgpNeighbourStatus } from '../contract/bgp.js'
import type { BgpChange, BgpChangeKind, BgpChanges, BgpSourceChange } from './neighbours.js'

/** Names and fields are those of the log. */
export interface BgpEvent {
  readonly name: string
  readonly level: EventLevel
  readonly object: string
  readonly fields: Readonly<Record<string, string | number | null>>
}

/** Of one reading; beyond them it is told how many there were. */
export const EACH_MAX = 32

const names: Readonly<Record<BgpChangeKind, string>> = { new: 'neighbour-new', up: 'neighbour-up', down: 'neighbour-down', unknown: 'neighbour-unknown', flap: 'neighbour-flap', gone: 'neighbour-gone' }
const levels: Readonly<Record<BgpChangeKind, EventLevel>> = { new: 'info', up: 'info', down: 'warn', unknown: 'warn', flap: 'warn', gone: 'info' }

/** `first`: of a source that had told nothing before. */
export function bgpEvents ({ neighbours, sources }: BgpChanges, first: { readonly object: string } | null): BgpEvent[] {
  const told = first === null ? neighbours : neighbours.filter(({ kind }) => kind !== 'new')
  const begun = first === null ? [] : [{ name: 'source-read', level: 'info' as const, object: first.object, fields: { neighbours: neighbours.length, up: neighbours.filter(({ status }) => status.state === 'up').length } }]
  return [...sources.map(sourceEvent), ...begun, ...told.slice(0, EACH_MAX).map(neighbourEvent), ...told.length <= EACH_MAX ? [] : [rest(told.slice(EACH_MAX))]]
}

const sourceEvent = ({ source, scope, failed }: BgpSourceChange): BgpEvent =>
  ({ name: failed === null ? 'source-answers' : 'source-failed', level: failed === null ? 'info' : 'warn', object: `source ${scope}`, fields: { source, ...failed === null ? {} : { reason: failed } } })

function neighbourEvent ({ kind, before, status }: BgpChange): BgpEvent {
  const { state, source, remoteAs, flaps, reason, unknownBecause } = status
  const why = kind === 'unknown' ? unknownBecause : kind === 'down' || kind === 'flap' ? reason : null
  return { name: names[kind], level: levels[kind], object: objectOf(status), fields: { state, source, remoteAs, flaps, ...before === null ? {} : { before }, ...why === null ? {} : { reason: why } } }
}

function rest (changes: readonly BgpChange[]): BgpEvent {
  const counts = new Map<string, number>()
  for (const { kind } of changes) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return { name: 'neighbours-changed', level: changes.some(({ kind }) => levels[kind] === 'warn') ? 'warn' : 'info', object: '', fields: { more: changes.length, ...Object.fromEntries(counts) } }
}

const objectOf = ({ vrf, peer }: BgpNeighbourStatus): string => `neighbour ${vrf}/${peer}`
