/** What is asked about: the backend, and the part of a configuration that makes demands on the host. */
import type { BackendName } from '../../contract/dataplane.js'
import type { Desired } from '../../contract/desired.js'
import { pciAddress } from '../../lib/devargs.js'
import type { HostFacts } from './facts.js'

export interface Scope {
  readonly backend: BackendName
  /** `null`: no configuration; then every interface of this namespace that is up is looked at. */
  readonly desired: Desired | null
  /** An agent runs with this configuration: it has its memory already. */
  readonly running: boolean
}

export interface Claim { readonly device: string, readonly netns: string | null }

const netnsPath = (netns: string | null): string | null => netns === null || netns.includes('/') ? netns : `/run/netns/${netns}`

/** Kernel interfaces that the configuration takes; a TAP is made by the agent, the others have none. */
export function claims (d: Desired): Claim[] {
  return d.ports.filter((p) => p.kind === 'packet').map((p) => ({ device: p.device, netns: netnsPath(p.netns ?? d.agent.netns) }))
}

/** PCI addresses that ports of DPDK name. */
export const pciDevices = ({ desired }: Scope): string[] => desired?.ports.flatMap((p) => (p.devargs === null ? null : pciAddress(p.devargs)) ?? []) ?? []

/** Whether an interface carries tagged frames for us. */
export function hasVlans ({ desired }: Scope, { device, netns }: Claim): boolean {
  if (desired === null) return false
  const ports = desired.ports.filter((p) => p.kind === 'packet' && p.device === device && netnsPath(p.netns ?? desired.agent.netns) === netns).map((p) => p.name)
  return desired.interfaces.some((i) => i.vlan > 0 && ports.includes(i.port))
}

/** As findings name them. */
export const placeOf = ({ device, netns }: Claim): string => netns === null ? device : `${device}@${netns.replace(/^\/run\/netns\//, '')}`
export const namespaceName = (netns: string | null): string => netns === null ? 'host' : `netns ${netns.replace(/^\/run\/netns\//, '')}`

/** Interfaces of one namespace that are looked at. */
export const claimedIn = (facts: HostFacts, netns: string | null): string[] => facts.interfaces.filter((i) => i.netns === netns).map((i) => i.device)
