/** The main thread's side of the bridge, answered by the services of a test double. */
import { ClusterLog } from '../../../src/ha/event-log.js'
import { balancingLost } from '../../../src/reconcile/lb/events.js'
import { Journal } from '../../../src/telemetry/journal.js'
import { EventLog } from '../../../src/lib/event-log.js'
import { clusterCalls } from '../../../src/workers/cluster-bridge.js'
import type { AgentServices } from '../../../src/contract/services.js'
import type { MainCalls } from '../../../src/workers/protocol.js'

export function mainCallsOf ({ info, dataplane, probeAll, switchBackend, config, cluster, loadBalancer: lb, bgp, tell, debug }: AgentServices, events = new ClusterLog(), balancing = new EventLog(balancingLost), journal = new Journal()): MainCalls {
  return {
    bgpNeighbours: bgp.neighbours, bgpSources: bgp.sources, bgpPending: bgp.pending, bgpSinks: bgp.sinks, bgpRoutes: bgp.routes, bgpRouteSinks: bgp.routeSinks,
    info, probeAll, switchBackend, links: async () => await dataplane().links(),
    status: config.status, text: config.text, check: config.check, apply: config.apply, confirm: config.confirm, rollback: config.rollback,
    history: config.history, compare: config.compare, save: config.save,
    vips: async () => await lb.vips(), targets: async () => await lb.targets(), operateTarget: async (id, input) => await lb.operate(id, input),
    loadBalancerEvents: balancing.after, readBack: async () => await lb.readBack(), reconcile: async () => await lb.reconcile(),
    events: journal.after, tell, overlay: async () => await lb.overlay(), changeOverlay: async (change, dryRun, signal) => await lb.change(change, dryRun, signal),
    debugCount: debug.count, debugRows: debug.rows, span: () => {},
    ...clusterCalls(() => cluster, events)
  }
}
