/** The rpc thread: the gRPC server of src/rpc over the shared table, so that a listing of millions of rows delays nothing of the main thread. */
import { parentPort, workerData } from 'node:worker_threads'
import { timeoutOf } from '../config/index.js'
import { writeGauges } from '../lib/thread-gauges.js'
import { loadCore } from '../native/load.js'
import { Tracer } from '../telemetry/tracer.js'
import { startRpcServer, type RpcServer } from '../rpc/server.js'
import { Caller } from './bridge.js'
import { packError } from './errors.js'
import { feedOf } from './feed.js'
import { remoteAgent } from './remote-agent.js'
import type { Book, FromRpc, MainCalls, RpcWorkerData, ToRpc } from './protocol.js'

const port = parentPort
if (port === null) throw new Error('rpc.ts runs as a worker thread')
const { tableId, socketPath, serving, bridge, listener, natHistory, epoch, debug, gauges, ...data } = workerData as RpcWorkerData
const tell = (message: FromRpc): void => { port.postMessage(message) }
const onBug = (method: string, error: unknown): void => { tell({ kind: 'bug', method, error: packError(error) }) }

let book = data.book
const tracer = new Tracer((span) => { main.call('span', [span]).catch(() => undefined) })
tracer.sample = book.traced ?? null
const table = new (loadCore().Table)({ attach: tableId })
const unwatch = writeGauges(gauges)
const main = new Caller<MainCalls>(bridge, (pushed) => {
  book = pushed as Book
  tracer.sample = book.traced ?? null
})
const feed = feedOf(listener, (app, phase) => timeoutOf(book.timeouts, app, phase), (error) => { onBug('Sessions.Watch', error) })
const over = new AbortController()
const services = remoteAgent({ table, main, book: () => book, feed, natHistory, epoch, debug, signal: over.signal })
let server: RpcServer | null = null

/** Nothing stays open, so the thread ends; the table is let go by its environment, also under work that is still on its way. */
async function end (graceMs: number): Promise<void> {
  await server?.close(graceMs)
  over.abort()
  feed.close()
  main.close()
  unwatch()
  port?.close()
}

// Connections go before the thread: node 20 aborts the whole process when HTTP/2 data reach a thread that is ending.
process.once('uncaughtException', (error) => {
  const closed = server?.close(0) ?? Promise.resolve()
  void closed.catch(() => undefined).finally(() => { setImmediate(() => { throw error }) })
})
port.on('message', (message: ToRpc) => {
  if (message.kind === 'serving') server?.setServing(message.on)
  else void end(message.graceMs)
})
try {
  server = await startRpcServer(services, { socketPath, onBug, tracer })
  server.setServing(serving)
  tell({ kind: 'ready' })
} catch (error) {
  tell({ kind: 'failed', error: packError(error) })
  await end(0)
}
