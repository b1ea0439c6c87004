/**
 * Which drivers run XDP themselves, and which take frames that are redirected to them, as of Linux 6.3, where each driver declares it: for kernels before, and
 * for drivers that declare the second only while a program runs there. By ethtool's name of the driver. What is not listed is unknown, not absent.
 */
export type XdpSupport = 'redirect' | 'no-redirect-target' | 'none'

const REDIRECT = [
  'atlantic', 'bnxt_en', 'cpsw', 'ena', 'fsl_dpaa2_eth', 'fsl_enetc', 'i40e', 'ice', 'igb', 'igc', 'ixgbe', 'mana', 'mlx5_core', 'mvneta', 'mvpp2',
  'qede', 'sfc', 'st_gmac', 'veth', 'virtio_net'
]
const NO_TARGET = ['ixgbevf', 'mlx4_en', 'nfp']
/** Virtual devices without an XDP hook of their own. */
const NONE = ['802.1Q VLAN Support', 'bridge', 'dummy', 'ifb', 'ipvlan', 'macvlan', 'vxlan']

export function xdpSupport (driver: string): XdpSupport | null {
  if (REDIRECT.includes(driver)) return 'redirect'
  if (NO_TARGET.includes(driver)) return 'no-redirect-target'
  return NONE.includes(driver) ? 'none' : null
}
