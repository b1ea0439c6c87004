/**
 * The peer of session synchronization: conntrackd in FT-FW mode between two network namespaces, one new UDP flow = one upsert (R33).
 *
 *     send (a router)                         recv (its backup)
 *     udp_flows -> conntrack -> sink
 *     conntrackd -------- sync, UDP --------- conntrackd -> external cache, or its kernel's table
 *
 * Flows are made in the sender's own namespace and end in a device that drops: no forwarding takes CPU from the daemons. The daemons run as
 * packaged, realtime above everything. CPU time is theirs alone: making events is the kernel's work in the generator's time; sending
 * over a veth pair runs the receiver's IP stack in the sender's time.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Background, must, run } from '../../test/lab/shell.js'
import { labRefusal } from '../../test/lab/topology.js'
import { BenchError, root } from '../lib/programs.js'

export interface ConntrackdOptions {
  /** Of the measured window; traffic starts before it and ends after it. */
  readonly seconds: number
  readonly flowsPerS: number
  /** The external cache on, or DisableExternalCache. */
  readonly externalCache: boolean
  readonly signal: AbortSignal
  readonly progress: (text: string) => void
}

export interface ConntrackdFigures {
  /** New flows that entered the sender's conntrack table, per second, in the measured window. */
  readonly flowsPerS: number
  /** That also arrived at the receiver in the window. */
  readonly arrivedPerS: number
  /** CPU time of the conntrackd processes alone, microseconds per new flow; the receiver's per flow that arrived. */
  readonly sendUsPerFlow: number
  readonly receiveUsPerFlow: number
  /** In the sender's table and not at the receiver when nothing more arrived: its external cache, or its kernel's table without one. */
  readonly lost: number
  /** `conntrackd -c` for `committed` entries, by the daemon's own clock; null without the cache. */
  readonly commitMs: number | null
  readonly committed: number
  /** `conntrackd -n` until `resynced` are there again; null when they never were. */
  readonly resyncMs: number | null
  readonly resynced: number
  readonly version: string
}

export interface Skipped { readonly skipped: string }

export interface HighestRateOptions extends Omit<ConntrackdOptions, 'flowsPerS'> {
  /** Where doubling starts. */
  readonly from?: number
  readonly maxTries?: number
}

export interface RateTry { readonly offeredPerS: number, readonly flowsPerS: number, readonly arrivedPerS: number, readonly lost: number, readonly ok: boolean }

export interface HighestRate {
  /** What entered the sender's table per second in the best run that lost nothing and kept up; null when none did. */
  readonly flowsPerS: number | null
  readonly tries: readonly RateTry[]
}

// --- what is pure ---

export interface DaemonConfig {
  readonly directory: string
  readonly role: Role
  readonly externalCache: boolean
  /** Of the kernel's tables. */
  readonly maxFlows: number
}

type Role = 'send' | 'recv'
const roles = ['send', 'recv'] as const
const addressOf: Readonly<Record<Role, string>> = { send: '10.99.0.1', recv: '10.99.0.2' }
const SYNC_PORT = 3780
const MiB = 2 ** 20

/**
 * The packaged FT-FW example with what its comments say to raise: caches of twice the kernel's table, buffers so large that no event is dropped
 * while a daemon waits for a core, a resend queue that holds what is in flight. The acknowledgement window stays what its authors measured.
 */
export function daemonConfig (o: DaemonConfig): string {
  const file = (suffix: string): string => join(o.directory, `${o.role}.${suffix}`)
  return `Sync {
  Mode FTFW {
    ResendQueueSize 1048576
    ACKWindowSize 300
    DisableExternalCache ${o.externalCache ? 'Off' : 'On'}
${o.externalCache ? '    CommitTimeout 3600\n' : ''}  }
  UDP {
    IPv4_address ${addressOf[o.role]}
    IPv4_Destination_Address ${addressOf[o.role === 'send' ? 'recv' : 'send']}
    Port ${SYNC_PORT}
    Interface sync
    SndSocketBuffer ${64 * MiB}
    RcvSocketBuffer ${64 * MiB}
    Checksum on
  }
}
General {
  Systemd no
  HashSize ${2 ** Math.ceil(Math.log2(o.maxFlows))}
  HashLimit ${2 * o.maxFlows}
  LogFile ${file('log')}
  Syslog off
  LockFile ${file('lock')}
  UNIX {
    Path ${file('ctl')}
  }
  NetlinkBufferSize ${64 * MiB}
  NetlinkBufferSizeMaxGrowth ${256 * MiB}
}
`
}

/** `nft -f`: conntrack is on, as a router's filter has it, and the daemons' own datagrams are not flows. */
export const ruleset = `table inet peer {
  chain raw_out { type filter hook output priority raw; udp dport ${SYNC_PORT} notrack; }
  chain raw_in { type filter hook prerouting priority raw; udp dport ${SYNC_PORT} notrack; }
  chain out { type filter hook output priority filter; ct state new accept; }
  chain forward { type filter hook forward priority filter; ct state new accept; }
}
`

export interface DaemonStats {
  readonly internal: number
  /** Null without an external cache. */
  readonly external: number | null
  /** Entries given to the kernel without an external cache; null with one. */
  readonly injected: number | null
  readonly lostMessages: number
}

/** Of `conntrackd -s`. */
export function parseStats (text: string): DaemonStats {
  const section = (title: string, row: RegExp): number | null => {
    const start = text.indexOf(`${title}:`)
    if (start === -1) return null
    const body = text.slice(start).split(/\n\s*\n/)[0] ?? ''
    const found = row.exec(body)?.[1]
    return found === undefined ? null : Number(found)
  }
  const internal = section('cache internal', /current active connections:\s+(\d+)/)
  if (internal === null) throw new BenchError(`conntrackd -s: no internal cache in its answer: ${text.trim().slice(0, 300)}`)
  return {
    internal,
    external: section('cache external', /current active connections:\s+(\d+)/),
    injected: section('external inject', /connections created:\s+(\d+)/),
    lostMessages: section('message tracking', /(\d+) Lost msgs/) ?? 0
  }
}

/** Of `conntrack -C`. */
export function parseCount (text: string): number {
  const found = /^\s*(\d+)\s*$/m.exec(text)?.[1]
  if (found === undefined) throw new BenchError(`conntrack -C: no number in its answer: ${text.trim().slice(0, 300)}`)
  return Number(found)
}

/** Of `conntrackd -v`. */
export const parseVersion = (text: string): string => /\bv(\d[\w.-]*\w)/.exec(text)?.[1] ?? 'unknown'

/** CPU time of a process and of the children it waited for, in clock ticks; of /proc/PID/stat, whose name may hold spaces and brackets. */
export function ticksOf (stat: string): number {
  const fields = stat.replace(/^.*\) /s, '').split(' ')
  const sum = fields.slice(11, 15).reduce((all, text) => all + Number(text), 0)
  if (fields.length < 15 || !Number.isFinite(sum)) throw new BenchError(`not a line of /proc/PID/stat: ${stat.slice(0, 200)}`)
  return sum
}

/** The last commit's own time in a log; null when there is none. */
export function commitTimeMs (log: string): number | null {
  const found = [...log.matchAll(/commit has taken (\d+\.\d+) seconds/g)].at(-1)?.[1]
  return found === undefined ? null : Number(found) * 1000
}

/** Nothing lost, and no backlog that grows: at most 3 % of the window's flows still under way. Buffers alone would hide a daemon that is too slow. */
export const keptUp = (f: { readonly flowsPerS: number, readonly arrivedPerS: number, readonly lost: number }): boolean => f.lost === 0 && f.arrivedPerS >= 0.97 * f.flowsPerS

/** The next rate to try; null: known to 5 %, or tried often enough. */
export function nextRate (tries: ReadonlyArray<{ readonly offeredPerS: number, readonly ok: boolean }>, from: number, maxTries: number): number | null {
  if (tries.length >= maxTries) return null
  const good = Math.max(0, ...tries.filter((a) => a.ok).map((a) => a.offeredPerS))
  const bad = Math.min(Infinity, ...tries.filter((a) => !a.ok).map((a) => a.offeredPerS))
  if (tries.length === 0) return from
  if (bad === Infinity) return good * 2
  if (good >= 0.95 * bad || bad < 500) return null
  return Math.round((good + bad) / 2)
}

// --- the two routers ---

const PROGRAMS = ['conntrackd', 'conntrack', 'cc', 'flock', 'chrt']
const SINK = '198.18.0.9'
/** Before and after the window, so that its ends are not those of the traffic. */
const RAMP_S = 0.5
const WARM_FLOWS = 1000

/** Why conntrackd cannot be measured here; null: it can. */
async function refusal (): Promise<string | null> {
  const lab = await labRefusal(PROGRAMS)
  if (lab !== null) return /conntrack/.test(lab) ? `${lab}: apt-get install -y --no-install-recommends conntrackd conntrack` : lab
  if (!existsSync('/proc/sys/net/netfilter/nf_conntrack_max')) return 'needs connection tracking in the kernel (CONFIG_NF_CONNTRACK)'
  if (!existsSync('/proc/sys/net/netfilter/nf_conntrack_events')) return 'needs conntrack events in the kernel (CONFIG_NF_CONNTRACK_EVENTS, CONFIG_NF_CT_NETLINK)'
  return null
}

const GLOBAL = '/proc/sys/net/netfilter'
/**
 * Removes all of it when we close its input or die, however we die: namespaces, files, and the two sysctls that are the whole host's. The lock
 * keeps a second bench from taking the raised values for the host's own.
 */
const GUARD = `
exec 9>"$LOCK"
flock -n 9 || { echo taken; exit 1; }
max=$(cat ${GLOBAL}/nf_conntrack_max); buckets=$(cat ${GLOBAL}/nf_conntrack_buckets)
echo ready
cat > /dev/null
for ns in $NAMESPACES; do
  for pid in $(ip netns pids $ns 2>/dev/null); do kill -9 $pid 2>/dev/null; done
done
for ns in $NAMESPACES; do ip netns del $ns 2>/dev/null; done
[ "$(cat ${GLOBAL}/nf_conntrack_max)" = "$max" ] || echo $max > ${GLOBAL}/nf_conntrack_max
[ "$(cat ${GLOBAL}/nf_conntrack_buckets)" = "$buckets" ] || echo $buckets > ${GLOBAL}/nf_conntrack_buckets
rm -rf "$DIRECTORY" "$LOCK"
`

class Routers {
  readonly directory = join(tmpdir(), `lockstep-conntrackd-${process.pid}`)
  readonly #options: Pick<ConntrackdOptions, 'externalCache' | 'signal' | 'progress'>
  readonly #daemons = new Map<Role, Background>()
  #guard: ChildProcess | null = null

  constructor (options: Pick<ConntrackdOptions, 'externalCache' | 'signal' | 'progress'>) { this.#options = options }

  netns (role: Role): string { return `lsct-${process.pid}-${role}` }

  /** Null, or why not: what the host does not have. */
  async open (flows: number): Promise<string | null> {
    await this.#startGuard()
    const maxFlows = this.#raiseLimits(flows)
    if (typeof maxFlows === 'string') return maxFlows
    mkdirSync(this.directory, { recursive: true, mode: 0o700 })
    await must({ netns: null, argv: ['cc', '-std=gnu11', '-O2', '-Wall', `-I${root}test/lab/load`, '-o', join(this.directory, 'udp_flows'), `${root}bench/peers/udp_flows.c`] }, 60_000)
    for (const role of roles) await must({ netns: null, argv: ['ip', 'netns', 'add', this.netns(role)] })
    await must({ netns: null, argv: ['ip', 'link', 'add', 'sync', 'netns', this.netns('send'), 'type', 'veth', 'peer', 'name', 'sync', 'netns', this.netns('recv')] })
    for (const role of roles) {
      const netns = this.netns(role)
      await must({ netns, argv: ['ip', 'link', 'set', 'lo', 'up'] })
      await must({ netns, argv: ['ip', 'addr', 'add', `${addressOf[role]}/24`, 'dev', 'sync'] })
      await must({ netns, argv: ['ip', 'link', 'set', 'sync', 'up'] })
      const rules = await run(['nft', '-f', '-'], { netns, input: ruleset, timeoutMs: 20_000 })
      if (rules.code !== 0) return `needs nftables with ct and notrack: ${rules.stderr.trim().split('\n')[0]}`
      // No flow may end while it is counted.
      await must({ netns, argv: ['sh', '-c', `echo 3600 > ${GLOBAL}/nf_conntrack_udp_timeout`] })
    }
    if (!await this.#addSink()) return 'needs a device that drops: CONFIG_DUMMY or CONFIG_IFB'
    for (const role of roles) this.#start(role, maxFlows)
    await this.#untilTheyAnswer()
    return null
  }

  async close (): Promise<void> {
    await Promise.all([...this.#daemons.values()].map(async (d) => await d.stop('SIGTERM', 2000)))
    const guard = this.#guard
    if (guard === null) return
    this.#guard = null
    const ended = new Promise((resolve) => guard.once('close', resolve))
    guard.stdin?.end()
    await ended
  }

  async #startGuard (): Promise<void> {
    // Of its own session: the interrupt of a terminal must not reach it.
    const guard = spawn('sh', ['-c', GUARD], {
      detached: true, stdio: ['pipe', 'pipe', 'ignore'],
      env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LOCK: '/run/lockstep-bench-conntrackd', DIRECTORY: this.directory, NAMESPACES: roles.map((r) => this.netns(r)).join(' ') }
    })
    const said = await new Promise<string>((resolve, reject) => {
      guard.once('error', reject)
      guard.stdout.setEncoding('utf8').once('data', (text: string) => { resolve(text.trim()) })
      guard.once('close', (code) => { resolve(`exit code ${code ?? '?'}`) })
    })
    if (said === 'taken') throw new BenchError('conntrackd is being measured by another bench on this host: wait for its end')
    if (said !== 'ready') throw new BenchError(`cannot guard what has to be removed: ${said}`)
    this.#guard = guard
  }

  /** Room for the flows of both routers; the size of the kernel's tables, or what is missing. */
  #raiseLimits (flows: number): number | string {
    const number = (name: string): number => Number(readFileSync(`${GLOBAL}/${name}`, 'utf8'))
    const raise = (name: string, least: number): void => {
      if (number(name) >= least) return
      try { writeFileSync(`${GLOBAL}/${name}`, String(least)) } catch { /* not the host's own namespace */ }
    }
    const wanted = flows + 10_000
    raise('nf_conntrack_max', wanted)
    // One hash table for all namespaces.
    raise('nf_conntrack_buckets', 2 ** Math.ceil(Math.log2(Math.min(2 * wanted, 2 ** 22))))
    return number('nf_conntrack_max') >= wanted ? number('nf_conntrack_max') : `needs net.netfilter.nf_conntrack_max of ${wanted}, it is ${number('nf_conntrack_max')} and cannot be raised here`
  }

  async #addSink (): Promise<boolean> {
    const netns = this.netns('send')
    // An ifb drops what was not redirected to it.
    for (const type of ['dummy', 'ifb']) {
      if ((await run(['ip', 'link', 'add', 'sink', 'type', type], { netns, timeoutMs: 10_000 })).code !== 0) continue
      await must({ netns, argv: ['ip', 'link', 'set', 'sink', 'up'] })
      await must({ netns, argv: ['ip', 'route', 'add', `${SINK}/32`, 'dev', 'sink'] })
      return true
    }
    return false
  }

  #config (role: Role): string { return join(this.directory, `${role}.conf`) }

  #start (role: Role, maxFlows: number): void {
    writeFileSync(this.#config(role), daemonConfig({ directory: this.directory, role, externalCache: this.#options.externalCache, maxFlows }))
    this.#daemons.set(role, new Background(`conntrackd ${role}`, this.netns(role), ['conntrackd', '-C', this.#config(role)]))
  }

  /** Up, and connected: a first thousand flows has arrived. */
  async #untilTheyAnswer (): Promise<void> {
    const deadline = Date.now() + 20_000
    const late = (what: string): void => {
      this.#options.signal.throwIfAborted()
      const dead = roles.find((r) => this.#daemons.get(r)?.running !== true)
      if (dead !== undefined || Date.now() > deadline) throw new BenchError(`conntrackd ${dead === undefined ? what : 'ended'}: ${this.log(dead ?? 'send').trim().slice(-500)}`)
    }
    for (const role of roles) {
      while ((await run(['conntrackd', '-C', this.#config(role), '-s'], { netns: this.netns(role), timeoutMs: 10_000 })).code !== 0) {
        late('does not answer')
        await sleep(50)
      }
      const policy = await must({ netns: null, argv: ['chrt', '-p', String(this.#daemons.get(role)?.pid)] })
      if (!/SCHED_(RR|FIFO)/.test(policy)) this.#options.progress('conntrackd could not become realtime here: it competes with everything else on the host')
    }
    await this.generate(0, WARM_FLOWS, 10_000)
    // Until both have said hello it is unreliable by design; asking again repairs that.
    while (await this.atReceiver() < await this.inTable('send')) {
      late('does not pass on flows')
      await this.control('recv', '-n')
      await sleep(500)
    }
  }

  log (role: Role): string {
    const file = join(this.directory, `${role}.log`)
    return (existsSync(file) ? readFileSync(file, 'utf8') : '') + (this.#daemons.get(role)?.output ?? '')
  }

  /** A command of the running daemon. */
  async control (role: Role, ...argv: string[]): Promise<string> {
    return await must({ netns: this.netns(role), argv: ['conntrackd', '-C', this.#config(role), ...argv] }, 120_000)
  }

  async inTable (role: Role): Promise<number> {
    return parseCount(await must({ netns: this.netns(role), argv: ['conntrack', '-C'] }))
  }

  /** Flows that arrived: where they would be taken from at a takeover. */
  async atReceiver (): Promise<number> {
    return this.#options.externalCache ? parseStats(await this.control('recv', '-s')).external ?? 0 : await this.inTable('recv')
  }

  cpuTicks (role: Role): number {
    return ticksOf(readFileSync(`/proc/${this.#daemons.get(role)?.pid ?? 0}/stat`, 'utf8'))
  }

  /** Makes new flows; all were offered when it resolves. */
  async generate (first: number, count: number, rate: number): Promise<{ readonly sent: number, readonly seconds: number }> {
    const r = await run([join(this.directory, 'udp_flows'), SINK, String(first), String(count), String(rate)], { netns: this.netns('send'), signal: this.#options.signal, timeoutMs: (count / rate) * 10_000 + 30_000 })
    if (r.code !== 0) throw new BenchError(`udp_flows: exit code ${r.code}: ${r.stderr.trim()}`)
    return JSON.parse(r.stdout) as { sent: number, seconds: number }
  }

  /** Waits until `there` says the goal, or the same for three seconds; the last count, and when it came. */
  async settled (there: () => Promise<number>, goal: () => Promise<number>, everyMs: number): Promise<{ readonly count: number, readonly at: number }> {
    let count = -1
    let at = performance.now()
    for (;;) {
      this.#options.signal.throwIfAborted()
      const found = await there()
      const now = performance.now()
      if (found !== count) [count, at] = [found, now]
      if (count >= await goal() || now - at > 3000) return { count, at }
      await sleep(everyMs)
    }
  }
}

// --- measuring ---

interface Passed extends Pick<ConntrackdFigures, 'flowsPerS' | 'arrivedPerS' | 'sendUsPerFlow' | 'receiveUsPerFlow' | 'lost'> { readonly arrived: number }

/** The window, and the wait until nothing more arrives. */
async function passFlows (routers: Routers, o: ConntrackdOptions): Promise<Passed> {
  const sample = async (): Promise<{ readonly table: number, readonly tableAt: number, readonly arrived: number, readonly arrivedAt: number }> => {
    const table = await routers.inTable('send')
    const tableAt = performance.now()
    const arrived = await routers.atReceiver() // a busy daemon answers late: each count has its own time
    return { table, tableAt, arrived, arrivedAt: performance.now() }
  }
  const ticksPerS = Number(await must({ netns: null, argv: ['getconf', 'CLK_TCK'] }))
  const before = { table: await routers.inTable('send'), arrived: await routers.atReceiver(), send: routers.cpuTicks('send'), recv: routers.cpuTicks('recv') }
  const count = flowsOf(o)
  const traffic = routers.generate(WARM_FLOWS, count, o.flowsPerS)
  traffic.catch(() => {}) // awaited below; an abort meanwhile is not unhandled
  await sleep(RAMP_S * 1000, undefined, { signal: o.signal })
  const start = await sample()
  await sleep(o.seconds * 1000, undefined, { signal: o.signal })
  const end = await sample()
  const { sent } = await traffic
  const there = await routers.settled(async () => await routers.atReceiver(), async () => await routers.inTable('send'), 100)
  const after = { table: await routers.inTable('send'), send: routers.cpuTicks('send'), recv: routers.cpuTicks('recv') }
  const entered = after.table - before.table
  const arrived = there.count - before.arrived
  if (entered < sent) o.progress(`${sent - entered} of ${sent} flows did not enter the sender's own table`)
  const us = (ticks: number, flows: number): number => flows === 0 ? NaN : ticks / ticksPerS * 1e6 / flows
  return {
    flowsPerS: (end.table - start.table) / (end.tableAt - start.tableAt) * 1000,
    arrivedPerS: (end.arrived - start.arrived) / (end.arrivedAt - start.arrivedAt) * 1000,
    sendUsPerFlow: us(after.send - before.send, entered),
    receiveUsPerFlow: us(after.recv - before.recv, arrived),
    lost: Math.max(0, after.table - there.count),
    arrived: there.count
  }
}

const flowsOf = (o: ConntrackdOptions): number => Math.ceil(o.flowsPerS * (o.seconds + 2 * RAMP_S))

async function commit (routers: Routers, o: ConntrackdOptions): Promise<{ readonly commitMs: number | null, readonly committed: number }> {
  if (!o.externalCache) return { commitMs: null, committed: 0 }
  const before = await routers.inTable('recv')
  const start = performance.now()
  await routers.control('recv', '-c')
  const passed = performance.now() - start
  return { commitMs: commitTimeMs(routers.log('recv')) ?? passed, committed: await routers.inTable('recv') - before }
}

/** The receiver forgets all, and asks for it. */
async function resync (routers: Routers, o: ConntrackdOptions, all: number): Promise<{ readonly resyncMs: number | null, readonly resynced: number }> {
  if (o.externalCache) await routers.control('recv', '-f', 'external')
  else await run(['conntrack', '-F'], { netns: routers.netns('recv'), timeoutMs: 60_000 })
  const left = await routers.settled(async () => -await routers.atReceiver(), async () => 0, 20)
  if (left.count !== 0) throw new BenchError(`the receiver still has ${-left.count} flows after a flush`)
  await sleep(1000, undefined, { signal: o.signal }) // the events of the flush
  const start = performance.now()
  await routers.control('recv', '-n')
  const there = await routers.settled(async () => await routers.atReceiver(), async () => all, 10)
  return { resyncMs: there.count >= all ? there.at - start : null, resynced: there.count }
}

/** Opens the routers, and removes them whatever happens. */
async function withRouters<T> (o: ConntrackdOptions, act: (routers: Routers) => Promise<T>): Promise<T | Skipped> {
  const reason = await refusal()
  if (reason !== null) return { skipped: reason }
  const routers = new Routers(o)
  try {
    const missing = await routers.open(flowsOf(o) + WARM_FLOWS)
    return missing === null ? await act(routers) : { skipped: missing }
  } finally {
    await routers.close()
  }
}

/** A reason when it cannot run here: a missing program, not root, a kernel without conntrack events. */
export async function measureConntrackd (o: ConntrackdOptions): Promise<ConntrackdFigures | Skipped> {
  return await withRouters(o, async (routers) => {
    const version = parseVersion(await must({ netns: null, argv: ['conntrackd', '-v'] }))
    o.progress(`conntrackd ${version}, ${o.externalCache ? 'external cache' : 'no external cache'}: ${o.flowsPerS} new flows/s for ${o.seconds} s`)
    const { arrived, ...passed } = await passFlows(routers, o)
    o.progress(`conntrackd: ${arrived} flows ${o.externalCache ? 'committed, ' : ''}forgotten and asked for again`)
    return { ...passed, ...await commit(routers, o), ...await resync(routers, o, arrived), version }
  })
}

/** The highest rate at which nothing is lost for `seconds`: doubles, then halves the interval. */
export async function highestRate (o: HighestRateOptions): Promise<HighestRate | Skipped> {
  const { from = 10_000, maxTries = 8 } = o
  const tries: RateTry[] = []
  for (let rate = nextRate(tries, from, maxTries); rate !== null; rate = nextRate(tries, from, maxTries)) {
    const offeredPerS = rate
    const passed = await withRouters({ ...o, flowsPerS: offeredPerS }, async (routers) => await passFlows(routers, { ...o, flowsPerS: offeredPerS }))
    if ('skipped' in passed) return passed
    const { flowsPerS, arrivedPerS, lost } = passed
    // Offered in vain: the cores are busy, and more is not to be had.
    tries.push({ offeredPerS, flowsPerS, arrivedPerS, lost, ok: keptUp(passed) && flowsPerS >= 0.9 * offeredPerS })
    o.progress(`conntrackd: ${offeredPerS}/s offered, ${Math.round(flowsPerS)} entered, ${Math.round(arrivedPerS)} arrived, ${lost} lost`)
  }
  const rates = tries.filter(keptUp).map((a) => a.flowsPerS)
  return { flowsPerS: rates.length === 0 ? null : Math.max(...rates), tries }
}

// --- for trying it ---

const usage = 'Usage: node dist/bench/peers/conntrackd.js [--seconds N] [--flows N] [--no-cache] [--highest]\n'

async function main (): Promise<void> {
  const { values } = parseArgs({ options: { seconds: { type: 'string', default: '3' }, flows: { type: 'string', default: '20000' }, 'no-cache': { type: 'boolean', default: false }, highest: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h' } } })
  if (values.help === true) {
    process.stdout.write(usage)
    return
  }
  const [seconds, flowsPerS] = [Number(values.seconds), Number(values.flows)]
  if (!(seconds > 0 && seconds <= 600 && flowsPerS >= 100 && flowsPerS <= 1e6)) throw new BenchError(`--seconds: up to 600; --flows: 100 to 1000000\n${usage}`)
  const abort = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => { abort.abort(new BenchError('interrupted')) })
  const common = { seconds, externalCache: !values['no-cache'], signal: abort.signal, progress: (text: string) => { process.stderr.write(`${text}\n`) } }
  const result = values.highest ? await highestRate({ ...common, from: flowsPerS }) : await measureConntrackd({ ...common, flowsPerS })
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main().catch((error: unknown) => {
    process.stderr.write(error instanceof BenchError || (error as Error).name === 'AbortError' ? `${(error as Error).message}\n` : `${String((error as Error).stack)}\n`)
    process.exitCode = 1
  })
}
