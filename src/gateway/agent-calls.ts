/** What the gateway asks one agent for, beside what it follows. A question that many ask at once is asked once. */
import { credentials, Metadata, status, type CallOptions, type Client, type ClientUnaryCall, type ServiceError } from '@grpc/grpc-js'
import { pageNames } from '../contract/page-names.js'
import { HealthCheckResponse_ServingStatus as ServingStatus, HealthClient } from '../generated/proto/grpc/health/v1/health.js'
import { TelemetryClient, type TelemetryMetricsResponse } from '../generated/proto/lockstep/v1/telemetry.js'
import { AgentClient } from '../generated/proto/lockstep/v1/agent.js'
import { ErrorInfo } from '../generated/proto/google/rpc/error_details.js'
import { Status } from '../generated/proto/google/rpc/status.js'
import { BgpClient, type BgpRoute, type BgpRouteSink } from '../generated/proto/lockstep/v1/bgp.js'
import { ClusterClient, type ClusterGetStatusResponse } from '../generated/proto/lockstep/v1/cluster.js'
import { LoadBalancerClient, type CheckTarget } from '../generated/proto/lockstep/v1/load_balancer.js'
import type { Listing } from '../generated/proto/lockstep/v1/listing.js'
import { SessionsClient } from '../generated/proto/lockstep/v1/sessions.js'
import { enumWord, plainObject } from '../client/index.js'
import type { AgentTarget } from './agent-target.js'

const AGENT_TIMEOUT_MS = 5000
const options = { 'grpc.max_receive_message_length': 16 << 20, 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 1000, 'grpc.service_config_disable_resolution': 1 }

export interface AgentCalls {
  /** By names, '' or one of pageNames; `undefined`: there are none by such. */
  readonly metrics: ReadonlyMap<string, () => Promise<TelemetryMetricsResponse>>
  /** The agent as a whole; not reached is not serving. */
  readonly serving: () => Promise<boolean>
  /** As people have them, as of now: what a watch tells only when something else changes. By name. */
  readonly readings: ReadonlyMap<string, () => Promise<unknown>>
  readonly cluster: ClusterClient
  readonly sessions: SessionsClient
  readonly close: () => void
}

export function agentCalls ({ address, credentials: secure = credentials.createInsecure(), channel }: AgentTarget): AgentCalls {
  const health = new HealthClient(address, secure, { ...options, ...channel })
  const shared = { ...options, ...channel, channelOverride: health.getChannel() }
  const telemetry = new TelemetryClient(address, secure, shared)
  const agent = new AgentClient(address, secure, shared)
  const cluster = new ClusterClient(address, secure, shared)
  const loadBalancer = new LoadBalancerClient(address, secure, shared)
  const bgp = new BgpClient(address, secure, shared)
  const counters = (blocks: string[]) => async (): Promise<unknown> => await ask(telemetry, telemetry.snapshot, { blocks, zeros: true })
  return {
    metrics: new Map(['', ...pageNames].map(names => [names, once(async () => await ask(telemetry, telemetry.metrics, { names }))])),
    serving: once(async () => await ask(health, health.check, { service: '' }).then(answer => answer.status === ServingStatus.SERVING, () => false)),
    readings: new Map(([
      ['counters', counters(['global', 'drops', 'iface_rx', 'iface_tx', 'vip', 'real'])],
      ['totals', counters(['global'])],
      ['info', async () => plainObject('agent', await ask(agent, agent.getInfo, {}))],
      ['checks', async () => (await allTargets(loadBalancer)).map(target => plainObject('target', target))],
      ['routes', async () => await allRoutes(bgp)],
      ['cluster', async () => await ask(cluster, cluster.getStatus, {}).then(plainCluster, standalone)]
    ] as ReadonlyArray<[string, () => Promise<unknown>]>).map(([name, read]) => [name, once(read)])),
    cluster, sessions: new SessionsClient(address, secure, shared),
    close: () => { health.close() }
  }
}

/** An answer has as many as fit into one message. */
async function pages<T extends { readonly nextPageToken: string }> (page: (listing: Listing) => Promise<T>): Promise<T[]> {
  const all: T[] = []
  for (let pageToken = ''; ;) {
    const one = await page({ pageSize: 0, pageToken, readMask: [] })
    all.push(one)
    if (one.nextPageToken === '') return all
    pageToken = one.nextPageToken
  }
}

const allTargets = async (loadBalancer: LoadBalancerClient): Promise<CheckTarget[]> => (await pages(async listing => await ask(loadBalancer, loadBalancer.listTargets, { id: '', listing }))).flatMap(({ targets }) => targets)
async function allRoutes (bgp: BgpClient): Promise<{ readonly routes: BgpRoute[], readonly sinks: BgpRouteSink[] }> {
  const all = await pages(async listing => await ask(bgp, bgp.listRoutes, { listing }))
  return { routes: all.flatMap(({ routes }) => routes), sinks: all.at(-1)?.sinks ?? [] }
}

const plainCluster = ({ sync, groups, peers, ...rest }: ClusterGetStatusResponse): unknown => ({
  ...rest, groups: groups.map(group => plainObject('group', group)), peers: peers.map(peer => plainObject('peer', peer)),
  sync: sync === undefined ? null : { ...sync, state: enumWord('SYNC_STATE', sync.state), sent: totals(sync.sent), received: totals(sync.received) }
})
const totals = (list: ReadonlyArray<{ readonly kind: string, readonly value: bigint }>): Record<string, bigint> => Object.fromEntries(list.map(({ kind, value }) => [kind, value]))

/** A node without a cluster has no status of one. */
function standalone (error: ServiceError): null {
  if (error.code === status.UNAVAILABLE && reasonOf(error) === 'LS_H_STANDALONE') return null
  throw error
}

/** The stable code of a refusal (proto/lockstep/v1/agent.proto); '': it has none. */
function reasonOf ({ metadata }: ServiceError): string {
  const [raw] = metadata.get('grpc-status-details-bin')
  const info = raw instanceof Buffer ? Status.decode(raw).details.find(({ typeUrl }) => typeUrl.endsWith('/google.rpc.ErrorInfo')) : undefined
  return info === undefined ? '' : ErrorInfo.decode(info.value).reason
}

type Method<Req, Res> = (request: Req, metadata: Metadata, options: Partial<CallOptions>, callback: (error: ServiceError | null, response: Res) => void) => ClientUnaryCall

/** @throws ServiceError */
export async function ask<Req, Res> (client: Client, method: Method<Req, Res>, request: Req, { metadata = new Metadata(), deadlineMs = AGENT_TIMEOUT_MS, signal }: { readonly metadata?: Metadata, readonly deadlineMs?: number, readonly signal?: AbortSignal } = {}): Promise<Res> {
  return await new Promise((resolve, reject) => {
    const call = method.call(client, request, metadata, { deadline: Date.now() + deadlineMs }, (error, response) => {
      signal?.removeEventListener('abort', cancel)
      if (error === null) resolve(response)
      else reject(error)
    })
    function cancel (): void { call.cancel() }
    if (signal?.aborted === true) cancel()
    else signal?.addEventListener('abort', cancel, { once: true })
  })
}

/** What became of a call, as a code of HTTP and for people. */
export function explain (error: unknown): readonly [number, string] {
  const { code, details, message } = error as Partial<ServiceError>
  const text = details === undefined || details === '' ? message ?? String(error) : details
  switch (code) {
    case status.UNAVAILABLE: return error instanceof Error && reasonOf(error as ServiceError) !== '' ? [503, text] : [503, 'the agent cannot be reached: is it running?']
    case status.INVALID_ARGUMENT: return [400, text]
    case status.PERMISSION_DENIED: case status.UNAUTHENTICATED: return [403, `the agent refuses: ${text}`]
    case status.RESOURCE_EXHAUSTED: return [429, text]
    case status.FAILED_PRECONDITION: case status.ABORTED: case status.NOT_FOUND: return [409, text]
    default: return [503, `the agent did not answer: ${text}`]
  }
}

/** One call at a time; whoever asks meanwhile gets the same result. */
function once<T> (work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null
  return async () => {
    running ??= work().finally(() => { running = null })
    return await running
  }
}
