/**
 * What it costs to read and follow many neighbours: a bgpd of the bench on a unix socket, with so many sessions, read by the agent's own provider, joined with the
 * kernel's rows, and tracked. Times are of one look; `longestBlockMs` is how long the thread was not free for anybody else.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Neighbours } from '../../src/bgp/neighbours.js'
import { frrProvider } from '../../src/bgp/providers/frr.js'
import { kernelNeighbours } from '../../src/bgp/providers/kernel.js'
import { heapInUse } from '../lib/garbage.js'
import { BenchError } from '../lib/programs.js'

export interface ReadingCost {
  readonly neighbours: number
  readonly looks: number
  /** Of the daemon, whole: socket, JSON, rows. */
  readonly readMs: { readonly p50: number, readonly max: number }
  /** What follows from it, of the daemon's rows and the kernel's. */
  readonly trackMs: { readonly p50: number, readonly max: number }
  readonly longestBlockMs: number
  /** Of the answer. */
  readonly bytes: number
  /** JavaScript objects that stay, a neighbour. */
  readonly heapBytesEach: number
}

/** `changing`: of a thousand neighbours so many change in each look. */
export async function measureReading ({ neighbours, looks, changing }: { readonly neighbours: number, readonly looks: number, readonly changing: number }): Promise<ReadingCost> {
  const directory = mkdtempSync(join(tmpdir(), 'ls-bgp-bench-'))
  const socket = join(directory, 's')
  let look = 0
  const peer = (i: number): string => `10.${i >> 16 & 255}.${i >> 8 & 255}.${i & 255}`
  const changes = (i: number): boolean => (i + 37 * look) % 1000 < changing
  const answer = (): Buffer => {
    const peers = Object.fromEntries(Array.from({ length: neighbours }, (_, i) => [peer(i), {
      remoteAs: 65000 + i % 500, localAs: 65001, version: 4, msgRcvd: 1000 + look, msgSent: 1000 + look, tableVersion: 0, outq: 0, inq: 0, peerUptime: '00:10:00', peerUptimeMsec: 600_000, peerUptimeEstablishedEpoch: 1_795_000_000,
      pfxRcd: 1, pfxSnt: 1, state: changes(i) ? 'Active' : 'Established', peerState: 'OK', connectionsEstablished: 1, connectionsDropped: 0, desc: `user-${i}`, idType: 'ipv4'
    }]))
    return Buffer.concat([Buffer.from(JSON.stringify({ default: { ipv4Unicast: { vrfName: 'default', peers } } }, null, 2)), Buffer.alloc(4)])
  }
  let bytes = answer()
  const server = createServer((connection) => { connection.on('data', () => { connection.write(bytes) }) })
  await new Promise<void>((resolve) => { server.listen(socket, resolve) })
  try {
    const all = new Neighbours({ maxAgeMs: 30_000, kernelDecides: false })
    const provider = frrProvider({ name: 'frr', socket, vrf: null })
    const [reads, tracks]: [number[], number[]] = [[], []]
    const before = heapInUse()
    const delay = monitorEventLoopDelay({ resolution: 1 })
    for (look = 0; look < looks; look++) {
      bytes = answer()
      await new Promise((resolve) => { setImmediate(resolve) })
      delay.enable()
      const begun = performance.now()
      const readings = await provider.read?.(AbortSignal.timeout(60_000)) ?? []
      const read = performance.now()
      const rows = kernelNeighbours(Array.from({ length: neighbours }, (_, i) => ({ local: '10.255.0.1', remote: peer(i), localPort: 179, remotePort: 40_000, cookie: BigInt(i), rttUs: 1000 + (i + look) % 1000, device: '' })), 'default')
      const made = performance.now()
      for (const reading of readings) all.observe(reading, read - begun)
      all.observe({ source: 'kernel', scope: 'kernel/default', at: Date.now(), ok: true, neighbours: rows })
      all.neighbours()
      tracks.push(performance.now() - made)
      reads.push(read - begun)
      await new Promise((resolve) => { setTimeout(resolve, 5) })
      delay.disable()
    }
    const sorted = (list: readonly number[]): number[] => [...list].sort((a, b) => a - b)
    const of = (list: readonly number[]): { readonly p50: number, readonly max: number } => ({ p50: sorted(list)[list.length >> 1] ?? 0, max: sorted(list).at(-1) ?? 0 })
    const size = bytes.length
    bytes = Buffer.alloc(0)
    const heapBytesEach = Math.round((heapInUse() - before) / neighbours)
    // asked for afterwards, too: what nobody needs any more would have been collected
    if (all.neighbours().length !== neighbours) throw new BenchError(`${all.neighbours().length} neighbours of ${neighbours} are known`)
    return { neighbours, looks, readMs: of(reads), trackMs: of(tracks), longestBlockMs: delay.max / 1e6, bytes: size, heapBytesEach }
  } finally {
    server.close()
    rmSync(directory, { recursive: true, force: true })
  }
}
