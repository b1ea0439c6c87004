/**
 * A client for the lab, run inside a namespace: `node net-client.js '{"kind":"udp",…}'`. Prints one line of JSON: NetClientFigures.
 * It sends at a steady pace and tells how long it ever waited: the longest gap shows a hole in forwarding that retransmissions would hide.
 */
import { createSocket } from 'node:dgram'
import { get } from 'node:http'
import { connect, isIPv6 } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { quantiles, type Quantiles } from './figures.js'

export interface NetClientOptions {
  /** udp: one flow of datagrams; dns: a socket for each question, as resolvers ask; tcp: one connection with echoes; http: a connection for each request. */
  readonly kind: 'udp' | 'dns' | 'tcp' | 'http'
  readonly host: string
  readonly port: number
  /** Our own address, where it matters. */
  readonly from?: string
  readonly count: number
  readonly intervalMs: number
  readonly bytes: number
  /** How long to wait for the last answers. */
  readonly patienceMs: number
}

export interface NetClientFigures {
  readonly sent: number
  readonly received: number
  /** Names of the servers that answered, with how often. */
  readonly servers: Readonly<Record<string, number>>
  readonly rttMs: Quantiles
  /** Longest time between two answers. */
  readonly longestGapMs: number
  /** Why it ended early; `null` = it did not. */
  readonly error: string | null
}

async function udp (o: NetClientOptions): Promise<NetClientFigures> {
  const socket = createSocket({ type: isIPv6(o.host) ? 'udp6' : 'udp4', recvBufferSize: 4 << 20 })
  const seen = new Observed()
  await new Promise<void>((resolve, reject) => socket.on('error', reject).bind(0, o.from, resolve))
  socket.removeAllListeners('error').on('error', (error) => seen.fail(error.message))
  await new Promise<void>((resolve) => socket.connect(o.port, o.host, resolve))
  socket.on('message', (message) => {
    const text = message.toString('latin1')
    seen.answer(Number(/ (\d+) /.exec(text)?.[1]), text.slice(0, text.indexOf(' ')))
  })
  await pace(o, async (n) => {
    seen.question(n)
    socket.send(`${n} `.padEnd(o.bytes, '.'), (error) => { if (error instanceof Error) seen.fail(error.message) })
  }, () => false)
  await seen.wait(o.patienceMs)
  socket.close()
  return seen.figures()
}

async function dns (o: NetClientOptions): Promise<NetClientFigures> {
  const seen = new Observed()
  await pace(o, async (n) => {
    const socket = createSocket({ type: isIPv6(o.host) ? 'udp6' : 'udp4' })
    socket.on('error', (error) => { seen.fail(error.message) })
    socket.on('message', (message) => {
      const text = message.toString('latin1')
      seen.answer(n, text.slice(0, text.indexOf(' ')))
      socket.close()
    })
    setTimeout(() => { try { socket.close() } catch { /* answered */ } }, o.patienceMs).unref()
    seen.question(n)
    socket.send(`${n} `.padEnd(o.bytes, '.'), o.port, o.host)
  }, () => false)
  await seen.wait(o.patienceMs)
  return seen.figures()
}

async function tcp (o: NetClientOptions): Promise<NetClientFigures> {
  const seen = new Observed()
  const socket = connect({ host: o.host, port: o.port, noDelay: true, ...(o.from === undefined ? {} : { localAddress: o.from }) })
  let held = ''
  let name: string | null = null
  socket.on('data', (bytes) => {
    const lines = (held + bytes.toString('latin1')).split('\n')
    held = lines.pop() ?? ''
    for (const line of lines) {
      if (name === null) name = line.split(' ')[0] ?? ''
      else seen.answer(Number(line.split(' ')[0]), name)
    }
  })
  let closed = false
  socket.on('error', (error) => { closed = true; seen.fail(error.message) })
  socket.on('close', () => { closed = true })
  const timer = setTimeout(() => socket.destroy(new Error('no connection in time')), o.patienceMs)
  await new Promise<void>((resolve) => socket.once('connect', resolve).once('close', resolve))
  clearTimeout(timer)
  await pace(o, async (n) => {
    seen.question(n)
    socket.write(`${n} `.padEnd(o.bytes - 1, '.') + '\n')
  }, () => closed)
  if (!closed) await seen.wait(o.patienceMs)
  else seen.fail('closed by the other side')
  // The other side may be out of reach by now.
  socket.end()
  setTimeout(() => socket.destroy(), 500).unref()
  return seen.figures()
}

/** Many short connections, for shares: 32 at a time, as fast as they come. */
async function http (o: NetClientOptions): Promise<NetClientFigures> {
  const seen = new Observed()
  let next = 0
  const work = async (): Promise<void> => {
    while (next < o.count) {
      const n = next++
      seen.question(n)
      await new Promise<void>((resolve) => {
        const request = get({ host: o.host, port: o.port, path: '/who', agent: false, timeout: o.patienceMs, ...(o.from === undefined ? {} : { localAddress: o.from }) }, (response) => {
          response.resume().on('end', () => { seen.answer(n, String(response.headers['x-server'] ?? 'nobody')); resolve() })
        })
        request.on('timeout', () => request.destroy(new Error('no answer in time')))
        request.on('error', (error) => { seen.fail(error.message); resolve() })
      })
    }
  }
  await Promise.all(Array.from({ length: 32 }, work))
  return seen.figures()
}

/** SIGUSR1: no more questions; wait for the answers and tell. */
let enough = false
process.on('SIGUSR1', () => { enough = true })

/** Calls `step` on time even when one was late. */
async function pace (o: NetClientOptions, step: (n: number) => Promise<void>, over: () => boolean): Promise<void> {
  const begun = performance.now()
  for (let n = 0; n < o.count && !enough && !over(); n++) {
    await step(n)
    const wait = begun + (n + 1) * o.intervalMs - performance.now()
    if (wait > 0) await sleep(wait)
  }
}

class Observed {
  readonly #sentAt = new Map<number, number>()
  readonly #rtts: number[] = []
  readonly #servers: Record<string, number> = {}
  #sent = 0
  #last = 0
  #gap = 0
  #error: string | null = null
  #wake: () => void = () => {}

  question (n: number): void { this.#sent++; this.#sentAt.set(n, performance.now()) }
  fail (message: string): void { this.#error ??= message }
  answer (n: number, server: string): void {
    const sent = this.#sentAt.get(n)
    if (sent === undefined) return
    this.#sentAt.delete(n)
    const now = performance.now()
    this.#rtts.push(now - sent)
    if (this.#last > 0) this.#gap = Math.max(this.#gap, now - this.#last)
    this.#last = now
    this.#servers[server] = (this.#servers[server] ?? 0) + 1
    this.#wake()
  }

  /** Until every question is answered. */
  async wait (patienceMs: number): Promise<void> {
    const deadline = performance.now() + patienceMs
    while (this.#sentAt.size > 0 && performance.now() < deadline) {
      await new Promise<void>((resolve) => { this.#wake = resolve; setTimeout(resolve, 50) })
    }
  }

  figures (): NetClientFigures {
    return { sent: this.#sent, received: this.#rtts.length, servers: this.#servers, rttMs: quantiles(this.#rtts), longestGapMs: this.#gap, error: this.#error }
  }
}

const options = JSON.parse(process.argv[2] ?? '{}') as NetClientOptions
process.stdout.write(`${JSON.stringify(await { udp, dns, tcp, http }[options.kind](options))}\n`)
