import { AgentState } from '../generated/proto/lockstep/v1/agent.js';
import { unary } from './handler.js';
const states = {
    starting: AgentState.AGENT_STATE_STARTING,
    running: AgentState.AGENT_STATE_RUNNING,
    degraded: AgentState.AGENT_STATE_DEGRADED,
    stopping: AgentState.AGENT_STATE_STOPPING
};
export function agentImplementation(services, onBug) {
    // Who asks while a probe is under way gets its result.
    let probing = null;
    return {
        getInfo: unary(onBug, () => {
            const info = services.info();
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
                gatewayMetrics: info.gateway.metrics ?? ''
            };
        }),
        listBackends: unary(onBug, async () => {
            const active = services.info().backend;
            probing ??= services.probeAll().finally(() => { probing = null; });
            const probes = await probing;
            return {
                backends: probes.map((p) => ({
                    name: p.backend,
                    available: p.available,
                    reason: p.reason,
                    active: p.backend === active,
                    capabilities: p.capabilities.map((c) => ({ name: c.name, supported: c.supported, reason: c.reason }))
                }))
            };
        })
    };
}
//# sourceMappingURL=agent-service.js.map