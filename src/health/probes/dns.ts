/** A question over UDP, by the resolver that Node brings (c-ares): one try, no search list. */
import { Resolver } from 'node:dns'
import type { DnsSettings } from '../../contract/health.js'
import { formatEndpoint } from '../../lib/address.js'
import type { Probe } from '../checker.js'
import { failed, failedWith, passed } from './outcome.js'

/** One text for each record, as `dig +short` writes it. */
function texts (type: DnsSettings['type'], records: unknown): string[] {
  if (type === 'SOA') {
    const { nsname, hostmaster, serial } = records as { nsname: string, hostmaster: string, serial: number }
    return [`${nsname} ${hostmaster} ${serial}`]
  }
  return (records as unknown[]).map((record) => {
    if (typeof record === 'string') return record
    if (Array.isArray(record)) return record.join('')
    const { priority, exchange } = record as { priority: number, exchange: string }
    return `${priority} ${exchange}`
  })
}

export const dnsProbe: Probe = ({ check, address, port }, done) => {
  const beganAt = performance.now()
  const { dns, source } = check
  if (dns === null) throw new TypeError(`check ${check.name} is not of type dns`)
  const resolver = new Resolver({ timeout: check.timeoutMs, tries: 1 })
  resolver.setServers([formatEndpoint(address, port)])
  if (source.v4 !== null || source.v6 !== null) resolver.setLocalAddress(source.v4 ?? '0.0.0.0', source.v6 ?? '::0')
  resolver.resolve(dns.name, dns.type, (error, records) => {
    if (error !== null) return done(error.code === 'ECANCELLED' ? failed(beganAt, 'timeout', 'given up') : { ...failedWith(beganAt, error), ...(error.code === 'ETIMEOUT' || error.code === 'ECONNREFUSED' ? {} : { code: 'answer' }) })
    const found = texts(dns.type, records)
    done(dns.answer === null || found.includes(dns.answer) ? passed(beganAt, found.join(', ').slice(0, 200)) : failed(beganAt, 'answer', `${found.join(', ').slice(0, 200)}, expected ${dns.answer}`))
  })
  return () => { resolver.cancel() }
}
