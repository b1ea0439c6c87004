/** R34: frames that are redirected to an interface which takes none are lost, and nothing counts them. */
import { xdpSupport } from '../drivers.js'
import type { InterfaceFacts, Peer } from '../facts.js'
import { error, from, note, ok, warning, type InterfaceCheck, type Outcome } from '../finding.js'
import { isUnseen, type Unseen } from '../seen.js'
import { placeOf } from '../scope.js'
import { fix } from '../shell.js'

const lost = 'every packet that is redirected to it is lost'

export const redirect: InterfaceCheck = {
  id: 'redirect',
  look: (i, { facts, scope }) => scope.backend !== 'ebpf'
    ? []
    : from([i.xdpFeatures, i.driver, i.link], ([declared, name, link], source) => {
      if (declared?.includes('ndo-xmit') === true) return [ok('takes redirected frames', source)]
      if (i.peer !== null) return farEnd(i.peer, declared, source)
      const support = xdpSupport(name)
      const never = error({ finding: `driver ${name} takes no redirected frames`, consequence: `${lost}: use it for one-armed forwarding only`, source })
      if (declared === null) return support === 'no-redirect-target' ? [never] : support === 'redirect' ? [ok(`driver ${name} takes redirected frames`, source)] : []
      if (!declared.includes('basic')) {
        if (!facts.interfaces.some((other) => other !== i && runsXdp(other))) return []
        return [warning({ finding: `driver ${name} takes no redirected frames`, consequence: 'packets from ports whose drivers run the program themselves are lost on the way out here; those from ports in generic mode are not', source })]
      }
      if (support === 'no-redirect-target' || link?.xdp.some((x) => x.mode === 'driver') === true) return [never]
      if (support === 'redirect') return [ok(`driver ${name} takes redirected frames once a program runs there`, source)]
      return [note({ finding: `driver ${name} takes no redirected frames now; many do so only while a program runs there`, consequence: `if it still does not when the agent has attached, ${lost}: run \`lockstep doctor\` again then`, source })]
    })
}

const runsXdp = ({ xdpFeatures: f }: InterfaceFacts): boolean => !isUnseen(f) && f.value?.includes('basic') === true

/** A veth takes what its other end polls for, which GRO or an XDP program there switches on. What is set on this end does not count. */
function farEnd ({ place, features }: Peer, declared: readonly string[] | null, told: string): ReadonlyArray<Outcome | Unseen> {
  const none = (where: string, command: string, source: string): Outcome => error({ finding: `its other end${where} has neither GRO nor an XDP program in its driver`, consequence: lost, command, source })
  if (declared === null) {
    return from([place, features], ([p, f], source) => p.xdp || f['generic-receive-offload'] === true
      ? [ok(`its other end ${placeOf(p)} takes redirected frames`, source)]
      : [none(` ${placeOf(p)}`, command(p), source)])
  }
  if (!declared.includes('basic')) return [] // of too few queues; the check driver says so
  return [isUnseen(place) ? none(', which is not seen from here,', '', told) : none(` ${placeOf(place.value)}`, command(place.value), `${told}, ${place.source}`)]
}

const command = (p: { readonly device: string, readonly netns: string | null }): string => fix(p.netns, `ethtool -K ${p.device} gro on`)
