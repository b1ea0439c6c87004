/** Which device of DPDK devargs name: a process has one of each name, whatever its arguments are. Pure. */
import { createHash } from 'node:crypto'

/** Devices over kernel interfaces begin with it, and nobody else's. A driver is known by how a name begins. */
const OWN = 'net_af_packet_lockstep_'
const PCI = /^(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])$/

/** `net_null0,size=64` and `vdev:net_null0` are one; so are `03:00.0` and `pci:0000:03:00.0`. */
export function deviceName (devargs: string): string {
  const name = (devargs.split(',', 1)[0] ?? '').trim().replace(/^(vdev|pci):/, '')
  const pci = PCI.exec(name.toLowerCase())
  if (pci === null) return name
  const [, domain = '0', bus = '', device = '', fn = ''] = pci
  return `${domain.padStart(4, '0')}:${bus.padStart(2, '0')}:${device.padStart(2, '0')}.${fn}`
}

/** Over the kernel interface of this port: readable, at most 63 characters as DPDK has them, and its own whatever characters the port's name has. */
export const ownDeviceName = (port: string): string => `${OWN}${port.replace(/[^A-Za-z0-9]/g, '_').slice(0, 24)}_${createHash('sha256').update(port).digest('hex').slice(0, 12)}`

export const isOwnDeviceName = (name: string): boolean => name.startsWith(OWN)

/** Of a physical device, `0000:03:00.0`; null: a driver in software. */
export function pciAddress (devargs: string): string | null {
  const name = deviceName(devargs)
  return PCI.test(name) ? name : null
}
