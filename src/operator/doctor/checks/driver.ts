/** XDP in the driver: as the kernel tells (Linux 6.3), else by a list. */
import { xdpSupport } from '../drivers.js'
import { error, from, note, ok, warning, type InterfaceCheck, type Outcome } from '../finding.js'
import { isUnseen } from '../seen.js'
import { placeOf } from '../scope.js'
import { fix } from '../shell.js'

export const driver: InterfaceCheck = {
  id: 'driver',
  look: ({ peer, channels, link, driver: seen, xdpFeatures }, { scope }) => scope.backend !== 'ebpf'
    ? []
    : from([seen, link, xdpFeatures], ([name, l, declared], source) => {
      if (declared === null) return [listed(name, l?.xdp.some((x) => x.mode === 'driver') === true, source)]
      if (declared.includes('redirect')) return [ok(`driver ${name} declares ${declared.join(', ')}`, source)]
      if (declared.includes('basic')) return [error({ finding: `driver ${name} runs XDP, but redirects nothing (it declares ${declared.join(', ')})`, consequence: 'what comes in here leaves by no other interface', source })]
      if (peer === null) return [warning({ finding: `driver ${name} has no XDP of its own`, consequence: 'generic mode is used: it works at a few times the cost of each packet', source })]
      // veth: one of its few refusals that the kernel tells nobody but its log
      const place = isUnseen(peer.place) ? null : peer.place.value
      const queues = isUnseen(channels) || channels.value === null ? null : channels.value.current
      return [error({
        finding: `its other end${place === null ? '' : ` ${placeOf(place)}`} sends by more queues than it receives by${queues === null ? '' : ` (${queues})`}`, consequence: 'the kernel refuses the program',
        command: place === null || queues === null ? '' : fix(place.netns, `ethtool -L ${place.device} tx ${queues}`), source
      })]
    })
}

/** Before Linux 6.3. */
function listed (name: string, runs: boolean, source: string): Outcome {
  const why = 'this kernel cannot tell, it needs Linux 6.3'
  if (runs) return ok(`driver ${name} runs an XDP program now`, source)
  switch (xdpSupport(name)) {
    case 'redirect':
    case 'no-redirect-target': return ok(`driver ${name} runs XDP, by a list (${why})`, source)
    case 'none': return warning({ finding: `driver ${name} has no XDP of its own, by a list (${why})`, consequence: 'generic mode is used: it works at a few times the cost of each packet', source })
    case null: return note({ finding: `cannot tell whether driver ${name} runs XDP and takes redirected frames: it is not in the list, and ${why}`, consequence: 'if it does not, generic mode is used; `lockstep doctor` says which after the agent has attached', source })
  }
}
