/**
 * The sync thread: drains notices and deletions of the shared table into packed records, for the peer, for listeners, for the log. It polls, because a
 * wake-up per event would cost the dataplane a system call: fast while there is something, slowly while there is not. Nobody listening: drained all the
 * same, so that rings do not overrun and the first listener starts fresh.
 */
import { readFileSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { PassiveWatch } from '../health/passive.js'
import { causeOf } from '../lib/cause-of.js'
import { writeGauges } from '../lib/thread-gauges.js'
import { nice } from '../lib/thread-priority.js'
import { loadCore } from '../native/load.js'
import { recordBytes } from '../native/records.js'
import { NatHistoryWriter } from '../telemetry/nat-history.js'
import { answerCalls, type Answering } from './bridge.js'
import { openCluster, type ClusterPush } from './cluster.js'
import { packError } from './errors.js'
import { Outlets } from './outlets.js'
import { openPair } from './pair.js'
import type { BridgeAnswer, FromSync, SyncWorkerData, ToSync } from './protocol.js'

const BATCH = 4096
const FAST_MS = 1
/** With a peer that waits: how long to let changes gather, and how long after the last one. */
const NAP_MS = 0.4
const BUSY_MS = 50
const SLOW_MS = 50
/** Between two rounds while nothing changes, with a peer: cuts and activity are due then. */
const PAIR_MS = 10
/** Records that are worth sending at once. */
const GATHERED = 256

/** Before the threads that serve people, if we may: what waits here is a session that a failover would lose. */
const NICE = -5

const port = parentPort
if (port === null) throw new Error('sync.ts runs as a worker thread')
const { tableId, gauges, underWay, natHistory } = workerData as SyncWorkerData
nice(NICE)
const unwatch = writeGauges(gauges)
const table = new (loadCore().Table)({ attach: tableId })
const buffer = new Uint8Array(BATCH * recordBytes)
const passive = new PassiveWatch()
const ended = new NatHistoryWriter(natHistory)
const outlets = new Outlets(port, underWay, table, buffer)
let delay = SLOW_MS
let timer: NodeJS.Timeout | null = null
let immediate: NodeJS.Immediate | null = null
let changedAt = -Infinity
let working = false
const nap = new Int32Array(new SharedArrayBuffer(4))

/** Who sends what is drained: a pair of which somebody else says who owns, or a node of a cluster. */
interface Sender {
  readonly drained: (records: Uint8Array, n: number, overruns: number, dry: boolean) => void
  /** True: again at once. */
  readonly tick: () => boolean
  /** In how many milliseconds something is due that no socket will tell; absent: nothing is. */
  readonly dueMs?: () => number
  readonly close: () => Promise<void>
}
let sender: Sender | null = null
let bridge: Answering | null = null
let pair: ReturnType<typeof openPair> | null = null

function round (): void {
  const { records, overruns } = table.drain(buffer)
  const unanswered = passive.note(buffer, records)
  if (unanswered.length > 0) port?.postMessage({ kind: 'observed', reals: unanswered } satisfies FromSync)
  ended.note(buffer, records, overruns, Date.now())
  const now = performance.now()
  if (sender !== null) {
    sender.drained(buffer, records, overruns, records < BATCH)
    working = sender.tick()
  }
  outlets.tell(records, overruns, now)
  delay = records === BATCH ? 0 : records > 0 ? FAST_MS : Math.min(sender === null ? SLOW_MS : PAIR_MS, Math.max(FAST_MS, delay * 2))
  if (records > 0) changedAt = now
  if (sender !== null && (working || now - changedAt < BUSY_MS)) {
    // A timer takes a millisecond at least. Sockets are served between two rounds.
    if (!working && records < GATHERED) Atomics.wait(nap, 0, 0, NAP_MS)
    immediate = setImmediate(round)
  } else {
    // Sockets first: what came while this thread was held up is heard before anybody is declared lost.
    timer = setTimeout(() => { immediate = setImmediate(round) }, Math.max(0, Math.min(delay, sender?.dueMs?.() ?? delay)))
  }
}

/** CPU time of this thread: fields 14 and 15 of its stat, in ticks of 10 ms. */
function cpuMs (): number {
  const fields = readFileSync('/proc/thread-self/stat', 'utf8').replace(/^.*\) /, '').split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

function setPair ({ spec }: Extract<ToSync, { readonly kind: 'pair' }>): void {
  const event = (name: Extract<FromSync, { readonly kind: 'event' }>['name'], fields: Readonly<Record<string, string | number | null>>): void => {
    port?.postMessage({ kind: 'event', name, fields } satisfies FromSync)
  }
  try {
    sender = pair = openPair(spec, { table, cpuMs, onEvent: event, onProblem: (text) => { event('', { text }) } })
  } catch (error) {
    event('', { text: `there is no peer: ${causeOf(error)}` }) // keys that are none: the rest of this thread goes on
  }
}

/** Answered when it is open, or why it is not; its calls come over `calls` then. */
async function setCluster ({ spec, calls }: Extract<ToSync, { readonly kind: 'cluster' }>): Promise<void> {
  try {
    const cluster = await openCluster(spec, { table, cpuMs, push: (message: ClusterPush) => { calls.postMessage({ kind: 'push', value: message } satisfies BridgeAnswer) } })
    bridge = answerCalls(calls, cluster.calls)
    sender = cluster
    port?.postMessage({ kind: 'cluster', error: null } satisfies FromSync)
  } catch (error) {
    port?.postMessage({ kind: 'cluster', error: packError(error) } satisfies FromSync)
  }
}

async function stop (): Promise<void> {
  if (timer !== null) clearTimeout(timer)
  if (immediate !== null) clearImmediate(immediate)
  unwatch()
  bridge?.close()
  await sender?.close()
  table.feed(false)
  table.close()
  outlets.close()
  port?.close()
}

port.on('message', (message: ToSync) => {
  switch (message.kind) {
    case 'listener': outlets.listen(message.port, message.underWay); break
    case 'pair': setPair(message); break
    case 'observe': passive.watch(message.bounds); break
    case 'own': pair?.own(message.owned, message.epochs); break
    case 'report': port.postMessage({ kind: 'pair', report: pair?.report(message.anew) ?? null } satisfies FromSync); break
    case 'cluster': void setCluster(message); break
    case 'stop': void stop()
  }
})
table.feed(true)
round()
