/** Whether this host runs the eBPF backend. */
import { loadEbpf } from '../../src/native/load-ebpf.js'

/** Why the kernel or this build cannot; false: it can. */
export function ebpfRefusal (): string | false {
  const { addon, reason } = loadEbpf()
  if (addon === null) return reason
  const missing = addon.probe().filter(f => !f.ok)
  return missing.length === 0 ? false : missing.map(f => `${f.name}: ${f.reason}`).join('; ')
}
