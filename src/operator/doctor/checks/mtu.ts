/** The program takes frames of one buffer, which also holds head room and the kernel's bookkeeping. */
import { error, from, note, ok, type InterfaceCheck } from '../finding.js'
import { fix } from '../shell.js'

/** XDP_PACKET_HEADROOM, struct skb_shared_info with the kernel's usual 17 fragments, an Ethernet header. */
const TAKEN = 256 + 320 + 14
/** Their buffer is a page; buffers of others may be smaller. */
const PAGED = ['veth', 'virtio_net']

export const mtu: InterfaceCheck = {
  id: 'mtu',
  look: ({ device, netns, link, driver, peer }, { facts, scope }) => {
    if (scope.backend !== 'ebpf') return []
    return from([link, driver, facts.pageBytes, ...(peer === null ? [] : [peer.place])], ([l, name, page, other], source) => {
      if (l === null) return []
      const limit = page - TAKEN
      // A veth receives what its other end may send.
      const most = other === undefined ? l.mtu : other.mtu
      if (most > limit) {
        const command = other === undefined ? fix(netns, `ip link set dev ${device} mtu ${limit}`) : fix(other.netns, `ip link set dev ${other.device} mtu ${limit}`)
        return [error({ finding: `MTU ${most}${other === undefined ? '' : ' of its other end'} does not fit into one buffer, which holds ${limit}`, consequence: 'the driver refuses the program, which does not take frames in several buffers', command, source })]
      }
      if (l.mtu > 1500 && !PAGED.includes(name)) return [note({ finding: `MTU ${l.mtu}; a buffer of one page holds ${limit}, those of driver ${name} may be smaller`, consequence: 'if they are, the driver refuses the program and says so in the kernel\'s log', source })]
      return [ok(`MTU ${l.mtu} fits into one buffer, which holds ${limit}`, source)]
    })
  }
}
