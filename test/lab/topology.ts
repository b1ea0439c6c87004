/**
 * The lab's network: a client, the router, and two servers on one bridge, each in a network namespace, with the names and addresses of
 * examples/quickstart.yaml.
 *
 *     PREFIX-client       PREFIX-rt (the router)             PREFIX-lan          PREFIX-s1, PREFIX-s2
 *     eth0 10.77.1.2 ---- rt-client   rt-server ------------ uplink [br0] ------ eth0 10.77.2.11, .12
 *     PREFIX-attacker
 *     eth0 10.77.9.2 ---- rt-attack            (only when asked for)
 *
 * The router's kernel does not forward: what passes went through Lockstep. Ends send finished checksums and take GRO, the router's ports have
 * every offload off that makes frames longer than the wire's (R16, R34), GRO only unless it is asked for. Commands are data made by pure functions; `Topology` runs them.
 * Whoever builds a lab leaves a marker with its pid: the next one removes what a dead one left.
 */
import { existsSync, linkSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { LockstepError } from '../../src/contract/errors.js'
import { must, run, which, type Command } from './shell.js'

export interface TopologyOptions {
  /** Of the names of all namespaces: two labs with different ones run side by side. At most 20 of a-z 0-9 -. */
  readonly prefix: string
  /** Addresses of the client beyond 10.77.1.2: 10.77.1.16 and up. */
  readonly moreClients?: number
  /** A host on a port of its own, for floods. */
  readonly attacker?: boolean
  /** MTU of everything behind rt-server. */
  readonly serverMtu?: number
  /** The router's ports merge what they receive (GRO), as interfaces do unless told otherwise. */
  readonly aggregation?: boolean
}

export type HostName = 'router' | 'client' | 'lan' | 's1' | 's2' | 'attacker' | 'r1' | 'r2' | 'outside' | 'inside' | 'far'

/** What a lab is made of. */
export interface Plan { readonly hosts: readonly HostName[], readonly commands: readonly Command[] }

const hostNames: readonly HostName[] = ['router', 'client', 'lan', 's1', 's2', 'attacker', 'r1', 'r2', 'outside', 'inside', 'far']
export const netnsOf = (prefix: string, host: HostName): string => `${prefix}-${host === 'router' ? 'rt' : host}`

export interface HostAddresses { readonly v4: string, readonly v6: string }
export const addresses = {
  client: { v4: '10.77.1.2', v6: 'fd77:1::2' },
  routerClient: { v4: '10.77.1.1', v6: 'fd77:1::1' },
  routerServer: { v4: '10.77.2.1', v6: 'fd77:2::1' },
  routerAttack: { v4: '10.77.9.1', v6: 'fd77:9::1' },
  s1: { v4: '10.77.2.11', v6: 'fd77:2::11' },
  s2: { v4: '10.77.2.12', v6: 'fd77:2::12' },
  attacker: { v4: '10.77.9.2', v6: 'fd77:9::2' },
  vip: { v4: '10.77.0.10', v6: 'fd77::10' }
} as const satisfies Record<string, HostAddresses>

/** examples/quickstart-unprivileged.yaml names these as neighbours of a recorded capture. */
export const macs = {
  routerClient: '02:77:01:00:00:01', client: '02:77:01:00:00:02',
  routerServer: '02:77:02:00:00:01', s1: '02:77:02:00:00:11', s2: '02:77:02:00:00:12',
  routerAttack: '02:77:09:00:00:01', attacker: '02:77:09:00:00:02'
} as const

export const moreClientAddresses = (count: number): HostAddresses[] => Array.from({ length: count }, (_, i) => ({ v4: `10.77.1.${16 + i}`, v6: `fd77:1::${(16 + i).toString(16)}` }))

export const hostsOf = (o: TopologyOptions): HostName[] => ['router', 'client', 'lan', 's1', 's2', ...(o.attacker === true ? ['attacker' as const] : [])]

/** Every command that builds the lab, in order. */
export function setupCommands (o: TopologyOptions): Command[] {
  const ns = (host: HostName): string => netnsOf(o.prefix, host)
  const here = (...argv: string[]): Command => ({ netns: null, argv })
  const at = (host: HostName, ...argv: string[]): Command => ({ netns: ns(host), argv })
  const set = (host: HostName, values: ReadonlyArray<readonly [key: string, value: string]>): Command =>
    at(host, 'sh', '-c', values.map(([key, value]) => `echo '${value}' > /proc/sys/net/${key}`).join(' && '))
  const veth = (a: HostName, aName: string, aMac: string, b: HostName, bName: string, bMac: string, mtu?: number): Command => {
    const size = mtu === undefined ? [] : ['mtu', String(mtu)]
    return here('ip', 'link', 'add', aName, 'netns', ns(a), 'address', aMac, ...size, 'type', 'veth', 'peer', 'name', bName, 'netns', ns(b), 'address', bMac, ...size)
  }
  /** Only the first is a source that the host chooses by itself. */
  const give = (host: HostName, dev: string, all: readonly HostAddresses[]): Command[] => all.flatMap(({ v4, v6 }, i) => [
    at(host, 'ip', 'addr', 'add', `${v4}/24`, 'dev', dev), at(host, 'ip', 'addr', 'add', `${v6}/64`, 'dev', dev, 'nodad', ...(i === 0 ? [] : ['preferred_lft', '0']))
  ])
  const end = (host: 'client' | 's1' | 's2' | 'attacker', own: readonly HostAddresses[], router: HostAddresses): Command[] => [
    at(host, 'ethtool', '-K', 'eth0', 'tx', 'off', 'tso', 'off', 'gro', 'on'),
    ...give(host, 'eth0', own),
    at(host, 'ip', 'link', 'set', 'eth0', 'up'),
    at(host, 'ip', 'route', 'add', 'default', 'via', router.v4),
    at(host, 'ip', '-6', 'route', 'add', 'default', 'via', router.v6)
  ]
  const portOff = (host: HostName, dev: string): Command => at(host, 'ethtool', '-K', dev, 'gro', 'off', 'lro', 'off', 'tso', 'off', 'gso', 'off', 'tx', 'off')
  const port = (dev: string, own: HostAddresses): Command[] => [portOff('router', dev), ...o.aggregation === true ? [at('router', 'ethtool', '-K', dev, 'gro', 'on')] : [], ...give('router', dev, [own]), at('router', 'ip', 'link', 'set', dev, 'up')]
  const hosts = hostsOf(o)
  return [
    ...hosts.map((h) => here('ip', 'netns', 'add', ns(h))),
    // Before any link exists: ready at once (no duplicate address detection), no forwarding by the kernel, no advertisements.
    ...hosts.map((h) => set(h, [
      ['ipv6/conf/all/accept_dad', '0'], ['ipv6/conf/default/accept_dad', '0'], ['ipv6/conf/default/dad_transmits', '0'],
      ['ipv6/conf/default/accept_ra', '0'], ['ipv6/conf/default/router_solicitations', '0'],
      ['ipv4/ip_forward', '0'], ['ipv6/conf/all/forwarding', '0'], ['ipv6/conf/default/forwarding', '0'],
      ['ipv4/conf/all/rp_filter', '0'], ['ipv4/conf/default/rp_filter', '0'],
      ['ipv4/icmp_ratelimit', '0'], ['ipv6/icmp/ratelimit', '0']
    ])),
    ...hosts.map((h) => at(h, 'ip', 'link', 'set', 'lo', 'up')),
    set('client', [['ipv4/ip_local_port_range', '1024 65535']]),
    veth('router', 'rt-client', macs.routerClient, 'client', 'eth0', macs.client),
    veth('router', 'rt-server', macs.routerServer, 'lan', 'uplink', '02:77:02:00:01:00', o.serverMtu),
    veth('lan', 'to-s1', '02:77:02:00:01:11', 's1', 'eth0', macs.s1, o.serverMtu),
    veth('lan', 'to-s2', '02:77:02:00:01:12', 's2', 'eth0', macs.s2, o.serverMtu),
    ...(o.attacker === true ? [veth('router', 'rt-attack', macs.routerAttack, 'attacker', 'eth0', macs.attacker)] : []),
    at('lan', 'ip', 'link', 'add', 'br0', 'type', 'bridge', 'stp_state', '0', 'mcast_snooping', '0'),
    at('lan', 'ip', 'link', 'set', 'br0', 'up'),
    ...['uplink', 'to-s1', 'to-s2'].flatMap((dev) => [
      portOff('lan', dev), at('lan', 'ethtool', '-K', dev, 'gro', 'on'), // programs redirect only to an end whose peer has it (R34)
      at('lan', 'ip', 'link', 'set', dev, 'master', 'br0'), at('lan', 'ip', 'link', 'set', dev, 'up')
    ]),
    ...end('client', [addresses.client, ...moreClientAddresses(o.moreClients ?? 0)], addresses.routerClient),
    ...end('s1', [addresses.s1], addresses.routerServer),
    ...end('s2', [addresses.s2], addresses.routerServer),
    ...(o.attacker === true ? end('attacker', [addresses.attacker], addresses.routerAttack) : []),
    ...port('rt-client', addresses.routerClient),
    ...port('rt-server', addresses.routerServer),
    ...(o.attacker === true ? port('rt-attack', addresses.routerAttack) : [])
  ]
}

export const tools = { ip: 'iproute2', nsenter: 'util-linux', setpriv: 'util-linux', ethtool: 'ethtool', nft: 'nftables' } as const

/** Why no lab can be built here, naming what is missing; `null`: it can. `more` are further programs that must exist. */
export async function labRefusal (more: readonly string[] = []): Promise<string | null> {
  if (process.platform !== 'linux') return 'needs Linux'
  const missing = [...Object.keys(tools), ...more].filter((tool) => which(tool) === null)
  if (missing.length > 0) return `needs ${missing.join(', ')}`
  // A namespace that dies with the program, to see whether we may.
  const probe = await run(['unshare', '--net', 'ip', 'link', 'add', 'lab-probe', 'type', 'veth', 'peer', 'name', 'lab-probe2'], { timeoutMs: 10_000 }).catch(() => null)
  if (probe === null) return 'needs unshare (util-linux)'
  if (probe.code === 0 && process.getuid?.() === 0) return null
  return /unshare failed/.test(probe.stderr) || process.getuid?.() !== 0
    ? 'needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN (network namespaces)'
    : `needs veth links in network namespaces: ${probe.stderr.trim()}`
}

// --- markers: who built what ---

const MARKERS = '/run/lockstep-lab'
/** A process, told apart from a later one of the same pid by its start time (clock ticks since boot). */
interface ProcessName { readonly pid: number, readonly start: string }
interface Marker { readonly prefix: string, readonly owner: ProcessName, readonly directory: string, readonly processes: readonly ProcessName[] }

/** Start time of a process; `null` when it is gone or a zombie. proc(5): the name may hold spaces and brackets. */
export function startOf (pid: number): string | null {
  try {
    const [state, ...rest] = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')
    return state === 'Z' || state === 'X' ? null : rest[18] ?? null
  } catch {
    return null
  }
}

const alive = (p: ProcessName): boolean => startOf(p.pid) === p.start

function readMarker (file: string): Marker | null {
  try {
    const m = JSON.parse(readFileSync(file, 'utf8')) as Partial<Marker>
    return typeof m.prefix === 'string' && m.owner !== undefined && typeof m.directory === 'string' ? { processes: [], ...m } as Marker : null
  } catch {
    return null
  }
}

/** Prefixes whose builder lives. */
export function labsRunning (): string[] {
  return markers().filter((m) => alive(m.owner)).map((m) => m.prefix)
}

function markers (): Marker[] {
  let names: string[] = []
  try { names = readdirSync(MARKERS) } catch { /* no lab was ever here */ }
  return names.filter((n) => n.endsWith('.json')).map((n) => readMarker(join(MARKERS, n))).filter((m) => m !== null)
}

/** Removes what builders that no longer live have left. Returns their prefixes. What cannot be removed (a file system mounted there) keeps its marker, and no other lab from standing. */
export async function removeLeftovers (): Promise<string[]> {
  const removed: string[] = []
  for (const m of markers().filter((m) => !alive(m.owner))) {
    try {
      await removeLab(m)
      removed.push(m.prefix)
    } catch { /* the next lab tries again */ }
  }
  return removed
}

async function removeLab (m: Marker): Promise<void> {
  for (const p of m.processes) if (alive(p)) process.kill(p.pid, 'SIGKILL')
  for (const p of m.processes) while (alive(p)) await sleep(20)
  // Programs and the keeper outlive an agent, on purpose.
  for (const instance of [m.prefix, netnsOf(m.prefix, 'r1'), netnsOf(m.prefix, 'r2')]) {
    if (existsSync(`/sys/fs/bpf/lockstep/${instance}`)) await must({ netns: null, argv: [process.execPath, fileURLToPath(new URL('../../src/cli/main.js', import.meta.url)), 'teardown', '--instance', instance] })
  }
  const ours = (await run(['ip', 'netns', 'list'], { timeoutMs: 10_000 })).stdout.split('\n').map((l) => l.split(' ')[0] ?? '').filter((n) => hostNames.some((h) => n === netnsOf(m.prefix, h)))
  await Promise.all(ours.map(killAllIn))
  for (const n of ours) await run(['ip', 'netns', 'del', n], { timeoutMs: 20_000 })
  rmSync(m.directory, { recursive: true, force: true })
  try { unlinkSync(join(MARKERS, `${m.prefix}.json`)) } catch { /* already gone */ }
}

/** A namespace lives as long as a process is in it. */
async function killAllIn (netns: string): Promise<void> {
  for (let round = 0; round < 50; round++) {
    const pids = (await run(['ip', 'netns', 'pids', netns], { timeoutMs: 10_000 })).stdout.split('\n').filter(Boolean).map(Number)
    // Packet workers are threads of a process elsewhere: it is not listed, and not ours to kill here.
    const victims = pids.filter((p) => p !== process.pid && startOf(p) !== null)
    if (victims.length === 0) return
    for (const pid of victims) try { process.kill(pid, 'SIGKILL') } catch { /* gone meanwhile */ }
    await sleep(20)
  }
}

/** Of `ip -j addr`. */
interface LinkState { readonly ifname: string, readonly operstate: string, readonly addr_info: ReadonlyArray<{ readonly tentative?: boolean }> }

/** A lab that stands. `close` may be called twice. */
export class Topology {
  readonly options: TopologyOptions
  /** For files of this lab; removed with it. */
  readonly directory: string
  #processes: ProcessName[] = []
  #closed = false

  private constructor (options: TopologyOptions, private readonly plan: Plan, directory: string) {
    this.options = options
    this.directory = directory
  }

  static async open (options: TopologyOptions, plan: Plan = { hosts: hostsOf(options), commands: setupCommands(options) }): Promise<Topology> {
    if (!/^[a-z][a-z0-9-]{0,19}$/.test(options.prefix)) throw new LockstepError('invalid', 'LS_LAB_PREFIX', 'not a prefix of namespaces', { found: options.prefix, expected: 'at most 20 of a-z, 0-9 and -, a letter first' })
    const refusal = await labRefusal()
    if (refusal !== null) throw new LockstepError('unsupported', 'LS_LAB_HOST', 'no lab can be built here', { found: refusal })
    await removeLeftovers()
    const directory = join(tmpdir(), `lockstep-lab-${options.prefix}-${process.pid}`)
    const topology = new Topology(options, plan, directory)
    topology.#claim()
    try {
      rmSync(directory, { recursive: true, force: true })
      mkdirSync(directory, { recursive: true, mode: 0o755 })
      for (const c of plan.commands) await must(c)
      await topology.#untilLinksAreUp()
    } catch (error) {
      await topology.close()
      throw error
    }
    return topology
  }

  netns (host: HostName): string { return netnsOf(this.options.prefix, host) }

  /** A process outside the namespaces that goes with the lab. */
  remember (pid: number): void {
    const start = startOf(pid)
    if (start === null) return
    this.#processes = [...this.#processes.filter(alive), { pid, start }]
    renameSync(this.#draft(), this.#markerFile())
  }

  async close (): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await removeLab(this.#marker())
  }

  /** The kernel announces a carrier up to a second late; packets before that are lost. */
  async #untilLinksAreUp (): Promise<void> {
    const deadline = Date.now() + 10_000
    for (let waiting = [...this.plan.hosts]; waiting.length > 0;) {
      if (Date.now() > deadline) throw new LockstepError('unavailable', 'LS_LAB_LINKS', 'links did not come up', { object: waiting.join(', ') })
      const states = await Promise.all(waiting.map(async (h) => JSON.parse(await must({ netns: this.netns(h), argv: ['ip', '-j', 'addr'] })) as LinkState[]))
      waiting = waiting.filter((_, i) => states[i]?.some((l) => l.ifname !== 'lo' && (l.operstate !== 'UP' || l.addr_info.some((a) => a.tentative === true))) === true)
      if (waiting.length > 0) await sleep(50)
    }
  }

  #markerFile (): string { return join(MARKERS, `${this.options.prefix}.json`) }
  #marker (): Marker {
    return { prefix: this.options.prefix, owner: { pid: process.pid, start: startOf(process.pid) ?? '' }, directory: this.directory, processes: this.#processes }
  }

  #draft (): string {
    const draft = `${this.#markerFile()}.${process.pid}`
    writeFileSync(draft, JSON.stringify(this.#marker()))
    return draft
  }

  /** The marker appears whole or not at all, and never over another's. */
  #claim (): void {
    mkdirSync(MARKERS, { recursive: true, mode: 0o755 })
    const file = this.#markerFile()
    const draft = this.#draft()
    try {
      linkSync(draft, file)
    } catch (cause) {
      const other = readMarker(file)
      throw new LockstepError('unavailable', 'LS_LAB_TAKEN', 'another lab has this prefix', { object: this.options.prefix, found: `pid ${other?.owner.pid ?? '?'}`, next: 'end it, or choose another prefix with --prefix' }, cause)
    } finally {
      unlinkSync(draft)
    }
  }
}
