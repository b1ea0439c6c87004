/** What the dpdk backend needs of this host. */
import { existsSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'
import { dpdkProgram } from '../../../native/load-dpdk.js'
import type { HostFacts } from '../facts.js'
import { pciDevices, type Scope } from '../scope.js'
import { known } from '../seen.js'

const PCI = '/sys/bus/pci/devices'

export function gatherDpdk (scope: Scope): Pick<HostFacts, 'dpdk' | 'pci'> {
  return {
    dpdk: known(scope.backend === 'dpdk' ? dpdkProgram().reason : '', 'lockstep-dpdk version'),
    pci: known(Object.fromEntries(pciDevices(scope).map(address => [address, driverOf(`${PCI}/${address}`)])), PCI)
  }
}

function driverOf (device: string): string | null {
  if (!existsSync(device)) return null
  try {
    return basename(readlinkSync(`${device}/driver`))
  } catch {
    return ''
  }
}
