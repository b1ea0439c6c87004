/** Debug tables of BGP: neighbours, the sources where they are read, reports that wait, and routes that are announced. */
import type { BgpControl, BgpNeighbourStatus, BgpPending, BgpSinkStatus, BgpSourceStatus } from '../../contract/bgp.js'
import type { BgpRoute, BgpRouteSink } from '../../contract/bgp-announce.js'
import type { DebugTable } from '../../contract/debug.js'
import { debugTable, yes } from './table.js'

const source = 'main thread, readings'

export function bgpTables (bgp: BgpControl): readonly DebugTable[] {
  return [
    debugTable<BgpNeighbourStatus>({
      name: 'bgp-neighbours', group: 'bgp', about: 'A BGP session, as all sources together have it', source,
      columns: {
        key: ['text', n => `${n.vrf}/${n.peer}`], vrf: ['text', n => n.vrf], peer: ['address', n => n.peer], state: ['text', n => n.state], fsm: ['text', n => n.fsm], shut: ['text', n => yes(n.adminDown)], as: ['id', n => n.remoteAs], local: ['address', n => n.local], 'local-as': ['id', n => n.localAs],
        since: ['time', n => n.since], changed: ['time', n => n.changedAt], seen: ['time', n => n.seenAt], flaps: ['number', n => n.flaps], drops: ['number', n => n.drops], rtt: ['duration', n => n.rttNs === null ? null : n.rttNs / 1e6], prefixes: ['number', n => n.prefixesReceived],
        socket: ['text', n => n.cookie === null ? null : n.cookie.toString(16)], source: ['text', n => n.source], reason: ['text', n => n.unknownBecause ?? n.reason], description: ['text', n => n.description]
      },
      read: async () => await bgp.neighbours(), tone: ({ state, adminDown }) => state === 'up' ? 'good' : state === 'unknown' ? 'warn' : adminDown ? 'dim' : 'bad'
    }),
    debugTable<BgpSourceStatus>({
      name: 'bgp-sources', group: 'bgp', about: 'Where BGP sessions are read', source,
      columns: {
        scope: ['text', s => s.scope], kind: ['text', s => s.source], failed: ['text', s => s.failed], failures: ['number', s => s.failures], good: ['time', s => s.goodAt], took: ['duration', s => s.tookMs], neighbours: ['number', s => s.neighbours], 'read-well': ['number', s => s.readings.ok], 'read-badly': ['number', s => s.readings.failed]
      },
      read: async () => await bgp.sources(), tone: ({ failed }) => failed === null ? 'good' : 'bad'
    }),
    debugTable<BgpSinkStatus>({
      name: 'bgp-sinks', group: 'bgp', about: 'Where reports of sessions go', source: 'main thread, reports',
      columns: {
        sink: ['text', s => s.sink], kind: ['text', s => s.kind], stage: ['text', s => s.stage], error: ['text', s => s.lastError], subjects: ['number', s => s.subjects], queued: ['number', s => s.queued], out: ['number', s => s.out],
        looked: ['time', s => s.lastTickAt], landed: ['time', s => s.lastLandedAt], batches: ['number', s => s.batches]
      },
      read: async () => await bgp.sinks(), tone: ({ stage, lastError }) => stage === 'refused' ? 'bad' : lastError !== null ? 'warn' : stage === 'ready' ? 'good' : ''
    }),
    debugTable<BgpRoute>({
      name: 'bgp-routes', group: 'bgp', about: 'A route to a VIP, for the routing daemon to announce', source: 'main thread, announcing',
      columns: { prefix: ['text', r => r.prefix], announced: ['text', r => yes(r.announced)], reason: ['text', r => r.reason], since: ['time', r => r.since], vips: ['text', r => r.vips.join(' ')] },
      read: async () => await bgp.routes(), tone: ({ announced }) => announced ? 'good' : 'dim'
    }),
    debugTable<BgpRouteSink>({
      name: 'bgp-route-sinks', group: 'bgp', about: 'Where routes are put', source: 'main thread, announcing',
      columns: { name: ['text', s => s.name], kind: ['text', s => s.kind], failed: ['text', s => s.failed], failures: ['number', s => s.failures], good: ['time', s => s.goodAt], added: ['number', s => s.added], removed: ['number', s => s.removed] },
      read: async () => await bgp.routeSinks(), tone: ({ failed }) => failed === null ? 'good' : 'bad'
    }),
    debugTable<BgpPending>({
      name: 'bgp-pending', group: 'bgp', about: 'A report of a session on its way to a sink', source: 'main thread, reports',
      columns: {
        key: ['text', p => `${p.sink}/${p.subject}`], state: ['text', p => p.state], cause: ['text', p => p.cause], stage: ['text', p => p.stage], decided: ['time', p => p.decidedAt], queued: ['time', p => p.queuedAt], retry: ['time', p => p.retryAt], attempts: ['number', p => p.attempts], error: ['text', p => p.lastError]
      },
      read: async () => await bgp.pending(), tone: ({ stage, lastError }) => stage === 'uncertain' ? 'warn' : lastError === null ? '' : 'warn'
    })
  ]
}
