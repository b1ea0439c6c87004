/**
 * What the gRPC server is asked: calls by method and code, how long they took, streams that are open, and what watches had to be told again or lost. Counted where it
 * happens, and kept over scrapes. Labels are names of methods that are served; whatever else somebody asks for is one.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

const otherMethod = 'other'
const SECONDS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10]

export type WatchBegin = 'initial' | 'resumed' | 'expired' | 'epoch'

export class Served {
  readonly #calls: Counter<'method' | 'code'>
  readonly #seconds: Histogram<'method'>
  readonly #streams: Gauge<'method'>
  readonly #begins: Counter<'kind' | 'begin'>
  readonly #lost: Counter<'watch'>
  #methods: ReadonlySet<string> = new Set()

  constructor (registry: Registry) {
    const registers = [registry]
    this.#calls = new Counter({ name: 'lockstep_grpc_calls_total', help: 'gRPC calls that ended, by method and status code; streams too', labelNames: ['method', 'code'], registers })
    this.#seconds = new Histogram({ name: 'lockstep_grpc_call_duration_seconds', help: 'How long gRPC calls took, other than streams', labelNames: ['method'], buckets: SECONDS, registers })
    this.#streams = new Gauge({ name: 'lockstep_grpc_streams', help: 'gRPC streams that are open: watches, listings', labelNames: ['method'], registers })
    this.#begins = new Counter({ name: 'lockstep_watch_begins_total', help: 'Watches of objects by how they began: with everything, with what a token missed, or with everything again because it was too old or of another life', labelNames: ['kind', 'begin'], registers })
    this.#lost = new Counter({ name: 'lockstep_watch_lost_total', help: 'Changes and events that a slow watcher was not told, but how many', labelNames: ['watch'], registers })
  }

  /** Paths: `/lockstep.v1.Agent/GetInfo`. */
  serves (methods: ReadonlySet<string>): void { this.#methods = methods }

  ended (path: string, code: string, seconds: number, stream: boolean): void {
    const method = this.#name(path)
    this.#calls.inc({ method, code })
    if (!stream) this.#seconds.observe({ method }, seconds)
  }

  /** +1: it is open; -1: no longer. */
  stream (path: string, by: 1 | -1): void { this.#streams.inc({ method: this.#name(path) }, by) }

  begun (kind: string, begin: WatchBegin): void { this.#begins.inc({ kind, begin }) }
  lost (watch: string, n: number): void { if (n > 0) this.#lost.inc({ watch }, n) }

  #name (path: string): string { return this.#methods.has(path) ? path.slice(1) : otherMethod }
}
