/** Debug tables of what only the main thread has: neighbours, capabilities of the dataplane, and checks as they are configured. */
import type { DebugTable } from '../../contract/debug.js'
import type { Capability, DriverPort, LinkInfo, NeighbourInfo } from '../../contract/dataplane.js'
import type { Desired } from '../../contract/desired.js'
import type { HealthCheck } from '../../contract/health.js'
import { debugTable, link } from './table.js'

type DriverCounter = Omit<DriverPort, 'counters'> & { readonly counter: string, readonly value: number }

export interface MainFacts {
  readonly neighbours: () => readonly NeighbourInfo[]
  readonly links: () => readonly LinkInfo[]
  readonly drivers: () => readonly DriverPort[]
  readonly capabilities: () => readonly Capability[]
  readonly desired: () => Desired | null
}

export function mainTables ({ neighbours, links, drivers, capabilities, desired }: MainFacts): readonly DebugTable[] {
  return [
    debugTable<NeighbourInfo & { readonly on: string | null }>({
      name: 'neighbours', group: 'dataplane', about: 'A next hop, and whether the dataplane can send to it', source: 'main thread, dataplane',
      columns: { key: ['text', n => `${n.on ?? n.device}/${n.address}`], address: ['address', n => n.address], state: ['text', n => n.state], mac: ['text', n => n.mac], link: ['link', n => link('links', n.on), 'links'] },
      read: () => {
        const names = new Map(links().map(({ device, name }) => [device, name]))
        return neighbours().map(n => ({ ...n, on: names.get(n.device) ?? null }))
      },
      tone: ({ state }) => state === 'valid' ? 'good' : state === 'failed' ? 'bad' : 'warn'
    }),
    debugTable<DriverCounter>({
      name: 'drivers', group: 'dataplane', about: 'What a driver of DPDK counts of a port; those that count nothing yet are left out', source: 'main thread, the process that runs DPDK',
      columns: { key: ['text', d => `${d.port}/${d.counter}`], port: ['text', d => d.port], driver: ['text', d => d.driver], link: ['text', d => d.up ? 'up' : 'down'], counter: ['text', d => d.counter], value: ['number', d => d.value] },
      read: () => drivers().flatMap(({ counters, ...of }) => Object.entries(counters).filter(([, value]) => value > 0).map(([counter, value]) => ({ ...of, counter, value })))
    }),
    debugTable<Capability>({
      name: 'capabilities', group: 'dataplane', about: 'What the backend that forwards can do, and why not', source: 'main thread, dataplane',
      columns: { name: ['text', c => c.name], supported: ['text', c => c.supported ? 'yes' : 'no'], reason: ['text', c => c.reason] },
      read: capabilities, tone: ({ supported }) => supported ? 'good' : 'dim'
    }),
    debugTable<HealthCheck>({
      name: 'checks', group: 'load balancing', about: 'A health check as it is configured', source: 'main thread, configuration in force',
      columns: {
        name: ['text', c => c.name], type: ['text', c => c.type], port: ['id', c => c.port], interval: ['duration', c => c.intervalMs], fast: ['duration', c => c.fastIntervalMs], down: ['duration', c => c.downIntervalMs], timeout: ['duration', c => c.timeoutMs],
        rise: ['number', c => c.rise], fall: ['number', c => c.fall], passive: ['number', c => c.passive], namespace: ['text', c => c.netns], asks: ['text', asks], headers: ['secret', c => c.http === null || Object.keys(c.http.headers).length === 0 ? null : JSON.stringify(c.http.headers)], send: ['secret', c => c.agent?.send ?? null]
      },
      read: () => desired()?.healthChecks ?? []
    })
  ]
}

/** Without what may be secret. */
const asks = ({ http, dns, grpcService, argv }: HealthCheck): string =>
  http !== null ? `${http.method} ${http.path.split('?')[0] ?? ''}` : dns !== null ? `${dns.type} ${dns.name}` : argv !== null ? argv[0] ?? '' : grpcService ?? ''
