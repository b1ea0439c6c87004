/**
 * The agent's gRPC server on a unix socket: START HERE for src/rpc. One thin file per service translates AgentServices to
 * messages; handler.ts has what they share. Thread: any, and one alone. Everything served here is bounded: message sizes, streams a
 * connection, messages waiting for a slow reader.
 */
import { addAdminServicesToServer, credentials, Metadata, Server, ServerCredentials, type ServiceDefinition, type UntypedServiceImplementation } from '@grpc/grpc-js'
import type { AgentServices } from '../contract/services.js'
import { AgentClient, AgentService } from '../generated/proto/lockstep/v1/agent.js'
import { BgpService } from '../generated/proto/lockstep/v1/bgp.js'
import { ClusterService } from '../generated/proto/lockstep/v1/cluster.js'
import { ConfigService } from '../generated/proto/lockstep/v1/config.js'
import { DebugService } from '../generated/proto/lockstep/v1/debug.js'
import { EventsService } from '../generated/proto/lockstep/v1/events.js'
import { LinksService } from '../generated/proto/lockstep/v1/links.js'
import { LoadBalancerService } from '../generated/proto/lockstep/v1/load_balancer.js'
import { ObjectsService } from '../generated/proto/lockstep/v1/objects.js'
import { OperationsService } from '../generated/proto/lockstep/v1/operations.js'
import { TelemetryService } from '../generated/proto/lockstep/v1/telemetry.js'
import { servedTables } from '../telemetry/debug/index.js'
import { createMetrics } from '../telemetry/metrics.js'
import { natWalk } from '../telemetry/table-walk.js'
import type { Tracer } from '../telemetry/tracer.js'
import { agentImplementation } from './agent-service.js'
import { bgpImplementation } from './bgp-service.js'
import { Calls } from './calls.js'
import { clusterImplementation } from './cluster-service.js'
import { configImplementation } from './config-service.js'
import { auditing } from './audit.js'
import { debugImplementation } from './debug-service.js'
import { eventsImplementation } from './events-service.js'
import type { OnBug } from './handler.js'
import { linksImplementation } from './links-service.js'
import { Mutations } from './mutation.js'
import { loadBalancerImplementation } from './load-balancer-service.js'
import { measuring } from './measuring.js'
import { sourcesOf } from './objects/kinds.js'
import { objectsImplementation } from './objects/service.js'
import type { ServiceNeeds } from './needs.js'
import { Operations } from './operations.js'
import { operationsImplementation } from './operations-service.js'
import { addHealth, addReflection } from './reflection.js'
import { smallRequests } from './request-size.js'
import { sessionsDefinition, sessionsImplementation } from './sessions-service.js'
import { claimSocket } from './socket-claim.js'
import { Subscribers } from './subscribers.js'
import { tracing } from './tracing.js'
import { telemetryImplementation } from './telemetry-service.js'

export interface RpcServerOptions {
  /** Path of the unix socket; the group of the process may use it (mode 0660). */
  readonly socketPath: string
  /** Told about errors that only a bug can cause. */
  readonly onBug?: OnBug
  /** Of calls that may change something. */
  readonly tracer?: Tracer
}

export interface RpcServer {
  readonly socketPath: string
  /** What the health service answers; NOT_SERVING until set. */
  readonly setServing: (serving: boolean) => void
  /** Refuses new calls, lets running ones end for `graceMs`, then cuts them and removes the socket. */
  readonly close: (graceMs?: number) => Promise<void>
}

const serverOptions = {
  'grpc.max_receive_message_length': 8 << 20,
  'grpc.max_send_message_length': 4 << 20,
  'grpc.max_concurrent_streams': 256
}

/** @throws unavailable LS_R_AGENT_RUNNING naming the agent that already serves the socket. */
export async function startRpcServer (services: AgentServices, options: RpcServerOptions): Promise<RpcServer> {
  const { socketPath } = options
  const onBug: OnBug = options.onBug ?? (() => {})
  const [calls, subscribers] = [new Calls(), new Subscribers()]
  const nat = natWalk(services.dataplane)
  const metrics = createMetrics(services, nat)
  const { served: told } = metrics
  const server = new Server({ ...serverOptions, interceptors: [calls.interceptor, measuring(told), ...options.tracer === undefined ? [] : [tracing(options.tracer)], auditing(services.tell)] })
  const sources = sourcesOf(services, (error) => { onBug('/lockstep.v1.Objects/Watch', error) })
  const operations = new Operations((method, response) => serializers.get(method)?.(response) ?? Buffer.alloc(0), services.tell)
  const debug = servedTables(services, nat, [calls.table, subscribers.table, operations.table])
  const mutations = (): Mutations => new Mutations(onBug, operations, async () => (await services.config.status()).running?.generation ?? 0)
  const needs = (watch: string): ServiceNeeds => ({ onBug, mutations: mutations(), subscribers, onLost: (n) => { told.lost(watch, n) } })
  const served: ReadonlyArray<readonly [ServiceDefinition, UntypedServiceImplementation]> = [
    [smallRequests(AgentService), agentImplementation(services, needs('Agent'))],
    [smallRequests(BgpService), bgpImplementation(services.bgp, onBug)],
    [smallRequests(ClusterService), clusterImplementation(services, needs('Cluster.Watch'))],
    [ConfigService, configImplementation(services, needs('Config'))],
    [smallRequests(DebugService), debugImplementation(debug, services, onBug)],
    [smallRequests(EventsService), eventsImplementation(services.journal, needs('Events.Watch'))],
    [smallRequests(LinksService), linksImplementation(services, onBug)],
    [smallRequests(LoadBalancerService), loadBalancerImplementation(services.loadBalancer, needs('LoadBalancer.Watch'))],
    [smallRequests(ObjectsService), objectsImplementation(sources, subscribers, onBug, (kind, begin) => { told.begun(kind, begin) })],
    [smallRequests(OperationsService), operationsImplementation(operations, needs('Operations.Watch'))],
    [sessionsDefinition, sessionsImplementation(services, needs('Sessions.Watch'))],
    [smallRequests(TelemetryService), telemetryImplementation(services, metrics, nat, onBug)]
  ]
  const serializers = new Map(served.flatMap(([definition]) => Object.values(definition).map(({ path, responseSerialize }) => [path, responseSerialize] as const)))
  for (const [definition, implementation] of served) server.addService(definition, implementation)
  told.serves(new Set(served.flatMap(([definition]) => Object.values(definition).map(({ path }) => path))))
  const health = addHealth(server, served.map(([definition]) => nameOf(definition)))
  addAdminServicesToServer(server)
  await addReflection(server)

  const claim = await claimSocket(socketPath, describeAgent)
  try {
    await bind(server, `unix:${claim.bindPath}`)
    claim.publish()
  } catch (error) {
    server.forceShutdown()
    claim.release()
    throw error
  }
  return {
    socketPath,
    setServing: health.setServing,
    close: async (graceMs = 1000) => {
      health.setServing(false)
      claim.release()
      for (const source of sources.values()) source.close()
      await shutdown(server, graceMs)
    }
  }
}

/** `lockstep.v1.Agent` of its methods' paths. */
const nameOf = (definition: ServiceDefinition): string => Object.values(definition)[0]?.path.split('/')[1] ?? ''

async function bind (server: Server, address: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error) => { if (error === null) resolve(); else reject(error) })
  })
}

async function shutdown (server: Server, graceMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => { server.forceShutdown(); resolve() }, graceMs)
    server.tryShutdown(() => { clearTimeout(timer); resolve() })
  })
}

/** `instance edge-1 (pid 4711, userspace, generation 12)` for the message that refuses a second agent. */
async function describeAgent (path: string): Promise<string> {
  const client = new AgentClient(`unix:${path}`, credentials.createInsecure())
  return await new Promise((resolve) => {
    client.getInfo({}, new Metadata(), { deadline: Date.now() + 1000 }, (error, info) => {
      client.close()
      resolve(error === null ? `instance ${info.instance} (pid ${info.pid}, ${info.backend}, generation ${info.generation})` : 'a process that does not answer GetInfo')
    })
  })
}
