/**
 * How fast a client gets a whole session table over gRPC, and what that does to the event loops of the agent.
 *
 *   rows_per_s         rows received and touched by this process, median of the runs, default columns
 *   rows_per_s_all     the same with every column
 *   scrape_ms          the metrics page with 1000 reals under checks, asked for and received, median; scrape_kib: its size
 *   events_per_s       changes of sessions to one subscriber, as columns; events_per_s_rows: one message each; events_lost: counted as lost to it;
 *                      events_uncounted: neither told nor counted
 *   rss_growth_mb      of the server, while 200 subscribers read nothing and a reader is told as many changes
 *   first_paint_ms     the web page with 1000 VIPs: from the beginning of its load to the frame that has rows of them, median; without Chromium it is not measured
 *   bundle_kb_gzip     what a browser loads of the page
 *   loop_delay_p99_ms  99th percentile of the event-loop delay during the listings (1 ms timer, its period included), the larger of two threads:
 *                      main_loop_delay_p99_ms of the main thread, rpc_loop_delay_p99_ms of the one that serves gRPC
 */
import { fork, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { column as columnCodes } from '../../src/generated/codes.js'
import { call, connectAgent, messages, socketTarget, type AgentConnection } from '../../src/cli/client.js'
import { median } from '../lib/samples.js'
import { firstPaint } from './first-paint.js'
import { deaf, SLICE, told } from './events.js'
import type { ServerReport } from './server.js'

export interface ApiBenchOptions {
  readonly rows?: number
  readonly runs?: number
  readonly signal?: AbortSignal
}

export interface ApiFigures {
  readonly rows: number
  readonly rows_per_s: number
  readonly rows_per_s_all: number
  readonly mib_per_s: number
  readonly scrape_ms: number
  readonly scrape_kib: number
  readonly scrape_bytes: number
  readonly events_per_s: number
  readonly events_per_s_rows: number
  readonly events_lost: number
  readonly events_uncounted: number
  readonly rss_growth_mb: number
  readonly loop_delay_p99_ms: number
  readonly main_loop_delay_p99_ms: number
  readonly rpc_loop_delay_p99_ms: number
  readonly loop_delay_max_ms: number
  readonly server_rss_mib: number
  readonly first_paint_ms?: number
  readonly bundle_kb_gzip?: number
}

export interface ApiResult { readonly figures: ApiFigures, readonly notes: Readonly<Record<string, string>> }

/** Subscribers that read nothing. */
const DEAF = 200
/** Of changes that are told, three times. */
const SLICES = 24
const WATCHED = ['id', 'src', 'dst', 'sport', 'dport', 'proto', 'vip', 'real', 'phase', 'bytes_forward', 'bytes_reply']

const serverFile = fileURLToPath(new URL('./server.js', import.meta.url))

export async function bench ({ rows = 1_000_000, runs = 5, signal }: ApiBenchOptions = {}): Promise<ApiResult> {
  const paint = await firstPaint(runs)
  const directory = mkdtempSync(join(tmpdir(), 'ls-bench-'))
  const socketPath = join(directory, 'agent.sock')
  const child = fork(serverFile, [socketPath, String(rows)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const connection = connectAgent(socketTarget(socketPath))
  try {
    await answer(child)
    await list(connection, [], rows, signal)
    child.send('reset')
    await answer(child)
    const some: Run[] = []
    const all: Run[] = []
    for (let i = 0; i < runs; i++) {
      some.push(await list(connection, [], rows, signal))
      all.push(await list(connection, columnCodes.map((c) => c.name), rows, signal))
    }
    const scrapes: Scrape[] = []
    for (let i = 0; i < 4 * runs; i++) scrapes.push(await scrape(connection))
    child.send('read')
    const report = await answer(child) as ServerReport
    const slices = Math.min(SLICES, Math.floor(rows / SLICE / 4))
    const alone = await told(connection, WATCHED, 0, slices, signal)
    const inRows = await told(connection, [], slices, slices, signal)
    const rss = async (): Promise<number> => {
      child.send('read')
      return (await answer(child) as ServerReport).rssMiB
    }
    const before = await rss()
    const end = deaf(connection, DEAF)
    const beside = await told(connection, WATCHED, 2 * slices, slices, signal)
    const after = await rss()
    end()
    const figures = {
      rows,
      rows_per_s: Math.round(median(some.map((r) => r.rowsPerS))),
      rows_per_s_all: Math.round(median(all.map((r) => r.rowsPerS))),
      mib_per_s: Math.round(median(all.map((r) => r.mibPerS))),
      scrape_ms: round(median(scrapes.map((s) => s.ms))),
      scrape_kib: Math.round(median(scrapes.map((s) => s.bytes)) / 1024),
      scrape_bytes: median(scrapes.map((s) => s.bytes)),
      events_per_s: Math.round(alone.perS),
      events_per_s_rows: Math.round(inRows.perS),
      events_lost: alone.lost + inRows.lost,
      events_uncounted: alone.uncounted + inRows.uncounted + beside.uncounted,
      rss_growth_mb: Math.round((after - before) * 1.048576),
      loop_delay_p99_ms: round(Math.max(report.main.p99Ms, report.rpc.p99Ms)),
      main_loop_delay_p99_ms: round(report.main.p99Ms),
      rpc_loop_delay_p99_ms: round(report.rpc.p99Ms),
      loop_delay_max_ms: round(Math.max(report.main.maxMs, report.rpc.maxMs)),
      server_rss_mib: Math.round(report.rssMiB),
      ...paint.figures
    }
    return { figures, notes: paint.notes }
  } finally {
    connection.close()
    if (child.connected) child.disconnect()
    rmSync(directory, { recursive: true, force: true })
  }
}

interface Scrape { readonly ms: number, readonly bytes: number }

async function scrape ({ telemetry }: AgentConnection): Promise<Scrape> {
  const started = performance.now()
  const { text } = await call(telemetry, telemetry.metrics, { names: '' })
  return { ms: performance.now() - started, bytes: Buffer.byteLength(text) }
}

interface Run { readonly rowsPerS: number, readonly mibPerS: number }

/** One whole listing; every received byte is read once. */
async function list ({ sessions }: AgentConnection, columns: string[], expected: number, signal?: AbortSignal): Promise<Run> {
  const started = performance.now()
  let rows = 0
  let bytes = 0
  let sum = 0
  for await (const batch of messages(sessions.list({ filter: undefined, columns, limit: 0n, batchRows: 0, withNames: false, fromSlot: 0, order: undefined }), signal)) {
    rows += batch.rows
    for (const { data } of batch.columns) {
      bytes += data.length
      sum ^= touch(data)
    }
  }
  const seconds = (performance.now() - started) / 1000
  if (rows !== expected) throw new Error(`${rows} of ${expected} rows arrived (checksum ${sum})`)
  return { rowsPerS: rows / seconds, mibPerS: bytes / seconds / 2 ** 20 }
}

function touch (data: Uint8Array): number {
  let sum = 0
  const aligned = data.byteOffset % 4 === 0 ? data : data.slice()
  const words = new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length >> 2)
  for (const word of words) sum ^= word
  return sum
}

async function answer (child: ChildProcess): Promise<unknown> {
  return await new Promise((resolve, reject) => {
    const gone = (code: number | null): void => { child.off('message', said); reject(new Error(`the server process ended with ${code ?? 'a signal'}`)) }
    const said = (message: unknown): void => { child.off('exit', gone); resolve(message) }
    child.once('exit', gone)
    child.once('message', said)
  })
}

const round = (value: number): number => Math.round(value * 100) / 100
