/**
 * What operators and other programs changed while the agent runs, laid over the configuration: it is kept over applies and restarts, until its end, and the nodes
 * of a pair have the same. Katran's users put VIPs and reals that way; operators drain a real, or give it another weight.
 */

export interface Held {
  /** Who put it: a program, or an operator. Only the same owner takes it back or replaces it. */
  readonly owner: string
  readonly reason: string
  /** Unix milliseconds. */
  readonly since: number
  /** Unix milliseconds; `null`: until it is taken back. */
  readonly until: number | null
}

/** The keys of `vips` in the configuration, without pools. */
export interface VipSettings {
  readonly address: string
  readonly port?: number | 'any'
  readonly protocol?: 'tcp' | 'udp' | 'any'
  readonly mode?: 'nat' | 'l2' | 'ipip' | 'gre'
  readonly 'redundancy-group'?: number
  readonly 'source-ip-sticky'?: boolean
  readonly healthcheck?: string
}
export interface RealSettings { readonly address: string, readonly name?: string, readonly port?: number, readonly weight?: number, readonly healthcheck?: string }

/** A VIP that the configuration does not have. It forwards from its first real on. */
export interface PutVip extends Held { readonly vip: string, readonly settings: VipSettings }
/** Reals of an owner, beside those of the configuration and of other owners. */
export interface PutReals extends Held { readonly vip: string, /** '' = the first one. */ readonly pool: string, readonly reals: readonly RealSettings[] }
/** Another weight than the configured one, or a drain: no new flows, those that are go on. */
export interface Adjusted extends Held { readonly vip: string, readonly real: string, /** 0-100; `null`: as configured. */ readonly weight: number | null, readonly drained: boolean }

export interface Overlay { readonly vips: readonly PutVip[], readonly reals: readonly PutReals[], readonly adjusted: readonly Adjusted[] }
export const noOverlay: Overlay = { vips: [], reals: [], adjusted: [] }

type New<T extends Held> = Omit<T, 'since' | 'until'> & { /** Milliseconds; `null`: without end. */ readonly ttlMs: number | null }
export type OverlayChange =
  | { readonly kind: 'put-vip' } & New<PutVip>
  | { readonly kind: 'put-reals' } & New<PutReals>
  | { readonly kind: 'adjust' } & New<Adjusted>
  | { readonly kind: 'delete-vip' | 'delete-reals', readonly vip: string, readonly owner: string }
  /** Its weight is the configured one again, whoever changed it. */
  | { readonly kind: 'restore', readonly vip: string, readonly real: string }

export const ttlMsMax = 365 * 86_400_000
