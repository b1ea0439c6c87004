/** Peers as GoBGP's command line prints them (zero values left out, names of its own API), as messages of that API. */
import { Peer } from '../../../src/generated/proto/apipb/gobgp.js'

interface Printed {
  readonly conf?: { readonly description?: string, readonly local_asn?: number, readonly neighbor_address?: string, readonly peer_asn?: number, readonly vrf?: string }
  readonly state?: { readonly neighbor_address?: string, readonly peer_asn?: number, readonly session_state?: number, readonly admin_state?: number }
  readonly timers?: { readonly state?: { readonly uptime?: { readonly seconds?: number }, readonly downtime?: { readonly seconds?: number } } }
  readonly transport?: { readonly local_address?: string }
  readonly afi_safis?: ReadonlyArray<{ readonly state?: { readonly received?: number } }>
}

/** Encoded and decoded: as it comes over the wire. */
export function gobgpPeer (printed: object): Peer {
  const { conf = {}, state = {}, timers, transport, afi_safis: families = [] } = printed as Printed
  const moment = (of: { readonly seconds?: number } | undefined): Date | undefined => of === undefined ? undefined : new Date((of.seconds ?? 0) * 1000)
  return Peer.decode(Peer.encode({
    conf: { description: conf.description ?? '', localAsn: conf.local_asn ?? 0, neighborAddress: conf.neighbor_address ?? '', peerAsn: conf.peer_asn ?? 0, vrf: conf.vrf ?? '' },
    state: { neighborAddress: state.neighbor_address ?? '', peerAsn: state.peer_asn ?? 0, sessionState: state.session_state ?? 0, adminState: state.admin_state ?? 0 },
    timers: { state: { uptime: moment(timers?.state?.uptime), downtime: moment(timers?.state?.downtime) } }, transport: { localAddress: transport?.local_address ?? '' },
    afiSafis: families.map(({ state: of }) => ({ state: { received: BigInt(of?.received ?? 0) } }))
  }).finish())
}
