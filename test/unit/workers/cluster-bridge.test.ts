/** The cluster as the rpc worker has it: commands, errors and events over a real port. */
import t, { type Test } from 'tap'
import { MessageChannel } from 'node:worker_threads'
import type { ClusterControl, ClusterEvent } from '../../../src/contract/cluster.js'
import { ClusterLog } from '../../../src/ha/event-log.js'
import { standalone } from '../../../src/ha/standalone.js'
import { answerCalls, Caller } from '../../../src/workers/bridge.js'
import { clusterCalls, remoteCluster } from '../../../src/workers/cluster-bridge.js'
import type { MainCalls } from '../../../src/workers/protocol.js'
import { FakeCluster, pairStatus, roleEvent } from '../rpc/fake-cluster.js'
import { comesAbout } from '../../until.js'

function over (t: Test, control: () => ClusterControl): { readonly remote: ClusterControl, readonly events: ClusterLog, readonly close: () => void } {
  const { port1, port2 } = new MessageChannel()
  const events = new ClusterLog()
  const answering = answerCalls(port1, clusterCalls(control, events))
  const caller = new Caller<MainCalls>(port2, () => {})
  t.teardown(() => { answering.close(); caller.close() })
  return { remote: remoteCluster(caller), events, close: answering.close }
}
const never = new AbortController().signal

t.test('status, commands and a verification cross whole; a signal reaches the work', async (t) => {
  const fake = new FakeCluster()
  const { remote } = over(t, () => fake)
  t.strictSame(await remote.status(), pairStatus)
  t.same(await remote.switchover([0, 1], 'edge-2', never), { done: [0, 1], refused: [] })
  t.same(await remote.hold([1]), { done: [1], refused: [] })
  await remote.release([1])
  await remote.reset([0])
  t.match(await remote.verify([1], never), [{ rg: 1, equal: true }])
  t.same(fake.calls.map((c) => c[0]), ['switchover', 'hold', 'release', 'reset', 'verify'])
  fake.unequal = [1]
  const abort = new AbortController()
  const verifying = remote.verify([1], abort.signal)
  await comesAbout(() => fake.calls.length === 6)
  abort.abort()
  t.match(await verifying, [{ rg: 1, equal: false }], 'the answer is the truth')
})

t.test('a standalone node says so; a cluster that comes with the configuration is asked from then on', async (t) => {
  let control = standalone
  const { remote } = over(t, () => control)
  t.equal(await remote.status(), null)
  for (const ask of [async () => await remote.hold([0]), async () => await remote.release([0]), async () => await remote.reset([0]), async () => await remote.switchover([0], 'b', never), async () => await remote.verify([0], never)] as const) {
    await t.rejects<unknown>(ask(), { errorClass: 'unavailable', code: 'LS_H_STANDALONE', message: /this node has no cluster; add `cluster` to the configuration/ })
  }
  t.throws(() => standalone.watch(() => {}), { code: 'LS_H_STANDALONE' })
  control = new FakeCluster()
  t.match(await remote.status(), { node: 'edge-1' })
})

t.test('watch: kept events, then live ones, each once and in order, until it is left', async (t) => {
  const { remote, events } = over(t, () => standalone)
  for (let n = 0; n < 3; n++) events.tell(roleEvent(0, n))
  const seen: ClusterEvent[] = []
  const leave = remote.watch((e) => { seen.push(e) })
  t.ok(await comesAbout(() => seen.length === 3))
  for (let n = 3; n < 500; n++) {
    events.tell(roleEvent(0, n))
    if (n % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  t.ok(await comesAbout(() => seen.length === 500))
  t.same(seen.map((e) => e.at), Array.from({ length: 500 }, (_, n) => n))
  leave()
  events.tell(roleEvent(0, 500))
  await remote.status()
  t.equal(seen.length, 500)
})

t.test('the main thread is gone: a watch waits quietly and holds nothing', async (t) => {
  const { remote, close } = over(t, () => standalone)
  const leave = remote.watch(() => { t.fail('no events') })
  await remote.status()
  close()
  await t.rejects(remote.status(), { code: 'LS_R_THREAD_GONE' })
  leave()
})
