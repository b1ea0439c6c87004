/** Keeps forwarded packets from the kernel's connection tracking, and so from its address translation; those to the host itself stay tracked. */
import { fix, nftNames } from './shell.js'

export const notrack = (netns: string | null, devices: readonly string[]): string =>
  fix(netns, `nft 'add table inet lockstep_notrack; add chain inet lockstep_notrack prerouting { type filter hook prerouting priority -300; }; add rule inet lockstep_notrack prerouting iifname ${nftNames(devices)} fib daddr type != local notrack'`)
