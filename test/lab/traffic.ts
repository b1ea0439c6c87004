/** Traffic of the lab by the tools people use, and what they report as figures. Parsers are pure; a failure of a tool is part of its figures. */
import { createHash } from 'node:crypto'
import { spawn } from 'node:child_process'
import { isIPv6 } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { quantiles, round, tally, type Quantiles } from './figures.js'
import type { NetClientFigures, NetClientOptions } from './net-client.js'
import { nodeProgram } from './servers.js'
import { Background, inNetns, run } from './shell.js'

// --- HTTP ---

export interface CurlJob {
  readonly netns: string
  readonly url: string
  readonly count: number
  /** At the same time; 1 = one after the other. */
  readonly parallel: number
  /** Of the body; `null` = not looked at. */
  readonly sha256: string | null
  readonly timeoutS?: number
  /** Bytes a second, as curl's --limit-rate. */
  readonly rate?: string
  readonly signal?: AbortSignal
}

export interface CurlFigures {
  readonly requests: number
  readonly ok: number
  /** Reason -> how often. */
  readonly failures: Readonly<Record<string, number>>
  /** Each of those, and how long its connection took to be there; 0: it never was. */
  readonly failed: ReadonlyArray<{ readonly why: string, readonly connectMs: number }>
  /** Server that answered, and client address that it saw. */
  readonly servers: Readonly<Record<string, number>>
  readonly clients: Readonly<Record<string, number>>
  readonly connectMs: Quantiles
  readonly totalMs: Quantiles
  readonly bytes: number
  readonly seconds: number
  readonly mbitPerS: number
}

interface CurlResult { readonly failure: string | null, readonly server: string, readonly client: string, readonly connectMs: number, readonly totalMs: number, readonly bytes: number }

/** What curl writes after the transfer, one JSON object. */
const WRITE_OUT = '%{stderr}\n{"exit":%{exitcode},"status":"%{response_code}","server":"%header{x-server}","client":"%header{x-client}","connect":%{time_connect},"total":%{time_total},"error":"%{errormsg}"}\n'

export function parseCurl (stderr: string, bytes: number, sha256: string, wanted: string | null): CurlResult {
  const line = stderr.trimEnd().split('\n').at(-1) ?? ''
  let r: { exit: number, status: string, server: string, client: string, connect: number, total: number, error: string }
  try {
    r = JSON.parse(line) as typeof r
  } catch {
    return { failure: `curl said: ${line.slice(0, 120)}`, server: '', client: '', connectMs: 0, totalMs: 0, bytes }
  }
  const failure = r.exit !== 0 ? `curl ${r.exit}: ${r.error.replace(/\b\d+(?= (milliseconds|ms|out of|bytes))/g, 'N')}` : r.status !== '200' ? `status ${r.status}` : wanted !== null && sha256 !== wanted ? 'wrong checksum' : null
  return { failure, server: r.server, client: r.client.replace(/^::ffff:/, ''), connectMs: r.connect * 1000, totalMs: r.total * 1000, bytes }
}

async function curlOnce (job: CurlJob): Promise<CurlResult> {
  const [command = '', ...args] = inNetns(job.netns, ['curl', '-q', '-g', '-s', '-S', '--noproxy', '*', '--connect-timeout', '10', '-m', String(job.timeoutS ?? 30), ...(job.rate === undefined ? [] : ['--limit-rate', job.rate]), '-w', WRITE_OUT, job.url])
  return await new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], signal: job.signal, killSignal: 'SIGKILL' })
    const hash = createHash('sha256')
    let bytes = 0
    let stderr = ''
    child.stdout.on('data', (b: Buffer) => { bytes += b.length; hash.update(b) })
    child.stderr.on('data', (b: Buffer) => { stderr += b.toString('utf8') })
    child.on('error', (error) => resolve({ failure: error.message, server: '', client: '', connectMs: 0, totalMs: 0, bytes }))
    child.on('close', () => resolve(parseCurl(stderr, bytes, hash.digest('hex'), job.sha256)))
  })
}

/** Each request is a curl of its own, so a connection and a session of its own. */
export async function curl (job: CurlJob): Promise<CurlFigures> {
  const results: CurlResult[] = []
  const begun = performance.now()
  let started = 0
  const work = async (): Promise<void> => {
    while (started < job.count && job.signal?.aborted !== true) {
      started++
      results.push(await curlOnce(job))
    }
  }
  await Promise.all(Array.from({ length: Math.min(job.parallel, job.count) }, work))
  const seconds = (performance.now() - begun) / 1000
  const good = results.filter((r) => r.failure === null)
  const bytes = good.reduce((sum, r) => sum + r.bytes, 0)
  return {
    requests: results.length, ok: good.length,
    failures: tally(results.map((r) => r.failure).filter((f) => f !== null)),
    failed: results.flatMap(({ failure, connectMs }) => failure === null ? [] : [{ why: failure, connectMs }]),
    servers: tally(good.map((r) => r.server)), clients: tally(good.map((r) => r.client)),
    connectMs: quantiles(good.map((r) => r.connectMs)), totalMs: quantiles(good.map((r) => r.totalMs)),
    bytes, seconds: round(seconds), mbitPerS: round(bytes * 8 / 1e6 / seconds, 1)
  }
}

/** `http://10.77.0.10/1m.bin`, with brackets where the address needs them. */
export const httpUrl = (address: string, path: string, port = 80): string => `http://${isIPv6(address) ? `[${address}]` : address}${port === 80 ? '' : `:${port}`}/${path}`

// --- ping ---

export interface PingJob {
  readonly netns: string
  readonly to: string
  readonly count: number
  readonly intervalS?: number
  /** ICMP payload bytes. */
  readonly size?: number
  /** Never fragment, and believe no cached path MTU. */
  readonly dontFragment?: boolean
  readonly waitS?: number
}
export interface PingFigures { readonly sent: number, readonly received: number, readonly rttMs: { readonly min: number, readonly avg: number, readonly max: number } | null, readonly tooBig: { readonly from: string, readonly mtu: number } | null, readonly text: string }

export function parsePing (text: string): PingFigures {
  const counts = /(\d+) packets transmitted, (\d+) received/.exec(text)
  const rtt = /= ([\d.]+)\/([\d.]+)\/([\d.]+)/.exec(text)
  const big = /From (\S+) .*(?:Frag needed and DF set|Packet too big)[ :(]*mtu ?= ?(\d+)/i.exec(text)
  return {
    sent: Number(counts?.[1] ?? 0), received: Number(counts?.[2] ?? 0),
    rttMs: rtt === null ? null : { min: Number(rtt[1]), avg: Number(rtt[2]), max: Number(rtt[3]) },
    tooBig: big === null ? null : { from: (big[1] ?? '').replace(/:$/, ''), mtu: Number(big[2]) },
    text
  }
}

export async function ping (job: PingJob): Promise<PingFigures> {
  const r = await run(['ping', '-n', isIPv6(job.to) ? '-6' : '-4', '-c', String(job.count), '-i', String(job.intervalS ?? 0.05), '-W', String(job.waitS ?? 2),
    ...(job.size === undefined ? [] : ['-s', String(job.size)]), ...(job.dontFragment === true ? ['-M', 'do'] : []), job.to], { netns: job.netns, timeoutMs: 60_000 })
  return parsePing(r.stdout + r.stderr)
}

// --- traceroute ---

export interface Hop { readonly ttl: number, readonly addresses: readonly string[], readonly answers: number }
export type TraceMethod = 'icmp' | 'udp' | 'tcp'

/** ` 1  10.77.1.1  0.3 ms  0.2 ms *`: an address stands before the times it gave. */
export function parseTraceroute (text: string): Hop[] {
  return text.split('\n').flatMap((line) => {
    const hop = /^\s*(\d+)\s+(.*)$/.exec(line)
    if (hop === null || /traceroute to/.test(line)) return []
    const words = (hop[2] ?? '').split(/\s+/)
    return [{ ttl: Number(hop[1]), addresses: [...new Set(words.filter((w) => /^[\da-f]*[.:][\da-f.:]+$/i.test(w) && !/^[\d]+\.[\d]+$/.test(w)))], answers: words.filter((w) => w === 'ms').length }]
  })
}

export async function traceroute (job: { readonly netns: string, readonly to: string, readonly method: TraceMethod, readonly hops?: number, readonly port?: number }): Promise<Hop[]> {
  const method = { icmp: ['-I'], udp: [], tcp: ['-T'] }[job.method]
  const r = await run(['traceroute', '-n', isIPv6(job.to) ? '-6' : '-4', ...method, ...(job.port === undefined ? [] : ['-p', String(job.port)]), '-q', '2', '-w', '1', '-m', String(job.hops ?? 4), job.to],
    { netns: job.netns, timeoutMs: 30_000 })
  return parseTraceroute(r.stdout)
}

// --- echo, throughput ---

export type EchoJob = Partial<NetClientOptions> & Pick<NetClientOptions, 'kind' | 'host' | 'port'>
const wholeJob = (job: EchoJob): NetClientOptions => ({ count: 100, intervalMs: 5, bytes: 100, patienceMs: 3000, ...job })

/** A steady flow from a client of our own, which measures every answer. */
export async function echo (netns: string, job: EchoJob): Promise<NetClientFigures> {
  const whole = wholeJob(job)
  const r = await run(nodeProgram('net-client', whole), { netns, timeoutMs: whole.count * whole.intervalMs * 3 + 60_000 })
  return parseEcho(r.stdout, r.stderr)
}

/** The same going on in the background; its figures come at its end. */
export function echoing (netns: string, job: EchoJob): { readonly process: Background, readonly figures: Promise<NetClientFigures> } {
  const process = new Background(`${job.kind} client`, netns, nodeProgram('net-client', wholeJob(job)))
  return { process, figures: process.ended.then(() => parseEcho(process.output, process.output)) }
}

function parseEcho (stdout: string, stderr: string): NetClientFigures {
  try {
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as NetClientFigures
  } catch {
    return { sent: 0, received: 0, servers: {}, rttMs: quantiles([]), longestGapMs: 0, error: stderr.trim().slice(-300) || 'no output' }
  }
}

export interface IperfFigures { readonly gbitPerS: number, readonly retransmits: number, readonly bytes: number, readonly error: string | null }

export function parseIperf (text: string): IperfFigures {
  try {
    const r = JSON.parse(text) as { error?: string, end?: { sum_received?: { bits_per_second: number, bytes: number }, sum_sent?: { retransmits?: number } } }
    return { gbitPerS: round((r.end?.sum_received?.bits_per_second ?? 0) / 1e9), retransmits: r.end?.sum_sent?.retransmits ?? 0, bytes: r.end?.sum_received?.bytes ?? 0, error: r.error ?? null }
  } catch {
    return { gbitPerS: 0, retransmits: 0, bytes: 0, error: text.trim().slice(-300) || 'no output' }
  }
}

const BUSY_MS = 5000

/** `reverse`: the server sends. A server may still be occupied with the end of the run before: that is no failure of the network. */
export async function iperf (job: { readonly netns: string, readonly to: string, readonly seconds: number, /** Ends by this much instead, `seconds` at most. */ readonly bytes?: number, readonly reverse: boolean, readonly streams?: number }): Promise<IperfFigures> {
  const deadline = Date.now() + BUSY_MS
  for (;;) {
    const r = await run(['iperf3', '-J', '-c', job.to, ...(job.bytes === undefined ? ['-t', String(job.seconds)] : ['-n', String(job.bytes)]), '-P', String(job.streams ?? 1), '--connect-timeout', '3000', ...(job.reverse ? ['-R'] : [])],
      { netns: job.netns, timeoutMs: (job.seconds + 20) * 1000 })
    const figures = parseIperf(r.stdout)
    if (figures.error === null || !/busy/.test(figures.error) || Date.now() > deadline) return figures
    await sleep(200)
  }
}
