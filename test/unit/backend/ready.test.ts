/** A table's dataplane over a forwarder that is down, or hangs: it is not ready for a redundancy group, and nobody waits for it. */
import t from 'tap'
import { admitsAll, type Forwarder } from '../../../src/backend/table/forwarder.js'
import { TableDataPlane } from '../../../src/backend/table/index.js'
import type { BackendName } from '../../../src/contract/dataplane.js'
import { loadCore } from '../../../src/native/load.js'

const unused = (): never => { throw new Error('not asked') }

function dataplaneOf (forwarders: readonly Forwarder[]): TableDataPlane {
  const core = loadCore()
  const table = new core.Table({ capacity: 1024, cpus: 0, threads: 1, arena: 0, hugepages: 0, path: '' })
  return new TableDataPlane({ core, table, workers: 1, forwarders: () => new Map(forwarders.map(f => [f.name, f])), backend: 'dpdk', inherited: false, netns: null, compiler: { rings: unused, weight: unused, compile: unused } })
}

/** `started`: what its start waits for. */
function stub (name: BackendName, calls: string[], started: Promise<void> = Promise.resolve(), more: Partial<Forwarder> = {}): Forwarder {
  const step = (what: string) => async (): Promise<void> => { await Promise.resolve(calls.push(`${name} ${what}`)) }
  return {
    name, parks: true, copies: true, program: null, admit: admitsAll, capabilities: [], probe: () => ({ backend: name, available: true, reason: '', capabilities: [] }), inherited: () => new Map(),
    start: async () => { await step('start')(); await started }, stop: step('stop'), leave: step('leave'), open: step('open'), close: step('close'), handOver: step('hand over'), enable: step('enable'), disable: step('disable'),
    settle: () => [], degraded: () => [], guard: step('guard'), unguard: step('unguard'), signature: () => '', hurry: () => { calls.push(`${name} hurry`) }, ...more
  }
}

t.test('a forwarder that is down is an alarm with its reason', async (t) => {
  let down = 'nothing is forwarded: it died'
  const calls: string[] = []
  const dataplane = dataplaneOf([stub('dpdk', calls, Promise.resolve(), { down: () => down })])
  await dataplane.start(new AbortController().signal)
  t.same(dataplane.haFacts(0).alarms, ['nothing is forwarded: it died'])
  down = ''
  t.same(dataplane.haFacts(0).alarms, [])
  await dataplane.close()
  t.same(calls, ['dpdk start', 'dpdk hurry', 'dpdk stop'])
})

/** Of a process that hangs: it starts when it is hurried, and not before. */
function hanging (name: BackendName, calls: string[]): Forwarder {
  let reject: (error: Error) => void = () => undefined
  return stub(name, calls, new Promise((_, no) => { reject = no }), { hurry: () => { calls.push(`${name} hurry`); reject(new Error(`${name}: ended`)) } })
}

t.test('a start that hangs is hurried by whoever ends it: the agent’s start, a switch that is cancelled, a stop', async (t) => {
  const none: string[] = []
  const abort = new AbortController()
  const first = dataplaneOf([hanging('dpdk', none)])
  const started = first.start(abort.signal)
  abort.abort()
  await t.rejects(started, /dpdk: ended/)
  await first.close()

  for (const end of ['cancelled', 'closed'] as const) {
    const calls: string[] = []
    const dataplane = dataplaneOf([stub('dpdk', calls), hanging('userspace', calls)])
    await dataplane.start(new AbortController().signal)
    const caller = new AbortController()
    const switched = dataplane.switchTo('userspace', caller.signal).then(() => null, (error: unknown) => error)
    while (!calls.includes('userspace start')) await new Promise((resolve) => setImmediate(resolve))
    t.equal(calls[1], 'dpdk hurry', 'the other waits for nothing either')
    if (end === 'cancelled') caller.abort()
    const closed = end === 'closed' ? dataplane.close() : null
    t.match(await switched, { message: /userspace: ended/ }, end)
    await (closed ?? dataplane.close())
    t.equal(dataplane.name, 'dpdk')
  }
})
