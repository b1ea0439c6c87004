/** The surfaces of a cluster through the real thread that serves them: of an agent without one, and of a pair that is made up on the main thread. */
import t from 'tap'
import { emptyIds, timeoutTable } from '../../src/config/index.js'
import type { TelemetryMetricsResponse } from '../../src/generated/proto/lockstep/v1/telemetry.js'
import { loadCore } from '../../src/native/load.js'
import { startRpcThread } from '../../src/workers/rpc-thread.js'
import { startSyncThread } from '../../src/workers/sync-thread.js'
import { runCli } from '../unit/cli/run-cli.js'
import { createFakeAgent } from '../unit/rpc/fake-agent.js'
import { roleEvent } from '../unit/rpc/fake-cluster.js'
import { mainCallsOf } from '../unit/rpc/main-calls.js'
import { ask, connect, idle, place, startAgent } from './agent-process.js'

t.test('a standalone agent refuses what is of a cluster, and shows nothing of one', async t => {
  const p = place(t)
  p.write(idle())
  const running = await startAgent(t, p)
  for (const verb of ['status', 'history', 'watch', 'switchover --all', 'hold 0', 'release 0', 'reset 0', 'verify --all', 'resync --all', 'differences']) {
    t.match(await runCli(['cluster', ...verb.split(' '), '--socket', p.socket]), { code: 1, out: '', err: /LS_H_STANDALONE: this node has no cluster; add `cluster` to the configuration/ }, verb)
  }
  const { text } = await ask<TelemetryMetricsResponse>(done => running.calls.telemetry.metrics({ names: '' }, done))
  t.match(text, /^# TYPE lockstep_cluster_role gauge$/m)
  t.notMatch(text, /^lockstep_cluster_/m)
  t.match(await running.stop(), { code: 0 })
})

t.test('a pair: status, commands, events and metrics cross the threads', async t => {
  const p = place(t)
  const { cluster, services } = createFakeAgent(0)
  const table = new (loadCore().Table)({ capacity: 1024, cpus: 0, threads: 1, arena: 64, hugepages: 0, path: '' })
  const tableId = table.info().id
  const problem = (error: unknown): void => { t.fail(String(error)) }
  const sync = startSyncThread({ tableId, timeouts: () => 0, onLogs: () => {}, onClosed: () => {}, onProblem: problem })
  const server = await startRpcThread({
    socketPath: p.socket, tableId, epoch: 'test', calls: mainCallsOf(services, cluster.events), book: { ids: emptyIds, timeouts: timeoutTable(null) }, listener: sync.listener,
    onBug: (_method, error) => { problem(error) }, onDown: problem, onUp: () => {}
  })
  const cli = async (command: string): Promise<{ code: number, out: string }> => await runCli(['cluster', ...command.split(' '), '--socket', p.socket])
  t.match(await cli('status'), { code: 0, out: /^ 1 +standby, pinned +edge-2 +770 /m })
  cluster.refused = [{ rg: 1, reasons: ['capacity'] }]
  t.match(await cli('switchover --all'), { code: 1, out: 'rg 0: owned by edge-2\nrg 1: refused: capacity\n' })
  cluster.unequal = [1]
  t.match(await cli('verify 1 --timeout 20ms'), { code: 1, out: / 1 +NO / })
  for (let rg = 0; rg < 3; rg++) cluster.events.tell(roleEvent(rg))
  const watching = cli('watch --count 200 --json')
  for (let n = 3; n < 200; n++) {
    cluster.events.tell(roleEvent(n % 16))
    if (n % 10 === 0) await new Promise(resolve => setTimeout(resolve, 1))
  }
  const lines = (await watching).out.trimEnd().split('\n').map(line => (JSON.parse(line) as { rg: number }).rg)
  t.same(lines, Array.from({ length: 200 }, (_, n) => n < 3 ? n : n % 16), 'each once, in order')
  const calls = connect(p.socket)
  const { text } = await ask<TelemetryMetricsResponse>(done => calls.telemetry.metrics({ names: '' }, done))
  t.match(text, /^lockstep_cluster_role\{rg="1",role="standby"\} 1$/m)
  t.match(text, /^lockstep_cluster_role_changes_total\{rg="0"\} 13$/m)
  calls.close()
  await server.close(100)
  await sync.close()
  table.close()
  t.same(p.leftovers(), [])
})
