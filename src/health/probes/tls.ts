/** A TLS handshake, and what its certificate is worth. */
import { readFileSync } from 'node:fs'
import { checkServerIdentity, connect, createSecureContext, type ConnectionOptions, type PeerCertificate, type SecureContext, type TLSSocket } from 'node:tls'
import type { HealthCheck, ProbeOutcome, TlsSettings } from '../../contract/health.js'
import type { Probe } from '../checker.js'
import { failed, failedWith, from, passed } from './outcome.js'

const DAY_MS = 86_400_000
/** An authority's file is read again after so long: it may have been replaced. */
const AUTHORITY_MS = 60_000
const contexts = new Map<string, { readonly context: SecureContext, readonly atMs: number }>()

function contextOf (authority: string): SecureContext {
  const known = contexts.get(authority)
  const nowMs = performance.now()
  if (known !== undefined && nowMs - known.atMs < AUTHORITY_MS) return known.context
  const context = createSecureContext({ ca: readFileSync(authority) })
  contexts.set(authority, { context, atMs: nowMs })
  return context
}

/** For a connection of which certificateFault() is the judge. @throws when the authority's file cannot be read */
export function tlsOptions ({ serverName, authority }: TlsSettings): ConnectionOptions {
  return { rejectUnauthorized: false, ...(serverName === null ? {} : { servername: serverName }), ...(authority === null ? {} : { secureContext: contextOf(authority) }) }
}

/** Why the certificate will not do; `null`: it will. */
export function certificateFault (socket: TLSSocket, { verify, serverName, minDays }: TlsSettings, address: string, nowMs: number): { readonly code: 'tls' | 'expired', readonly detail: string } | null {
  if (verify === 'none') return null
  const certificate: Partial<PeerCertificate> = socket.getPeerCertificate()
  const { valid_from: since, valid_to: until } = certificate
  if (since === undefined || until === undefined) return { code: 'tls', detail: 'the server shows no certificate' }
  if (nowMs < Date.parse(since)) return { code: 'expired', detail: `the certificate is valid from ${since}` }
  if (nowMs + minDays * DAY_MS > Date.parse(until)) return { code: 'expired', detail: `the certificate is valid until ${until}${minDays === 0 ? '' : `, expected ${minDays} days more`}` }
  if (verify === 'expiry') return null
  if (!socket.authorized) return { code: 'tls', detail: `the certificate is not accepted: ${String(socket.authorizationError)}` }
  const wrong = checkServerIdentity(serverName ?? address, certificate as PeerCertificate)
  return wrong === undefined ? null : { code: 'tls', detail: wrong.message }
}

/** The judgement of a session that is there. */
export function judged (beganAt: number, socket: TLSSocket, settings: TlsSettings, address: string): ProbeOutcome | null {
  const fault = certificateFault(socket, settings, address, Date.now())
  return fault === null ? null : failed(beganAt, fault.code, fault.detail)
}

export const tlsProbe: Probe = ({ check, address, port }, done) => {
  const beganAt = performance.now()
  const settings = settingsOf(check)
  let socket: TLSSocket
  try {
    socket = connect({ host: address, port, ...from(check, address), ...tlsOptions(settings) })
  } catch (error) {
    done(failedWith(beganAt, error))
    return () => { /* it has not begun */ }
  }
  socket.once('secureConnect', () => {
    done(judged(beganAt, socket, settings, address) ?? passed(beganAt, socket.getProtocol() ?? ''))
    socket.destroy()
  })
  socket.on('error', (error) => { done(failedWith(beganAt, error)) })
  socket.on('close', () => { done(failed(beganAt, 'reset', 'closed during the handshake')) })
  return () => { socket.destroy() }
}

export const plainTls: TlsSettings = { serverName: null, verify: 'none', authority: null, minDays: 0 }
const settingsOf = (check: HealthCheck): TlsSettings => check.tls ?? plainTls
