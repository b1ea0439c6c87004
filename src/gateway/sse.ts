/** Server-sent events (WHATWG HTML, section 9.2) of what is live: ids are `<epoch>-<seq>`, and a browser that comes back names the last one that it had. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { eventId, eventSeq } from '../lib/event-id.js'
import { withheld, type Live } from './live.js'

const HEARTBEAT_MS = 5000
/** What may come to wait for a reader beyond the least that ever waited for it since it was told everything; with more it is let go, and comes back. */
const BEHIND_MAX = 4 << 20
/** A reader that lost us comes back after this or up to twice as long: not all of them at once. */
const RETRY_MS = 1000

/** Goes on until the reader goes. `audit`: he may read what tells of other callers. */
export async function serveStream (live: Live, audit: boolean, request: IncomingMessage, response: ServerResponse, heartbeatMs = HEARTBEAT_MS): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store, no-transform', 'x-accel-buffering': 'no', 'x-content-type-options': 'nosniff' })
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  let least = 0
  const write = (text: string): void => {
    least = Math.min(least, response.writableLength)
    if (response.writableLength > least + BEHIND_MAX) response.destroy()
    else if (!response.destroyed) response.write(text)
  }
  write(`retry: ${Math.round(RETRY_MS * (1 + Math.random()))}\n\n`)
  const last = eventSeq(String(request.headers['last-event-id'] ?? ''), live.epoch)
  const seq = last !== null && live.reaches(last) ? last : await snapshot(live, audit, write)
  if (response.destroyed) return
  // However long everything is, it may take its time: who is let go on the way would ask for it again, for ever.
  least = response.writableLength
  if (seq === last) write('event: resumed\ndata: {}\n\n')
  const unfollow = live.follow(seq, ({ seq, event: { text, guarded } }) => { write(guarded && !audit ? withheld(eventId(live.epoch, seq)) : text) })
  const heartbeat = setInterval(() => { write(': alive\n\n') }, heartbeatMs)
  response.on('close', () => {
    clearInterval(heartbeat)
    unfollow()
  })
}

/** The number behind which to go on. */
async function snapshot (live: Live, audit: boolean, write: (text: string) => void): Promise<number> {
  const { seq, json } = await live.state(audit)
  write(`id: ${eventId(live.epoch, seq)}\nevent: state\ndata: ${json}\n\n`)
  return seq
}
