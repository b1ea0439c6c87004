/** R34: what is redirected into a veth is lost unless its other end polls, which GRO or an XDP program there switches on. */
import { error, from, ok, type InterfaceCheck } from '../finding.js'
import { placeOf } from '../scope.js'
import { fix } from '../shell.js'

export const peerReceive: InterfaceCheck = {
  id: 'peer-receive',
  look: ({ peer }, { scope }) => peer === null || scope.backend !== 'ebpf'
    ? []
    : from([peer.place, peer.features], ([place, f], source) => place.xdp || f['generic-receive-offload'] === true
      ? [ok(`its other end ${placeOf(place)} takes redirected frames`, source)]
      : [error({ finding: `its other end ${placeOf(place)} has neither GRO nor an XDP program`, consequence: 'every frame that is redirected into this pair is lost', command: fix(place.netns, `ethtool -K ${place.device} gro on`), source })])
}
