/** A VLAN tag beside the frame, not in it, is not seen by an XDP program: the hardware took it out, or the other end of a veth never put it in. */
import { error, from, ok, type InterfaceCheck } from '../finding.js'
import { hasVlans, placeOf } from '../scope.js'
import { fix } from '../shell.js'

const consequence = 'the program sees these frames untagged: they belong to the wrong interface and zone'

export const vlanOffload: InterfaceCheck = {
  id: 'vlan-offload',
  look: (i, { scope }) => {
    if (scope.backend !== 'ebpf' || !hasVlans(scope, i)) return []
    if (i.peer !== null) {
      return from([i.peer.place, i.peer.features], ([place, f], source) => f['tx-vlan-offload'] !== true
        ? [ok(`its other end ${placeOf(place)} puts VLAN tags into the frame`, source)]
        : [error({ finding: `its other end ${placeOf(place)} leaves VLAN tags out of the frame (tx-vlan-offload)`, consequence, command: fix(place.netns, `ethtool -K ${place.device} txvlan off`), source })])
    }
    return from([i.features], ([f], source) => f['rx-vlan-offload'] !== true
      ? [ok('VLAN tags stay in the frame', source)]
      : [error({ finding: 'VLAN tags are taken out of received frames (rx-vlan-offload)', consequence, command: fix(i.netns, `ethtool -K ${i.device} rxvlan off`), source })])
  }
}
