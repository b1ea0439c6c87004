/** Debug tables of the load balancer: VIPs, reals, targets of checks, rings as the dataplane has them, and what was put over the configuration. */
import type { LoadBalancerControl, RealStatus, VipState, VipStatus } from '../../contract/balancing.js'
import type { DebugTable, DebugTone } from '../../contract/debug.js'
import type { HealthState } from '../../contract/health.js'
import type { Held } from '../../contract/overlay.js'
import { debugTable, link, yes } from './table.js'

const vipTones: Readonly<Record<VipState, DebugTone>> = { unknown: '', up: 'good', degraded: 'warn', panic: 'bad', down: 'bad' }
const healthTones: Readonly<Record<HealthState, DebugTone>> = { unknown: '', up: 'good', down: 'bad', paused: 'dim', disabled: 'dim' }
const protocols: Readonly<Record<number, string>> = { 0: 'any', 6: 'tcp', 17: 'udp' }

interface Real { readonly vip: VipStatus, readonly real: RealStatus }
interface Laid { readonly what: string, readonly vip: string, readonly detail: string, readonly held: Held }

export function balancingTables (lb: LoadBalancerControl): readonly DebugTable[] {
  return [
    debugTable<VipStatus>({
      name: 'vips', group: 'load balancing', about: 'A virtual service, and whether it serves', source: 'main thread, balancer',
      columns: {
        name: ['text', vip => vip.name], state: ['text', vip => vip.state], address: ['address', vip => vip.address], protocol: ['text', vip => protocols[vip.protocol] ?? String(vip.protocol)], port: ['id', vip => vip.port],
        mode: ['text', vip => vip.mode], pool: ['text', vip => vip.pool], group: ['link', vip => link('groups', vip.redundancyGroup), 'groups'],
        reals: ['link', vip => vip.reals.map(({ name }) => ({ table: 'reals', key: `${vip.name}/${name}` })), 'reals'], serving: ['number', vip => vip.reals.filter(({ state }) => state === 'serving').length]
      },
      read: async () => await lb.vips(), tone: ({ state }) => vipTones[state]
    }),
    debugTable<Real>({
      name: 'reals', group: 'load balancing', about: 'A server behind a VIP, and the share it has', source: 'main thread, balancer',
      columns: {
        name: ['text', ({ vip, real }) => `${vip.name}/${real.name}`], state: ['text', ({ real }) => real.state], vip: ['link', ({ vip }) => link('vips', vip.name), 'vips'], pool: ['text', ({ real }) => real.pool],
        address: ['address', ({ real }) => real.address], port: ['id', ({ vip, real }) => real.port === 0 ? vip.port : real.port], weight: ['number', ({ real }) => real.weight], configured: ['number', ({ real }) => real.configuredWeight],
        target: ['link', ({ real }) => link('targets', real.target), 'targets']
      },
      read: async () => (await lb.vips()).flatMap(vip => vip.reals.map(real => ({ vip, real }))),
      tone: ({ real: { state } }) => state === 'serving' ? 'good' : state === 'down' ? 'bad' : 'dim'
    }),
    debugTable<Awaited<ReturnType<LoadBalancerControl['targets']>>[number]>({
      name: 'targets', group: 'load balancing', about: 'An address and port under a health check: what was found, and when it is looked at again', source: 'health threads',
      columns: {
        id: ['text', r => r.id], state: ['text', r => r.state], check: ['link', r => link('checks', r.check), 'checks'], address: ['address', r => r.address], port: ['id', r => r.port], since: ['time', r => r.since],
        count: ['number', r => r.count], 'share-pct': ['number', r => r.sharePct], passed: ['number', r => r.passed], failed: ['number', r => r.failed], 'last-at': ['time', r => r.last?.at ?? null],
        last: ['text', r => r.last === null ? null : `${r.last.code}${r.last.detail === '' || r.last.detail === r.last.code ? '' : `: ${r.last.detail}`}`], took: ['duration', r => r.last?.tookMs ?? null],
        probing: ['text', r => yes(r.probing)], next: ['time', r => r.nextAt]
      },
      read: async () => await lb.targets(), tone: ({ state }) => healthTones[state]
    }),
    debugTable<Awaited<ReturnType<LoadBalancerControl['readBack']>>[number]>({
      name: 'rings', group: 'load balancing', about: 'The ring of a VIP as the dataplane has it, read back', source: 'main thread, dataplane',
      columns: {
        name: ['text', r => r.vip], vip: ['link', r => link('vips', r.vip), 'vips'], size: ['number', r => r.size], hash: ['text', r => r.hash], drifted: ['number', r => r.drifted],
        entries: ['text', r => r.reals.map(({ name, entries }) => `${name} ${entries}`).join(', ')], reals: ['link', r => r.reals.map(({ name }) => ({ table: 'reals', key: `${r.vip}/${name}` })), 'reals']
      },
      read: async () => await lb.readBack(), tone: ({ drifted }) => drifted > 0 ? 'bad' : ''
    }),
    debugTable<Laid>({
      name: 'overlay', group: 'load balancing', about: 'What operators and programs put over the configuration', source: 'main thread, configuration authority',
      columns: {
        what: ['text', r => r.what], vip: ['link', r => link('vips', r.vip), 'vips'], detail: ['text', r => r.detail], owner: ['text', r => r.held.owner], reason: ['text', r => r.held.reason], since: ['time', r => r.held.since], until: ['time', r => r.held.until]
      },
      read: async () => {
        const { vips, reals, adjusted } = await lb.overlay()
        return [
          ...vips.map(held => ({ what: `vip ${held.vip}`, vip: held.vip, detail: `${held.settings.address} ${held.settings.protocol ?? ''}/${held.settings.port ?? ''}`, held })),
          ...reals.map(held => ({ what: `reals ${held.vip} of ${held.owner}`, vip: held.vip, detail: held.reals.map(({ address }) => address).join(', '), held })),
          ...adjusted.map(held => ({ what: `real ${held.vip}/${held.real}`, vip: held.vip, detail: held.drained ? 'drained' : `weight ${held.weight ?? 'as configured'}`, held }))
        ]
      }
    })
  ]
}
