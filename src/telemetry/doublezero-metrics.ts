/**
 * The page for dashboards and alerts made for doublezero's telemetry agent: the names of its BGP status submitter, of all ledger sinks together. Where ours tells more (uncertain reports, each
 * sink by itself) the page in our names does.
 */
import { Registry } from 'prom-client'
import type { BgpControl, BgpFetches, BgpSinkStatus, BgpTimes } from '../contract/bgp.js'
import { addCounter, addGauge, addHistogram, type Series } from './families.js'
import type { MetricsPage } from './metrics.js'

const results = { success: 'success', stale: 'error_stale', failed: 'error_no_cache' } as const satisfies Record<keyof BgpFetches['results'], string>

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0)
/** They have the same bounds. */
const together = (all: readonly BgpTimes[]): BgpTimes[] => {
  const [first] = all
  return first === undefined ? [] : [{ bounds: first.bounds, counts: first.counts.map((_, i) => sum(all.map(({ counts }) => counts[i] ?? 0))), sum: sum(all.map(times => times.sum)) }]
}

export function createDoublezeroMetrics (bgp: Pick<BgpControl, 'sinks'>): MetricsPage {
  const registry = new Registry()
  let ledgers: readonly BgpSinkStatus[] = []
  const fetches = (): BgpFetches[] => ledgers.flatMap(({ fetches: one }) => one === null ? [] : [one])
  const prefix = 'doublezero'

  addCounter(registry, { prefix,
    name: 'bgpstatus_submissions', help: 'Reports of sessions that came to an end', labelNames: ['bgp_status', 'result'],
    series: () => ledgers.length === 0 ? [] : (['up', 'down'] as const).flatMap((state): Series[] => {
      const of = (landed: boolean): number => sum(ledgers.flatMap(({ reports }) => Object.entries(reports[state]).filter(([kind]) => kind !== 'uncertain' && (kind === 'landed') === landed).map(([, n]) => n)))
      return [[{ bgp_status: state, result: 'success' }, of(true)], [{ bgp_status: state, result: 'error' }, of(false)]]
    })
  })
  addHistogram(registry, { prefix, name: 'bgpstatus_submission_duration_seconds', help: 'How long reports that landed were on their way', labelNames: [], series: () => together(ledgers.map(({ landedIn }) => landedIn)).map(times => [{}, times] as const) })
  addHistogram(registry, { prefix, name: 'telemetry_programdata_fetch_duration_seconds', help: 'How long reading the users took', labelNames: [], series: () => together(fetches().map(({ took }) => took)).map(times => [{}, times] as const) })
  addCounter(registry, { prefix,
    name: 'telemetry_programdata_fetch', help: 'Readings of the users by result', labelNames: ['result'],
    series: () => fetches().length === 0 ? [] : Object.entries(results).map(([ours, theirs]): Series => [{ result: theirs }, sum(fetches().map(one => one.results[ours as keyof typeof results]))])
  })
  addGauge(registry, { prefix, name: 'telemetry_programdata_stale_cache_age_seconds', help: 'Age of the copy of the users that serves while they cannot be read; 0: none does', labelNames: [], series: () => fetches().length === 0 ? [] : [[{}, Math.max(...fetches().map(({ staleMs }) => staleMs)) / 1000]] })

  return {
    contentType: registry.contentType,
    render: async () => {
      ledgers = (await bgp.sinks()).filter(({ kind }) => kind === 'solana')
      return await registry.metrics()
    }
  }
}
