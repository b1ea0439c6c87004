/** A request of its own connection. The answer counts when its last byte is there, or as much of its body as is looked at: a server that drips does not pass. */
import { request as plain, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as secure } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { healthLimits } from '../../contract/health-limits.js'
import type { HttpSettings, ProbeOutcome } from '../../contract/health.js'
import { formatEndpoint } from '../../lib/address.js'
import type { Probe } from '../checker.js'
import { failed, failedWith, from, passed } from './outcome.js'
import { judged, tlsOptions } from './tls.js'

const statusText = (statuses: HttpSettings['statuses']): string => statuses.map(({ from: low, to }) => low === to ? String(low) : `${low}-${to}`).join(', ')

function judge (beganAt: number, { statuses, body }: HttpSettings, status: number, text: string): ProbeOutcome {
  if (!statuses.some(range => status >= range.from && status <= range.to)) return failed(beganAt, 'status', `status ${status}, expected ${statusText(statuses)}`)
  if (body !== null && !RegExp(body, 'u').test(text)) return failed(beganAt, 'body', `the body does not match ${body}`)
  return passed(beganAt, `status ${status}`)
}

export const httpProbe: Probe = ({ check, address, port }, done) => {
  const beganAt = performance.now()
  const { http, tls } = check
  if (http === null) throw new TypeError(`check ${check.name} is not of type http`)
  const host = http.host ?? (port === (tls === null ? 80 : 443) ? (address.includes(':') ? `[${address}]` : address) : formatEndpoint(address, port))
  const answered = (response: IncomingMessage): void => {
    if (tls !== null) {
      const wrong = judged(beganAt, response.socket as TLSSocket, tls, address)
      if (wrong !== null) return end(wrong)
    }
    const chunks: Buffer[] = []
    let bytes = 0
    const finish = (): void => { end(judge(beganAt, http, response.statusCode ?? 0, Buffer.concat(chunks).subarray(0, healthLimits.bodyBytesMax).toString('utf8'))) }
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes >= healthLimits.bodyBytesMax) finish()
    })
    response.on('end', finish)
    response.on('error', (error) => { end(failedWith(beganAt, error)) })
  }
  const end = (outcome: ProbeOutcome): void => {
    done(outcome)
    request?.destroy()
  }
  let request: ReturnType<typeof plain> | null = null
  try {
    const options: RequestOptions = { host: address, port, method: http.method, path: http.path, agent: false, headers: { 'user-agent': 'lockstep-check', accept: '*/*', ...http.headers, host }, ...from(check, address) }
    request = tls === null ? plain(options, answered) : secure({ ...options, ...tlsOptions(tls) }, answered)
  } catch (error) {
    done(failedWith(beganAt, error))
    return () => { /* it has not begun */ }
  }
  request.on('error', (error) => { end(failedWith(beganAt, error)) })
  request.end()
  return () => { request?.destroy() }
}
