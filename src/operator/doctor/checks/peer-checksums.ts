/** R34: the other end of a veth pair leaves checksums to hardware that is not there. XDP sees the frame as it is. */
import { error, from, ok, type InterfaceCheck } from '../finding.js'
import { placeOf } from '../scope.js'
import { fix } from '../shell.js'

export const peerChecksums: InterfaceCheck = {
  id: 'peer-checksums',
  look: ({ peer }, { scope }) => peer === null || scope.backend !== 'ebpf'
    ? []
    : from([peer.place, peer.features], ([place, f], source) => f['tx-checksumming'] !== true
      ? [ok(`its other end ${placeOf(place)} sends finished checksums`, source)]
      : [error({ finding: `its other end ${placeOf(place)} sends unfinished checksums (tx-checksumming)`, consequence: 'frames are forwarded with wrong checksums: ping works, TCP and UDP do not', command: fix(place.netns, `ethtool -K ${place.device} tx off`), source })])
}
