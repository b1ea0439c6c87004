/** A service as its clients see it: connections or requests one after the other, how long each took, and which server answered. */
import { request as plain, type IncomingMessage } from 'node:http'
import { request as secure } from 'node:https'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface ProbeTarget { readonly protocol: 'tcp' | 'http' | 'https', readonly url: URL }

export interface ProbeOptions {
  readonly target: ProbeTarget
  readonly count: number
  /** From the start of one to the start of the next. */
  readonly intervalMs: number
  /** For the whole of one. */
  readonly timeoutMs: number
  /** At most so many at a time. */
  readonly parallel: number
  /** Response header that names the server; `null`: the first line of the body. */
  readonly header: string | null
  /** Certificates are looked at. */
  readonly verify: boolean
  readonly signal: AbortSignal
}

/** `server`: '' = nobody said. `failure`: a reason, `null`: it is well. */
export interface Answer { readonly ms: number, readonly server: string, readonly failure: string | null }

export interface Quantiles { readonly p50: number, readonly p95: number, readonly p99: number, readonly max: number }
export interface ProbeReport {
  readonly requests: number
  readonly ok: number
  readonly failures: Readonly<Record<string, number>>
  /** Milliseconds, of those that were well; `null`: none was. */
  readonly ms: Quantiles | null
  /** By name, the busiest first. */
  readonly servers: ReadonlyArray<{ readonly name: string, readonly requests: number, readonly ms: Quantiles }>
}

const BODY_MAX = 64 * 1024

/** `null`: none of tcp://HOST:PORT, http://, https://. */
export function probeTarget (text: string): ProbeTarget | null {
  const url = URL.canParse(text) ? new URL(text) : null
  const protocol = (['tcp', 'http', 'https'] as const).find(name => `${name}:` === url?.protocol)
  if (url === null || protocol === undefined || url.hostname === '' || (protocol === 'tcp' && url.port === '')) return null
  return { protocol, url }
}

function quantiles (list: readonly number[]): Quantiles | null {
  if (list.length === 0) return null
  const sorted = [...list].sort((a, b) => a - b)
  const at = (p: number): number => sorted[Math.min(sorted.length - 1, Math.ceil(p * sorted.length) - 1)] ?? 0
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) }
}

export function summary (answers: readonly Answer[]): ProbeReport {
  const well = answers.filter(a => a.failure === null)
  const failures: Record<string, number> = {}
  for (const { failure } of answers) if (failure !== null) failures[failure] = (failures[failure] ?? 0) + 1
  const names = [...new Set(well.map(a => a.server))]
  const servers = names.flatMap(name => {
    const mine = well.filter(a => a.server === name).map(a => a.ms)
    const ms = quantiles(mine)
    return ms === null ? [] : [{ name, requests: mine.length, ms }]
  })
  return { requests: answers.length, ok: well.length, failures, ms: quantiles(well.map(a => a.ms)), servers: servers.sort((a, b) => b.requests - a.requests || (a.name < b.name ? -1 : 1)) }
}

/** Ends early with the signal, with what was answered until then. */
export async function probe (o: ProbeOptions, onAnswer: (answer: Answer, n: number) => void): Promise<Answer[]> {
  const answers: Answer[] = []
  const underWay = new Set<Promise<void>>()
  const began = performance.now()
  for (let n = 0; n < o.count && !o.signal.aborted; n++) {
    while (underWay.size >= o.parallel) await Promise.race(underWay)
    const waitMs = began + n * o.intervalMs - performance.now()
    if (waitMs > 0) await sleep(waitMs, undefined, { signal: o.signal }).catch(() => undefined)
    if (o.signal.aborted) break
    const one = ask(o).then((answer) => {
      underWay.delete(one)
      answers.push(answer)
      onAnswer(answer, answers.length)
    })
    underWay.add(one)
  }
  await Promise.all(underWay)
  return answers
}

async function ask ({ target: { protocol, url }, timeoutMs, header, verify }: ProbeOptions): Promise<Answer> {
  const began = performance.now()
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return await new Promise((resolve) => {
    let cancel = (): void => { /* it has not begun */ }
    const timer = setTimeout(() => { end(`no answer within ${timeoutMs} ms`) }, timeoutMs)
    const end = (failure: string | null, server = ''): void => {
      clearTimeout(timer)
      resolve({ ms: performance.now() - began, server, failure })
      cancel()
    }
    const fail = (error: NodeJS.ErrnoException): void => { end(error.code ?? error.message) }
    if (protocol === 'tcp') {
      const socket = connect({ host, port: Number(url.port) }, () => { end(null) })
      socket.on('error', fail)
      cancel = () => { socket.resetAndDestroy() }
      return
    }
    const answered = (response: IncomingMessage): void => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => { if ((bytes += chunk.length) <= BODY_MAX) chunks.push(chunk) })
      response.on('error', fail)
      response.on('end', () => {
        const named = header === null ? Buffer.concat(chunks).toString('utf8').split('\n')[0]?.slice(0, 63) : response.headers[header]
        const { statusCode = 0 } = response
        end(statusCode >= 200 && statusCode < 400 ? null : `status ${statusCode}`, typeof named === 'string' ? named : '')
      })
    }
    const options = { agent: false, headers: { 'user-agent': 'lockstep-probe' } }
    const request = protocol === 'http' ? plain(url, options, answered) : secure(url, { ...options, rejectUnauthorized: verify }, answered)
    request.on('error', fail)
    request.end()
    cancel = () => { request.destroy() }
  })
}
