/** Which agents a gateway serves: the one of this host by its unix socket, or several by name. */
import type { ChannelCredentials, ClientOptions } from '@grpc/grpc-js'

export interface AgentTarget {
  /** As grpc-js has it: unix:/run/lockstep/agent.sock, dns:edge-1:9462. */
  readonly address: string
  /** Absent: plain. */
  readonly credentials?: ChannelCredentials
  readonly channel?: Partial<ClientOptions>
}

/** By name. */
export type AgentTargets = ReadonlyMap<string, AgentTarget>
