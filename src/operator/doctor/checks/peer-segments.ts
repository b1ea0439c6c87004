/** Frames of up to 64 KiB from the other end of a veth pair. Attaching XDP switches them off; a packet socket gets them. */
import { from, ok, warning, type InterfaceCheck } from '../finding.js'
import { placeOf } from '../scope.js'
import { fix } from '../shell.js'

const SEGMENTS = ['tcp-segmentation-offload', 'generic-segmentation-offload'] as const

export const peerSegments: InterfaceCheck = {
  id: 'peer-segments',
  look: ({ peer }, { scope }) => peer === null || scope.backend !== 'userspace'
    ? []
    : from([peer.place, peer.features], ([place, f], source) => {
      const on = SEGMENTS.filter((name) => f[name] === true)
      return on.length === 0
        ? [ok(`its other end ${placeOf(place)} sends frames as long as the wire's`, source)]
        : [warning({ finding: `its other end ${placeOf(place)} leaves cutting into frames to others (${on.join(', ')})`, consequence: 'frames of up to 64 KiB arrive and are dropped as gso_frame: TCP crawls, ping works', command: fix(place.netns, `ethtool -K ${place.device} tso off gso off`), source })]
    })
}
