/** Devices that ports of DPDK name by their PCI address: there, and given to DPDK. */
import { error, from, ok, type HostCheck } from '../finding.js'

/** Drivers by which DPDK has a device: those of user space, and those that it shares one with. */
const DRIVERS: readonly string[] = ['vfio-pci', 'igb_uio', 'uio_pci_generic', 'mlx4_core', 'mlx5_core', 'mana']

export const dpdkDevices: HostCheck = {
  id: 'dpdk-devices',
  look: (facts, { scope }) => scope.backend !== 'dpdk'
    ? []
    : from([facts.pci], ([devices], source) => Object.entries(devices).map(([address, driver]) => {
        if (driver === null) return error({ finding: `there is no PCI device ${address}`, consequence: 'its port forwards nothing', command: 'dpdk-devbind.py --status', source })
        if (DRIVERS.includes(driver)) return ok(`${address} is ${driver}’s`, source)
        return error({ finding: `PCI device ${address} is ${driver === '' ? 'nobody’s' : `the kernel driver ${driver}’s`}`, consequence: 'DPDK cannot have it: its port forwards nothing', command: `dpdk-devbind.py -b vfio-pci ${address}`, source })
      }))
}
