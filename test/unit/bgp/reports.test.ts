/** What the reporter may take for the whole of what there is: what nobody reads is not down. */
import t, { type Test } from 'tap'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Neighbours } from '../../../src/bgp/neighbours.js'
import { Reports } from '../../../src/bgp/reports.js'
import type { BgpSettings, BgpSource } from '../../../src/contract/bgp.js'
import { KeptLog } from './reporting/world.js'
import { good, row } from './support.js'
import { until } from '../../until.js'

const peer = '192.0.2.1'
const settings = (path: string, type: 'frr' | 'bmp'): BgpSettings => ({
  intervalMs: 20, timeoutMs: 50, maxAgeMs: 60_000, announce: null,
  report: { intervalMs: 20, graceMs: 0, debounceMs: 0, refreshMs: 1e9, refreshJitter: 0, spacingMs: 0, sinks: [{ type: 'file', name: 'log', path }] },
  sources: [type === 'frr' ? { name: 'it', vrf: null, type, socket: 'x' } : { name: 'it', vrf: null, type, listen: 'x' }]
})

/** An agent, with what the one before it left. */
async function agent (t: Test, directory: string, type: 'frr' | 'bmp', tell: (view: Neighbours, source: BgpSource) => void): Promise<{ readonly reports: Reports, readonly lines: () => string[] }> {
  const view = new Neighbours({ maxAgeMs: 60_000, kernelDecides: false })
  const path = join(directory, 'out.jsonl')
  const reports = new Reports({ view, node: 'n', directory, log: new KeptLog(), onProblem: (error) => { throw error } })
  t.teardown(async () => { await reports.close() })
  tell(view, type)
  reports.configure(settings(path, type))
  return { reports, lines: () => readFileSync(path, 'utf8').trim().split('\n').map(line => (JSON.parse(line) as { state: string }).state) }
}

for (const type of ['frr', 'bmp'] as const) {
  t.test(`after a restart of the agent: a neighbour that ${type} does not tell`, async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'bgpx-'))
    t.teardown(() => { rmSync(directory, { recursive: true, force: true }) })
    const before = await agent(t, directory, type, (view, source) => { view.observe(good(Date.now(), [row(peer)], 'it', source)) })
    await until('it is told', () => before.reports.tallies()[0]?.reports.up.landed === 1)
    await before.reports.close()
    const after = await agent(t, directory, type, (view, source) => { view.observe(good(Date.now(), [], 'it', source)) })
    await until('it is looked at', () => (after.reports.tallies()[0]?.looks.ok ?? 0) >= 3)
    if (type === 'frr') await until('a daemon that does not have it says that it is down', () => after.reports.tallies()[0]?.reports.down.landed === 1)
    const [tally] = after.reports.tallies()
    t.match(tally?.observed, type === 'frr' ? { unknown: 0 } : { up: 0, down: 0, unknown: 1 })
    t.same(after.lines(), type === 'frr' ? ['up', 'down'] : ['up'])
  })
}
