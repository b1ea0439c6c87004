/** The probe of each type. */
import type { CheckType } from '../../contract/health.js'
import type { Probe } from '../checker.js'
import { withAgent } from './agent.js'
import { dnsProbe } from './dns.js'
import { execProbe } from './exec.js'
import { grpcProbe } from './grpc.js'
import { httpProbe } from './http.js'
import { tcpProbe } from './tcp.js'
import { tlsProbe } from './tls.js'

/** `icmp`: an echo socket of this thread; a probe like the others. */
export function probesWith (icmp: Probe): Probe {
  const probes: Readonly<Record<CheckType, Probe>> = { icmp, tcp: tcpProbe, tls: tlsProbe, http: httpProbe, grpc: grpcProbe, dns: dnsProbe, exec: execProbe }
  return withAgent((target, done) => probes[target.check.type](target, done))
}
