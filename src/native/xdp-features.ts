/** What the driver of an interface declares about XDP at this moment; some declare more while a program runs there. */
import { native } from './errors.js'
import { loadCore } from './load.js'

/** Names of the bits of enum netdev_xdp_act (linux/netdev.h), lowest first, as the kernel's netlink specification writes them. */
const NAMES = ['basic', 'redirect', 'ndo-xmit', 'xsk-zerocopy', 'hw-offload', 'rx-sg', 'ndo-xmit-sg'] as const
/**
 * `basic`: programs run in the driver · `redirect`: they may redirect · `ndo-xmit`: takes frames that are redirected to it · `rx-sg`: gives programs frames in
 * several buffers · `ndo-xmit-sg`: takes such.
 */
export type XdpFeature = (typeof NAMES)[number]

export const xdpFeatureNames = (bits: number): XdpFeature[] => NAMES.filter((_, bit) => Math.floor(bits / 2 ** bit) % 2 === 1)

/** `netns`: a path; empty = this process's. `null`: this kernel does not tell (before Linux 6.3). @throws LS_E_NO_DEVICE, LS_E_SYSTEM. */
export function xdpFeatures (netns: string, ifindex: number): readonly XdpFeature[] | null {
  const bits = native(() => loadCore().xdpFeatures(netns, ifindex), { object: `interface number ${ifindex}` })
  return bits === null ? null : xdpFeatureNames(bits)
}
