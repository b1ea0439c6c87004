/** lockstep.v1.Agent: who answers, and what this host can do. */
import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import { LockstepError } from '../contract/errors.js'
import type { ClusterStatus } from '../contract/cluster.js'
import type { AgentInfo, AgentServices } from '../contract/services.js'
import {
  AgentState, Alarm as AlarmMessage, AlarmSeverity, Backend, FindingSeverity, type AgentDoctorRequest, type AgentDoctorResponse, type AgentListAlarmsRequest, type AgentListAlarmsResponse, type AgentGetInfoRequest, type AgentGetInfoResponse, type AgentListBackendsRequest, type AgentListBackendsResponse,
  type AgentSwitchBackendRequest, type AgentSwitchBackendResponse
} from '../generated/proto/lockstep/v1/agent.js'
import { doctor } from '../operator/doctor/index.js'
import type { Severity } from '../operator/doctor/finding.js'
import { alarmsOf, type Alarm } from '../telemetry/alarms.js'
import { statusMessage } from './cluster-message.js'
import { unary } from './handler.js'
import { listed } from './listing.js'
import type { ServiceNeeds } from './needs.js'
import { Turnstile } from './turns.js'

const states = {
  starting: AgentState.AGENT_STATE_STARTING,
  running: AgentState.AGENT_STATE_RUNNING,
  degraded: AgentState.AGENT_STATE_DEGRADED,
  stopping: AgentState.AGENT_STATE_STOPPING
} as const satisfies Record<AgentInfo['state'], AgentState>

const severities = {
  ok: FindingSeverity.FINDING_SEVERITY_OK, note: FindingSeverity.FINDING_SEVERITY_NOTE, warning: FindingSeverity.FINDING_SEVERITY_WARNING, error: FindingSeverity.FINDING_SEVERITY_ERROR
} as const satisfies Record<Severity, FindingSeverity>
/** Backends that the doctor knows how to judge for. */
const judged = ['userspace', 'ebpf'] as const

const alarmMessage = ({ severity, area, object, text, since, next }: Alarm): AlarmMessage => ({
  id: `${area}/${object === '' ? text : object}`, severity: severity === 'error' ? AlarmSeverity.ALARM_SEVERITY_ERROR : AlarmSeverity.ALARM_SEVERITY_WARNING, area, object, text, sinceMs: since === null ? undefined : BigInt(Math.round(since)), next
})

/** @param cluster `null`: the node stands alone */
export function infoMessage (info: AgentInfo, cluster: ClusterStatus | null): AgentGetInfoResponse {
  return {
    version: info.version,
    node: info.node,
    instance: info.instance,
    pid: info.pid,
    startedAtMs: BigInt(Math.round(info.startedAt)),
    backend: info.backend,
    generation: BigInt(info.generation),
    state: states[info.state],
    reasons: [...info.reasons],
    tableCapacity: BigInt(info.tableCapacity),
    tableLive: BigInt(info.tableLive),
    hugepages: info.hugepages,
    eventLoopDelayP99Ms: info.eventLoopDelayP99Ms,
    gatewayGrpc: info.gateway.grpc ?? '',
    gatewayMetrics: info.gateway.metrics ?? '',
    rpcLoopDelayP99Ms: info.rpcLoopDelayP99Ms,
    labels: Object.entries(info.labels).map(([name, value]) => ({ name, value })),
    roles: cluster === null ? [] : statusMessage(cluster).groups.map(({ rg, role }) => ({ rg, role })),
    program: info.program === null ? undefined : { up: info.program.up, version: info.program.version, pid: info.program.pid, sinceMs: BigInt(Math.round(info.program.since)), reason: info.program.reason, connects: BigInt(info.program.connects), ...info.program.nat === null ? {} : { natSessions: BigInt(info.program.nat.sessions) } }
  }
}

export function agentImplementation (services: AgentServices, { onBug, mutations }: ServiceNeeds): UntypedServiceImplementation {
  // Who asks while a probe is under way gets its result.
  let probing: ReturnType<AgentServices['probeAll']> | null = null
  const examinations = new Turnstile('examinations of the host', 1, 16)
  return {
    getInfo: unary<AgentGetInfoRequest, AgentGetInfoResponse>(onBug, async () => infoMessage(...await Promise.all([services.info(), services.cluster.status()]))),

    switchBackend: mutations.method<AgentSwitchBackendRequest, AgentSwitchBackendResponse>(async ({ backend, force }, { dryRun, signal }) => {
      const r = await services.switchBackend(backend, { force, dryRun }, signal)
      return { from: r.from, to: r.to, ports: r.ports.map(p => ({ name: p.name, handOverUs: BigInt(p.handOverUs) })), sessions: BigInt(r.sessions), totalMs: r.totalMs, lost: r.lost.map(l => ({ ...l, needed: [...l.needed] })) }
    }),

    listAlarms: unary<AgentListAlarmsRequest, AgentListAlarmsResponse>(onBug, async ({ listing }) => {
      const { bgp } = services
      const [info, config, vips, targets, cluster, neighbours, sources, sinks, routeSinks] = await Promise.all([services.info(), services.config.status(), services.loadBalancer.vips(), services.loadBalancer.targets(), services.cluster.status(), bgp.neighbours(), bgp.sources(), bgp.sinks(), bgp.routeSinks()])
      const { rows: alarms, nextPageToken } = listed(alarmsOf({ info, config, vips, targets, cluster, bgp: { neighbours, sources, sinks, routeSinks } }).map(alarmMessage), ({ id, text }) => `${id} ${text}`, listing, AlarmMessage)
      return { alarms, nextPageToken }
    }),

    doctor: unary<AgentDoctorRequest, AgentDoctorResponse>(onBug, async ({ backend }, { signal }) => await examinations.run(signal, async () => {
      const known = backend === '' ? null : judged.find(name => name === backend)
      if (known === undefined) throw new LockstepError('invalid', 'LS_D_BACKEND', 'the doctor does not judge for this backend', { object: 'backend', found: backend, expected: judged.join(' or ') })
      const { running } = await services.config.status()
      const text = running === null ? null : await services.config.text('running')
      const d = await doctor({ text, name: 'the running configuration', running: true, backend: known, signal })
      return { ...d, findings: d.findings.map(finding => ({ ...finding, severity: severities[finding.severity] })) }
    })),

    listBackends: unary<AgentListBackendsRequest, AgentListBackendsResponse>(onBug, async ({ listing }) => {
      const active = (await services.info()).backend
      probing ??= services.probeAll().finally(() => { probing = null })
      const probes = await probing
      const { rows: backends, nextPageToken } = listed(probes.map((p): Backend => ({
        name: p.backend,
        available: p.available,
        reason: p.reason,
        active: p.backend === active,
        capabilities: p.capabilities.map((c) => ({ name: c.name, supported: c.supported, reason: c.reason }))
      })), ({ name }) => name, listing, Backend)
      return { backends, nextPageToken }
    })
  }
}
