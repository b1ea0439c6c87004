/** What a probe says, and what errors of the system mean. */
import type { HealthCheck, ProbeCode, ProbeOutcome } from '../../contract/health.js'

export const passed = (beganAt: number, detail = ''): ProbeOutcome => ({ ok: true, code: 'ok', detail, tookMs: performance.now() - beganAt })
export const failed = (beganAt: number, code: ProbeCode, detail: string): ProbeOutcome => ({ ok: false, code, detail, tookMs: performance.now() - beganAt })

const codes: Readonly<Record<string, ProbeCode>> = {
  ECONNREFUSED: 'refused', ECONNRESET: 'reset', EPIPE: 'reset', ETIMEDOUT: 'timeout', ETIMEOUT: 'timeout', EHOSTUNREACH: 'unreachable', ENETUNREACH: 'unreachable', EADDRNOTAVAIL: 'unreachable', EHOSTDOWN: 'unreachable'
}

/** By the name of an error of the system. */
export const failedBy = (beganAt: number, name: string, detail: string): ProbeOutcome => failed(beganAt, codes[name] ?? (/SSL|TLS|CERT/.test(name) ? 'tls' : 'error'), detail)

export function failedWith (beganAt: number, error: unknown): ProbeOutcome {
  const { code = '', message } = error as NodeJS.ErrnoException
  return failedBy(beganAt, code, message)
}

/** The address that probes of a target leave from; `null`: the kernel's choice. */
export const sourceOf = ({ source }: Pick<HealthCheck, 'source'>, address: string): string | null => address.includes(':') ? source.v6 : source.v4

/** The same for a socket of Node's. */
export function from (check: Pick<HealthCheck, 'source'>, address: string): { localAddress?: string } {
  const local = sourceOf(check, address)
  return local === null ? {} : { localAddress: local }
}
