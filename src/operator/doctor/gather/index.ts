/** Everything that the checks ask for, read in the namespaces of the claimed interfaces. Changes nothing. */
import { setMaxListeners } from 'node:events'
import type { HostFacts, TcProgram } from '../facts.js'
import { claims, type Scope } from '../scope.js'
import { isUnseen, type Seen } from '../seen.js'
import { gatherTc } from './bpf.js'
import { gatherDpdk } from './dpdk.js'
import { gatherHost } from './host.js'
import { gatherInterface, gatherLinks, isUp, type Links } from './interface.js'
import { gatherNamespace } from './namespace.js'

export async function gather (scope: Scope, cancel?: AbortSignal): Promise<HostFacts> {
  const { desired } = scope
  // Of our own: every tool that runs listens to it, and more than ten run at once.
  const signal = AbortSignal.any(cancel === undefined ? [] : [cancel])
  setMaxListeners(0, signal)
  const claimed = desired === null ? null : claims(desired)
  const paths = claimed === null ? [null] : [...new Set([null, ...claimed.map((c) => c.netns)])]
  const host = gatherHost(signal)
  const spaces = await Promise.all(paths.map(async (netns) => await gatherSpace(netns, claimed?.filter((c) => c.netns === netns).map((c) => c.device) ?? null, signal)))
  return { ...await host, ...gatherDpdk(scope), namespaces: spaces.map((s) => s.namespace), interfaces: spaces.flatMap((s) => s.interfaces) }
}

async function gatherSpace (netns: string | null, wanted: readonly string[] | null, signal?: AbortSignal): Promise<{ namespace: HostFacts['namespaces'][number], interfaces: HostFacts['interfaces'] }> {
  const [namespace, links, tc]: [HostFacts['namespaces'][number], Seen<Links>, Seen<ReadonlyMap<string, readonly TcProgram[]>>] =
    await Promise.all([gatherNamespace(netns, signal), gatherLinks(netns, signal), gatherTc(netns, signal)])
  const devices = wanted ?? (isUnseen(links) ? [] : [...links.value].filter(([, l]) => isUp(l)).map(([name]) => name))
  const interfaces: Array<HostFacts['interfaces'][number]> = []
  // One after the other: each runs a handful of tools.
  for (const device of devices) interfaces.push(await gatherInterface(device, netns, links, tc, signal))
  return { namespace, interfaces }
}
