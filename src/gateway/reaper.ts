/**
 * What ends connections and streams that nobody is behind any more: a peer that does not answer a ping (a broken network, a stopped
 * process, a stranger who never spoke HTTP/2), a connection without a call for long, a stream whose reader took nothing for long.
 * Without it they would hold the gateway's few connections, and the agent's few places, for ever.
 */
import { constants, type Http2Session, type ServerHttp2Stream } from 'node:http2'

export interface Patience {
  /** Between pings; a peer has as long to answer. */
  readonly pingMs: number
  /** A connection without calls. */
  readonly idleMs: number
  /** A stream with data that its reader does not take. */
  readonly stalledMs: number
}

export const patience: Patience = { pingMs: 20_000, idleMs: 300_000, stalledMs: 60_000 }

/** Pings until the session ends; destroys it when a ping has no answer at the time of the next. `also` runs with each ping. */
export function keepAlive (session: Http2Session, pingMs: number, also: () => void = () => {}): void {
  let waiting = false
  const timer = setInterval(() => {
    if (waiting) {
      session.destroy()
      return
    }
    also()
    if (session.destroyed || session.closed) return
    waiting = true
    try {
      session.ping(() => { waiting = false })
    } catch { session.destroy() }
  }, pingMs)
  timer.unref()
  session.once('close', () => { clearInterval(timer) })
}

interface Progress { drains: number, seen: number, length: number, since: number }

/** Of one connection of a client. Tell it every stream. */
export class Reaper {
  readonly #session: Http2Session
  readonly #patience: Patience
  readonly #streams = new Map<ServerHttp2Stream, Progress>()
  #busyAt = performance.now()

  constructor (session: Http2Session, limits: Patience) {
    this.#session = session
    this.#patience = limits
    keepAlive(session, limits.pingMs, () => this.#look())
  }

  add (stream: ServerHttp2Stream): void {
    const progress: Progress = { drains: 0, seen: 0, length: 0, since: performance.now() }
    this.#streams.set(stream, progress)
    stream.on('drain', () => { progress.drains++ })
    stream.on('close', () => {
      this.#streams.delete(stream)
      this.#busyAt = performance.now()
    })
  }

  #look (): void {
    const now = performance.now()
    if (this.#streams.size === 0 && now - this.#busyAt >= this.#patience.idleMs) this.#session.close()
    for (const [stream, p] of this.#streams) {
      const stuck = stream.writableLength > 0 && stream.writableLength === p.length && p.drains === p.seen
      if (!stuck) {
        p.since = now
        p.length = stream.writableLength
        p.seen = p.drains
      } else if (now - p.since >= this.#patience.stalledMs) stream.close(constants.NGHTTP2_CANCEL)
    }
  }
}
