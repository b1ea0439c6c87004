/**
 * Families of a pair on the metrics page. A standalone node has none of these series; one ends with its group, its peer, or its stream. Labels are numbers
 * of groups, names of nodes and paths, and code names.
 */
import type { Registry } from 'prom-client'
import type { ClusterGroupStatus, ClusterPeer, ClusterStatus, ClusterSync, PeerLiveness } from '../contract/cluster.js'
import { lagBoundsMs } from '../contract/cluster-limits.js'
import type { RgRole } from '../contract/dataplane.js'
import type { ClusterTally } from '../contract/services.js'
import { addCounter, addGauge, addHistogram, states, type Series } from './families.js'

/** As of this scrape. */
export interface ClusterReading { readonly status: ClusterStatus | null, readonly tallies: readonly ClusterTally[] }

const roles: readonly RgRole[] = ['init', 'standby', 'owner', 'hold', 'yield', 'take']
const livenesses: readonly PeerLiveness[] = ['unseen', 'alive', 'suspect', 'lost']
const syncStates: ReadonlyArray<ClusterSync['state']> = ['down', 'hello', 'up', 'differs', 'refused']
const moveResults = ['done', 'refused', 'failed'] as const

export function addCluster (registry: Registry, read: () => ClusterReading): void {
  const gauge = (name: string, help: string, labelNames: readonly string[], seriesOf: (status: ClusterStatus) => readonly Series[]): void => {
    addGauge(registry, { name: `cluster_${name}`, help, labelNames, series: () => { const { status } = read(); return status === null ? [] : seriesOf(status) } })
  }
  const counter = (name: string, help: string, labelNames: readonly string[], seriesOf: (status: ClusterStatus, tallies: readonly ClusterTally[]) => readonly Series[]): void => {
    addCounter(registry, { name: `cluster_${name}`, help, labelNames, series: () => { const { status, tallies } = read(); return status === null ? [] : seriesOf(status, tallies) } })
  }
  const group = (name: string, help: string, valueOf: (g: ClusterGroupStatus) => number | null): void => {
    gauge(name, help, ['rg'], ({ groups }) => groups.flatMap((g) => series({ rg: String(g.rg) }, valueOf(g))))
  }
  const sync = (name: string, help: string, valueOf: (s: ClusterSync) => number | null): void => {
    gauge(`sync_${name}`, help, ['peer'], (s) => series({ peer: peerOf(s) }, valueOf(s.sync)))
  }

  gauge('role', 'Role of this node in a redundancy group: 1 for the one it has', ['rg', 'role'], ({ groups }) => groups.flatMap((g) => states({ rg: String(g.rg) }, 'role', roles, g.role)))
  group('epoch', 'Epoch of a redundancy group: the one owned, else the highest one known', (g) => Number(g.epoch))
  group('ready', 'Whether nothing but a hold keeps this node from taking a redundancy group by a planned move', (g) => Number(g.ready))
  group('effective_priority', 'Priority of this node in a redundancy group, less the weights of monitors that are down', (g) => g.effectivePriority)
  group('proven_equal_timestamp_seconds', 'Unix time for which the sessions of a redundancy group were proven equal on both nodes', (g) => g.provenEqualAt === null ? null : g.provenEqualAt / 1000)
  group('sessions', 'Sessions of a redundancy group', (g) => g.sessions)
  counter('role_changes', 'Changes of the role of this node in a redundancy group', ['rg'], ({ groups }, tallies) => groups.map((g) => [{ rg: String(g.rg) }, tallyOf(tallies, g.rg)?.roleChanges ?? 0]))
  counter('moves', 'Planned moves of a redundancy group that ended at this node, by result', ['rg', 'result'], ({ groups }, tallies) =>
    groups.flatMap((g) => moveResults.map((result): Series => [{ rg: String(g.rg), result }, tallyOf(tallies, g.rg)?.moves[result] ?? 0])))

  gauge('generation', 'Generation of the configuration of a node of the pair, as this node knows it', ['node'], ({ node, generation, peers }) => [[{ node }, generation], ...peers.flatMap((p): Series[] => p.generation === null ? [] : [[{ node: p.node }, p.generation]])])
  gauge('peer_liveness', 'How well a peer is heard: 1 for the state it is in', ['peer', 'state'], ({ peers }) => peers.flatMap((p) => states({ peer: p.node }, 'state', livenesses, p.liveness)))
  counter('heartbeats_received', 'Heartbeats of a peer that were heard, by path', ['peer', 'path'], ({ peers }) => peers.flatMap(({ node, paths }) => paths.map(({ path, heard }): Series => [{ peer: node, path }, heard])))
  gauge('path_liveness', 'How well a peer is heard over a path of heartbeats: 1 for the state it is in', ['peer', 'path', 'state'], ({ peers }) => peers.flatMap(pathStates))

  gauge('sync_state', 'State of the stream of sessions to the peer: 1 for the one it is in', ['peer', 'state'], (s) => states({ peer: peerOf(s) }, 'state', syncStates, s.sync.state))
  sync('path', 'Path that the stream of sessions uses, counted from 0, the preferred one', (s) => s.path?.index ?? null)
  sync('lag_seconds', 'Age of the oldest change that the peer has not acknowledged', (s) => s.lagMs === null ? null : s.lagMs / 1000)
  sync('ahead_bytes', 'Bytes of the stream that the peer has not acknowledged', (s) => s.aheadBytes)
  addHistogram(registry, {
    name: 'cluster_sync_acknowledge_seconds', help: 'From a change to its acknowledgement by the peer', labelNames: ['peer'],
    series: () => { const { status } = read(); return status === null ? [] : [[{ peer: peerOf(status) }, { bounds: lagBoundsMs.map(ms => ms / 1000), counts: status.sync.lag.counts, sum: status.sync.lag.sumMs / 1000 }]] }
  })
  gauge('rings', 'VIPs that spread new flows as at the peer, and those that do not', ['peer', 'state'], (s) =>
    s.rings === null ? [] : [[{ peer: peerOf(s), state: 'equal' }, s.rings.equal], [{ peer: peerOf(s), state: 'differing' }, s.rings.differing.length]])
  counter('sync_sent', 'What was sent to the peer, by kind', ['peer', 'kind'], (s) => totals(s, s.sync.sent))
  counter('sync_received', 'What was received from the peer and what became of it, by kind', ['peer', 'kind'], (s) => totals(s, s.sync.received))
}

const series = (labels: Series[0], value: number | null): Series[] => value === null ? [] : [[labels, value]]
const pathStates = ({ node, paths }: ClusterPeer): Series[] => paths.flatMap(({ path, liveness }) => states({ peer: node, path }, 'state', livenesses, liveness))
const totals = (s: ClusterStatus, counts: Readonly<Record<string, number>>): Series[] => Object.entries(counts).map(([kind, value]) => [{ peer: peerOf(s), kind }, value])
const tallyOf = (tallies: readonly ClusterTally[], rg: number): ClusterTally | undefined => tallies.find((t) => t.rg === rg)
/** Of a pair there is one. */
const peerOf = ({ peers }: ClusterStatus): string => peers[0]?.node ?? ''
