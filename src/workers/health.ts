/** A health thread: the checker of one network namespace, which the thread enters before its first probe. It decides nothing; what changes is told. */
import { getSystemErrorName } from 'node:util'
import { parentPort, workerData } from 'node:worker_threads'
import type { HealthTransition } from '../contract/health.js'
import { Checker } from '../health/checker.js'
import { icmpProbes } from '../health/probes/icmp.js'
import { probesWith } from '../health/probes/index.js'
import { tcpProbes } from '../health/probes/tcp.js'
import { monotonicMs } from '../lib/monotonic.js'
import { writeGauges } from '../lib/thread-gauges.js'
import { loadCore } from '../native/load.js'
import { packError } from './errors.js'
import type { FromHealth, HealthWorkerData, ToHealth } from './protocol.js'

const port = parentPort
if (port === null) throw new Error('health.ts runs as a worker thread')
const { netns, gauges } = workerData as HealthWorkerData
const unwatch = writeGauges(gauges)
const tell = (message: FromHealth): void => { port.postMessage(message) }

const core = loadCore()
try {
  if (netns !== null) core.enterNetns(netns)
} catch (error) {
  tell({ kind: 'failed', error: packError(error) })
  process.exit(1)
}

/** What comes in one turn of the event loop is one message: ten thousand targets that go down together, too. */
function gathering<T> (send: (list: readonly T[]) => void): (one: T) => void {
  const gathered: T[] = []
  return (one) => {
    if (gathered.length === 0) setImmediate(() => { send(gathered.splice(0)) })
    gathered.push(one)
  }
}
const gatherTransition = gathering<{ readonly id: string, readonly transition: HealthTransition }>((transitions) => { tell({ kind: 'transitions', transitions }) })
const gatherShare = gathering<{ readonly id: string, readonly sharePct: number }>((shares) => { tell({ kind: 'shares', shares }) })

const icmp = icmpProbes(new core.Echo(), (errno) => getSystemErrorName(-errno))
const tcp = tcpProbes(new core.Connects(), (errno) => getSystemErrorName(-errno))
const checker = new Checker({
  probe: probesWith({ icmp: icmp.probe, tcp: tcp.probe }), now: monotonicMs, wall: Date.now, random: Math.random, onTransition: (id, transition) => { gatherTransition({ id, transition }) }, onShare: (id, sharePct) => { gatherShare({ id, sharePct }) },
  after: (ms, run) => {
    const timer = setTimeout(run, ms)
    return () => { clearTimeout(timer) }
  }
})

port.on('message', (message: ToHealth) => {
  switch (message.kind) {
    case 'targets': checker.replace(message.targets, message.known); break
    case 'operate': checker.operate(message.id, message.input); break
    case 'observed': checker.observed(message.id, message.detail); break
    case 'report': tell({ kind: 'report', targets: checker.status() }); break
    case 'stop':
      unwatch()
      checker.close()
      icmp.close()
      tcp.close()
      port.close()
  }
})
