/** What becomes of reports of BGP sessions, from looks to the page: each count is of what happened. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import t from 'tap'
import { Outlet } from '../../../src/bgp/reporting/outlet.js'
import { each } from '../../../src/bgp/sinks/sink.js'
import { addBgp } from '../../../src/telemetry/bgp-metrics.js'
import { KeptLog, MovedClock, ToldSink, look, neighbour, subject, until } from '../bgp/reporting/world.js'

t.test('reports that are sent again, come together, are dropped, withdrawn or held', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bgpm-'))
  const [sink, clock] = [new ToldSink(), new MovedClock()]
  const outlet = new Outlet({ sink, target: 'target', timing: { graceMs: 0, debounceMs: 0, refreshMs: 1e9, jitter: 0, spacingMs: 0 }, directory, clock, random: () => 1, log: new KeptLog(), queue: { max: 2 }, wantsLook: () => {} })
  t.teardown(async () => {
    await outlet.stop()
    rmSync(directory, { recursive: true })
  })
  const registry = new Registry()
  addBgp(registry, () => ({ neighbours: [], sources: [], sinks: [outlet.tallies()], routes: [], routeSinks: [] }))
  const page = async (): Promise<string[]> => (await registry.metrics()).split('\n').filter(line => /^lockstep_bgp_report(s_retried|s_withdrawn|_offers|_held|_observed|_looks).* [1-9]/.test(line)).map(line => line.replace('lockstep_bgp_', '').replace('sink="told"', '').replace('{,', '{').replace('{}', ''))
  const failing = ['busy', 'busy'].map(reason => (batch: readonly unknown[]) => each(batch, { kind: 'transient', reason, afterMs: null }))
  outlet.start()
  await until(() => outlet.tallies().stage === 'ready', 'ready')
  sink.answers = [...failing]
  sink.list = ['a', 'b', 'c'].map(id => subject(id, 'up'))
  await outlet.tick(look([neighbour('a', 'down'), neighbour('b', 'down'), neighbour('c', 'down')]))
  await until(() => outlet.tallies().reports.down['transient'] === 2, 'it failed')
  await clock.move(1000)
  await until(() => outlet.tallies().reports.down['transient'] === 4, 'it failed again')
  await outlet.tick(look([neighbour('a', 'up'), neighbour('b', 'down'), neighbour('c', 'unknown')]))
  sink.subjects = async () => { throw await Promise.resolve(new Error('no route')) }
  await outlet.tick(look([]))
  t.same(await page(), [
    'report_observed{state="up"} 1', 'report_observed{state="down"} 1', 'report_observed{state="unknown"} 1', 'report_held{because="unknown"} 1', 'report_looks_total{result="ok"} 2', 'report_looks_total{result="failed"} 1',
    'report_offers_total{result="queued"} 2', 'report_offers_total{result="kept"} 1', 'report_offers_total{result="full"} 1', 'reports_withdrawn_total 1', 'reports_retried_total 2',
  ])
})
