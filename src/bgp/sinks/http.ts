/** POST to somebody we do not trust: bounded in time and in bytes, no redirects, and an error that says whether the request may have arrived. */
import { causeOf } from '../../lib/work.js'

export interface PostOptions {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly timeoutMs: number
  /** More than that is not read. */
  readonly answerBytesMax: number
  /** `cut`: what is beyond is not needed; `refuse`: it is an error. */
  readonly beyond: 'cut' | 'refuse'
  readonly signal: AbortSignal
}

export interface Answer { readonly status: number, readonly headers: Headers, readonly text: string }

export class HttpError extends Error {
  constructor (message: string, /** False: for certain it did not. */ readonly mayHaveArrived: boolean, options?: ErrorOptions) { super(message, options) }
}

/** A connection that never was. */
const unsent = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ENETDOWN|EADDRNOTAVAIL|UND_ERR_CONNECT_TIMEOUT|ERR_TLS_.*|ERR_SSL_.*|CERT_.*|.*SELF_SIGNED.*|UNABLE_TO_.*|EPROTO)$/

/** @throws HttpError, whose text has the place and a code, and nothing that a library says: that may have the whole address in it. */
export async function post ({ url, headers, body, timeoutMs, answerBytesMax, beyond, signal }: PostOptions): Promise<Answer> {
  const limit = AbortSignal.timeout(timeoutMs)
  const request = requestOf(url, { method: 'POST', headers, body, redirect: 'manual', signal: AbortSignal.any([signal, limit]) })
  try {
    const response = await fetch(request)
    return { status: response.status, headers: response.headers, text: await bounded(response, answerBytesMax, beyond) }
  } catch (error) {
    if (error instanceof HttpError) throw error
    const code = codeOf(error)
    const what = limit.aborted ? `no whole answer in ${timeoutMs} ms` : signal.aborted ? causeOf(signal.reason) : code ?? 'the connection failed'
    throw new HttpError(`${placeOf(url)}: ${what}`, signal.aborted || limit.aborted || code === null || !unsent.test(code), { cause: error })
  }
}

/** What cannot be sent at all is no failure of the network. */
function requestOf (url: string, init: RequestInit): Request {
  try {
    return new Request(url, init)
  } catch (error) {
    throw new HttpError(`${placeOf(url)}: no request can be made of its address and headers`, false, { cause: error })
  }
}

/** Where it goes, without what an address may carry that is secret (user, path, query). */
export const placeOf = (url: string): string => {
  try {
    return new URL(url).origin
  } catch {
    return 'an address that is none'
  }
}

async function bounded (response: Response, max: number, beyond: PostOptions['beyond']): Promise<string> {
  if (response.body === null) return ''
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of response.body as AsyncIterable<Uint8Array>) {
    size += part.length
    parts.push(part)
    if (size <= max) continue
    if (beyond === 'refuse') throw new HttpError(`${placeOf(response.url)}: the answer has more than ${max} bytes`, true)
    break
  }
  return Buffer.concat(parts).subarray(0, max).toString('utf8')
}

/** Of the cause of a cause: a failed fetch has it there, one that tried several addresses in a list. */
function codeOf (error: unknown): string | null {
  const { code, cause, errors } = (error ?? {}) as { code?: unknown, cause?: unknown, errors?: unknown }
  if (cause !== undefined) return codeOf(cause)
  if (typeof code === 'string') return code
  return Array.isArray(errors) ? codeOf((errors as unknown[])[0]) : null
}
