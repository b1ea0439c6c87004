/** Families of BGP sessions and of the sources where they are read. Labels are names of VRFs and sources, and addresses of neighbours that are configured in a daemon; a series ends with its neighbour. */
import type { Registry } from 'prom-client'
import type { BgpRoute, BgpRouteSink } from '../contract/bgp-announce.js'
import type { BgpFetches, BgpNeighbourStatus, BgpSinkStatus, BgpSourceStatus, BgpState } from '../contract/bgp.js'
import { addCounter, addGauge, addHistogram, type Series } from './families.js'

/** As of this scrape. */
export interface BgpReadingNow { readonly neighbours: readonly BgpNeighbourStatus[], readonly sources: readonly BgpSourceStatus[], readonly sinks: readonly BgpSinkStatus[], readonly routes: readonly BgpRoute[], readonly routeSinks: readonly BgpRouteSink[] }

const allStates: readonly BgpState[] = ['up', 'down', 'unknown']

export function addBgp (registry: Registry, read: () => BgpReadingNow): void {
  const neighbour = (name: string, help: string, labelNames: readonly string[], seriesOf: (n: BgpNeighbourStatus) => readonly Series[]): void => { addGauge(registry, { name, help, labelNames, series: () => read().neighbours.flatMap(seriesOf) }) }
  const source = (add: typeof addGauge, name: string, help: string, labelNames: readonly string[], seriesOf: (s: BgpSourceStatus) => readonly Series[]): void => { add(registry, { name, help, labelNames, series: () => read().sources.flatMap(seriesOf) }) }
  const labels = ['vrf', 'peer']
  const of = ({ vrf, peer }: BgpNeighbourStatus): Series[0] => ({ vrf, peer })

  addGauge(registry, { name: 'bgp_neighbours', help: 'Neighbours by what is known of them; unknown: nobody has told of it for the maximum age', labelNames: ['state'], series: () => {
    const { neighbours, sources } = read()
    return sources.length === 0 ? [] : allStates.map((state): Series => [{ state }, neighbours.filter(n => n.state === state).length])
  } })
  neighbour('bgp_neighbour_state', 'What is known of a neighbour: 1, and only the state it is in', [...labels, 'state'], n => [[{ ...of(n), state: n.state }, 1]]) // there may be thousands
  neighbour('bgp_neighbour_since_seconds', 'Unix time at which a neighbour came into its state, by its daemon', labels, n => n.since === null || n.state === 'unknown' ? [] : [[of(n), n.since / 1000]])
  neighbour('bgp_neighbour_rtt_seconds', 'Smoothed round trip of the connection with a neighbour', labels, n => n.rttNs === null ? [] : [[of(n), n.rttNs / 1e9]])
  neighbour('bgp_neighbour_prefixes_received', 'Prefixes that a neighbour sent', labels, n => n.prefixesReceived === null || n.state !== 'up' ? [] : [[of(n), n.prefixesReceived]])
  addCounter(registry, { name: 'bgp_neighbour_flaps', help: 'Times that a session ended since it is known, over restarts of its daemon', labelNames: labels, series: () => read().neighbours.map((n): Series => [of(n), n.flaps]) })

  const at = ({ source: kind, scope }: BgpSourceStatus): Series[0] => ({ source: scope, kind })
  source(addGauge, 'bgp_source_up', 'Whether a source of neighbours answers', ['source', 'kind'], s => [[at(s), s.failed === null ? 1 : 0]])
  source(addGauge, 'bgp_source_last_read_seconds', 'Unix time of the last good reading of a source', ['source', 'kind'], s => s.goodAt === null ? [] : [[at(s), s.goodAt / 1000]])
  source(addGauge, 'bgp_source_reading_seconds', 'How long the last reading of a source took', ['source', 'kind'], s => s.tookMs === null ? [] : [[at(s), s.tookMs / 1000]])
  source(addCounter, 'bgp_source_readings', 'Readings of a source by result', ['source', 'kind', 'result'], s => [[{ ...at(s), result: 'ok' }, s.readings.ok], [{ ...at(s), result: 'failed' }, s.readings.failed]])

  const sink = (add: typeof addGauge, name: string, help: string, labelNames: readonly string[], seriesOf: (s: BgpSinkStatus) => readonly Series[]): void => { add(registry, { name, help, labelNames: ['sink', ...labelNames], series: () => read().sinks.flatMap(seriesOf) }) }
  sink(addGauge, 'bgp_report_sink_ready', 'Whether a sink of reports takes them', ['kind'], s => [[{ sink: s.sink, kind: s.kind }, s.stage === 'ready' ? 1 : 0]])
  sink(addGauge, 'bgp_report_subjects', 'Those whose session is told to a sink', [], s => [[{ sink: s.sink }, s.subjects]])
  sink(addGauge, 'bgp_report_pending', 'Reports that wait for a sink, or are on their way', ['stage'], s => [[{ sink: s.sink, stage: 'queued' }, s.queued], [{ sink: s.sink, stage: 'out' }, s.out]])
  sink(addGauge, 'bgp_report_last_tick_seconds', 'Unix time of the last look at what a sink is to be told', [], s => s.lastTickAt === null ? [] : [[{ sink: s.sink }, s.lastTickAt / 1000]])
  sink(addGauge, 'bgp_report_last_landed_seconds', 'Unix time at which a sink last took a report', [], s => s.lastLandedAt === null ? [] : [[{ sink: s.sink }, s.lastLandedAt / 1000]])
  sink(addCounter, 'bgp_reports', 'Reports that came to an end, by state and result', ['state', 'result'], s => (['up', 'down'] as const).flatMap(state => Object.entries(s.reports[state]).map(([result, n]): Series => [{ sink: s.sink, state, result }, n])))
  sink(addGauge, 'bgp_report_observed', 'Those whose session is told to a sink by what the last look saw of them', ['state'], s => allStates.map((state): Series => [{ sink: s.sink, state }, s.observed[state]]))
  sink(addGauge, 'bgp_report_held', 'Those of whom nothing is told for now, by why: unknown, or within grace, debounce or spacing', ['because'], s => Object.entries(s.held).map(([because, n]): Series => [{ sink: s.sink, because }, n]))
  sink(addCounter, 'bgp_report_looks', 'Looks at what a sink is to be told, by whether it could be read', ['result'], s => Object.entries(s.looks).map(([result, n]): Series => [{ sink: s.sink, result }, n]))
  sink(addCounter, 'bgp_report_offers', 'Reports that looks asked for: queued; replaced or kept: one waited already; out: one is on its way; full: dropped until the next look, as the queue was full', ['result'], s => Object.entries(s.offers).map(([result, n]): Series => [{ sink: s.sink, result }, n]))
  sink(addCounter, 'bgp_reports_withdrawn', 'Reports that waited until they were not needed any more', [], s => [[{ sink: s.sink }, s.withdrawn]])
  sink(addCounter, 'bgp_reports_retried', 'Reports that were sent once more', [], s => [[{ sink: s.sink }, s.retried]])
  sink(addCounter, 'bgp_report_batches', 'Batches of reports that were sent', [], s => [[{ sink: s.sink }, s.batches]])
  sink(addCounter, 'bgp_report_batch_seconds', 'That batches of reports took', [], s => [[{ sink: s.sink }, s.batchMs / 1000]])
  addHistogram(registry, { name: 'bgp_report_seconds', help: 'How long reports that landed were on their way', labelNames: ['sink'], series: () => read().sinks.map(({ sink: name, landedIn }) => [{ sink: name }, landedIn] as const) })
  const fetched = (): Array<readonly [{ readonly sink: string }, BgpFetches]> => read().sinks.flatMap(({ sink: name, fetches }) => fetches === null ? [] : [[{ sink: name }, fetches] as const])
  addHistogram(registry, { name: 'bgp_report_fetch_seconds', help: 'How long reading those whose session is told took', labelNames: ['sink'], series: () => fetched().map(([labels, { took }]) => [labels, took] as const) })
  addCounter(registry, { name: 'bgp_report_fetches', help: 'Readings of those whose session is told, by result; stale: it failed, and a copy served', labelNames: ['sink', 'result'], series: () => fetched().flatMap(([labels, { results }]) => Object.entries(results).map(([result, n]): Series => [{ ...labels, result }, n])) })
  addGauge(registry, { name: 'bgp_report_stale_seconds', help: 'Age of the copy that serves while they cannot be read; 0: none does', labelNames: ['sink'], series: () => fetched().map(([labels, { staleMs }]): Series => [labels, staleMs / 1000]) })

  addGauge(registry, { name: 'bgp_route_announced', help: 'Whether the routing daemon is given the route to a VIP', labelNames: ['prefix'], series: () => read().routes.map(({ prefix, announced }): Series => [{ prefix }, announced ? 1 : 0]) })
  addGauge(registry, { name: 'bgp_route_place_good', help: 'Whether routes to VIPs are as they should be where the routing daemon takes them', labelNames: ['place'], series: () => read().routeSinks.map(({ name, failed }): Series => [{ place: name }, failed === null ? 1 : 0]) })
  addCounter(registry, { name: 'bgp_route_changes', help: 'Routes to VIPs that were put somewhere or taken away', labelNames: ['place', 'change'], series: () => read().routeSinks.flatMap(({ name, added, removed }): Series[] => [[{ place: name, change: 'added' }, added], [{ place: name, change: 'removed' }, removed]]) })
}
