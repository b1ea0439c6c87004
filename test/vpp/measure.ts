/** What the bench of VPP drives: a client, the load balancer and the NAT of a VPP, from JavaScript, as the agent has them. */
import { fileURLToPath } from 'node:url'
import { VppClient, type VppTransport } from '../../src/backend/vpp/client.js'
import { dumpEi } from '../../src/backend/vpp/nat/dump.js'
import { HA_PATH_MTU } from '../../src/backend/vpp/nat/ha-wire.js'
import { lbDriver } from '../../src/backend/vpp/lb/driver.js'
import { LbReconciler } from '../../src/backend/vpp/lb/reconciler.js'
import type { WantedVip } from '../../src/backend/vpp/lb/state.js'
import { sharedTransport } from '../../src/backend/vpp/shared.js'
import { loadCore } from '../../src/native/load.js'
import { must } from '../lab/shell.js'
import type { LiveVpp } from './live-vpp.js'
import type { NatFillFigures, NatFillOptions } from './nat-fill.js'

/** Control pings a second, one at a time and with a thousand on their way. */
export interface RequestFigures { readonly pingPerS: number, readonly pipelinedPerS: number }

export interface VppFigures extends RequestFigures {
  readonly weightsPerS: number
  /** VIPs of ten reals each: from nothing, read and found right, and all rows of the dump of reals. */
  readonly applyMs: number
  readonly noopMs: number
  readonly dumpRowsPerS: number
  /** Two counters of a route from JavaScript. */
  readonly countersUs: number
}

const VIPS = 100
const REALS = 10
const AT_ONCE = 1000

const vips = Array.from({ length: VIPS }, (_, i): WantedVip => ({
  name: `v${i}`, prefix: `10.9.${i}.1/32`, protocol: 6, port: 443, encap: 'gre4', targetPort: 0, tableLength: 1024, sourceIpSticky: false, reals: new Map(Array.from({ length: REALS }, (_, k) => [`10.2.${i}.${k + 1}`, 100]))
}))

async function perSecond (n: number, run: (i: number) => Promise<unknown>, atOnce: number): Promise<number> {
  const began = performance.now()
  for (let i = 0; i < n; i += atOnce) await Promise.all(Array.from({ length: atOnce }, async (_, k) => await run(i + k)))
  return n / (performance.now() - began) * 1000
}

const open = async (connect: (ready: () => void) => VppTransport): Promise<VppClient> => await VppClient.open({ name: 'lockstep-bench', timeoutMs: 10_000, connect })

async function requests (client: VppClient, quick: boolean): Promise<RequestFigures> {
  const ping = async (): Promise<unknown> => await client.call('control_ping_51077d14', {})
  return { pingPerS: await perSecond(quick ? 2000 : 20_000, ping, 1), pipelinedPerS: await perSecond(quick ? 50_000 : 300_000, ping, AT_ONCE) }
}

/** By shared memory. */
export async function measureShared (library: string, prefix: string, quick: boolean): Promise<RequestFigures> {
  const client = await open((ready) => sharedTransport(new (loadCore().VppShared)(library, prefix, 'lockstep-bench', ready)))
  try {
    return await requests(client, quick)
  } finally {
    client.close()
  }
}

export async function measureVpp (apiSocket: string, statsSocket: string, quick: boolean): Promise<VppFigures> {
  const core = loadCore()
  const client = await open((ready) => new core.VppSocket(apiSocket, ready))
  const stats = new core.VppStats(statsSocket, 1000)
  const driver = lbDriver(client)
  if (driver === null) throw new Error('this VPP has no load balancer')
  const reconciler = new LbReconciler({ driver, nowMs: () => performance.now(), random: Math.random })
  const settings = { source4: '10.0.0.1', source6: '2001:db8::1', stickyBuckets: 1024, flowTimeoutS: 40 }
  try {
    reconciler.want({ settings, vips })
    const applied = await reconciler.pass()
    const noop = await reconciler.pass()
    if (applied.failed.length > 0 || noop.done.length > 0) throw new Error(`VPP did not take the VIPs: ${applied.failed[0]?.reason ?? ''}`)
    const weigh = async (i: number): Promise<unknown> => await client.call('lb_as_set_weight_2d89bdbd', { pfx: '10.9.1.1/32', protocol: 6, port: 443, as_address: '10.2.1.1', weight: i % 100, is_flush: false })
    const figures = await requests(client, quick)
    const weightsPerS = await perSecond(quick ? 10_000 : 50_000, weigh, AT_ONCE)
    const dumps = quick ? 5 : 30
    let began = performance.now()
    for (let i = 0; i < dumps; i++) await client.dump('lb_as_v2_dump_1063f819', { pfx: '0.0.0.0/0', protocol: 0, port: 0 })
    const dumpRowsPerS = dumps * VIPS * REALS / (performance.now() - began) * 1000
    const reads = 100_000
    began = performance.now()
    for (let i = 0; i < reads; i++) stats.counters(['/net/route/to', '/net/route/via'], i % 16)
    const countersUs = (performance.now() - began) / reads * 1000
    reconciler.want({ settings, vips: [] })
    await reconciler.pass()
    return { ...figures, weightsPerS, applyMs: applied.tookMs, noopMs: noop.tookMs, dumpRowsPerS, countersUs }
  } finally {
    client.close()
    stats.close()
  }
}

export interface NatFigures {
  readonly sessions: number
  /** Read by the API, all of them. */
  readonly dumpPerS: number
  /** Put in through the listener and acknowledged. */
  readonly injectPerS: number
}

/** Of a VPP with NAT44-EI, an interface `host-va` in its namespace, and `10.99.9.2` on the other end of it. */
export async function measureNat (vpp: LiveVpp, netns: string, users: number, each: number): Promise<NatFigures> {
  const port = 17101
  for (const command of ['create host-interface name va', 'set interface ip address host-va 10.99.9.1/24', 'set interface state host-va up', `nat44 ei plugin enable sessions ${2 * users * each} user-sessions ${each}`, 'nat44 ei add address 10.88.1.1 - 10.88.9.1']) await vpp.cli(command)
  const core = loadCore()
  const client = await open((ready) => new core.VppSocket(vpp.apiSocket, ready))
  try {
    await client.call('nat44_ei_ha_set_listener_e4a8cb4e', { ip_address: '10.99.9.1', port, path_mtu: HA_PATH_MTU })
    const options: NatFillOptions = { agent: '10.99.9.2', vpp: '10.99.9.1', port, users, each }
    const filled = JSON.parse(await must({ netns, argv: [process.execPath, fileURLToPath(new URL('./nat-fill.js', import.meta.url)), JSON.stringify(options)] }, 120_000)) as NatFillFigures
    const took: number[] = []
    let sessions = 0
    for (let i = 0; i < 5; i++) {
      const began = performance.now()
      sessions = (await dumpEi(client)).length
      took.push(performance.now() - began)
    }
    if (sessions !== users * each) throw new Error(`VPP has ${sessions} of ${users * each} sessions`)
    return { sessions, dumpPerS: sessions / (took.sort((a, b) => a - b)[2] ?? NaN) * 1000, injectPerS: filled.acknowledged / filled.tookMs * 1000 }
  } finally {
    client.close()
  }
}
