/** The program takes frames in several buffers (xdp.frags); whether the driver gives it such, and takes such when they are redirected, is the driver's affair. */
import { from, note, ok, warning, type InterfaceCheck } from '../finding.js'

/** Of a page: XDP_PACKET_HEADROOM, struct skb_shared_info with the kernel's usual 17 fragments, an Ethernet header. */
const TAKEN = 256 + 320 + 14
/** With multi-buffer XDP in Linux 6.8: NETDEV_XDP_ACT_RX_SG in drivers/net. For kernels that do not tell. */
const SEVERAL = ['bnxt_en', 'i40e', 'ice', 'mlx5_core', 'mvneta', 'veth', 'virtio_net']

export const mtu: InterfaceCheck = {
  id: 'mtu',
  look: ({ link, driver, xdpFeatures }, { facts, scope }) => {
    if (scope.backend !== 'ebpf') return []
    return from([link, driver, facts.pageBytes, xdpFeatures], ([l, name, page, declared], source) => {
      if (l === null) return []
      const one = page - TAKEN
      const size = `MTU ${l.mtu}; a buffer of one page holds ${one}, those of driver ${name} may be smaller`
      if (l.mtu <= 1500 || (declared === null && SEVERAL.includes(name)) || declared?.includes('basic') === false) return [ok(`MTU ${l.mtu}`, source)]
      if (declared === null) return [note({ finding: `${size}, and it is not known to give programs frames in several`, consequence: 'if it does not, it refuses the program and says so in the kernel\'s log', source })]
      if (!declared.includes('rx-sg')) return [note({ finding: `${size}, and it gives programs no frames in several (rx-sg)`, consequence: 'what one buffer does not hold is lost, or the driver refuses the program and says so in the kernel\'s log', source })]
      if (declared.includes('ndo-xmit') && !declared.includes('ndo-xmit-sg')) return [warning({ finding: `${size}, and it takes no redirected frames in several (ndo-xmit-sg)`, consequence: 'packets that one buffer of the port they came by does not hold are lost on the way out here', source })]
      return [ok(`MTU ${l.mtu}`, source)]
    })
  }
}
