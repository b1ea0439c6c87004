/** Server-sent events (WHATWG HTML, section 9.2) of what is live: ids are `<epoch>-<seq>`, and a browser that comes back names the last one that it had. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Live, LiveMessage } from './live.js'

const HEARTBEAT_MS = 15_000
/** What waits for a reader that does not read; beyond it the reader is let go. */
const BEHIND_MAX = 4 << 20
const RETRY_MS = 1000

/** Ends when the reader does. */
export async function serveStream (live: Live, request: IncomingMessage, response: ServerResponse, heartbeatMs = HEARTBEAT_MS): Promise<void> {
  const last = positionOf(request.headers['last-event-id'], live.epoch)
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store, no-transform', 'x-accel-buffering': 'no', 'x-content-type-options': 'nosniff' })
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  response.write(`retry: ${RETRY_MS}\n\n`)
  const waiting: LiveMessage[] = []
  let begun = false
  const write = (text: string): void => {
    if (response.writableLength > BEHIND_MAX) response.destroy()
    else if (!response.destroyed) response.write(text)
  }
  const textOf = ({ seq, type, data }: LiveMessage): string => `id: ${live.epoch}-${seq}\nevent: ${type}\ndata: ${data}\n\n`
  const unsubscribe = live.subscribe((message) => { if (begun) write(textOf(message)); else waiting.push(message) })
  const heartbeat = setInterval(() => { write(': alive\n\n') }, heartbeatMs)
  response.on('close', () => {
    clearInterval(heartbeat)
    unsubscribe()
  })
  const missed = last === null ? null : live.since(last)
  let upTo = 0
  if (missed !== null) {
    write(`event: resumed\ndata: {"messages":${missed.length}}\n\n`)
    for (const message of missed) write(textOf(message))
    upTo = Math.max(last ?? 0, missed.at(-1)?.seq ?? 0)
  } else {
    const { seq, json } = await live.state()
    upTo = seq
    write(`id: ${live.epoch}-${seq}\nevent: state\ndata: ${json}\n\n`)
  }
  for (const message of waiting) if (message.seq > upTo) write(textOf(message))
  begun = true
}

function positionOf (id: string | string[] | undefined, epoch: string): number | null {
  if (typeof id !== 'string' || !id.startsWith(`${epoch}-`)) return null
  const seq = Number(id.slice(epoch.length + 1))
  return Number.isSafeInteger(seq) && seq >= 0 ? seq : null
}
