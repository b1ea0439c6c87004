/** `bgp.announce`: routes to the addresses of VIPs, for the routing daemon of the host to tell its neighbours. Moments are Unix milliseconds. */

export interface BgpAnnounceSettings {
  /** `serving`: its redundancy group is owned here and a real serves; `owned`: its group is owned here. */
  readonly when: 'serving' | 'owned'
  /** How long the route of a VIP stays when its last real is gone. */
  readonly withdrawAfterMs: number
  /** Number of a routing table of the kernel that the daemon takes routes from; `null`: none. */
  readonly kernelTable: number | null
  /** `null`: GoBGP is given none. */
  readonly gobgp: BgpAnnounceGobgp | null
}

export interface BgpAnnounceGobgp {
  /** `unix:///run/gobgp.sock`, or an address of loopback and a port. */
  readonly address: string
  /** RFC 1997, AS in the upper 16 bits. */
  readonly communities: readonly number[]
}

/** The route to one prefix. */
export interface BgpRoute {
  readonly prefix: string
  /** Names of the VIPs that have it. */
  readonly vips: readonly string[]
  readonly announced: boolean
  /** Why, or why not. */
  readonly reason: string
  /** When `announced` last changed here. */
  readonly since: number
}

/** Where routes are put. */
export interface BgpRouteSink {
  readonly name: string
  readonly kind: 'kernel' | 'gobgp'
  /** When it was last as it should be; `null`: never since the agent started. */
  readonly goodAt: number | null
  /** Why it is not; `null`: it is. */
  readonly failed: string | null
  /** Failed in a row. */
  readonly failures: number
  /** Put there since the agent started. */
  readonly added: number
  readonly removed: number
}
