/** The load balancer as the surfaces see it. */
import type { Drift } from './dataplane.js'
import type { HealthInput, TargetStatus } from './health.js'
import type { Overlay, OverlayChange } from './overlay.js'

/** `up` serves · `degraded` serves without a quorum · `panic` reals that are down serve too · `unknown` nothing is known yet · `down` nobody serves. */
export type VipState = 'unknown' | 'up' | 'degraded' | 'panic' | 'down'

/** Why a real takes no new flows, or `serving`. */
export type RealState = 'serving' | 'standby' | 'weight-0' | 'down' | 'unknown' | 'paused' | 'disabled' | 'drained'

export interface RealStatus {
  readonly name: string
  readonly pool: string
  readonly address: string
  /** 0 = the VIP's. */
  readonly port: number
  readonly configuredWeight: number
  readonly weight: number
  readonly state: RealState
  /** `null`: nobody checks it. */
  readonly target: string | null
}

export interface VipStatus {
  readonly name: string
  readonly address: string
  readonly port: number
  readonly protocol: number
  readonly mode: string
  readonly redundancyGroup: number
  readonly state: VipState
  /** `null`: none serves. */
  readonly pool: string | null
  readonly reals: readonly RealStatus[]
}

/** A ring as the dataplane has it, with names. */
export interface RingStatus {
  readonly vip: string
  readonly size: number
  /** 64 bits, hexadecimal: two nodes with one configuration and one view of health have the same. */
  readonly hash: string
  /** Entries that are not what was put there. */
  readonly drifted: number
  readonly reals: ReadonlyArray<{ readonly name: string, readonly entries: number }>
}

/** `warn`: somebody or something serves less than before. */
export const eventLevels = ['debug', 'info', 'warn', 'error'] as const
export type EventLevel = typeof eventLevels[number]

/** Names and fields are those of the log. */
export interface LoadBalancerEvent {
  /** Unix ms. */
  readonly at: number
  readonly name: string
  readonly level: EventLevel
  readonly fields: Readonly<Record<string, string | number | null>>
}

/** Health, weights, and what the dataplane makes of them. */
export interface BalancingControl {
  readonly vips: () => Promise<readonly VipStatus[]>
  readonly targets: () => Promise<readonly TargetStatus[]>
  /** False: there is no such target. */
  readonly operate: (id: string, input: HealthInput) => Promise<boolean>
  /** Reads back what the dataplane holds and puts right what differs; also every 30 seconds. */
  readonly reconcile: () => Promise<Drift>
}

export interface LoadBalancerControl extends BalancingControl {
  /** Calls back for the latest events, then for each that comes; what it returns ends that. */
  readonly watch: (onEvent: (event: LoadBalancerEvent) => void) => () => void
  /** What the dataplane holds, read back. */
  readonly readBack: () => Promise<readonly RingStatus[]>
  /** What was put while the agent runs. */
  readonly overlay: () => Promise<Overlay>
  /** @throws invalid, stale LS_V_*; what a configuration is refused for. */
  readonly change: (change: OverlayChange, dryRun: boolean, signal: AbortSignal) => Promise<Overlay>
}
