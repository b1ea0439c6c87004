/** Names of doublezero's telemetry agent: every line of a page of two ledgers, and what no ledger is counts for nothing. */
import t from 'tap'
import type { BgpSinkStatus } from '../../../src/contract/bgp.js'
import { createDoublezeroMetrics } from '../../../src/telemetry/doublezero-metrics.js'
import { TallyOfTimes } from '../../../src/lib/tally-of-times.js'

const times = (bounds: readonly number[], ...values: readonly number[]): TallyOfTimes['times'] => {
  const tally = new TallyOfTimes(bounds)
  for (const value of values) tally.add(value)
  return tally.times
}
const sink = (over: Partial<BgpSinkStatus> = {}): BgpSinkStatus => ({
  sink: 'ledger', kind: 'solana', stage: 'ready', lastError: null, subjects: 3, observed: { up: 1, down: 0, unknown: 0 }, held: { unknown: 0, grace: 0, debounce: 0, spacing: 0 }, looks: { ok: 1, failed: 0 }, offers: { queued: 0, replaced: 0, kept: 0, out: 0, full: 0 }, withdrawn: 0, retried: 0, queued: 0, out: 0, lastTickAt: 1, lastLandedAt: 1, batches: 2, batchMs: 20,
  reports: { up: { landed: 4, transient: 1, permanent: 2, uncertain: 9 }, down: { landed: 1, transient: 0, permanent: 0, uncertain: 0 } }, landedIn: times([1, 5], 0.5, 1, 7),
  fetches: { results: { success: 5, stale: 2, failed: 1 }, took: times([2], 1, 3), staleMs: 1500 }, ...over
})

t.test('a page', async (t) => {
  let sinks: readonly BgpSinkStatus[] = [sink(), sink({ sink: 'other', reports: { up: { landed: 1 }, down: {} }, fetches: { results: { success: 1, stale: 0, failed: 0 }, took: times([2], 1), staleMs: 0 } }), sink({ sink: 'file', kind: 'file', fetches: null })]
  const page = createDoublezeroMetrics({ sinks: async () => await Promise.resolve(sinks) })
  const lines = async (): Promise<string[]> => (await page.render()).split('\n').filter(line => line !== '' && !line.startsWith('#'))
  t.same(await lines(), [
    'doublezero_bgpstatus_submissions_total{bgp_status="up",result="success"} 5', 'doublezero_bgpstatus_submissions_total{bgp_status="up",result="error"} 3',
    'doublezero_bgpstatus_submissions_total{bgp_status="down",result="success"} 1', 'doublezero_bgpstatus_submissions_total{bgp_status="down",result="error"} 0',
    'doublezero_bgpstatus_submission_duration_seconds_bucket{le="1"} 4', 'doublezero_bgpstatus_submission_duration_seconds_bucket{le="5"} 4', 'doublezero_bgpstatus_submission_duration_seconds_bucket{le="+Inf"} 6',
    'doublezero_bgpstatus_submission_duration_seconds_sum 17', 'doublezero_bgpstatus_submission_duration_seconds_count 6',
    'doublezero_telemetry_programdata_fetch_duration_seconds_bucket{le="2"} 2', 'doublezero_telemetry_programdata_fetch_duration_seconds_bucket{le="+Inf"} 3', 'doublezero_telemetry_programdata_fetch_duration_seconds_sum 5', 'doublezero_telemetry_programdata_fetch_duration_seconds_count 3',
    'doublezero_telemetry_programdata_fetch_total{result="success"} 6', 'doublezero_telemetry_programdata_fetch_total{result="error_stale"} 2', 'doublezero_telemetry_programdata_fetch_total{result="error_no_cache"} 1',
    'doublezero_telemetry_programdata_stale_cache_age_seconds 1.5'
  ])
  sinks = []
  t.same(await lines(), [])
})
