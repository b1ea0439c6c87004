/** `npm run -s bench -- SUITE [options]` and `lockstep bench SUITE`: progress on standard error, a table or one JSON object on standard output. */
import { fileURLToPath } from 'node:url'
import { figuresOf, type SuiteResult } from './lib/samples.js'
import { humanTable, jsonLine, save } from './lib/report.js'
import { parseOptions, usage, type BenchOptions } from './lib/options.js'
import { BenchError, requireClone } from './lib/programs.js'

export async function benchMain (argv: string[]): Promise<number> {
  const abort = new AbortController()
  const stop = (): void => { abort.abort() }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    const options = parseOptions(argv)
    if (options === null) {
      process.stdout.write(usage)
      return 0
    }
    requireClone()
    const { result, extra } = await run(options, (text) => { process.stderr.write(`bench: ${text}\n`) }, abort.signal)
    if (options.save) process.stderr.write(`bench: saved ${save(result, extra)}\n`)
    process.stdout.write(options.json ? `${jsonLine(result)}\n` : humanTable(result))
    return 0
  } catch (error) {
    if (abort.signal.aborted) return 130
    if (!(error instanceof BenchError)) throw error
    process.stderr.write(`bench: ${error.message}\n`)
    return 1
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
}

interface Run { readonly result: SuiteResult, readonly extra?: Readonly<Record<string, unknown>> }

/** Each suite is loaded when asked for: the plots, gRPC and the addon cost their start only where they are used. */
async function run (options: BenchOptions, progress: (text: string) => void, signal: AbortSignal): Promise<Run> {
  const repeats = options.repeats ?? (options.quick ? 2 : 9)
  const common = { repeats, progress, signal, ...(options.sessions === null ? {} : { sessions: options.sessions }) }
  switch (options.suite) {
    case 'table': {
      const { bench } = await import('./table/main.js')
      return { result: await bench(common) }
    }
    case 'pipeline': {
      const { bench } = await import('./pipeline/main.js')
      return { result: await bench({ ...common, quick: options.quick }) }
    }
    case 'reconcile': {
      const { bench } = await import('./reconcile/main.js')
      const { sweep, ...result } = await bench({ ...common, stale: options.stale, html: options.html, sweep: options.sweep, savePlots: options.save, peer: options.peer, quick: options.quick })
      return { result, ...(sweep.length > 0 ? { extra: { sweep } } : {}) }
    }
    case 'proof': {
      const { bench } = await import('./proof/main.js')
      return { result: await bench(common) }
    }
    case 'sync': {
      const { bench } = await import('./sync/main.js')
      return { result: await bench({ ...(options.sessions === null ? {} : { sessions: options.sessions }), seconds: options.seconds ?? (options.quick ? 4 : 10), rates: options.quick ? [180_000] : [120_000, 160_000, 200_000, 240_000], resyncs: options.repeats ?? (options.quick ? 1 : 5), peer: !options.quick, progress, signal }) }
    }
    case 'switch': {
      const { bench } = await import('./switch/main.js')
      return { result: await bench({ switches: options.repeats ?? (options.quick ? 6 : 20), progress, signal }) }
    }
    case 'lb': {
      const { bench } = await import('./lb/main.js')
      return { result: await bench({ quick: options.quick, repeats, progress, signal }) }
    }
    case 'vpp': {
      const { bench } = await import('./vpp/main.js')
      return { result: await bench({ quick: options.quick, repeats, progress, signal }) }
    }
    case 'bgp': {
      const { bench } = await import('./bgp/main.js')
      return { result: await bench({ quick: options.quick, repeats, progress, signal }) }
    }
    case 'failover': {
      const { bench } = await import('./failover/main.js')
      const kills = options.kills ?? (options.quick ? 1 : 100)
      return { result: await bench({ backend: options.backend ?? 'ebpf', moves: options.moves ?? (options.quick ? 2 : 100), kills, timings: options.quick ? ['slow'] : ['slow', 'fast'], warmMs: options.quick ? 2000 : 5000, flowKills: options.quick || kills < 5 ? 0 : Math.ceil(kills / 20), calibrate: !options.quick, peer: !options.quick, progress, signal }) }
    }
    case 'watchers': {
      const { bench } = await import('./watchers/main.js')
      return { result: await bench({ seconds: options.seconds ?? (options.quick ? 10 : 600), browsers: 1000, watchers: 200, changesPerS: 5000, progress, signal }) }
    }
    case 'api': {
      const { bench } = await import('./api/main.js')
      const { figures, notes } = await bench({ rows: options.sessions ?? 1_000_000, runs: options.repeats ?? (options.quick ? 3 : 5), signal })
      return { result: { suite: 'api', figures: figuresOf({ ...figures }), notes, spread: {} } }
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await benchMain(process.argv.slice(2))
