/** The program takes frames in several buffers (xdp.frags); whether the driver gives it such is the driver's affair. */
import { from, note, ok, type InterfaceCheck } from '../finding.js'

/** Of a page: XDP_PACKET_HEADROOM, struct skb_shared_info with the kernel's usual 17 fragments, an Ethernet header. */
const TAKEN = 256 + 320 + 14
/** With multi-buffer XDP in Linux 6.8: NETDEV_XDP_ACT_RX_SG in drivers/net. */
const SEVERAL = ['bnxt_en', 'i40e', 'ice', 'mlx5_core', 'mvneta', 'veth', 'virtio_net']

export const mtu: InterfaceCheck = {
  id: 'mtu',
  look: ({ link, driver }, { facts, scope }) => {
    if (scope.backend !== 'ebpf') return []
    return from([link, driver, facts.pageBytes], ([l, name, page], source) => {
      if (l === null) return []
      const one = page - TAKEN
      if (l.mtu <= 1500 || SEVERAL.includes(name)) return [ok(`MTU ${l.mtu}`, source)]
      return [note({ finding: `MTU ${l.mtu}; a buffer of one page holds ${one}, those of driver ${name} may be smaller, and it is not known to give programs frames in several`, consequence: 'if it does not, it refuses the program and says so in the kernel\'s log', source })]
    })
  }
}
