/**
 * Reports as POST requests to somebody's HTTP endpoint. A request has an idempotency key; one that may have arrived is repeated byte by byte under the same key, so a
 * receiver that remembers keys gets each batch once. Signed: HMAC-SHA256 over the moment and the body, so that neither can be changed nor an old one replayed later.
 */
import { createHmac, randomUUID } from 'node:crypto'
import type { BgpLook, BgpReport } from '../../contract/bgp.js'
import type { BgpWebhookSink } from '../../contract/bgp-report.js'
import { printable } from '../../lib/printable.js'
import { HttpError, placeOf, post, type Answer } from './http.js'
import { OwnRecord, sessionOf } from './own-record.js'
import { readSecret } from './secret-file.js'
import { SinkError, each, type BgpSink, type Outcome, type Prepared, type SubjectReading } from './sink.js'

const ANSWER_BYTES_MAX = 4096
const SECRET_BYTES_MIN = 16
const RETRY_AFTER_MS_MAX = 3_600_000

export class WebhookSink implements BgpSink {
  readonly kind = 'webhook'
  readonly name: string
  readonly batchMax: number
  readonly record = new OwnRecord()
  private secret: Buffer | null = null

  constructor (private readonly settings: BgpWebhookSink, private readonly node: string, /** Unix milliseconds. */ private readonly now: () => number) {
    this.name = settings.name
    this.batchMax = settings.batch
  }

  async start (): Promise<void> {
    const { secretFile } = this.settings
    if (secretFile === null) return
    const secret = trimmed(await readSecret(secretFile, 4096))
    if (secret.length < SECRET_BYTES_MIN) throw new SinkError('permanent', `${secretFile}: ${secret.length} bytes, expected at least ${SECRET_BYTES_MIN}`)
    this.secret = secret
  }

  async subjects (look: BgpLook): Promise<SubjectReading> { return await Promise.resolve({ mark: null, subjects: this.record.subjects(look) }) }

  async prepare (batch: readonly BgpReport[]): Promise<Prepared> {
    const ticket = randomUUID()
    return await Promise.resolve({ ticket, send: async (signal: AbortSignal) => await this.tell(ticket, batch, signal) })
  }

  /** The same request again: its key says that it is none of its own. Only that it is taken settles what was uncertain; a refusal now says nothing of the request before. */
  async resolve (ticket: string, batch: readonly BgpReport[], signal: AbortSignal): Promise<readonly Outcome[]> { return (await this.tell(ticket, batch, signal)).map(ofRepeat) }

  stop (): void { /* Nothing is kept open. */ }

  private async tell (key: string, batch: readonly BgpReport[], signal: AbortSignal): Promise<readonly Outcome[]> {
    const body = bodyOf(this.node, this.name, batch)
    const seconds = String(Math.floor(this.now() / 1000))
    const signature: Record<string, string> = this.secret === null ? {} : { 'lockstep-signature': `v1=${sign(this.secret, seconds, body)}` }
    const headers = { 'content-type': 'application/json', 'user-agent': 'lockstep', 'idempotency-key': key, 'lockstep-timestamp': seconds, ...signature }
    try {
      return each(batch, this.outcomeOf(await post({ url: this.settings.url, headers, body, timeoutMs: this.settings.timeoutMs, answerBytesMax: ANSWER_BYTES_MAX, beyond: 'cut', signal })))
    } catch (error) {
      if (!(error instanceof HttpError)) throw error
      return each(batch, error.mayHaveArrived ? { kind: 'uncertain', reason: error.message } : { kind: 'transient', reason: error.message, afterMs: null })
    }
  }

  /** Of a first try. An answer of 5xx may come of a proxy behind which the request was taken; 503, 429 and their like say that it was not. */
  private outcomeOf ({ status, headers, text }: Answer): Outcome {
    if (status >= 200 && status < 300) return { kind: 'landed', mark: null }
    const said = text.trim() === '' ? '' : `: ${printable(text.trim().slice(0, 200))}`
    const reason = `${placeOf(this.settings.url)} answered ${status}${said}`
    if ([408, 425, 429, 503].includes(status)) return { kind: 'transient', reason, afterMs: retryAfter(headers.get('retry-after'), this.now()) }
    return status >= 500 ? { kind: 'uncertain', reason } : { kind: 'permanent', reason }
  }
}

const ofRepeat = (outcome: Outcome): Outcome => outcome.kind === 'landed' || outcome.kind === 'uncertain' ? outcome
  : { kind: 'uncertain', reason: `${outcome.reason}; an earlier try may have been taken`, afterMs: outcome.kind === 'transient' ? outcome.afterMs : null }

export const sign = (secret: Buffer, seconds: string, body: string): string => createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')

/** Made of the batch alone, so that it can be repeated by another process. */
export const bodyOf = (node: string, sink: string, batch: readonly BgpReport[]): string => JSON.stringify({
  version: 1, node, sink, reports: batch.map(({ subject, state, rttNs, cause, decidedAt }) => ({ ...sessionOf(subject), state, rttNs, cause, decidedAt: new Date(decidedAt).toISOString() })),
})

/** RFC 9110, section 10.2.3: seconds or a date. `null`: it does not say. */
export function retryAfter (text: string | null, now: number): number | null {
  if (text === null) return null
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), RETRY_AFTER_MS_MAX)
}

/** Editors leave a line end behind. */
function trimmed (bytes: Buffer): Buffer {
  let end = bytes.length
  while (end > 0 && (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x0d)) end--
  return bytes.subarray(0, end)
}
