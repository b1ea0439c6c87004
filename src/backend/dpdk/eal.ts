/** What DPDK is started with, and what its refusals mean. Pure. */
import type { DpdkSettings } from '../../contract/desired.js'
import { ownDeviceName } from '../../lib/devargs.js'
import { dpdkBytes } from '../../lib/dpdk-memory.js'

const MIB = 1 << 20
const HUGE_BYTES = 2 * MIB

/** Without a list EAL takes every device whose driver it has, those of a neighbour on this host among them. With one it takes those of our ports, when they are added, and nothing else. */
const NO_DEVICE = 'ffff:ff:1f.7'
const choosesDevices = (options: readonly string[]): boolean => options.some(option => /^(-[ab]|--(allow|block|no-pci))/.test(option))

export const filePrefix = (instance: string): string => `lockstep-${instance}`

/** `freeHuge`: free pages of 2 MiB. */
export function usesHugePages (settings: DpdkSettings, freeHuge: number): boolean {
  return settings.hugepages === 'on' || (settings.hugepages === 'auto' && freeHuge * HUGE_BYTES >= dpdkBytes(settings))
}

/** For an error about memory: what is needed, and what there is. `free`: bytes of ordinary memory. */
export function memoryText (settings: DpdkSettings, freeHuge: number, free: number): string {
  const mib = (bytes: number): number => Math.ceil(bytes / MIB)
  const there = usesHugePages(settings, freeHuge) ? `${freeHuge} huge pages of 2 MiB are free: ${mib(freeHuge * HUGE_BYTES)} MiB` : `${mib(free)} MiB of ordinary memory are free`
  return `${mib(dpdkBytes(settings))} MiB for ${settings.buffers} buffers of ${settings.frameBytes} bytes (${there})`
}

/** Lcore 0 talks with the agent, on any CPU; each worker has one of the CPUs named, or any. `allowed`: CPUs that the agent may use. */
export function ealArguments (settings: DpdkSettings, instance: string, workers: number, allowed: readonly number[], freeHuge: number): string[] {
  const any = `(${allowed.join(',')})`
  const lcores = Array.from({ length: workers }, (_, i) => `${i + 1}@${settings.cpus.length === 0 ? any : settings.cpus[i % settings.cpus.length] ?? 0}`)
  const memory = usesHugePages(settings, freeHuge) ? ['--huge-unlink'] : ['--no-huge', '-m', String(Math.ceil(dpdkBytes(settings) / MIB))]
  return [`--lcores=0@${any},${lcores.join(',')}`, `--file-prefix=${filePrefix(instance)}`, '--no-telemetry', '--iova-mode=va', ...memory, ...choosesDevices(settings.eal) ? [] : [`--allow=${NO_DEVICE}`], ...settings.eal]
}

/** What is particular first, what a line may say beside its cause last. */
const hints: ReadonlyArray<readonly [RegExp, string]> = [
  [/another primary process/i, 'stop the other agent of this instance, or give this one another agent.instance'],
  [/invalid (process|coremask|lcore)|lcores?\b.*(unavailable|not detected)|parsing lcore/i, 'name CPUs of this host in agent.dpdk.cpus'],
  [/EMFILE|ENFILE|too many open files/i, 'raise the limit of open files of the agent (LimitNOFILE=, ulimit -n)'],
  [/ENOENT/, 'build it (npm run build), or install the package again'],
  [/hugepage|hugetlb|huge page/i, 'reserve huge pages (sysctl vm.nr_hugepages=64), or set agent.dpdk.hugepages to auto or off'],
  [/cannot allocate|no memory|not enough memory|ENOMEM/i, 'lower agent.dpdk.buffers, raise agent.dpdk.memory, or free memory'],
  [/permission denied|operation not permitted|needs CAP_|EACCES|EPERM/i, 'run as root, or grant what the line names']
]

/** The last line that means something, for what came before it is often no more than a remark. */
const hintOf = (lines: string): string | undefined => lines.split('; ').reverse().flatMap(line => hints.find(([pattern]) => pattern.test(line))?.[1] ?? []).at(0)

/** What to do about the last lines of a process that would not start. */
export const hintFor = (lines: string): string => hintOf(lines) ?? 'see the lines of DPDK in the log; agent.dpdk has its settings'

/** The same of a port that it refused. */
export const portHintFor = (lines: string): string => hintOf(lines) ?? 'check its devargs, and the device and its driver: dpdk-devbind.py --status'

export const isMemory = (lines: string): boolean => /no memory|allocate|hugepage|hugetlb|huge page|ENOMEM/i.test(lines)

/** Levels of DPDK (rte_log.h), 1 worst to 8, as the log's. */
export const logLevel = (level: number): 'error' | 'warn' | 'info' | 'debug' => level <= 4 ? 'error' : level === 5 ? 'warn' : level === 6 ? 'info' : 'debug'

/** Over a kernel interface: rings of `frameBytes` frames, 4 MiB a queue and direction. */
export function packetDevargs (name: string, device: string, queues: number, frameBytes: number): string {
  return `${ownDeviceName(name)},iface=${device},qpairs=${queues},framesz=${frameBytes},framecnt=${(4 << 20) / frameBytes},blocksz=${1 << 18},qdisc_bypass=1`
}
