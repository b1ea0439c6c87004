/**
 * The agent as the rpc worker has it. Sessions, counters and session changes come from shared memory and the sync worker, names from the book that the
 * main thread pushes; the rest is asked of the main thread.
 */
import type { DebugShape } from '../contract/debug.js'
import { nameBook, timeoutOf } from '../config/index.js'
import type { AgentServices, SessionFeed } from '../contract/services.js'
import type { NativeTable } from '../native/binding.js'
import { createSessionStore } from '../native/session-store.js'
import { createTelemetry } from '../native/telemetry.js'
import { endedTranslations } from '../telemetry/nat-history.js'
import type { Caller } from './bridge.js'
import { remoteCluster } from './cluster-bridge.js'
import { remoteEvents, remoteJournal } from './event-bridge.js'
import type { Book, MainCalls } from './protocol.js'

export interface RemoteAgentOptions {
  readonly table: NativeTable
  readonly main: Caller<MainCalls>
  /** The newest one. */
  readonly book: () => Book
  readonly feed: SessionFeed
  readonly natHistory: SharedArrayBuffer
  /** Of the journal. */
  readonly epoch: string
  /** Debug tables of the main thread. */
  readonly debug: readonly DebugShape[]
  /** Ends what follows the main thread. */
  readonly signal: AbortSignal
}

export function remoteAgent ({ table, main, book, feed, natHistory, epoch, debug, signal }: RemoteAgentOptions): AgentServices {
  const dataplane = {
    sessions: createSessionStore(table, (app, phase) => timeoutOf(book().timeouts, app, phase)),
    telemetry: createTelemetry(table),
    links: async () => await main.call('links', [])
  }
  const journal = remoteJournal(async (seen, over) => await main.call('events', [seen], over), epoch, signal)
  return {
    info: async () => await main.call('info', []),
    dataplane: () => dataplane,
    probeAll: async () => await main.call('probeAll', []),
    switchBackend: async (backend, how, signal) => await main.call('switchBackend', [backend, how], signal),
    config: {
      status: async () => await main.call('status', []),
      text: async (which) => await main.call('text', [which]),
      check: async (text, signal) => await main.call('check', [text], signal),
      apply: async (text, options, signal) => await main.call('apply', [text, options], signal),
      confirm: async (generation) => await main.call('confirm', [generation]),
      rollback: async (generation, options, signal) => await main.call('rollback', [generation, options], signal),
      history: async () => await main.call('history', []),
      compare: async (from, to, signal) => await main.call('compare', [from, to], signal),
      save: async () => { await main.call('save', []) }
    },
    cluster: remoteCluster(main),
    loadBalancer: {
      vips: async () => await main.call('vips', []),
      targets: async () => await main.call('targets', []),
      operate: async (id, input) => await main.call('operateTarget', [id, input]),
      watch: remoteEvents(async (seen, signal) => await main.call('loadBalancerEvents', [seen], signal)),
      readBack: async () => await main.call('readBack', []),
      reconcile: async () => await main.call('reconcile', []),
      overlay: async () => await main.call('overlay', []),
      change: async (change, dryRun, signal) => await main.call('changeOverlay', [change, dryRun], signal)
    },
    bgp: {
      neighbours: async () => await main.call('bgpNeighbours', []),
      sources: async () => await main.call('bgpSources', []),
      pending: async () => await main.call('bgpPending', []),
      sinks: async () => await main.call('bgpSinks', []),
      routes: async () => await main.call('bgpRoutes', []),
      routeSinks: async () => await main.call('bgpRouteSinks', []),
      // whatever changes is an event
      watch: (onChange) => journal.watch(null, ({ area }) => { if (area === 'bgp') onChange() })
    },
    journal,
    tell: (event) => { main.call('tell', [event]).catch(() => undefined) },
    names: nameBook(() => book().ids),
    feed,
    endedTranslations: (query) => endedTranslations(natHistory, query),
    debug: { shapes: debug, count: async (name, signal) => await main.call('debugCount', [name], signal), rows: async (name, ask, signal) => await main.call('debugRows', [name, ask], signal) }
  }
}
