/** What the lab shows, step by step: each does one thing with a tool people know, says what happened, and whether it is what was promised. */
import { shares } from './figures.js'
import type { Lab } from './lab.js'
import { ports } from './servers.js'
import { curl, echo, httpUrl, iperf, ping, traceroute, type CurlFigures } from './traffic.js'
import { addresses } from './topology.js'
import { run, which } from './shell.js'

export interface Size { readonly sequential: number, readonly parallel: number, readonly shareRequests: number, readonly iperfS: number, readonly pings: number, readonly moves: number, readonly deaths: number, readonly cutS: number }
export type SizeName = 'quick' | 'normal' | 'full'
export const sizes: Readonly<Record<SizeName, Size>> = {
  quick: { sequential: 10, parallel: 8, shareRequests: 1000, iperfS: 1, pings: 5, moves: 2, deaths: 1, cutS: 2 },
  normal: { sequential: 50, parallel: 64, shareRequests: 2000, iperfS: 3, pings: 20, moves: 4, deaths: 1, cutS: 5 },
  full: { sequential: 1000, parallel: 64, shareRequests: 10_000, iperfS: 10, pings: 100, moves: 20, deaths: 5, cutS: 30 }
}

export interface StepResult {
  /** `null`: a tool is missing, the line says which. */
  readonly ok: boolean | null
  readonly lines: readonly string[]
  readonly figures: Readonly<Record<string, unknown>>
}

export interface Step<L = Lab> {
  readonly name: string
  readonly title: string
  readonly run: (lab: L, size: Size, signal: AbortSignal) => Promise<StepResult>
}

const without = (tool: string): StepResult => ({ ok: null, lines: [`needs ${tool}`], figures: {} })

function curlLine (what: string, f: CurlFigures): string {
  const bad = Object.entries(f.failures).map(([why, n]) => `${n}x ${why}`).join('; ')
  return `${what}: ${f.ok} of ${f.requests} good, ${f.mbitPerS} Mbit/s, ${f.totalMs.p50} ms each (p99 ${f.totalMs.p99})${bad === '' ? '' : `; ${bad}`}; server sees ${Object.keys(f.clients).join(', ')}`
}

async function downloads (lab: Lab, size: Size, signal: AbortSignal, targets: ReadonlyArray<readonly [string, string]>, expectClient: (client: string) => boolean): Promise<StepResult> {
  const lines: string[] = []
  const figures: Record<string, CurlFigures> = {}
  for (const [what, url] of targets) {
    for (const [how, count, parallel] of [['one after the other', size.sequential, 1], ['at the same time', size.parallel, size.parallel]] as const) {
      const f = await curl({ netns: lab.netns('client'), url, count, parallel, sha256: lab.servers.bigSha256, timeoutS: 60, signal })
      figures[`${what}/${parallel === 1 ? 'sequential' : 'parallel'}`] = f
      lines.push(curlLine(`${what}, ${count} ${how}`, f))
    }
  }
  return { ok: Object.values(figures).every((f) => f.ok === f.requests && f.requests > 0 && Object.keys(f.clients).every(expectClient)), lines, figures }
}

const who: Step = {
  name: 'who',
  title: 'curl through the VIP: who answers, and whom the server sees',
  run: async (lab) => {
    const lines: string[] = []
    let ok = true
    for (const url of [httpUrl(addresses.vip.v4, 'who'), httpUrl(addresses.vip.v6, 'who'), httpUrl(addresses.s1.v4, 'who', ports.httpAlt), httpUrl('10.77.0.30', 'who')]) {
      const r = await run(['curl', '-q', '-g', '-sS', '-m', '5', url], { netns: lab.netns('client') })
      lines.push(`$ curl ${url}`, `${r.stdout.trim()}${r.stderr.trim()}`)
      ok &&= r.code === 0
    }
    return { ok, lines, figures: {} }
  }
}

const vip: Step = {
  name: 'vip',
  title: '1 MiB downloads through the VIP, checksummed; the servers see the client itself',
  run: async (lab, size, signal) => await downloads(lab, size, signal, [['IPv4', httpUrl(addresses.vip.v4, '1m.bin')], ['IPv6', httpUrl(addresses.vip.v6, '1m.bin')]],
    (client) => client === addresses.client.v4 || client === addresses.client.v6)
}

const snat: Step = {
  name: 'snat',
  title: 'The same through source NAT (pool 10.77.2.100-103 for IPv4, the interface for IPv6)',
  run: async (lab, size, signal) => await downloads(lab, size, signal, [['IPv4', httpUrl(addresses.s1.v4, '1m.bin', ports.httpAlt)], ['IPv6', httpUrl(addresses.s1.v6, '1m.bin', ports.httpAlt)]],
    (client) => /^10\.77\.2\.10[0-3]$/.test(client) || client === addresses.routerServer.v6)
}

const share: Step = {
  name: 'shares',
  title: 'New connections by weight: server one 100, server two 50',
  run: async (lab, size) => {
    const lines: string[] = []
    const figures: Record<string, unknown> = {}
    let ok = true
    for (const [family, host] of [['IPv4', addresses.vip.v4], ['IPv6', addresses.vip.v6]] as const) {
      const f = await echo(lab.netns('client'), { kind: 'http', host, port: ports.http, count: size.shareRequests, patienceMs: 5000 })
      const part = shares(f.servers)['one'] ?? 0
      lines.push(`${family}: ${f.received} of ${f.sent} connections, ${(part * 100).toFixed(1)} % to one, ${(100 - part * 100).toFixed(1)} % to two${f.error === null ? '' : `; ${f.error}`}`)
      figures[family] = { requests: f.sent, answered: f.received, shareOne: part, ms: f.rttMs }
      ok &&= f.received === f.sent && Math.abs(part - 2 / 3) <= 0.05
    }
    return { ok, lines, figures }
  }
}

const pings: Step = {
  name: 'ping',
  title: 'ping: through the router, of the router, of the VIP, of a static translation',
  run: async (lab, size) => {
    const lines: string[] = []
    const figures: Record<string, unknown> = {}
    let ok = true
    for (const to of [addresses.s2.v4, addresses.s2.v6, addresses.routerClient.v4, addresses.routerClient.v6, addresses.vip.v4, addresses.vip.v6, '10.77.0.30']) {
      const f = await ping({ netns: lab.netns('client'), to, count: size.pings, intervalS: 0.02 })
      lines.push(`${to}: ${f.received} of ${f.sent}${f.rttMs === null ? '' : `, ${f.rttMs.avg} ms`}`)
      figures[to] = { sent: f.sent, received: f.received, rttMs: f.rttMs }
      ok &&= f.sent === size.pings && f.received === f.sent
    }
    return { ok, lines, figures }
  }
}

const trace: Step = {
  name: 'traceroute',
  title: 'traceroute: the router and the server behind it, errors translated',
  run: async (lab) => {
    if (which('traceroute') === null) return without('traceroute')
    const lines: string[] = []
    let ok = true
    for (const [to, router] of [[addresses.s1.v4, addresses.routerClient.v4], [addresses.s1.v6, addresses.routerClient.v6]] as const) {
      for (const method of ['udp', 'icmp'] as const) {
        const hops = await traceroute({ netns: lab.netns('client'), to, method })
        lines.push(`${to} by ${method}: ${hops.map((h) => h.addresses.join('/') || '*').join(' > ')}`)
        ok &&= hops.length === 2 && hops[0]?.addresses.join() === router && hops[1]?.addresses.join() === to
      }
    }
    return { ok, lines, figures: {} }
  }
}

const flows: Step = {
  name: 'echo',
  title: 'UDP and TCP echo at a steady pace',
  run: async (lab, size) => {
    const lines: string[] = []
    const figures: Record<string, unknown> = {}
    let ok = true
    for (const kind of ['udp', 'tcp'] as const) {
      for (const host of [addresses.s1.v4, addresses.s1.v6]) {
        const f = await echo(lab.netns('client'), { kind, host, port: ports.echo, count: size.pings * 20, intervalMs: 2 })
        lines.push(`${kind} ${host}: ${f.received} of ${f.sent}, p50 ${f.rttMs.p50} ms, p99 ${f.rttMs.p99} ms${f.error === null ? '' : `; ${f.error}`}`)
        figures[`${kind} ${host}`] = { sent: f.sent, received: f.received, rttMs: f.rttMs }
        ok &&= f.received === f.sent && f.error === null
      }
    }
    return { ok, lines, figures }
  }
}

const throughput: Step = {
  name: 'iperf3',
  title: 'iperf3 through source NAT, both directions',
  run: async (lab, size) => {
    if (!lab.servers.iperf) return without('iperf3')
    const lines: string[] = []
    const figures: Record<string, unknown> = {}
    let ok = true
    for (const [what, to] of [['IPv4', addresses.s1.v4], ['IPv6', addresses.s2.v6]] as const) {
      for (const reverse of [false, true]) {
        const f = await iperf({ netns: lab.netns('client'), to, seconds: size.iperfS, reverse })
        lines.push(`${what} ${reverse ? 'from' : 'to'} the server: ${f.gbitPerS} Gbit/s, ${f.retransmits} retransmissions${f.error === null ? '' : `; ${f.error}`}`)
        figures[`${what} ${reverse ? 'from' : 'to'}`] = f
        ok &&= f.error === null && f.bytes > 0
      }
    }
    return { ok, lines, figures }
  }
}

const table: Step = {
  name: 'sessions',
  title: 'What the agent knows: sessions, counters',
  run: async (lab) => {
    // Something to look at: the sessions above have mostly ended by now.
    await Promise.all([ping({ netns: lab.netns('client'), to: addresses.s1.v4, count: 2 }), run(['curl', '-q', '-sS', '-m', '5', httpUrl(addresses.vip.v4, 'who')], { netns: lab.netns('client') })])
    const shown = [['sessions', 'list', '--limit', '6'], ['counters', 'global', 'drops'], ['counters', 'vip', 'real']]
    const lines: string[] = []
    let ok = true
    for (const args of shown) {
      const r = await lab.agent.cli(args)
      lines.push(`$ lockstep ${args.join(' ')}`, ...`${r.stdout}${r.stderr}`.trimEnd().split('\n'))
      ok &&= r.code === 0
    }
    const { global, drops } = await lab.agent.counters('global', 'drops')
    return { ok, lines, figures: { global, drops } }
  }
}

const end: Step = {
  name: 'drain',
  title: 'After the traffic: sessions expire, and the table is sound',
  run: async (lab) => {
    const left = await lab.agent.drained(45_000)
    const r = await lab.agent.verify()
    return {
      ok: left === 0 && r.ok, lines: [`sessions left: ${left}`, `$ lockstep table verify`, `${r.ok ? 'clean' : 'BROKEN'}: ${r.slots} slots, ${r.live} live, ${r.entries} index entries; checked in ${r.durationMs.toFixed(1)} ms`],
      figures: { left, verify: r }
    }
  }
}

export const steps: readonly Step[] = [who, vip, snat, share, pings, trace, flows, throughput, table, end]
