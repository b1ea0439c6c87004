/** lockstep.v1.Agent: who answers, and what this host can do. */
import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import type { AgentInfo, AgentServices } from '../contract/services.js'
import {
  AgentState, type AgentGetInfoRequest, type AgentGetInfoResponse, type AgentListBackendsRequest, type AgentListBackendsResponse,
  type AgentSwitchBackendRequest, type AgentSwitchBackendResponse
} from '../generated/proto/lockstep/v1/agent.js'
import { unary } from './handler.js'
import type { ServiceNeeds } from './needs.js'

const states = {
  starting: AgentState.AGENT_STATE_STARTING,
  running: AgentState.AGENT_STATE_RUNNING,
  degraded: AgentState.AGENT_STATE_DEGRADED,
  stopping: AgentState.AGENT_STATE_STOPPING
} as const satisfies Record<AgentInfo['state'], AgentState>

export function infoMessage (info: AgentInfo): AgentGetInfoResponse {
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
    program: info.program === null ? undefined : { up: info.program.up, version: info.program.version, pid: info.program.pid, sinceMs: BigInt(Math.round(info.program.since)), reason: info.program.reason, connects: BigInt(info.program.connects), ...info.program.nat === null ? {} : { natSessions: BigInt(info.program.nat.sessions) } }
  }
}

export function agentImplementation (services: AgentServices, { onBug, mutations }: ServiceNeeds): UntypedServiceImplementation {
  // Who asks while a probe is under way gets its result.
  let probing: ReturnType<AgentServices['probeAll']> | null = null
  return {
    getInfo: unary<AgentGetInfoRequest, AgentGetInfoResponse>(onBug, async () => infoMessage(await services.info())),

    switchBackend: mutations.method<AgentSwitchBackendRequest, AgentSwitchBackendResponse>(async ({ backend, force }, { dryRun, signal }) => {
      const r = await services.switchBackend(backend, { force, dryRun }, signal)
      return { from: r.from, to: r.to, ports: r.ports.map(p => ({ name: p.name, handOverUs: BigInt(p.handOverUs) })), sessions: BigInt(r.sessions), totalMs: r.totalMs, lost: r.lost.map(l => ({ ...l, needed: [...l.needed] })) }
    }),

    listBackends: unary<AgentListBackendsRequest, AgentListBackendsResponse>(onBug, async () => {
      const active = (await services.info()).backend
      probing ??= services.probeAll().finally(() => { probing = null })
      const probes = await probing
      return {
        backends: probes.map((p) => ({
          name: p.backend,
          available: p.available,
          reason: p.reason,
          active: p.backend === active,
          capabilities: p.capabilities.map((c) => ({ name: c.name, supported: c.supported, reason: c.reason }))
        }))
      }
    })
  }
}
