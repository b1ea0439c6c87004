/** What DPDK is started with, and what its refusals mean. Pure. */
import type { DpdkSettings } from '../../contract/desired.js'
import { ownDeviceName } from '../../lib/devargs.js'

const HUGE_BYTES = 2 << 20

/** Memory of its own for buffers that are not in huge pages, beside what the buffers take. */
const neededBytes = ({ buffers, frameBytes, memoryMib }: DpdkSettings): number => Math.max(memoryMib << 20, buffers * (frameBytes + 512) * 1.25)

/** Without a list EAL takes every device whose driver it has, those of a neighbour on this host among them. With one it takes those of our ports, when they are added, and nothing else. */
const NO_DEVICE = 'ffff:ff:1f.7'
const choosesDevices = (options: readonly string[]): boolean => options.some(option => /^(-[ab]|--(allow|block|no-pci))/.test(option))

export const filePrefix = (instance: string): string => `lockstep-${instance}`

/** `freeHuge`: free pages of 2 MiB. */
export function usesHugePages (settings: DpdkSettings, freeHuge: number): boolean {
  return settings.hugepages === 'on' || (settings.hugepages === 'auto' && freeHuge * HUGE_BYTES >= neededBytes(settings))
}

/** Lcore 0 talks with the agent, on any CPU; each worker has one of the CPUs named, or any. `allowed`: CPUs that the agent may use. */
export function ealArguments (settings: DpdkSettings, instance: string, workers: number, allowed: readonly number[], freeHuge: number): string[] {
  const any = `(${allowed.join(',')})`
  const lcores = Array.from({ length: workers }, (_, i) => `${i + 1}@${settings.cpus.length === 0 ? any : settings.cpus[i % settings.cpus.length] ?? 0}`)
  const memory = usesHugePages(settings, freeHuge) ? ['--huge-unlink'] : ['--no-huge', '-m', String(Math.ceil(neededBytes(settings) / (1 << 20)))]
  return [`--lcores=0@${any},${lcores.join(',')}`, `--file-prefix=${filePrefix(instance)}`, '--no-telemetry', '--iova-mode=va', ...memory, ...choosesDevices(settings.eal) ? [] : [`--allow=${NO_DEVICE}`], ...settings.eal]
}

const hints: ReadonlyArray<readonly [RegExp, string]> = [
  [/another primary process/i, 'stop the other agent of this instance, or give this one another agent.instance'],
  [/hugepage|hugetlb|huge page/i, 'reserve huge pages (sysctl vm.nr_hugepages=64), or set agent.dpdk.hugepages to auto or off'],
  [/invalid (process|coremask|lcore)|lcores?\b.*(unavailable|not detected)|parsing lcore/i, 'name CPUs of this host in agent.dpdk.cpus'],
  [/permission denied|operation not permitted|EACCES|EPERM/i, 'run as root, or grant what the line names'],
  [/cannot allocate|no memory|not enough memory|no memory for/i, 'lower agent.dpdk.buffers, or free memory']
]

/** What to do about the last lines of a process that would not start. */
export const hintFor = (lines: string): string => hints.find(([pattern]) => pattern.test(lines))?.[1] ?? 'see the lines of DPDK in the log; agent.dpdk has its settings'

/** Levels of DPDK (rte_log.h), 1 worst to 8, as the log's. */
export const logLevel = (level: number): 'error' | 'warn' | 'info' | 'debug' => level <= 4 ? 'error' : level === 5 ? 'warn' : level === 6 ? 'info' : 'debug'

/** Over a kernel interface: rings of `frameBytes` frames, 4 MiB a queue and direction. */
export function packetDevargs (name: string, device: string, queues: number, frameBytes: number): string {
  return `${ownDeviceName(name)},iface=${device},qpairs=${queues},framesz=${frameBytes},framecnt=${(4 << 20) / frameBytes},blocksz=${1 << 18},qdisc_bypass=1`
}
