/** POST to somebody we do not trust: bounded in time and in bytes, no redirects, and an error that says whether the request may have arrived. */
import { causeOf } from '../../lib/cause-of.js'

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

/** Certificates that were not accepted: nothing is sent over such a connection. */
const refusedPeer = /^(ERR_TLS_CERT_ALTNAME_INVALID|CERT_.*|.*SELF_SIGNED.*|UNABLE_TO_.*)$/

/** @throws HttpError, whose text has the place and a code, and nothing that a library says: that may have the whole address in it. */
export async function post ({ url, headers, body, timeoutMs, answerBytesMax, beyond, signal }: PostOptions): Promise<Answer> {
  const limit = AbortSignal.timeout(timeoutMs)
  const request = requestOf(url, { method: 'POST', headers, body, redirect: 'manual', signal: AbortSignal.any([signal, limit]) })
  try {
    const response = await fetch(request)
    return { status: response.status, headers: response.headers, text: await bounded(response, answerBytesMax, beyond) }
  } catch (error) {
    if (error instanceof HttpError) throw error
    const { code, unsent } = rootOf(error)
    const what = limit.aborted ? `no whole answer in ${timeoutMs} ms` : signal.aborted ? causeOf(signal.reason) : code ?? 'the connection failed'
    throw new HttpError(`${placeOf(url)}: ${what}`, signal.aborted || limit.aborted || !unsent, { cause: error })
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

/** Of an answer that may be cut nothing but its status matters: how its body ends does not. */
async function bounded (response: Response, max: number, beyond: PostOptions['beyond']): Promise<string> {
  const parts: Uint8Array[] = []
  let size = 0
  try {
    for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      size += part.length
      parts.push(part)
      if (size <= max) continue
      if (beyond === 'refuse') throw new HttpError(`${placeOf(response.url)}: the answer has more than ${max} bytes`, true)
      break
    }
  } catch (error) {
    if (beyond === 'refuse') throw error
  }
  return Buffer.concat(parts).subarray(0, max).toString('utf8')
}

/**
 * What is under a failed fetch: the cause of a cause, or the first of several addresses that were tried. `unsent`: there was no connection for certain. The code alone does not
 * say that: a connection that stood, and over which the request went, ends with EHOSTUNREACH and the like, too.
 */
export function rootOf (error: unknown): { readonly code: string | null, readonly unsent: boolean } {
  const { code, syscall, cause, errors } = (error ?? {}) as { code?: unknown, syscall?: unknown, cause?: unknown, errors?: unknown }
  if (cause !== undefined) return rootOf(cause)
  if (Array.isArray(errors) && errors.length > 0) return rootOf((errors as unknown[])[0])
  if (typeof code !== 'string') return { code: null, unsent: false }
  return { code, unsent: syscall === 'connect' || syscall === 'getaddrinfo' || code === 'UND_ERR_CONNECT_TIMEOUT' || refusedPeer.test(code) }
}
