/** lockstep.v1.Telemetry: one reading of the counters with names, flood counters, NAT pools, and the metrics page. */
import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import type { NatUsage } from '../contract/dataplane.js'
import { LockstepError } from '../contract/errors.js'
import type { AgentServices } from '../contract/services.js'
import { screen } from '../generated/codes.js'
import { layout, limits } from '../generated/layout.js'
import {
  NatAddressUsage, type TelemetryFloodCountersRequest, type TelemetryFloodCountersResponse, type TelemetryMetricsRequest, type TelemetryMetricsResponse,
  type TelemetryNatUsageRequest, type TelemetryNatUsageResponse, type TelemetryNatWhoRequest, type TelemetryNatWhoResponse, type TelemetrySnapshotRequest, type TelemetrySnapshotResponse
} from '../generated/proto/lockstep/v1/telemetry.js'
import { blockRows, counterBlocks, objectName } from '../telemetry/counter-blocks.js'
import { createDoublezeroMetrics } from '../telemetry/doublezero-metrics.js'
import { createMaglevMetrics } from '../telemetry/maglev-metrics.js'
import type { MetricsPage } from '../telemetry/metrics.js'
import type { PageNames } from '../contract/page-names.js'
import type { TableWalk } from '../telemetry/table-walk.js'
import { unary, type OnBug } from './handler.js'
import { listed } from './listing.js'
import { natWho } from './nat-who.js'
import { TableTurns, Turnstile } from './turns.js'

const NAT_MAX_AGE_MS = 1000

export function telemetryImplementation (services: AgentServices, metrics: MetricsPage, nat: Pick<TableWalk<readonly NatUsage[]>, 'read'>, onBug: OnBug): UntypedServiceImplementation {
  const pages: ReadonlyMap<string, MetricsPage> = new Map([['', metrics], ['maglev', createMaglevMetrics(services.loadBalancer, async () => (await services.info()).program)], ['doublezero', createDoublezeroMetrics(services.bgp)]] satisfies Array<['' | PageNames, MetricsPage]>)
  const turns = new TableTurns()
  const walks = new Turnstile('looks for translations', 2, 64)
  return {
    snapshot: unary<TelemetrySnapshotRequest, TelemetrySnapshotResponse>(onBug, (request) => {
      const unknown = request.blocks.find((name) => !counterBlocks.some((b) => b.name === name))
      if (unknown !== undefined) {
        throw new LockstepError('invalid', 'LS_R_BLOCK', 'no such block of counters', { object: 'blocks', found: unknown, expected: counterBlocks.map((b) => b.name).join(' ') })
      }
      const wanted = counterBlocks.filter((b) => request.blocks.length === 0 || request.blocks.includes(b.name))
      const reading = services.dataplane().telemetry.snapshot()
      return {
        timeNs: reading.timeNs,
        generation: BigInt(reading.generation),
        blocks: wanted.map((shape) => ({
          name: shape.name,
          fields: [...shape.fields],
          rows: blockRows(reading, shape, services.names, request.zeros ? 'all' : 'counted').map((r) => ({ id: r.id, name: r.name, text: r.text, values: r.values.map(whole) }))
        }))
      }
    }),

    floodCounters: unary<TelemetryFloodCountersRequest, TelemetryFloodCountersResponse>(onBug, (request) => {
      const { telemetry } = services.dataplane()
      const zones = zonesOf(services, request.zone)
      const stopped = telemetry.snapshot().blocks.screens
      return {
        zones: zones.map(({ id, name }) => {
          const rates = telemetry.readFloodCounters(id)
          const counters = screen.map((s, i) => ({ screen: s.name, text: s.text, hits: whole(stopped?.[id * SCREENS + i]), rate: whole(rates[s.name]) }))
          return { zone: name, counters }
        })
      }
    }),

    natUsage: unary<TelemetryNatUsageRequest, TelemetryNatUsageResponse>(onBug, async (request) => {
      const { value: rows, ageMs } = await nat.read(NAT_MAX_AGE_MS) ?? { value: [], ageMs: 0 }
      const named = rows.map((r) => ({ ...r, name: services.names.name('pool', r.pool) }))
      const wanted = request.pool === '' ? named : named.filter((r) => r.name === request.pool || `#${r.pool}` === request.pool)
      if (wanted.length === 0 && request.pool !== '') throw noSuchPool(request.pool, [...new Set(named.map((r) => r.name))])
      const { rows: addresses, nextPageToken } = listed(wanted.map((r) => ({ pool: r.name, poolId: r.pool, address: r.address, ports: r.ports, sessions: whole(r.inUse), created: whole(r.created), failed: whole(r.failed) })), ({ poolId, address }) => `${poolId} ${address}`, request.listing, NatAddressUsage)
      return { addresses, nextPageToken, ageMs: Math.round(ageMs) }
    }),

    natWho: unary<TelemetryNatWhoRequest, TelemetryNatWhoResponse>(onBug, async (request, { signal }) => await walks.run(signal, async () => await natWho(services, request, turns, signal))),

    metrics: unary<TelemetryMetricsRequest, TelemetryMetricsResponse>(onBug, async ({ names }) => {
      const page = pages.get(names)
      if (page === undefined) throw new LockstepError('invalid', 'LS_R_NAMES', 'no metrics by such names', { object: 'names', found: names, expected: 'nothing, or maglev' })
      return { contentType: page.contentType, text: await page.render() }
    })
  }
}

function noSuchPool (found: string, names: readonly string[]): LockstepError {
  return new LockstepError('invalid', 'LS_R_POOL', 'no such NAT pool', { object: 'pool', found, expected: names.length === 0 ? 'a configured pool (there is none)' : `one of ${names.join(' ')}` })
}

const SCREENS = layout.ls_counters.screens.dims[1]

const whole = (value: number | undefined): bigint => BigInt(Math.round(value ?? 0))

/** Zone 0 is "no zone". */
function zonesOf (services: AgentServices, wanted: string): Array<{ id: number, name: string }> {
  const all: Array<{ id: number, name: string }> = []
  for (let id = 1; id < limits.LS_ZONES_MAX; id++) {
    const name = objectName(services.names, 'zone', id)
    if (name !== null) all.push({ id, name })
  }
  if (wanted === '') return all
  const found = all.filter((z) => z.name === wanted || `#${z.id}` === wanted)
  if (found.length === 0) {
    throw new LockstepError('invalid', 'LS_R_ZONE', 'no such zone', { object: 'zone', found: wanted, expected: all.length === 0 ? 'a configured zone (there is none)' : `one of ${all.map((z) => z.name).join(' ')}` })
  }
  return found
}
