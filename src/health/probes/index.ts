/** The probe of each type. */
import type { CheckType } from '../../contract/health.js'
import type { Probe } from '../checker.js'
import { withAgent } from './agent.js'
import { dnsProbe } from './dns.js'
import { execProbe } from './exec.js'
import { grpcProbe } from './grpc.js'
import { httpProbe } from './http.js'
import { tlsProbe } from './tls.js'

/** `icmp`, `tcp`: by sockets of this thread. */
export function probesWith ({ icmp, tcp }: { readonly icmp: Probe, readonly tcp: Probe }): Probe {
  const probes: Readonly<Record<CheckType, Probe>> = { icmp, tcp, tls: tlsProbe, http: httpProbe, grpc: grpcProbe, dns: dnsProbe, exec: execProbe }
  return withAgent((target, done) => probes[target.check.type](target, done))
}
