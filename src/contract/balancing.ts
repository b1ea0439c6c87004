/** The load balancer as the surfaces see it. */
import type { HealthInput, TargetStatus } from './health.js'

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

export interface LoadBalancerControl {
  readonly vips: () => Promise<readonly VipStatus[]>
  readonly targets: () => Promise<readonly TargetStatus[]>
  /** False: there is no such target. */
  readonly operate: (id: string, input: HealthInput) => Promise<boolean>
}
