/** What a table's dataplane says of itself before it takes a redundancy group: a forwarder that forwards nothing is no reason to be ready. */
import t from 'tap'
import { admitsAll, type Forwarder } from '../../../src/backend/table/forwarder.js'
import { TableDataPlane } from '../../../src/backend/table/index.js'
import { loadCore } from '../../../src/native/load.js'

t.test('a forwarder that is down is an alarm with its reason; who waits for its end hurries it', async (t) => {
  const core = loadCore()
  const table = new core.Table({ capacity: 1024, cpus: 0, threads: 1, arena: 0, hugepages: 0, path: '' })
  let down = 'nothing is forwarded: it died'
  const calls: string[] = []
  const step = (what: string) => async (): Promise<void> => { await Promise.resolve(calls.push(what)) }
  const forwarder: Forwarder = {
    name: 'dpdk', parks: true, copies: true, program: null, admit: admitsAll, capabilities: [], probe: () => ({ backend: 'dpdk', available: true, reason: '', capabilities: [] }), inherited: () => new Map(),
    start: step('start'), stop: step('stop'), leave: step('leave'), open: step('open'), close: step('close'), handOver: step('hand over'), enable: step('enable'), disable: step('disable'),
    settle: () => [], degraded: () => [], guard: step('guard'), unguard: step('unguard'), signature: () => '', down: () => down, hurry: () => { calls.push('hurry') }
  }
  const unused = (): never => { throw new Error('not asked') }
  const dataplane = new TableDataPlane({ core, table, workers: 1, forwarders: () => new Map([['dpdk', forwarder]]), backend: 'dpdk', inherited: false, netns: null, compiler: { rings: unused, weight: unused, compile: unused } })
  const abort = new AbortController()
  await dataplane.start(abort.signal)
  t.same(dataplane.haFacts(0).alarms, ['nothing is forwarded: it died'])
  down = ''
  t.same(dataplane.haFacts(0).alarms, [])
  await dataplane.close()
  t.same(calls, ['start', 'hurry', 'stop'])
})
