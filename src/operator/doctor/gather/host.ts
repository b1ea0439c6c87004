/** Facts of the whole host: kernel, clock, memory, BPF. */
import { statfs } from 'node:fs/promises'
import { cpus, release, version } from 'node:os'
import { dirname } from 'node:path'
import type { CgroupMemory, HostFacts } from '../facts.js'
import { isUnseen, known, mapSeen, readSeen, type Seen } from '../seen.js'
import { gatherBpfLinks, gatherBpftoolVersion, gatherPrograms } from './bpf.js'
import { readAll, readText } from './files.js'
import { notRoot, runTool } from './tool.js'

const CLOCK = '/sys/devices/system/clocksource/clocksource0'
const JIT = '/proc/sys/net/core'
const BPF_FS_MAGIC = 0xcafe4a11

export async function gatherHost (signal?: AbortSignal): Promise<Omit<HostFacts, 'dpdk' | 'pci' | 'namespaces' | 'interfaces'>> {
  const [pageBytes, clock, ntp, memory, cgroup, hugepages, memlockBytes, bpffs, jit, nohzFull, programs, bpfLinks, bpftoolVersion] = await Promise.all([
    page(signal), clockSource(), ntpState(signal), meminfo(), gatherCgroup(), huge(), memlock(), bpffsThere(), jitState(), nohz(),
    gatherPrograms(signal), gatherBpfLinks(signal), gatherBpftoolVersion(signal)
  ])
  return {
    kernel: { release: release(), version: version() }, root: process.geteuid?.() === 0, cpus: cpus().length,
    pageBytes, clock, ntp, memory, cgroup, hugepages, memlockBytes, bpffs, jit, nohzFull, programs, bpfLinks, bpftoolVersion
  }
}

const page = async (signal?: AbortSignal): Promise<Seen<number>> => readSeen(await runTool('getconf', ['PAGE_SIZE'], { signal }), Number)

async function clockSource (): Promise<HostFacts['clock']> {
  const current = await readText(`${CLOCK}/current_clocksource`)
  const available = await readText(`${CLOCK}/available_clocksource`)
  if (isUnseen(available)) return available
  return mapSeen(current, (name) => ({ current: name, available: available.value.split(/\s+/) }))
}

const ntpState = async (signal?: AbortSignal): Promise<Seen<boolean>> =>
  readSeen(await runTool('timedatectl', ['show', '--property=NTPSynchronized', '--value'], { signal }), (out) => out.trim() === 'yes')

async function meminfo (): Promise<HostFacts['memory']> {
  return readSeen(await readText('/proc/meminfo'), (text) => {
    const kilobytes = (key: string): number => {
      const found = new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]
      if (found === undefined) throw new Error(`no ${key}`)
      return Number(found) * 1024
    }
    return { totalBytes: kilobytes('MemTotal'), availableBytes: kilobytes('MemAvailable') }
  })
}

async function huge (): Promise<HostFacts['hugepages']> {
  const folder = '/sys/kernel/mm/hugepages/hugepages-2048kB'
  const total = await readText(`${folder}/nr_hugepages`)
  const free = await readText(`${folder}/free_hugepages`)
  if (isUnseen(free)) return free
  return mapSeen(total, (n) => ({ total: Number(n), free: Number(free.value) }))
}

async function memlock (): Promise<Seen<number | null>> {
  return readSeen(await readText('/proc/self/limits'), (text) => {
    const soft = /^Max locked memory\s+(\S+)/m.exec(text)?.[1]
    if (soft === undefined) throw new Error('no line "Max locked memory"')
    return soft === 'unlimited' ? null : Number(soft)
  })
}

async function bpffsThere (): Promise<Seen<boolean>> {
  try {
    return known((await statfs('/sys/fs/bpf')).type === BPF_FS_MAGIC, 'statfs /sys/fs/bpf')
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? notRoot('statfs /sys/fs/bpf') : known(false, 'statfs /sys/fs/bpf')
  }
}

async function jitState (): Promise<HostFacts['jit']> {
  const enable = await readText(`${JIT}/bpf_jit_enable`)
  const harden = await readText(`${JIT}/bpf_jit_harden`)
  if (isUnseen(harden)) return harden
  return mapSeen(enable, (n) => ({ enable: Number(n), harden: Number(harden.value) }))
}

/** Without CONFIG_NO_HZ_FULL there is no such file, and no such CPU. */
async function nohz (): Promise<Seen<string>> {
  const path = '/sys/devices/system/cpu/nohz_full'
  return mapSeen(await readAll(null, [path]), (files) => (files.get(path) ?? '').replace(/^\(null\)$/, ''))
}

/** The group with the least room, from our own up to the root. */
async function gatherCgroup (): Promise<Seen<CgroupMemory>> {
  const own = await readText('/proc/self/cgroup')
  if (isUnseen(own)) return own
  const lines = own.value.split('\n').map((line) => line.split(':'))
  const first = lines.find(([, controllers = '']) => controllers.split(',').includes('memory'))
  const place = (version: 1 | 2, path: string): Omit<CgroupMemory, 'limitBytes' | 'usedBytes'> & { root: string } => ({ path, version, root: version === 1 ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup' })
  const { root, path, version } = first === undefined ? place(2, lines.find(([id]) => id === '0')?.[2] ?? '/') : place(1, first[2] ?? '/')
  const [limitFile, usedFile] = version === 1 ? ['memory.limit_in_bytes', 'memory.usage_in_bytes'] as const : ['memory.max', 'memory.current'] as const
  let tightest: CgroupMemory = { path, version, limitBytes: null, usedBytes: 0 }
  for (let at = path; ; at = dirname(at)) {
    const limitPath = `${root}${at === '/' ? '' : at}/${limitFile}`
    const usedPath = `${root}${at === '/' ? '' : at}/${usedFile}`
    const files = await readAll(null, [limitPath, usedPath])
    const limit = isUnseen(files) ? undefined : files.value.get(limitPath)
    const used = isUnseen(files) ? undefined : files.value.get(usedPath)
    // Version 1 says "no limit" with a number near 2^63.
    if (limit !== undefined && used !== undefined && limit !== 'max' && Number(limit) < 2 ** 60) {
      const group: CgroupMemory = { path: at, version, limitBytes: Number(limit), usedBytes: Number(used) }
      if (tightest.limitBytes === null || Number(limit) - Number(used) < tightest.limitBytes - tightest.usedBytes) tightest = group
    }
    if (at === '/' || at === '.') break
  }
  return known(tightest, `${root}${path}`)
}
