/** Every debug table of the thread that serves them: its own, and those that other threads keep. START HERE for a new one: debugTable() beside what it tells of, and a place where it is registered. */
import type { DebugTable } from '../../contract/debug.js'
import type { AgentServices } from '../../contract/services.js'
import type { NatUsage } from '../../contract/dataplane.js'
import type { TableWalk } from '../table-walk.js'
import { agentTables } from './agent-tables.js'
import { balancingTables } from './balancing-tables.js'
import { bgpTables } from './bgp-tables.js'
import { clusterTables } from './cluster-tables.js'
import { dataplaneTables } from './dataplane-tables.js'
import { memoryTable } from './process-tables.js'
import { DebugRegistry } from './registry.js'

/** `own`: of the thread that calls. */
export function servedTables (services: AgentServices, nat: Pick<TableWalk<readonly NatUsage[]>, 'read'>, own: readonly DebugTable[], limitMs?: number): DebugRegistry {
  const registry = new DebugRegistry(limitMs)
  for (const table of [...agentTables(services), ...balancingTables(services.loadBalancer), ...bgpTables(services.bgp), ...clusterTables(services.cluster), ...dataplaneTables(services, nat), memoryTable('memory-rpc', 'gRPC thread', false), ...own]) registry.register(table)
  registry.mount(services.debug)
  return registry
}
