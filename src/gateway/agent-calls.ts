/** What the gateway asks one agent for, beside what it follows. A question that many ask at once is asked once. */
import { credentials, Metadata, status, type CallOptions, type Client, type ClientUnaryCall, type ServiceError } from '@grpc/grpc-js'
import { HealthCheckResponse_ServingStatus as ServingStatus, HealthClient } from '../generated/proto/grpc/health/v1/health.js'
import { TelemetryClient, type TelemetryMetricsResponse } from '../generated/proto/lockstep/v1/telemetry.js'
import type { AgentTarget } from './agent-target.js'

const AGENT_TIMEOUT_MS = 5000
const options = { 'grpc.max_receive_message_length': 16 << 20, 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 1000, 'grpc.service_config_disable_resolution': 1 }

export interface AgentCalls {
  /** By names: '' or `maglev`; `undefined`: there are none by such. */
  readonly metrics: ReadonlyMap<string, () => Promise<TelemetryMetricsResponse>>
  /** The agent as a whole; not reached is not serving. */
  readonly serving: () => Promise<boolean>
  readonly close: () => void
}

export function agentCalls ({ address, credentials: secure = credentials.createInsecure(), channel }: AgentTarget): AgentCalls {
  const health = new HealthClient(address, secure, { ...options, ...channel })
  const shared = { ...options, ...channel, channelOverride: health.getChannel() }
  const telemetry = new TelemetryClient(address, secure, shared)
  return {
    metrics: new Map(['', 'maglev'].map(names => [names, once(async () => await ask(telemetry, telemetry.metrics, { names }))])),
    serving: once(async () => await ask(health, health.check, { service: '' }).then(answer => answer.status === ServingStatus.SERVING, () => false)),
    close: () => { health.close() }
  }
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

/** What became of a call, for people. */
export function explain (error: unknown): string {
  const { code, details, message } = error as Partial<ServiceError>
  return code === status.UNAVAILABLE ? 'the agent cannot be reached: is it running?' : `the agent did not answer: ${details ?? message ?? String(error)}`
}

/** One call at a time; whoever asks meanwhile gets the same result. */
function once<T> (work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null
  return async () => {
    running ??= work().finally(() => { running = null })
    return await running
  }
}
