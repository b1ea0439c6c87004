/**
 * A connection to an agent: typed stubs with promises, deadlines, and errors as LockstepError. For the command line, tests and
 * benches; the published client library is another thing.
 */
import {
  credentials, type CallOptions, Channel, type ChannelCredentials, type Client, type ClientOptions, type ClientReadableStream, type ClientUnaryCall,
  InterceptingCall, type Interceptor, Metadata, type ServiceError, status
} from '@grpc/grpc-js'
import { AgentClient } from '../generated/proto/lockstep/v1/agent.js'
import { BgpClient } from '../generated/proto/lockstep/v1/bgp.js'
import { ClusterClient } from '../generated/proto/lockstep/v1/cluster.js'
import { ConfigClient } from '../generated/proto/lockstep/v1/config.js'
import { DebugClient } from '../generated/proto/lockstep/v1/debug.js'
import { EventsClient } from '../generated/proto/lockstep/v1/events.js'
import { LinksClient } from '../generated/proto/lockstep/v1/links.js'
import { LoadBalancerClient } from '../generated/proto/lockstep/v1/load_balancer.js'
import { OperationsClient } from '../generated/proto/lockstep/v1/operations.js'
import { SessionsClient } from '../generated/proto/lockstep/v1/sessions.js'
import { TelemetryClient } from '../generated/proto/lockstep/v1/telemetry.js'
import { parseTraceparent, TRACEPARENT } from '../lib/trace-context.js'
import { errorOfStatus } from './remote-error.js'

/** Window of one stream: at 64 KiB, the default, a listing waits for a round trip after each 64 KiB. */
const FLOW_CONTROL_WINDOW = 8 << 20

const channelOptions: ClientOptions = {
  'grpc.max_receive_message_length': 16 << 20,
  'grpc.max_send_message_length': 8 << 20,
  'grpc-node.flow_control_window': FLOW_CONTROL_WINDOW,
  'grpc.enable_retries': 0,
  // An agent that hangs, or a connection that broke without a word, is noticed by streams without a deadline, too.
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 20_000,
  'grpc.service_config_disable_resolution': 1
}

export interface AgentConnection {
  readonly agent: AgentClient
  readonly bgp: BgpClient
  readonly cluster: ClusterClient
  readonly config: ConfigClient
  readonly debug: DebugClient
  readonly events: EventsClient
  readonly links: LinksClient
  readonly loadBalancer: LoadBalancerClient
  readonly operations: OperationsClient
  readonly sessions: SessionsClient
  readonly telemetry: TelemetryClient
  readonly close: () => void
}

export interface CallsOptions {
  /** When it fires, every call is cancelled. */
  readonly signal?: AbortSignal
  /** What the calls are part of (W3C Trace Context). */
  readonly traceparent?: string | undefined
  /** The call is an operation of this id. */
  readonly onOperation?: ((id: string) => void) | undefined
  /** Used, and left open. */
  readonly channel?: Channel | undefined
}

/** Opens lazily: errors show at the first call. `target` is `unix:/path` or `host:port`. */
export function connectAgent (target: string, channelCredentials: ChannelCredentials = credentials.createInsecure(), { signal, traceparent, onOperation, channel }: CallsOptions = {}): AgentConnection {
  const interceptors = [...signal === undefined ? [] : [cancelOn(signal)], ...parseTraceparent(traceparent) === null ? [] : [partOf(traceparent ?? '')], ...onOperation === undefined ? [] : [toldOperation(onOperation)]]
  const options: ClientOptions = { ...channelOptions, interceptors, ...channel === undefined ? {} : { channelOverride: channel } }
  const agent = new AgentClient(target, channelCredentials, options)
  const shared: ClientOptions = { ...options, channelOverride: agent.getChannel() }
  const bgp = new BgpClient(target, channelCredentials, shared)
  const cluster = new ClusterClient(target, channelCredentials, shared)
  const config = new ConfigClient(target, channelCredentials, shared)
  const debug = new DebugClient(target, channelCredentials, shared)
  const events = new EventsClient(target, channelCredentials, shared)
  const links = new LinksClient(target, channelCredentials, shared)
  const loadBalancer = new LoadBalancerClient(target, channelCredentials, shared)
  const operations = new OperationsClient(target, channelCredentials, shared)
  const sessions = new SessionsClient(target, channelCredentials, shared)
  const telemetry = new TelemetryClient(target, channelCredentials, shared)
  return { agent, bgp, cluster, config, debug, events, links, loadBalancer, operations, sessions, telemetry, close: () => { if (channel === undefined) agent.close() } }
}

/** Finds an agent that was started again within half a second. */
const keptOptions: ClientOptions = { ...channelOptions, 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 500, 'grpc.min_reconnect_backoff_ms': 100 }

/** A connection for many verbs, one after the other. */
export const keptChannel = (target: string): Channel => new Channel(target, credentials.createInsecure(), keptOptions)
const partOf = (traceparent: string): Interceptor => (options, nextCall) => new InterceptingCall(nextCall(options), {
  start: (metadata, listener, next) => {
    metadata.set(TRACEPARENT, traceparent)
    next(metadata, listener)
  }
})

/** Initial metadata of a call that changes something (proto/lockstep/v1/operations.proto). */
const OPERATION_METADATA = 'lockstep-operation'
const toldOperation = (tell: (id: string) => void): Interceptor => (options, nextCall) => new InterceptingCall(nextCall(options), {
  start: (metadata, listener, next) => {
    next(metadata, {
      onReceiveMetadata: (received, pass) => {
        const [id] = received.get(OPERATION_METADATA)
        pass(received)
        if (typeof id === 'string') tell(id)
      }
    })
  }
})

const cancelOn = (signal: AbortSignal): Interceptor => (options, nextCall) => {
  const call = nextCall(options)
  const cancel = (): void => call.cancelWithStatus(status.CANCELLED, 'cancelled by the caller')
  return new InterceptingCall(call, {
    start: (metadata, listener, next) => {
      next(metadata, { onReceiveStatus: (received, pass) => { signal.removeEventListener('abort', cancel); pass(received) } })
      if (signal.aborted) cancel()
      else signal.addEventListener('abort', cancel, { once: true })
    }
  })
}

export const socketTarget = (path: string): string => `unix:${path}`

type UnaryMethod<Req, Res> = (request: Req, metadata: Metadata, options: Partial<CallOptions>, callback: (error: ServiceError | null, response: Res) => void) => ClientUnaryCall

export interface CallLimits {
  /** Milliseconds until the server is told to stop. */
  readonly deadlineMs?: number
  readonly signal?: AbortSignal
}

/** `await call(sessions, sessions.count, { filter })`: rejects with a RemoteError. */
export async function call<Req, Res> (client: Client, method: UnaryMethod<Req, Res>, request: Req, { deadlineMs = 30_000, signal }: CallLimits = {}): Promise<Res> {
  return await new Promise<Res>((resolve, reject) => {
    const running = method.call(client, request, new Metadata(), { deadline: Date.now() + deadlineMs }, (error, response) => {
      signal?.removeEventListener('abort', abort)
      if (error === null) resolve(response)
      else reject(errorOfStatus(error))
    })
    function abort (): void { running.cancel() }
    if (signal?.aborted === true) abort()
    else signal?.addEventListener('abort', abort, { once: true })
  })
}

/** Messages of a server stream, one at a time: the next is not read before the last was taken. Leaving the loop cancels. */
export async function * messages<Res> (stream: ClientReadableStream<Res>, signal?: AbortSignal): AsyncGenerator<Res> {
  const abort = (): void => stream.cancel()
  if (signal?.aborted === true) abort()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    for await (const message of stream) yield message as Res
  } catch (error) {
    throw isServiceError(error) ? errorOfStatus(error) : error
  } finally {
    signal?.removeEventListener('abort', abort)
    stream.cancel()
  }
}

function isServiceError (error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && 'metadata' in error && typeof error.code === 'number'
}
