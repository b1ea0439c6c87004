/** VIPs as VPP's load balancer (plugin lb) has them, and as they should be. Pure data, and how one is named. */

/** By their number on the wire. L3DSR is read only: the configuration has no such mode. */
export const encaps = ['gre4', 'gre6', 'l3dsr', 'nat4', 'nat6'] as const
export type Encap = typeof encaps[number]

/** Of a VIP that takes every port, and with it every protocol. */
export const ANY_PROTOCOL = 255

export interface VipKey {
  /** With its length, host bits cleared. */
  readonly prefix: string
  /** IANA number; ANY_PROTOCOL with port 0. */
  readonly protocol: number
  readonly port: number
}

export interface VppVip extends VipKey {
  readonly encap: Encap
  /** Of nat: the port of the reals; else 0. */
  readonly targetPort: number
  /** Entries of the table for new flows: a power of two. 65536 is read back as 0. */
  readonly tableLength: number
  readonly sourceIpSticky: boolean
}

export interface WantedVip extends VppVip {
  /** In the configuration. */
  readonly name: string
  /** Address -> weight, 0 to 255; 0 takes no new flows. */
  readonly reals: ReadonlyMap<string, number>
}

export interface ObservedReal { readonly weight: number, /** Entries of the table for new flows. */ readonly buckets: number }
export interface ObservedVip extends VppVip {
  /** Place in VPP's pool of VIPs, by which its counters are found; `null`: not told. */
  readonly index: number | null
  /** By address, those in use. */
  readonly reals: ReadonlyMap<string, ObservedReal>
}

export interface LbSettings {
  /** Outer source addresses of encapsulated packets. */
  readonly source4: string
  readonly source6: string
  /** Of the table of flows of each thread: a power of two; each holds four. */
  readonly stickyBuckets: number
  readonly flowTimeoutS: number
}

export interface Wanted { readonly settings: LbSettings, readonly vips: readonly WantedVip[] }
export interface Observed { readonly settings: LbSettings, readonly vips: readonly ObservedVip[] }

export const vipKey = ({ prefix, protocol, port }: VipKey): string => `${prefix} ${protocol === ANY_PROTOCOL ? 'any' : `${protocol}/${port}`}`
