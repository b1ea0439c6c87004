/** The rpc thread of the bench: the agent's own, with a finer watch on its event loop. `reset` begins a measurement, `read` is answered with it. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { BroadcastChannel } from 'node:worker_threads'
import '../../src/workers/rpc.js'
import { CHANNEL, type LoopReport } from './loop-report.js'

const delay = monitorEventLoopDelay({ resolution: 1 })
const channel = new BroadcastChannel(CHANNEL)
channel.unref()
channel.onmessage = (event: unknown) => {
  const { data } = event as { data: unknown }
  if (data === 'reset') {
    delay.enable()
    delay.reset()
  } else if (data === 'read') channel.postMessage({ p99Ms: delay.percentile(99) / 1e6, maxMs: delay.max / 1e6 } satisfies LoopReport)
}
