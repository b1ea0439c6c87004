/** Arguments of `npm run bench` and `lockstep bench`. */
import { parseArgs } from 'node:util'
import { BenchError } from './programs.js'

const suites = ['table', 'pipeline', 'reconcile', 'proof', 'sync', 'api', 'switch', 'failover', 'lb', 'vpp', 'bgp', 'watchers'] as const
type SuiteName = typeof suites[number]

export interface BenchOptions {
  readonly suite: SuiteName
  /** Fewer repeats: an answer within 50 s. */
  readonly quick: boolean
  readonly json: boolean
  readonly save: boolean
  readonly sessions: number | null
  /** Fraction of the sessions that the peer no longer has. */
  readonly stale: number
  readonly repeats: number | null
  /** sync, watchers: of the steady part. */
  readonly seconds: number | null
  readonly backend: 'userspace' | 'ebpf' | null
  /** failover: planned moves, and deaths of the owner at each timing. */
  readonly moves: number | null
  readonly kills: number | null
  readonly html: string | null
  /** reconcile: sizes from 10 000 to 16M, plots into docs/plots with --save. */
  readonly sweep: boolean
  /** reconcile: two nodes that differ, beside it. */
  readonly peer: boolean
}

export const usage = `Usage: lockstep bench SUITE [options]

Suites:
  table        walk, install, drain and fill of the session table, beside kernel hash maps
  pipeline     nanoseconds per packet in user space and as XDP, beside kernel hash maps; Maglev rings
  reconcile    find and remove the sessions that a peer no longer has, beside kernel hash maps and a JavaScript Map
  proof        cells, bytes and time to find what differs between two tables, and the upkeep of what finds it
  sync         changes to a peer over TLS: rate, CPU, lag, and a whole table to one that has none
  api          rows per second over gRPC
  switch       a change of backend under downloads and iperf3 in the lab (root)
  failover     planned moves and deaths of the owner of a pair, under new flows and downloads, in the lab (root)
  vpp          requests and statistics of a VPP that LOCKSTEP_VPP names, its own client for statistics beside it (root)
  bgp          1 000 changes of BGP sessions to a ledger, beside one transaction after another; looks at 10 000 sessions
  lb           Maglev rings, 10 000 health checks beside HAProxy's, how fast a real falls, 1000 VIPs put right
  watchers     1000 browsers and 200 watchers beside a pair under traffic: its lag, what they lose, CPU and memory

Options:
  --sessions N     sessions in the table (default 1000000, of table and pipeline 1048576; up to 16777216)
  --stale F        reconcile: fraction that is stale, 0.01 or 1% (default 0.01)
  --backend B      reconcile: the dataplane, userspace; failover: ebpf (default) or userspace
  --repeats N      repeats; medians are reported
  --seconds N      sync: how long changes come at a steady rate (default 10; 600 shows whether memory grows); watchers: the same (default 600)
  --moves N        failover: planned moves (default 100)
  --kills N        failover: deaths of the owner at each of two timings (default 100: an hour)
  --quick          fewer repeats
  --peer           reconcile: two nodes that differ, repaired in bulk, by a list of digests, by the sketch, and as the engine decides
  --sweep          reconcile: from 10 000 to 16 million sessions
  --html FILE      reconcile: report with plots
  --save           keep the result, with machine and date, in bench/results
  --json           one JSON object as the last line, nothing else on standard output

As root the programs borrow huge pages for the run, and the kernel hash map peer takes part.
`

/** `null`: help was asked for. */
export function parseOptions (argv: readonly string[]): BenchOptions | null {
  const { values, positionals } = parse(argv)
  if (values.help === true) return null
  const [suite, ...rest] = positionals
  if (suite === undefined) throw new BenchError(`name a suite: ${suites.join(', ')}`)
  const known = suites.find((name) => name === suite)
  if (known === undefined) throw new BenchError(`no suite named ${suite}; there are: ${suites.join(', ')}`)
  if (rest.length > 0) throw new BenchError(`unexpected argument ${rest.join(' ')}`)
  for (const name of known === 'reconcile' ? [] : ['stale', 'sweep', 'html', 'peer'] as const) {
    if (values[name] !== undefined) throw new BenchError(`--${name} is of the suite reconcile; ${known} has none`)
  }
  if (known === 'switch' && values.sessions !== undefined) throw new BenchError('--sessions: switch measures the sessions of its own traffic')
  if (known !== 'sync' && known !== 'watchers' && values.seconds !== undefined) throw new BenchError(`--seconds is of the suites sync and watchers; ${known} has none`)
  for (const name of known === 'failover' ? [] : ['moves', 'kills'] as const) {
    if (values[name] !== undefined) throw new BenchError(`--${name} is of the suite failover; ${known} has none`)
  }
  return {
    suite: known,
    quick: values.quick === true,
    json: values.json === true,
    save: values.save === true,
    sessions: values.sessions === undefined ? null : whole('--sessions', values.sessions, 1024, 2 ** 24),
    stale: fraction(values.stale ?? '0.01'),
    repeats: values.repeats === undefined ? null : whole('--repeats', values.repeats, 1, 1000),
    seconds: values.seconds === undefined ? null : whole('--seconds', values.seconds, 1, 86_400),
    backend: backendOf(known, values.backend),
    moves: values.moves === undefined ? null : whole('--moves', values.moves, 1, 10_000),
    kills: values.kills === undefined ? null : whole('--kills', values.kills, 1, 10_000),
    html: values.html ?? null,
    sweep: values.sweep === true,
    peer: values.peer === true
  }
}

function backendOf (suite: SuiteName, text: string | undefined): BenchOptions['backend'] {
  if (text === undefined) return null
  if (suite !== 'reconcile' && suite !== 'failover') throw new BenchError(`--backend is of the suites reconcile and failover; ${suite} has none`)
  if (text === 'userspace' || (text === 'ebpf' && suite === 'failover')) return text
  throw new BenchError(`backend ${text} cannot be measured by ${suite}: ${suite === 'failover' ? 'ebpf or userspace' : 'only userspace'} can`)
}

function parse (argv: readonly string[]): { values: Partial<Record<string, string | boolean>> & { backend?: string, sessions?: string, stale?: string, repeats?: string, seconds?: string, moves?: string, kills?: string, html?: string }, positionals: string[] } {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        quick: { type: 'boolean' },
        json: { type: 'boolean' },
        save: { type: 'boolean' },
        sweep: { type: 'boolean' },
        peer: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        backend: { type: 'string' },
        sessions: { type: 'string' },
        stale: { type: 'string' },
        repeats: { type: 'string' },
        seconds: { type: 'string' },
        moves: { type: 'string' },
        kills: { type: 'string' },
        html: { type: 'string' }
      }
    })
  } catch (error) {
    throw new BenchError((error as Error).message)
  }
}

/** 1000000, 1_000_000, 10k, 16M. */
function whole (name: string, text: string, low: number, high: number): number {
  const match = /^(\d[\d_]*)([kM]?)$/.exec(text)
  const value = match === null ? NaN : Number(match[1]?.replaceAll('_', '')) * (match[2] === 'k' ? 1e3 : match[2] === 'M' ? 1e6 : 1)
  if (!(value >= low && value <= high)) throw new BenchError(`${name}: ${text}: expected a whole number from ${low} to ${high}`)
  return value
}

function fraction (text: string): number {
  const value = text.endsWith('%') ? Number(text.slice(0, -1)) / 100 : Number(text)
  if (!(value > 0 && value <= 1)) throw new BenchError(`--stale: ${text}: expected a fraction above 0 and up to 1, as 0.01 or 1%`)
  return value
}
