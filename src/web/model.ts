/** What the gateway sends, as JSON has it: the types of the client library, with plain numbers for those of 64 bits. */
import type { BgpRoute, BgpRouteSink } from '../generated/proto/lockstep/v1/bgp.js'
import type { CheckTarget } from '../generated/proto/lockstep/v1/load_balancer.js'
import type { ClusterSync } from '../generated/proto/lockstep/v1/cluster.js'
import type { TelemetrySnapshotResponse } from '../generated/proto/lockstep/v1/telemetry.js'
import type { Kind } from '../client/grpc.js'
import type { PlainOf } from '../client/plain.js'

export type Json<T> = T extends bigint ? number : T extends ReadonlyArray<infer E> ? ReadonlyArray<Json<E>> : T extends object ? { readonly [K in keyof T]: Json<T[K]> } : T

export type { Kind }
export type ObjectOf<K extends Kind> = Json<PlainOf<K>>
export type Vip = ObjectOf<'vip'>
export type Real = Vip['reals'][number]
export type Target = ObjectOf<'target'>
export type Group = ObjectOf<'group'>
export type Peer = ObjectOf<'peer'>
export type Probe = Json<NonNullable<CheckTarget['last']>>

export interface Happening {
  readonly agent: string
  readonly id: string
  readonly at: number
  readonly area: string
  readonly event: string
  readonly level: string
  readonly object: string
  readonly fields: Readonly<Record<string, unknown>>
}

export interface AgentJson {
  readonly connected: boolean
  readonly contactAt: number
  readonly kinds: Readonly<Record<Kind, { readonly synced: boolean, readonly objects: Readonly<Record<string, unknown>> }>>
  readonly events: ReadonlyArray<Omit<Happening, 'agent'>>
}

export interface StateJson { readonly epoch: string, readonly seq: number, readonly at: number, readonly kinds: readonly Kind[], readonly agents: Readonly<Record<string, AgentJson>> }

export interface ClusterStatus {
  readonly node: string
  readonly generation: number
  readonly groups: readonly Group[]
  readonly peers: readonly Peer[]
  readonly sync: (Omit<Json<ClusterSync>, 'sent' | 'received' | 'state'> & { readonly state: string, readonly sent: Readonly<Record<string, number>>, readonly received: Readonly<Record<string, number>> }) | null
  readonly rings?: { readonly equal: number, readonly differing: readonly string[] }
}
export interface Routes { readonly routes: ReadonlyArray<Json<BgpRoute>>, readonly sinks: ReadonlyArray<Json<BgpRouteSink>> }
export type Counters = Json<TelemetrySnapshotResponse>

export interface WhoAmI { readonly name: string | null, readonly role: string, readonly may: { readonly switchover: boolean } }
export interface SessionPage { readonly rows: ReadonlyArray<Readonly<Record<string, string | number | readonly string[]>>>, readonly next: number | null, readonly tookMs: number }
