/**
 * The server side of the bench, a process of its own as in production: a table of N rows, and the agent's gRPC thread over it. Answers its parent: `reset`
 * starts a new measurement of both event loops, `read` returns it.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { BroadcastChannel } from 'node:worker_threads'
import { emptyIds, timeoutTable } from '../../src/config/index.js'
import { startRpcThread } from '../../src/workers/rpc-thread.js'
import { startSyncThread } from '../../src/workers/sync-thread.js'
import { createFakeAgent } from '../../test/unit/rpc/fake-agent.js'
import { mainCallsOf } from '../../test/unit/rpc/main-calls.js'
import { filledTable } from './filled-table.js'
import { balanced } from './balanced.js'
import { CHANNEL, type LoopReport } from './loop-report.js'

/** Of the page that is scraped, unless told otherwise. */
const REALS = 1000

export interface ServerReport { readonly main: LoopReport, readonly rpc: LoopReport, readonly rssMiB: number }

const [socketPath = '', rows = '0', reals = String(REALS), perVip] = process.argv.slice(2)
const table = filledTable(Number(rows))
const fail = (error: unknown): void => {
  console.error(error)
  process.exit(1)
}
const tableId = table.info().id
const agent = createFakeAgent(0)
const lb = balanced(Number(reals), perVip === undefined ? undefined : Number(perVip))
agent.loadBalancer.vipList = lb.vips
agent.loadBalancer.targetList = lb.targets
const sync = startSyncThread({ tableId, timeouts: () => 0, onLogs: () => {}, onClosed: () => {}, onProblem: fail })
const rpc = await startRpcThread({
  socketPath, tableId, epoch: 'bench', calls: mainCallsOf(agent.services), book: { ids: { ...emptyIds, vip: lb.vipIds, real: lb.realIds }, timeouts: timeoutTable(null) }, listener: sync.listener,
  onBug: (_method, error) => { fail(error) }, onDown: fail, onUp: () => {}, entry: new URL('./rpc-thread.js', import.meta.url)
})
const delay = monitorEventLoopDelay({ resolution: 1 })
const channel = new BroadcastChannel(CHANNEL)
channel.onmessage = (event: unknown) => {
  const { data } = event as { data: LoopReport }
  const report: ServerReport = { main: { p99Ms: delay.percentile(99) / 1e6, maxMs: delay.max / 1e6 }, rpc: data, rssMiB: process.memoryUsage.rss() / 2 ** 20 }
  process.send?.(report)
}

process.on('message', (message) => {
  channel.postMessage(message)
  if (message !== 'reset') return
  delay.enable()
  delay.reset()
  process.send?.('ready')
})
process.on('disconnect', () => {
  channel.close()
  void rpc.close(0).then(sync.close).then(() => { table.close() }).catch(fail)
})
process.send?.('ready')
